"""What a run needs and this machine may lack: QEMU, the guest, the preloaded library; and what works here."""
