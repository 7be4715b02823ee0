"""The explorer: every run with checkpoints as a row of one self-contained page that filters, draws, tells its files.

It holds a sketch of each run (quantiles of the pause, means of the phases), never raw checkpoints: ten thousand runs
stay below 3 MB. The report remains the document of record.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from analysis.errors import AnalysisError
from analysis.format.outcomes import OUTCOMES
from analysis.format.phases import PARTS
from analysis.format.table import PHASES
from analysis.runs.cell_table import MEANS
from analysis.runs.counting import QUALITY, quality_words
from analysis.runs.outcomes import used_pauses
from analysis.stored.factors import as_planned, factor_text, level_text
from analysis.verdicts.amounts import shown_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from analysis.format.factors import Level
    from analysis.format.outcomes import Outcome
    from analysis.stored.campaign import Campaign
    from analysis.stored.cells import Cells

MOST_RUNS = 10_000
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""The sketch of a run's pauses after its warm-up."""

_PHASES = {*MEANS, *(part.name for part in PARTS)}

_IN_TABLES = ("compare.", "costs.")
_STEPS = {"detect", "decide", "takeover", "first_answer", "redundancy", "survived"}

SHOWN = tuple(
    one for one in OUTCOMES.values() if one.name not in _PHASES | _STEPS and not str(one.column).startswith(_IN_TABLES)
)
"""What the strips and the timeline can show, one number per run; the phases are in the panel of a run.

Packets, what hosts were used for and the steps of takeovers are in the report's tables: a page is to stay small.
"""

_VENDOR, _TEMPLATES = Path(__file__).parent / "vendor", Path(__file__).parent / "templates"
_DIGITS = 3
"""As many as the page shows."""


class TooManyRunsError(AnalysisError):
    """A page of so many runs would be slow to use."""

    fix = "give fewer campaigns; of a single one the report has a table of every run"


def explore(
    campaign: Campaign, cells: Cells, runs: pd.DataFrame, homes: Sequence[str], report: str = "report.html"
) -> str:
    """Return the page.

    Args:
        campaign: as it was read.
        cells: :func:`analysis.stored.cells.name_cells` of its runs.
        runs: :func:`analysis.runs.outcomes.run_table` of both.
        homes: how each campaign's folder is reached from that of the page.
        report: how the report is.

    Raises:
        TooManyRunsError: the campaign has more than ``MOST_RUNS`` runs.
    """
    if len(campaign.runs) > MOST_RUNS:
        raise TooManyRunsError(f"{len(campaign.runs)} runs; the explorer holds {MOST_RUNS}")
    return page(payload(campaign, cells, runs, homes), cells.under, report)


def reached(path: Path, page_folder: Path) -> str:
    """Return how a campaign's folder, or a file, is reached from that of a page: ``..`` from ``report/`` in it."""
    return Path(os.path.relpath(path.resolve(), page_folder.resolve())).as_posix()


def page(data: Mapping[str, Any], accels: str, report: str = "report.html") -> str:
    """Return the page of a payload."""
    scripts = (_VENDOR / "uPlot.min.js", _VENDOR / "crossfilter.min.js", _TEMPLATES / "explore.js")
    code = "\n".join(path.read_text(encoding="utf-8").rstrip() for path in scripts)
    parts = {
        "CAMPAIGN": escape(str(data["campaign"])),
        "ACCEL": escape(accels),
        "REPORT": escape(quote(os.fsencode(report))),
        "HASH": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "STYLE": (_VENDOR / "uPlot.min.css").read_text(encoding="utf-8").strip(),
        # Nothing in the data may end the element that holds it.
        "DATA": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "CODE": code,
    }
    template = (_TEMPLATES / "explore.html").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], template)


def payload(campaign: Campaign, cells: Cells, runs: pd.DataFrame, homes: Sequence[str] = ("..",)) -> dict[str, Any]:
    """Return what the page is made of, by columns: texts as places in a list of the different ones, pauses in ms."""
    sketches = np.array([np.quantile(used_pauses(run), QUANTILES) for run in campaign.runs])
    return {
        "campaign": campaign.plan.campaign,
        "outcomes": {one.name: _outcome(one, runs) for one in SHOWN if runs[one.name].nunique() > 0},
        "phases": {name: _numbers(1e3 * runs[name]) for name in (phase.removesuffix("_s") for phase in PHASES)},
        "quantiles": list(QUANTILES),
        "sketch": [_numbers(1e3 * column) for column in sketches.T],
        "factors": list(_factors(runs, cells)),
        "run_id": runs["run_id"].tolist(),
        "homes": list(homes),
        "home": runs["folder"].tolist(),
        "started_at": [round(float(one), 1) for one in runs["started_at"]],
        "checkpoints": runs["checkpoints"].tolist(),
        "failed": len(campaign.failures),
        "without": len(campaign.without),
        "unread": len(campaign.unread),
    }


def _outcome(one: Outcome, runs: pd.DataFrame) -> dict[str, Any]:
    (scale, unit), enough = shown_in(one.name), runs.get(f"{one.name}_enough")
    short = enough is not None and not enough[runs[one.name].notna()].all()
    words = one.words.removeprefix("the ") + ", exploratory" * short
    return {"words": words, "unit": unit, "of": _numbers(scale * runs[one.name])}


def _factors(runs: pd.DataFrame, cells: Cells) -> Iterable[dict[str, Any]]:
    """Yield each factor that has two levels or more, in the order of its levels; cell and block are among them."""
    yield _factor("cell", [cells.names[place].label for place in runs["cell"]], [name.label for name in cells.names])
    first, last = list(runs.columns).index("quality_ok"), list(runs.columns).index("working_set_bytes")
    for path in runs.columns[first + 1 : last]:
        levels = list(dict.fromkeys(runs[path].sort_values(key=_order, na_position="last")))
        texts = [_text(path, level) for level in levels]
        if len(set(texts)) > 1:
            yield _factor(factor_text(path), [_text(path, level) for level in runs[path]], texts)
    yield _factor("block", [str(block) for block in runs["block"]], [str(one) for one in sorted(set(runs["block"]))])
    if "node" in runs:
        yield _factor("node", list(runs["node"]), sorted(set(runs["node"])))
    quality = quality_words(runs)
    if len(set(quality)) > 1:
        yield _factor("quality", quality, [one for one in QUALITY if one in quality])


def _text(path: str, level: Level) -> str:
    """Return a level in words; a factor that some cells lack is a column of floats, with NaN where it is not."""
    if level is None or level != level:  # noqa: PLR0124 - NaN
        return "none"
    return level_text(path, as_planned(level))


def _order(column: pd.Series) -> pd.Series:
    return column.astype(str) if column.dtype == object else column


def _factor(name: str, values: Sequence[str], levels: Sequence[str]) -> dict[str, Any]:
    places = {level: place for place, level in enumerate(dict.fromkeys(levels))}
    return {"name": name, "levels": list(places), "of": [places[value] for value in values]}


def _numbers(values: Iterable[float]) -> list[float | None]:
    """Return numbers with the digits that are shown; a missing one is null."""
    return [None if not math.isfinite(one) else float(f"{one:.{_DIGITS}g}") for one in map(float, values)]
