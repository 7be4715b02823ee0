"""``python -m bench.provision``: fetch QEMU, build the guest and the preloaded library ahead of time."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from bench.exits import Exit, last_door, listening
from bench.provision.cache import cache_folder, file_sha256
from bench.provision.guest import build_guest
from bench.provision.nodelay import nodelay_library
from bench.provision.qemu import find_qemu
from bench.streams import make_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

_ABOUT = "Fetch QEMU, build the guest and the preloaded library ahead of time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all that a run needs, say what was made, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.provision", description=_ABOUT)
    parser.add_argument("--qemu", default="provisioned", help="provisioned (default), system, or an executable's path")
    chosen = parser.parse_args(arguments)
    command = shlex.join(("python", "-m", "bench.provision", *(sys.argv[1:] if arguments is None else arguments)))
    return last_door(command, lambda: _provision(chosen.qemu))


def _provision(qemu: str) -> int:
    terminal = make_console()
    with progress_display(terminal) as progress:
        binary = find_qemu(qemu, progress)
        guest = build_guest(progress)
        library = nodelay_library(progress)
    for line in summary(binary, guest, library):
        terminal.print(line, markup=False, highlight=False, soft_wrap=True)
    return Exit.DONE


@contextmanager
def progress_display(terminal: Console) -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is being done: one changing line on a terminal, plain lines elsewhere."""
    if not terminal.is_terminal:
        yield lambda text: terminal.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    with terminal.status("looking what is there") as status:
        yield lambda text: status.update(escape(text))


def summary(binary: Binary, guest: Guest, library: Path) -> tuple[str, ...]:
    """Return what there is now: versions, hashes and where, one line each."""
    busybox = dict(guest.packages).get("busybox-static", "")
    return (
        f"QEMU       {binary.version}, {binary.source}",
        f"           sha256 {binary.sha256}",
        f"kernel     {guest.kernel_version}",
        f"           sha256 {guest.kernel_sha256}",
        f"initramfs  busybox {busybox} and our workload program",
        f"           sha256 {guest.initramfs_sha256}",
        f"nodelay    {library.name}",
        f"           sha256 {file_sha256(library)}",
        f"folder     {cache_folder()}",
    )


if __name__ == "__main__":
    sys.exit(listening(main))
