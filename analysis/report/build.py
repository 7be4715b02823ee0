"""Builds the report of a study: reads campaign folders, writes ``report/``, each file complete or not at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analysis.calibrate.calibration import calibration, own_model
from analysis.format.folder import REPORT, VERDICTS, CampaignFolder
from analysis.plots import NAMES, figures_begun
from analysis.plots.drawing import KINDS
from analysis.report.explore import MOST_RUNS, explore, reached
from analysis.report.files import write
from analysis.report.page import Built
from analysis.report.render import page, told
from analysis.report.service import service_files
from analysis.report.tables import tables
from analysis.report.verdicts import verdicts_json
from analysis.runs.behaviour import behaviours_begun
from analysis.stored.records import Plan
from analysis.stored.study import load_study
from analysis.verdicts.results import derive
from analysis.workers import here, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from analysis.plots import Drawing, Skipped
    from analysis.stored.records import Hypothesis
    from analysis.verdicts.results import Results
    from analysis.workers import Begin

_NOT_ALWAYS = frozenset(
    (
        "explore.html",
        *(f"figures/{name}{part}.{kind}" for name in NAMES for part in ("", "-column") for kind in (*KINDS, "csv")),
        *(f"tables/{name}.csv" for name in ("failovers", "overhead", "triggers", "costs")),
        *(f"tables/{name}.tex" for name in ("failovers", "overhead")),
    )
)
"""What a report may hold or not: nothing of an earlier one, of other hypotheses or of another style, stays beside."""

_STUDIES = 500
"""Simulated campaigns behind the figure on pooling: enough for 5 % to be within 2 % of it."""


def build_report(
    folders: Sequence[Path],
    *,
    style: str = "screen",
    asked: Sequence[Hypothesis] | None = None,
    out: Path | None = None,
    homes: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the report of one or more campaigns of one plan, and return the path of its page.

    Args:
        folders: campaign folders; several are combined, block after block.
        style: of the figures' files: ``screen``, ``acm`` or ``ieee``.
        asked: other hypotheses than those declared; their verdicts are exploratory.
        out: where to write; None: ``report/`` in the first folder.
        homes: how each folder is reached from where the page will lie; None: as it is now.
        say: told what is being done.

    Raises:
        AnalysisError: a folder is no campaign, nothing was measured, or the plans differ.
        OSError: the report cannot be written.
    """
    with workers() as begin:
        say("reading the runs")
        study = load_study(folders)
        target = out or folders[0] / REPORT
        found = tuple(homes or (reached(folder, target) for folder in folders))
        built = Built(style, asked is not None, tuple(_seed(folder) for folder in folders), found)
        say("judging the hypotheses")
        results = derive(study, asked, behaviours_begun(study.runs, begin))
        *others, (last, content) = report_files(results, built, say, begin).items()
    for name, other in others:
        write(target / name, other)
    for name in _NOT_ALWAYS - dict(others).keys():
        (target / name).unlink(missing_ok=True)
    return write(target / last, content)  # the last one: what is newer was made without it


def _seed(folder: Path) -> int | None:
    """Return the seed of a campaign that has been read: of several that are joined, the study keeps the first plan."""
    return Plan.model_validate_json(CampaignFolder(folder).plan.read_bytes()).seed


def report_files(results: Results, built: Built, say: Callable[[str], None], begin: Begin = here) -> dict[str, bytes]:
    """Return the files of the report by their names within its folder, the page last; ``say`` is told of each step.

    What needs no figure is made while these are being drawn.
    """
    skipped: list[Skipped] = []
    drawings: list[Drawing] = []
    say("drawing the figures")
    rates = partial(_type_one_rates, results)
    figures = figures_begun(results, built.style, begin, calibration=rates, on_skip=skipped.append)
    files = tables(results, built.seeds) | service_files(results)
    files[VERDICTS] = verdicts_json(results).encode()
    if len(results.campaign.runs) <= MOST_RUNS:
        files["explore.html"] = explore(results.campaign, results.cells, results.runs, built.homes).encode()
    words = told(results, built)
    for figure in figures:
        drawings.append(figure)
        files |= {f"figures/{name}": content for name, content in figure.by_name.items()}
        say(f"drawing the figures: {figure.name} is done, {len(drawings)} of at most {len(NAMES)}")
    say("making report.html")
    files["report.html"] = page(words, drawings, skipped).encode()
    return files


def _type_one_rates(results: Results) -> pd.DataFrame:
    model = own_model(results)
    rates = calibration(model, studies=_STUDIES, questions=("type I error",))
    return rates.rename(columns={"estimate": "type_one"}).assign(assumed=model is None)
