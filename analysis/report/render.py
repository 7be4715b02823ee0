"""The report page: the answer first, then what it rests on, in one self-contained HTML file. The template escapes."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from analysis.format.outcomes import TRIGGERS
from analysis.plots.forest import NAME as FOREST
from analysis.report import answer, failovers, service, trust
from analysis.report.describe import describe_host, describe_versions
from analysis.report.design import design_facts
from analysis.report.explore import MOST_RUNS
from analysis.report.page import Built, Cell, Column, Table, number, numbers, text
from analysis.runs.counting import doubted_text, pauses_told, quality_words
from analysis.stored.records import under_text
from analysis.text import (
    EXPLORATORY,
    MISSING,
    count_text,
    ms_interval,
    ms_text,
    plural,
    short_percent,
    spans,
    tenths_text,
    typeset,
)
from analysis.verdicts.hypotheses import declared_before

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.plots import Drawing, Picture, Skipped
    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Plan
    from analysis.verdicts.results import Results

_ANALYSIS = Path(__file__).parents[1]
_TEMPLATES = Path(__file__).parent / "templates"
_MOST_NAMED = 12


def render(
    results: Results, drawings: Sequence[Drawing], skipped: Sequence[Skipped], built: Built | None = None
) -> str:
    """Return the page."""
    return page(told(results, built or Built()), drawings, skipped)


def told(results: Results, built: Built) -> dict[str, Any]:
    """Return what the page says, by the names of its template: all but the figures."""
    return {
        "explorer": len(results.campaign.runs) <= MOST_RUNS,
        **_opening(results),
        **answer.context(results),
        **service.context(results),
        **_design(results, built.seeds),
        "cells_heading": _cells_heading(results),
        "cells": cells_table(results),
        "cell_note": _cell_note(results),
        **failovers.context(results),
        **trust.context(results),
        **_reproduce(results.campaign, built),
    }


def page(told: Mapping[str, Any], drawings: Sequence[Drawing], skipped: Sequence[Skipped]) -> str:
    """Return the page that says this and shows these."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_typeset,
    )
    script = (_TEMPLATES / "sort.js").read_text(encoding="utf-8")
    shown = {drawing.name: _shown(drawing) for drawing in drawings}
    return environment.get_template("report.html").render(
        told,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        forest=shown.pop(FOREST, None),
        figures=list(shown.values()),
        skipped=[(one.name.replace("_", " "), one.why) for one in skipped],
    )


