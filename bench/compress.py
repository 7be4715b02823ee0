"""``python -m bench.compress CAMPAIGN...``: the raw logs of finished runs as zstd; everything reads them as before."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.format.folder import MACHINES, CampaignFolder
from bench.plan.estimate import gib
from bench.process.words import Parser
from bench.recover import for_each
from bench.run.folder import locked
from bench.run.recovery import finished
from bench.system.exits import Exit, last_door, listening
from bench.system.logs import LOGS, Sizes, compress_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ABOUT = (
    "Compresses trace.log, serial.log and qmp.jsonl of measured and failed runs. Each goes only when its compressed "
    "form is on the disk and reads back as the same. bench.recover and the analysis take either form."
)


def compressible(campaign: Path) -> list[Path]:
    """Return the plain logs of the attempts that are over: measured runs, and what was set aside."""
    homes = [one.home for one in finished(campaign)]
    homes += sorted(path for path in CampaignFolder(campaign).failed.glob("*") if path.is_dir())
    candidates = (home / place / name for home in homes for place in (".", *MACHINES) for name in LOGS)
    return [path for path in candidates if path.is_file() and not path.is_symlink()]


def compress(campaign: Path) -> Iterator[Sizes]:
    """Compress the logs of one campaign.

    Raises:
        ConfigError: the campaign is being run.
        StoreError: a log could not be compressed; it is still there.
    """
    with locked(campaign):
        for path in compressible(campaign):
            yield compress_log(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compress, print what was saved and return the exit status."""
    parser = Parser(prog="python -m bench.compress", description=_ABOUT)
    parser.add_argument("campaigns", nargs="+", type=Path, metavar="CAMPAIGN", help="a folder such as results/demo")
    chosen = parser.parse_args(arguments)
    command = shlex.join(("python", "-m", "bench.compress", *map(str, chosen.campaigns)))
    return last_door(command, lambda: for_each(chosen.campaigns, _one))


def _one(campaign: Path) -> Exit:
    sizes = list(compress(campaign))
    before, after = sum(one.before for one in sizes), sum(one.after for one in sizes)
    sys.stdout.write(f"{campaign.name}: {len(sizes)} logs, {gib(before)} before, {gib(after)} now\n")
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(listening(main))
