"""``python -m analysis results/<campaign>``: builds the report of a campaign and prints its path.

``python -m analysis compare|power|calibrate ...`` are commands of their own; a campaign folder of such a name is given
with a path separator (``./compare``).
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

# The arrays are small: threads of the linear algebra cost more than they save, and sums keep one order without them.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ.pop("SOURCE_DATE_EPOCH", None)  # packagers set it; numpy and matplotlib read it, and trip over odd ones

from analysis.errors import BUG, INTERRUPTED, UNWRITABLE, AnalysisError, mends, path_of, said, told
from analysis.format.folder import VERDICTS
from analysis.process.interrupt import ignore, listen
from analysis.process.streams import outlive_readers
from analysis.process.words import Parser
from analysis.verdicts.declared import read_hypotheses

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analysis.stored.records import Hypothesis

_MODULES = ("bundle", "calibrate", "compare", "expect", "explore", "overhead", "power", "size", "timeline", "track")
COMMANDS = {**{name: (name, "main") for name in _MODULES}, "verify": ("bundle", "check")}
"""What the first word may be instead of a campaign: a function of a module of ``analysis.commands``."""

STYLES = ("screen", "acm", "ieee")
"""How wide the figures are drawn, and how large their letters are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 with the path printed, 1 when nothing was measured, 2 when the path is wrong, 3 when it is not writable.

    A command returns what its own module says.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        module, function = COMMANDS[words[0]]
        ended: int = getattr(import_module(f"analysis.commands.{module}"), function)(words[1:])
        return ended
    return report(words)


def report(words: Sequence[str]) -> int:
    """Build the report of one or more campaigns of one plan."""
    parser = Parser(
        prog="python -m analysis",
        description="Build the report of a measured campaign, or of several of one plan, and print its path. "
        f"Other commands: {', '.join(COMMANDS)}.",
    )
    parser.add_argument("campaign", type=path_of, nargs="+", help="campaign folders, such as results/demo")
    parser.add_argument(
        "--style", choices=STYLES, default="screen", help="of the figures; figure.style=STYLE is the same"
    )
    parser.add_argument("--hypotheses", type=path_of, metavar="FILE", help="YAML with other hypotheses: exploratory")
    parser.add_argument("--out", type=path_of, metavar="DIR", help="where to write (report/ in the first folder)")
    parser.add_argument("--only", choices=("verdicts",), help="write verdicts.json and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    # figure.style=acm is spelled like the measuring command's settings.
    given = parser.parse_args([word.replace("figure.style=", "--style=", 1) for word in words])
    try:
        asked = read_hypotheses(given.hypotheses) if given.hypotheses else None
        page = _written(given.campaign, given, asked)
    except AnalysisError as error:
        sys.stderr.write(error.told())
        return error.exit_code
    except OSError as error:
        sys.stderr.write(told(f"the report cannot be written: {said(error)}", mends(error)))
        return UNWRITABLE
    for line in _left_out(page.parent / VERDICTS):
        sys.stderr.write(f"colo-bench: {line}\n")
    sys.stdout.write(f"{page}\n")
    return 0


def _left_out(verdicts: Path) -> Iterator[str]:
    """Yield a line for each run that the report could not use, as it says itself."""
    if verdicts.is_file():
        for run in json.loads(verdicts.read_bytes())["unread"]:
            yield f"run {run['run_id']} is left out: {run['why']}"


def _written(folders: Sequence[Path], given: argparse.Namespace, asked: Sequence[Hypothesis] | None) -> Path:
    if given.only:
        from analysis.report.verdicts import write_verdicts  # noqa: PLC0415 - a second, of which figures take two more

        return write_verdicts(folders, asked=asked, out=given.out)
    from analysis.commands.terminal import progress  # noqa: PLC0415 - what verdicts alone do without
    from analysis.report.build import build_report  # noqa: PLC0415 - the same

    with progress(quiet=given.quiet) as say:
        return build_report(folders, style=given.style, asked=asked, out=given.out, say=say)


def door() -> int:
    """Return what :func:`main` returns; a signal ends it in one line, with everything half made removed.

    A second signal changes nothing, nor does one that comes when the status is settled.
    """
    try:
        listen()
        try:
            return main()
        finally:
            ignore()
    except MemoryError:
        sys.stderr.write(told("there is no memory left for this program", "ulimit -v unlimited"))
        return UNWRITABLE
    except KeyboardInterrupt:
        sys.stderr.write("colo-bench: interrupted\n")
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - the last door: whatever else arrives here is our bug
        traceback.print_exc()
        sys.stderr.write(_bug_report())
        return BUG


def _bug_report() -> str:
    command = shlex.join(("python", "-m", "analysis", *sys.argv[1:]))
    return (
        "colo-bench: this is a bug in colo-bench; please report it with the traceback above and these lines:\n"
        f"  command:  {command}\n"
        f"  Python:   {platform.python_implementation()} {platform.python_version()}\n"
        f"  platform: {platform.platform()}\n"
    )


if __name__ == "__main__":
    outlive_readers()
    sys.exit(door())
