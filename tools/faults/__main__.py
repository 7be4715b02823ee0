"""``python -m tools.faults``: breaks the main command on purpose, again and again, and looks at what is left of it."""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.system.files import write_atomic
from bench.system.streams import make_console
from tools.faults.catalogue import CATALOGUE, chosen
from tools.faults.inject import References, inject
from tools.faults.jobs import loopback_up, share, side_by_side
from tools.faults.table import declared, line, markdown, rich_table, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tools.faults.fault import Fault
    from tools.faults.inject import Outcome

_SEED = 20200917


def main(arguments: Sequence[str] | None = None) -> int:
    """Inject the faults that were asked for and return 1 when anything was not as it should be."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # namespaces, mounts and hosts are taken down then too
    console = make_console()
    try:
        faults = chosen(options.only, slow=options.slow)
    except KeyError as error:
        sys.stderr.write(f"no fault is called {error.args[0]}; --list shows all\n")
        return 2
    if options.list:
        for fault in faults:
            row = f"| {' | '.join(declared(fault))} |" if options.markdown else f"{fault.name:<28} {fault.does}"
            console.print(row, markup=False, soft_wrap=True)
        return 0
    outcomes = (_side_by_side if options.jobs > 1 else _alone)(faults, options, console)
    if options.share:
        return 0
    _show(outcomes, console, options)
    whole = len(outcomes) == options.rounds * len(faults)
    return 0 if whole and all(one.ok or one.blocked for one in outcomes) else 1


def _side_by_side(faults: Sequence[Fault], options: argparse.Namespace, console: Console) -> list[Outcome]:
    """Share what needs no network out, then do the rest, which fetches."""
    apart, here = ([fault for fault in faults if fault.slow is slow] for slow in (False, True))
    outcomes = _shared(apart, options)
    if here:
        outcomes += _alone(here, options, console)
    order = [fault.name for fault in faults]
    outcomes.sort(key=lambda one: order.index(one.fault))
    if options.json:
        _store(outcomes, options.json)
    return outcomes


def _shared(faults: Sequence[Fault], options: argparse.Namespace) -> list[Outcome]:
    only = [word for fault in faults for word in ("--only", fault.name)]
    work = ("--work", str(options.work)) if options.work else ()
    keep = ("--keep",) if options.keep else ()
    if not faults:
        return []
    with tempfile.TemporaryDirectory(prefix="colo-bench-faults-", dir=options.work) as folder:
        parts = options.json.absolute().with_suffix(".parts") if options.json else Path(folder) / "parts"
        return side_by_side(options.jobs, (*only, "--rounds", str(options.rounds), *work, *keep), parts)


def _alone(faults: Sequence[Fault], options: argparse.Namespace, console: Console) -> list[Outcome]:
    if options.share:
        loopback_up()
        faults = share(faults, options.share)
    work = Path(tempfile.mkdtemp(prefix="colo-bench-faults-", dir=options.work))
    outcomes: list[Outcome] = []
    try:
        _rounds(faults, options, work, console, outcomes)
    except KeyboardInterrupt:
        console.print("interrupted: what follows is of the injections so far")
    finally:
        if not (options.keep and any(work.glob("*-[0-9][0-9][0-9]*/output-0.txt"))):
            shutil.rmtree(work, ignore_errors=True)
    return outcomes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show the faults and inject none")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this one, or those like kill-*; again for more"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, metavar="N", help="each fault N times, elsewhere within its stage each time"
    )
    parser.add_argument("--slow", action="store_true", help=f"also those that fetch or wait long (of {len(CATALOGUE)})")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="N at a time, each in namespaces of its own (needs root)"
    )
    parser.add_argument("--share", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every injection there")
    parser.add_argument(
        "--markdown", action="store_true", help="print the table, or the list, as docs/reliability.md has it"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where to work (default: the folder for temporary files)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folders of what was not as it should be")
    return parser


def _rounds(
    faults: Sequence[Fault], options: argparse.Namespace, work: Path, console: Console, outcomes: list[Outcome]
) -> None:
    references, chances = References(work), random.Random(_SEED)  # noqa: S311 - no secret, a place within a stage
    for number in range(options.rounds):
        for fault in faults:
            chance = chances.random() if number else 0.0
            outcomes.append(inject(fault, references, work, chance=chance, keep=options.keep))
            head = f"[{len(outcomes)}/{options.rounds * len(faults)}]"
            console.print(f"{head} {line(outcomes[-1])}", markup=False, soft_wrap=True)
            console.file.flush()
            if options.json:  # hours of them: what is done is kept
                _store(outcomes, options.json)


def _store(outcomes: Sequence[Outcome], path: Path) -> None:
    about = {"machine": platform.node(), "kernel": platform.release(), "python": platform.python_version()}
    write_atomic(path, json.dumps(about | {"injections": [one.to_json() for one in outcomes]}, indent=1) + "\n")


def _show(outcomes: Sequence[Outcome], console: Console, options: argparse.Namespace) -> None:
    found = rows(outcomes)
    if options.markdown:
        console.print(markdown(found), markup=False, soft_wrap=True)
    else:
        console.print(rich_table(found))
    for row in found[:-1]:
        if row.blocked:
            console.print(f"blocked here: {row.group}: {row.blocked}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
