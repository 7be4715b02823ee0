"""``python -m bench.provision``: fetch QEMU, build the guests and the preloaded library ahead of time."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from bench.process.words import Parser
from bench.provision.apps import build_apps
from bench.provision.archive import Offer, ask_archive, choose
from bench.provision.bare import build_bare
from bench.provision.cache import cache_folder, file_sha256
from bench.provision.guest import build_guest
from bench.provision.packages import GUEST, PROVISIONED_SUITE, fetch_trees, wanted_qemu
from bench.provision.programs import nodelay_library
from bench.provision.qemu import PROVISIONED, RELEASE, find_qemu
from bench.provision.source import build
from bench.system.exits import Exit, last_door, listening
from bench.system.streams import make_console, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from bench.provision.archive import Refusal
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

_ABOUT = "Fetch QEMU, build the guests and the preloaded library ahead of time."


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all that a run needs, say what was made, and return the exit status."""
    parser = Parser(prog="python -m bench.provision", description=_ABOUT)
    parser.add_argument(
        "--qemu",
        default="provisioned",
        help="provisioned (default), a release as 10.0, system, or an executable's path",
    )
    parser.add_argument("--apps", action="store_true", help="the guest with applications too (guest=apps)")
    parser.add_argument("--list", action="store_true", help="ask the archive which releases of QEMU it has, and stop")
    build_it = "build this release from the archive's source, and stop"
    parser.add_argument("--source", type=_release, metavar="RELEASE", help=build_it)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress, only what there is then")
    parser.add_argument(
        "--patch", metavar="FILE", type=Path, nargs="+", default=[], help="patches for --source, in their order"
    )
    chosen = parser.parse_args(arguments)
    if chosen.patch and not chosen.source:
        parser.error("--patch goes with --source")
    command = shlex.join(("python", "-m", "bench.provision", *(sys.argv[1:] if arguments is None else arguments)))
    if chosen.source:
        return last_door(command, lambda: _build(chosen.source, chosen.patch, quiet=chosen.quiet))
    if chosen.list:
        return last_door(command, lambda: _list(quiet=chosen.quiet))
    return last_door(command, lambda: _provision(chosen.qemu, apps=chosen.apps, quiet=chosen.quiet))


def _release(text: str) -> str:
    if not RELEASE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no release; write 10.2, as --list shows")
    return text


def _list(*, quiet: bool) -> int:
    terminal = make_console()
    with progress_display(terminal, quiet=quiet) as progress:
        packages, refused = ask_archive("packages", progress)
        sources, _ = ask_archive("sources", progress)
    for line in listing(packages, sources, refused):
        terminal.print(line, soft_wrap=True)
    require_whole()
    return Exit.DONE


def listing(packages: Sequence[Offer], sources: Sequence[Offer], refused: Sequence[Refusal]) -> Iterator[str]:
    """Yield what can be had of the archive, one line per release, and the suites whose packages it refused."""
    yield f"{'release':<9} {'as':<8} {'packages (qemu=)':<20} sources (--source)"
    for offer in sorted({one.release: one for one in (*sources, *packages)}.values(), key=Offer.order):
        ways = [", ".join(one.suite for one in kind if one.release == offer.release) for kind in (packages, sources)]
        short = choose(offer.name, (*packages, *sources))
        name = offer.name if short and short.release == offer.release else offer.release
        yield f"{offer.release:<9} {name:<8} {ways[0] or '-':<20} {ways[1] or '-'}"
    yield from (f"no packages from {one.suite}: {one.words}" for one in refused)


def _build(release: str, patches: Sequence[Path], *, quiet: bool) -> int:
    terminal = make_console()
    with progress_display(terminal, quiet=quiet) as progress:
        built = build(release, patches, progress)
        binary = find_qemu(f"built:{built.name}", progress)
    for line in (f"qemu=built:{built.name}", f"  {binary.version}", f"  sha256 {binary.sha256}", f"  {binary.path}"):
        terminal.print(line, soft_wrap=True)
    return Exit.DONE


def _provision(qemu: str, *, apps: bool, quiet: bool) -> int:
    terminal = make_console()
    with progress_display(terminal, quiet=quiet) as progress:
        if qemu == PROVISIONED:
            fetch_trees((wanted_qemu(PROVISIONED_SUITE), GUEST), progress)
        binary = find_qemu(qemu, progress)
        guest, bare = build_guest(progress), build_bare(progress)
        library = nodelay_library(progress)
        applications = build_apps(progress).guest if apps else None
    for line in (*summary(binary, guest, bare, library), *(applications_summary(applications) if applications else ())):
        terminal.print(line, soft_wrap=True)
    return Exit.DONE


@contextmanager
def progress_display(terminal: Console, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is being done: one changing line on a terminal, plain lines elsewhere."""
    if quiet:
        yield lambda _: None
        return
    if not terminal.is_terminal:
        yield lambda text: terminal.print(text, soft_wrap=True)
        return
    with terminal.status("looking what is there") as status:
        yield lambda text: status.update(escape(text))


def summary(binary: Binary, guest: Guest, bare: Guest, library: Path) -> tuple[str, ...]:
    """Return what there is now: versions, hashes and where, one line each."""
    busybox = dict(guest.packages).get("busybox-static", "")
    return (
        f"QEMU       {binary.version}, {binary.source}",
        f"           sha256 {binary.sha256}",
        f"kernel     {guest.kernel_version}",
        f"           sha256 {guest.kernel_sha256}",
        f"initramfs  busybox {busybox} and our workload program",
        f"           sha256 {guest.initramfs_sha256}",
        f"bare guest {bare.kernel.name}",
        f"           sha256 {bare.kernel_sha256}",
        f"nodelay    {library.name}",
        f"           sha256 {file_sha256(library)}",
        f"folder     {cache_folder()}",
    )


def applications_summary(guest: Guest) -> tuple[str, ...]:
    """Return what the guest with applications has in it."""
    inside = dict(guest.packages)
    servers = ("valkey-server", "redis-server", "postgresql-17", "nginx", "fio")
    return (
        "applications " + ", ".join(f"{name} {inside.get(name, '')}" for name in servers),
        f"           sha256 {guest.approot_sha256}",
    )


if __name__ == "__main__":
    sys.exit(listening(main))
