"""The options by which QEMU loads a guest."""

from __future__ import annotations

KERNEL_ARGUMENTS = (
    *("console=ttyS0", "quiet", "panic=-1", "net.ifnames=0", "cryptomgr.notests", "no_timer_check"),
    "tsc=reliable",
)
"""What the Linux guest needs on its kernel's command line: its console, no waiting after a panic, the name ``eth0``; no
self-tests of cryptography, which take a second of an emulated boot, nor a timer check, which a busy host can fail.

``tsc=reliable``: else a busy host makes the guest's clock watchdog patch the kernel's code. QEMU 11.1 copies a
checkpoint's RAM into the secondary without dropping what TCG translated from it, so the secondary goes on executing
the breakpoint of a patch that was under way, and panics (docs/findings.md, section 6)."""

_FIRMWARE = "qboot.rom"
"""The small firmware that QEMU brings along for machines that only load a kernel. SeaBIOS takes 11 s under a KVM that
emulates protected mode, most of it checksums of itself; this one takes less than one."""


def loading(kernel: str, initramfs: str | None, firmware: str = "guest", more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the options that load a guest: the Linux one with its initramfs, the bare one, which has none.

    Args:
        kernel: path of the kernel, or of the bare guest.
        initramfs: path of the Linux guest's initramfs.
        firmware: ``seabios``, QEMU's own, or ``guest``: the one that suits this guest.
        more: words for the kernel's command line beside those that it needs.
    """
    if initramfs is None:
        small = ("-bios", _FIRMWARE) if firmware == "guest" else ()
        return (*small, "-kernel", kernel)
    return ("-kernel", kernel, "-initrd", initramfs, "-append", " ".join((*KERNEL_ARGUMENTS, *more)))


def applications(image: str) -> tuple[str, ...]:
    """Return the options that give a guest the applications' file system: read-only, shared by both sides.

    It is no part of the replicated disk, and has a place of its own behind all that the machine has anyway.
    """
    node = f"driver=raw,node-name=approot,read-only=on,file.driver=file,file.filename={image}"
    return ("-blockdev", node, "-device", "virtio-blk-pci,drive=approot,addr=0x10")
