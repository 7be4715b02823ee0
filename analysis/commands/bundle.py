"""``python -m analysis bundle CAMPAIGN`` and ``verify ARCHIVE``: an artifact that others can check, and the check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.terminal import print_json, reported
from analysis.errors import AnalysisError, path_of
from analysis.process.words import Parser
from analysis.report.bundle import bundle, verify
from analysis.report.files import write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Return 0 with the path printed, 1 when nothing was measured, 2 on wrong usage, 3 when it is not writable."""
    parser = Parser(
        prog="python -m analysis bundle",
        description="Pack a campaign into one archive for artifact evaluation: data, report, environment, hashes.",
    )
    parser.add_argument("campaign", type=path_of, help="a campaign folder")
    parser.add_argument("--out", type=path_of, metavar="FILE", help="NAME-artifact.tar.gz in the current folder")
    parser.add_argument("--raw", action="store_true", help="with every log and trace: large")
    options = parser.parse_args(arguments)
    return reported(lambda: _pack(options), in_files=True)


def _pack(options: argparse.Namespace) -> int:
    packed = bundle(options.campaign, raw=options.raw)
    out = options.out or Path(f"{options.campaign.resolve().name}-artifact.tar.gz")
    write(out, packed)
    sys.stdout.write(f"{out}\n")
    return 0


def check(arguments: Sequence[str]) -> int:
    """Return 0 when everything holds, 1 when something does not, 2 on wrong usage or for another kind of file."""
    parser = Parser(
        prog="python -m analysis verify",
        description="Check an archive that bundle made: hashes, format, and every verdict computed again.",
    )
    parser.add_argument("archive", type=path_of)
    parser.add_argument("--json", action="store_true", help="print what holds, and what does not, as JSON")
    options = parser.parse_args(arguments)
    return reported(lambda: (_verify_as_json if options.json else _verify)(options.archive))


def _verify(archive: Path) -> int:
    for line in verify(archive):
        sys.stdout.write(f"{line}\n")
    return 0


def _verify_as_json(archive: Path) -> int:
    holds: dict[str, str] = {}
    try:
        for line in verify(archive):
            what, _, words = line.partition(": ")
            holds[what] = words
    except AnalysisError as error:
        print_json({"archive": str(archive), "whole": False, "holds": holds, "problem": str(error)})
        raise
    print_json({"archive": str(archive), "whole": True, "holds": holds, "problem": None})
    return 0
