"""``python -m analysis timeline RUN``: one run on one time axis, as files for a paper and a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.terminal import print_json, reported
from analysis.errors import NotACampaignError, NothingMeasuredError, path_of
from analysis.format.folder import PLAN, RECORD, REPORT, CampaignFolder
from analysis.plots.drawing import NoFigureError, draw
from analysis.plots.style import STYLES
from analysis.plots.timeline import sketch, told
from analysis.process.paths import require_seen
from analysis.process.words import Parser
from analysis.report.files import write
from analysis.stored.load import load_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

FOLDER = "timelines"
"""Where in a campaign's report they are written."""

_SHOWS = "name a run under COLO, or one whose client is ours"
_FIX = "python -m analysis timeline results/CAMPAIGN RUN, with the id of a run that was measured"


def main(arguments: Sequence[str]) -> int:
    """Return 0 with the paths printed; 1 where nothing can be drawn, 2 where there is no such run, 3 not writable."""
    parser = Parser(
        prog="python -m analysis timeline",
        description="Draw one run on one time axis: pauses as bands with their phases, requests as dots, throughput, "
        "dirty pages; over a page and in a column, as SVG, PDF, PNG and CSV.",
    )
    parser.add_argument("run", type=path_of, help="a run's folder, or a campaign's with the id of a run behind it")
    parser.add_argument("run_id", nargs="?", default="", help="the id of a run of the campaign, or how it begins")
    parser.add_argument("--style", choices=tuple(STYLES), default="screen", help="of the figure (screen)")
    parser.add_argument("--out", type=path_of, metavar="DIR", help="default: report/timelines in the campaign's folder")
    parser.add_argument("--json", action="store_true", help="print paths and figures as JSON")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options), in_files=not options.json)


def _run(options: argparse.Namespace) -> int:
    home = run_folder(options.run, options.run_id)
    run = load_run(home)
    try:
        drawing = draw(sketch(run), STYLES[options.style])
    except NoFigureError as error:
        raise NothingMeasuredError(f"run {run.record.run_id} ({run.record.label}): {error}", fix=_SHOWS) from error
    out = options.out or _beside(home)
    paths = [write(out / name, content) for name, content in drawing.by_name.items()]
    if options.json:
        print_json({"run_id": run.record.run_id, **told(run), "files": [str(path) for path in paths]})
        return 0
    sys.stdout.write(f"{drawing.words.heading}\n")
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0


def run_folder(given: Path, run_id: str = "") -> Path:
    """Return the folder of the run that is meant.

    Args:
        given: a run's folder, or a campaign's.
        run_id: which run of the campaign, or how its id begins.

    Raises:
        NotACampaignError: there is none, or more than one.
    """
    if not run_id:
        require_seen(given / PLAN)
        if (given / PLAN).is_file():
            raise NotACampaignError(f"{given} is a campaign: name one of its runs behind it{_some(given)}", fix=_FIX)
        if not (given / RECORD).is_file():
            raise NotACampaignError(f"{given}: not the folder of a measured run, it holds no {RECORD}", fix=_FIX)
        return given
    found = [path for path in _measured(given) if path.name.startswith(run_id)]
    if len(found) != 1:
        how = f"{len(found)} runs begin with" if found else "no measured run is called"
        raise NotACampaignError(f"{given}: {how} {run_id}{_some(given)}", fix=_FIX)
    return found[0]


def _measured(campaign: Path) -> list[Path]:
    """Return the folders of the runs that have a record: another is under way, or was killed."""
    return sorted(path.parent for path in CampaignFolder(campaign).runs.glob(f"*/{RECORD}"))


def _some(campaign: Path) -> str:
    names = [path.name for path in _measured(campaign)]
    shown = ", ".join(names[:3])
    return f"; it has {shown}{' and others' if len(names) > 3 else ''}" if names else "; it has none"  # noqa: PLR2004


def _beside(home: Path) -> Path:
    """Return where the figure is written: in the report of the campaign that the run lies in, else here."""
    campaign = home.resolve().parent.parent
    return campaign / REPORT / FOLDER if (campaign / PLAN).is_file() else Path()
