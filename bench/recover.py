"""``python -m bench.recover CAMPAIGN...``: the checkpoints of attempts that failed or were killed, from raw data."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, ConfigError
from bench.format.folder import LEDGER, PLAN, RUNS
from bench.process.paths import require_seen
from bench.process.words import Parser
from bench.run.folder import locked
from bench.run.recovery import check, finished, read_known, recover, unfinished
from bench.system.exits import Exit, last_door, listening, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.run.recovery import Finding

_ABOUT = (
    "Writes checkpoints.parquet and recovered.json into every folder of an attempt that left no whole record: all "
    "checkpoints that it completed, from its raw traces. Neither resuming nor the analysis takes them for a run."
)


def require_campaign(folder: Path) -> Path:
    """Return the folder of a campaign, absolute.

    Raises:
        ConfigError: it is none.
        OSError: it may not be looked at.
    """
    require_seen(folder / PLAN)
    if not any((folder / name).exists() for name in (PLAN, LEDGER, RUNS)):
        raise ConfigError(f"{folder} is not the folder of a campaign", hint="name one such as results/demo")
    return folder.absolute()


def findings(campaign: Path, *, checking: bool) -> Iterator[Finding]:
    """Recover (or check) every folder of a campaign that calls for it.

    Raises:
        ConfigError: the campaign is being run, so that what looks unfinished may only be under way.
        StoreError: a table cannot be written.
    """
    if checking:
        yield from map(check, finished(campaign))
        return
    with locked(campaign):
        known = read_known(campaign)
        for attempt in unfinished(campaign):
            yield recover(attempt, known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per folder and return the exit status: 1 when something could not be used, or a check failed."""
    parser = Parser(prog="python -m bench.recover", description=_ABOUT)
    parser.add_argument("campaigns", nargs="+", type=Path, metavar="CAMPAIGN", help="a folder such as results/demo")
    parser.add_argument("--check", action="store_true", help="write nothing: hold each measured run to its raw data")
    chosen = parser.parse_args(arguments)
    command = shlex.join(("python", "-m", "bench.recover", *map(str, chosen.campaigns)))
    return last_door(command, lambda: for_each(chosen.campaigns, partial(_one, checking=chosen.check)))


def for_each(campaigns: Iterable[Path], work: Callable[[Path], Exit]) -> int:
    """Do a work with each campaign, whatever becomes of the others, and return the worst of their exit statuses."""
    worst = Exit.DONE
    for folder in campaigns:
        try:
            worst = max(worst, work(require_campaign(folder)))
        except (BenchError, OSError) as error:
            worst = max(worst, told(error, folder))
    return worst


def _one(campaign: Path, *, checking: bool) -> Exit:
    found = []
    for one in findings(campaign, checking=checking):
        found.append(one)
        sys.stdout.write(f"{campaign.name}/{one.name}: {one.text}\n")
    checkpoints, what = sum(one.checkpoints for one in found), "checked" if checking else "recovered"
    sys.stdout.write(f"{campaign.name}: {len(found)} folders, {checkpoints} checkpoints {what}\n")
    return Exit.DONE if all(one.ok for one in found) else Exit.RUNS_FAILED


if __name__ == "__main__":
    sys.exit(listening(main))