def _typeset(value: object) -> object:
    """Keep numbers with their units, in all text but what is markup already and what a reader copies."""
    return typeset(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shown(drawing: Drawing) -> dict[str, str]:
    return {
        "name": drawing.name,
        **asdict(drawing.words),
        "wide": _data_uri(drawing.wide),
        "narrow": _data_uri(drawing.narrow),
    }


def _data_uri(picture: Picture) -> Markup:
    # It is megabytes, of letters that need no escape.
    return Markup(f"data:{picture.mime};base64,{base64.b64encode(picture.content).decode()}")  # noqa: S704


def _opening(results: Results) -> dict[str, Any]:
    cells, pairs = results.cells, results.campaign.pairs
    accels, under = sorted({one.accel for one in pairs}), under_text(pairs)
    # The table of cells has none of which no pause was measured: then run.json alone says which.
    in_table = {run.record.under for run in results.campaign.runs} == {one.under for one in pairs}
    by_cell = in_table and not any(" and " in name.under for name in cells.names)
    title, said = answer.accel_warning(accels, under, by_cell=by_cell)
    return {
        "campaign": results.campaign.plan.campaign,
        "headline": answer.headline(results),
        "lead": answer.tally(results.findings),
        "scope": _scope(results),
        "accel_class": "tcg" if "tcg" in accels else "kvm",
        "accel_title": title,
        "accel_text": said,
        "alerts": _alerts(results.campaign),
    }


def _scope(results: Results) -> str:
    campaign = results.campaign
    records = [run.record for run in (*campaign.runs, *campaign.without)]
    first, last = (utc(when)[:10] for when in (min(r.started_at for r in records), max(r.finished_at for r in records)))
    planned_cells = len({run.cell_id for run in campaign.plan.runs})
    cells = len(results.cells.names) + len({run.record.cell_id for run in campaign.without})
    return (
        f"{campaign.measured} of {plural(len(campaign.plan.runs), 'planned run')} measured{_again(campaign)}, "
        f"{cells} of {plural(planned_cells, 'cell')}, "
        f"{plural(int(results.per_cell['checkpoints'].sum()), 'checkpoint')} after the warm-up, "
        f"{first if first == last else f'{first} to {last}'} (UTC)."
    )


def _again(campaign: Campaign) -> str:
    failed = len(campaign.attempts)
    return f" ({plural(failed, 'attempt')} failed)" if failed else ""


def _alerts(campaign: Campaign) -> list[str]:
    runs = (*campaign.runs, *campaign.without)
    bad = sum(not run.record.quality.ok for run in runs)
    doubted = sum(run.record.quality.ok and not pauses_told(run) for run in runs)
    counts = (
        (len(campaign.failures), "run", "failed"),
        (len(campaign.unread), "run", "cannot be read"),
        (len(campaign.unfinished), "run", "not yet measured"),
        (bad, "measured run", "did not pass the quality check"),
        (doubted, "measured run", "passed the quality check with pauses that are in doubt"),
    )
    return [f"{plural(count, noun)} {what}" for count, noun, what in counts if count]


def cells_table(results: Results) -> Table:
    """Return the table of cells: median pause with its interval, tails, dirty pages, share of time paused."""
    columns = (
        Column("Cell"),
        *numbers(
            "Median pause [95 % CI], ms", "p95, ms", "p99, ms", "Time paused", "Dirty pages", "Runs", "Checkpoints"
        ),
        Column("Ran under"),
        Column("Triggers"),
    )
    under = {name.cell_id: name.under for name in results.cells.names}
    rows = (_cell_row(row, under[row["cell_id"]]) for row in results.per_cell.to_dict("records"))
    return Table("Pause per cell", columns, tuple(rows))


def _cells_heading(results: Results) -> str:
    cells = results.per_cell
    if len(cells) == 1:
        planned = len({run.cell_id for run in results.campaign.plan.runs})
        only = "the only cell" if planned == 1 else "the only cell that has one"
        return f"The median pause of {only} is {ms_text(1e3 * float(cells['pause'].iloc[0]))} ms"
    low, high = (cells.loc[cells["pause"].agg(which)] for which in ("idxmin", "idxmax"))
    ends = [f"{ms_text(1e3 * float(one['pause']))} ms ({one['cell']})" for one in (low, high)]
    return f"Median pauses go from {ends[0]} to {ends[1]}"


def _cell_row(row: dict[str, Any], under: str) -> tuple[Cell, ...]:
    middle = ms_text(1e3 * row["pause"]) + ms_interval(row["pause_low"], row["pause_high"])
    if np.isnan(row["pause_low"]) and row["runs"] > 1:
        middle += f" ({ms_text(1e3 * row['pause_min'])} to {ms_text(1e3 * row['pause_max'])})"
    # What came but seldom is not 0 %.
    shares = (f"{short_percent(row[f'{name}_share'])} {name}" for name in TRIGGERS if row[f"{name}_share"])
    tails = (number(row[tail], _tail(row, tail)) for tail in ("p95", "p99"))
    return (
        Cell(row["cell"], f"{row['mem_bytes']:020} {row['smp']:06} {row['panel']}"),
        number(row["pause"], middle),
        *tails,
        number(row["paused_share"], tenths_text(row["paused_share"])),
        number(row["dirty_pages"], count_text(row["dirty_pages"])),
        number(row["runs"], f"{row['runs']} of {row['planned']}"),
        number(row["checkpoints"], f"{row['checkpoints']:,}"),
        text(under),
        text(", ".join(shares) or MISSING),
    )


def _tail(row: dict[str, Any], tail: str) -> str:
    shown = ms_text(1e3 * row[tail]) + EXPLORATORY * bool(row[f"{tail}_exploratory"])
    return shown + ms_interval(row[f"{tail}_low"], row[f"{tail}_high"])


def _cell_note(results: Results) -> str:
    runs = results.per_cell["runs"]
    few, many = int(runs.min()), int(runs.max())
    enough = 6
    note = f"{spans(runs, 'run')} per cell; each run is one launched pair and counts once. "
    note += "The median is that of run medians. "
    if many >= enough:
        note += "[ ]: exact order-statistic interval over runs, at least 95 %, any distribution. "
    if few < enough:
        ranges = "; ( ): smallest and largest run median" if ((runs > 1) & (runs < enough)).any() else ""
        note += f"With fewer than 6 runs there is no 95 % interval{ranges}. "
    note += "p95 and p99 are medians over runs of each run's own, with the same interval."
    if results.per_cell[["p95_exploratory", "p99_exploratory"]].any(axis=None):
        note += f" {EXPLORATORY} exploratory: fewer than the 100 (p95) or 500 (p99) checkpoints in a run that it needs."
    if told := doubted_text(results.runs):
        note += f" Kept here, left out of effects, and ranked worst by verdicts: {told}."
    return note


def _design(results: Results, seeds: Sequence[int | None]) -> dict[str, Any]:
    campaign, plan = results.campaign, results.campaign.plan
    measured = (*campaign.runs, *campaign.without)
    blocks = len({run.block for run in plan.runs})
    planned = [
        ("Blocks", f"{blocks}"),
        ("Runs", f"{len(plan.runs)} planned, {campaign.measured} measured; {_attempts(campaign)}"),
        *design_facts(campaign),
        *seed_facts(plan, seeds),
        ("Experiment", plan.experiment or "none, from the command line"),
        ("Unit", "a run, which is one launch of one pair; checkpoints of a run are not independent"),
        ("Hypotheses", _declared(results)),
    ]
    return {
        "design": planned,
        "versions": describe_versions(measured),
        "machine": describe_host(measured),
        "runs": _run_table(results),
    }


def seed_facts(plan: Plan, seeds: Sequence[int | None]) -> list[tuple[str, str]]:
    """Return the seed of every campaign's order."""
    shown = [str(seed) for seed in seeds or (plan.seed,) if seed is not None]
    return [("Seed of the order" if len(shown) == 1 else "Seeds of the orders", ", ".join(shown))] if shown else []


def _attempts(campaign: Campaign) -> str:
    failed, lost = len(campaign.attempts), len(campaign.failures)
    if not failed:
        return "no attempt failed"
    return f"{plural(failed, 'attempt')} failed, {plural(lost, 'run') if lost else 'no run'} for good"


def _declared(results: Results) -> str:
    plan = results.campaign.plan
    if not plan.hypotheses:
        return "none declared"
    late = sum(finding.exploratory for finding in results.findings)
    noun = "hypothesis" if len(plan.hypotheses) == 1 else "hypotheses"
    declared = declared_before(results.campaign)
    how = "declared before the data" if declared else "in the plan, not declared in this form before the data"
    before = f"{len(plan.hypotheses)} {noun} {how}"
    return f"{before}, SHA-256 {plan.hypotheses_sha256[:16]}…" + (
        f"; {late} of the {len(results.findings)} judged here exploratory" if late and declared else ""
    )


def _run_table(results: Results) -> Table:
    columns = (
        *(Column("Run"), Column("Order", numeric=True), Column("Block", numeric=True)),
        Column("Cell", wide=True),
        *(Column("Checkpoints", numeric=True), Column("Median pause, ms", numeric=True)),
        *(
            Column("Steadiness"),
            Column("Severe outliers", numeric=True),
            Column("Quality"),
            Column("Began (UTC)", numeric=True),
        ),
    )
    names = results.cells.names
    rows = tuple(
        (
            text(row["run_id"]),
            number(row["order"], str(row["order"])),
            number(row["block"], str(row["block"])),
            text(names[row["cell"]].label),
            number(row["checkpoints"], str(row["checkpoints"])),
            number(row["pause"], ms_text(1e3 * row["pause"])),
            text(str(row["steadiness"]).replace("-", " ")),
            number(row["outliers"], str(row["outliers"])),
            text(quality),
            Cell(utc(row["started_at"]), f"{row['started_at']:.3f}"),
        )
        for row, quality in zip(
            results.runs.join(results.behaviours).to_dict("records"), quality_words(results.runs), strict=True
        )
    )
    return Table("Measured runs", columns, rows)


def _reproduce(campaign: Campaign, built: Built) -> dict[str, Any]:
    listing = "".join(f"{run.sha256}  {run.record.run_id}\n" for run in (*campaign.runs, *campaign.without))
    plan = campaign.plan
    # By the way to the folders: with results=DIR they lie anywhere, and a copy may have any name.
    # What of that is no UTF-8 is written out, as no page can hold it.
    folders = " ".join(map(shlex.quote, built.homes)).encode(errors="backslashreplace").decode()
    style = f" figure.style={built.style}" if built.style != Built().style else ""
    asked = " --hypotheses FILE" if built.asked else ""
    return {
        # As markup they are escaped and left as they are: a reader copies them.
        "command": escape(plan.command),
        "rebuild": escape(f"python -m analysis {folders}{style}{asked} --out .   # in this page's folder"),
        "hashes": [
            ("SHA-256 of plan.json", campaign.plan_sha256),
            *([("SHA-256 of the hypotheses", plan.hypotheses_sha256)] if plan.hypotheses else []),
            ("SHA-256 of the list of checkpoint files", hashlib.sha256(listing.encode()).hexdigest()),
            ("SHA-256 of the analysis code", code_sha256()),
        ],
        "unfinished": _unfinished(campaign),
    }


def code_sha256(root: Path = _ANALYSIS) -> str:
    """Return the hash of the code and templates that make a report: names and contents, in order of the names."""
    whole = hashlib.sha256()
    # What is shared with the bench is behind links in a checkout, which a glob does not follow, and in a wheel is not.
    every = (Path(folder, name) for folder, _, names in os.walk(root, followlinks=True) for name in names)
    for path in sorted(one for one in every if one.suffix in {".py", ".html", ".js"}):
        whole.update(f"{path.relative_to(root).as_posix()}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _unfinished(campaign: Campaign) -> str:
    named = [f"{run.label} (block {run.block})" for run in campaign.unfinished]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f", and {plural(more, 'other')}" if more > 0 else "")


def utc(unix_s: float) -> str:
    """Return a point in time for a person."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
