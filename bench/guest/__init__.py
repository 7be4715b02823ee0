"""The guests: their sources, how QEMU loads them, and what is said over their console."""
