"""The failovers of a campaign on the page and in LaTeX: n of N survived, the outage, where the blow fell, why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import stats
from analysis.report import latex
from analysis.report.page import Column, Table, number, numbers, text
from analysis.runs.failovers import STEPS, failover_table, writes
from analysis.text import MISSING, ms_interval, ms_text, percent_number, plural

if TYPE_CHECKING:
    import pandas as pd

    from analysis.report.page import Cell
    from analysis.stored.campaign import Campaign
    from analysis.verdicts.results import Results

_SEEN = ("Client's gap, median (longest), ms", "Connections that lived on", "Acknowledged writes lost")
_JOINED = "Redundant again, median, ms (of those to be)"
_HEADINGS = {"detect": "Detected", "decide": "Decided", "takeover": "Taken over", "first_answer": "First answer"}


def context(results: Results) -> dict[str, Any]:
    """Return what the template needs: nothing but emptiness where no run ended in a failover."""
    found = failover_table(results.campaign, results.cells)
    if found.empty:
        return {"failovers": None, "failovers_heading": "", "failovers_note": ""}
    note = " ".join([_note(found), *_left_out(results.campaign)])
    said = heading(found, loss(results.campaign))
    return {"failovers": _table(found), "failovers_heading": said, "failovers_note": note}


def _left_out(campaign: Campaign) -> tuple[str, ...]:
    """Return how many runs no row has; nothing where none.

    Of the campaign: a cell of which every run is doubtful is no row of the table.
    """
    records = [run.record for run in campaign.runs if run.record.failover is not None]
    doubtful = sum(not record.quality.ok for record in records)
    return (f"Left out: {plural(doubtful, 'run')} whose own check failed.",) if doubtful else ()


def heading(found: pd.DataFrame, lost: str = "") -> str:
    """Return what the page says first: what was lost, n of N, with the interval where all is one cell."""
    survived, struck = int(found["survived"].sum()), int(found["struck"].sum())
    said = f"{survived:,} of {plural(struck, 'failover')} {'was' if struck == 1 else 'were'} survived"
    if lost:
        said = f"{lost}; {said}"
    if len(found) > 1:
        return f"{said}, in {plural(len(found), 'cell')}"
    return f"{said}: {share_text(survived, struck)}"


def loss(campaign: Campaign) -> str:
    """Return how many acknowledged writes failovers lost, which leads the page; empty where there is no loss."""
    checked, lost = writes(campaign)
    return f"{lost:,} of {plural(checked, 'acknowledged write')} {'was' if lost == 1 else 'were'} lost" if lost else ""


def share_text(survived: int, struck: int) -> str:
    """Return a share with its exact interval: ``97.5 % [86.8, 99.9]``; that of all but one is not 100 %."""
    share = stats.clopper_pearson(survived, struck)
    middle, low, high = (percent_number(end, 1) for end in (share.estimate, share.low, share.high))
    return f"{middle} % [{low}, {high}]"


def _table(found: pd.DataFrame) -> Table:
    columns = (
        Column("Cell"),
        *numbers("Survived", "Share [95 % CI], %", "Outage, median [95 % CI], ms", "Longest, ms"),
        *(Column(f"{_HEADINGS[step]}, ms", numeric=True) for step in STEPS),
        *(Column(heading, numeric=True) for heading in (_SEEN if _is_seen(found) else ())),
        *((Column(_JOINED, numeric=True),) if _is_joined(found) else ()),
        Column("Blow fell (survived of struck)"),
        Column("Why not"),
    )
    rows = tuple(
        (
            text(row["cell"]),
            number(row["survived"], f"{row['survived']} of {row['struck']}"),
            number(row["share"], share_text(row["survived"], row["struck"])),
            number(row["outage_s"], _outage(row)),
            number(row["outage_max_s"], ms_text(1e3 * row["outage_max_s"])),
            *(number(row[f"{step}_s"], ms_text(1e3 * row[f"{step}_s"])) for step in STEPS),
            *(_seen_cells(row) if _is_seen(found) else ()),
            *((_joined_cell(row),) if _is_joined(found) else ()),
            text(row["hit"]),
            text(row["reasons"] or MISSING),
        )
        for row in found.to_dict("records")
    )
    return Table("Failovers per cell", columns, rows)


def _is_seen(found: pd.DataFrame) -> bool:
    return "gap_s" in found


def _is_joined(found: pd.DataFrame) -> bool:
    return "joining" in found


def _joined_cell(row: dict[str, Any]) -> Cell:
    """Return how long survivors took to be redundant again, how many came to it, and why the others did not."""
    if np.isnan(row["joining"]):
        return text(MISSING)
    why = f"; {row['alone']}" if row["alone"] else ""
    return number(row["redundancy_s"], f"{ms_text(1e3 * row['redundancy_s'])} ({_joined(row)}{why})")


def _joined(row: dict[str, Any]) -> str:
    return MISSING if np.isnan(row["joining"]) else f"{row['joined']:.0f} of {row['joining']:.0f}"


def _seen_cells(row: dict[str, Any]) -> tuple[Cell, ...]:
    """Return what clients saw; nothing in a cell without one."""
    if np.isnan(row["connections"]):
        return tuple(text(MISSING) for _ in _SEEN)
    gap = f"{ms_text(1e3 * row['gap_s'])} ({ms_text(1e3 * row['gap_max_s'])})"
    kept, lost = (
        f"{row[part]:.0f} of {row[whole]:.0f}" if row[whole] else MISSING
        for part, whole in (("kept_open", "connections"), ("lost", "checked"))
    )
    return number(row["gap_s"], gap), number(row["kept_open"], kept), number(row["lost"], lost)


def _outage(row: dict[str, Any]) -> str:
    return ms_text(1e3 * row["outage_s"]) + ms_interval(row["outage_low_s"], row["outage_high_s"])


def _note(found: pd.DataFrame) -> str:
    note = (
        "Survived: the other side took over by the documented steps, its guest answered over its console, its counters "
        "had gone on from before the last checkpoint, and its memory held what they say (Linux: no oops). The interval "
        "is that of Clopper and Pearson, exact. The outage, of those survived, runs from the blow to the first answer; "
        "its parts, medians each and of whatever came so far, do not add up to its median. Runs that failed before the "
        "blow are in none of these."
    )
    if _is_seen(found):
        note += (
            " The client's gap is the longest time between two answers of those that the blow or the takeover falls "
            "into; a connection lived on when it was answered before and after; what had been acknowledged was read "
            "again from the survivor, and is counted of runs whose own check failed too."
        )
    if _is_joined(found):
        note += (
            " Redundant again: from the order for a new secondary, once the survivor had been looked at, to the end of "
            "the first checkpoint with it."
        )
    return note


def tex(found: pd.DataFrame, campaign: Campaign) -> str:
    """Return the table in LaTeX."""
    columns = (
        latex.Column("cell", align="p{5cm}"),
        *(latex.Column(name) for name in ("survived", "of")),
        *(latex.Column(name, "%") for name in ("share", "low", "high")),
        *(latex.Column(name, "ms") for name in ("outage", "longest", *(step.replace("_", " ") for step in STEPS))),
        *((latex.Column("redundant", "ms"), latex.Column("joined")) if _is_joined(found) else ()),
        latex.Column("why not", align="p{3cm}"),
    )
    rows = [
        (
            row["cell"],
            *(str(row[name]) for name in ("survived", "struck")),
            *(percent_number(row[name], 1) for name in ("share", "low", "high")),
            *(ms_text(1e3 * row[f"{name}_s"]) for name in ("outage", "outage_max", *STEPS)),
            *((ms_text(1e3 * row["redundancy_s"]), _joined(row)) if _is_joined(found) else ()),
            row["reasons"] or MISSING,
        )
        for row in found.to_dict("records")
    ]
    remarks = [
        "Caption: Failovers survived, with the exact interval (95 %, Clopper-Pearson), and the median outage of these.",
        "It runs from the blow to the first answer of the survivor's guest; its parts, medians each and of whatever",
        "came so far, survived or not, do not add up to it.",
    ]
    if _is_joined(found):
        remarks.append("Redundant: the median from the order for a new secondary to the end of the first checkpoint.")
    return latex.tabular(columns, rows, [*remarks, *_left_out(campaign)])
