"""The report page: what was measured, said in one self-contained HTML file. Every text is escaped by the template."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from analysis import findings
from analysis.describe import describe_host, describe_versions
from analysis.summary import ENOUGH_FOR
from analysis.text import ACCEL_TEXT, MISSING, count_text, ms_text, percent_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from analysis.cells import Cells
    from analysis.figures import Drawing, Picture
    from analysis.load import Campaign, Run
    from analysis.records import Quality

_TEMPLATES = Path(__file__).parent / "templates"
_DAGGER = "†"
_MOST_NAMED = 12
_CELL_HEAD = (
    "Cell",
    "Median pause [range of runs], ms",
    "p95, ms",
    "p99, ms",
    "Dirty pages, median",
    "Runs",
    "Checkpoints",
    "Ran under",
    "Triggers",
)
_CELL_NUMBERS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Summaries:
    """The tables that the page shows, and the names of the cells."""

    cells: Cells
    per_run: pd.DataFrame
    per_cell: pd.DataFrame


def render(campaign: Campaign, summaries: Summaries, ecdf: Drawing, phases: Drawing) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    context = _opening(campaign, summaries) | _results(campaign, summaries, ecdf, phases)
    return environment.get_template("report.html").render(context | _evidence(campaign, summaries))


def _opening(campaign: Campaign, summaries: Summaries) -> dict[str, Any]:
    title, text = findings.accel_warning(summaries.cells.accels)
    return {
        "campaign": campaign.plan.campaign,
        "headline": findings.headline(summaries.per_cell),
        "scope": _scope(campaign, summaries),
        "accel_class": "tcg" if "tcg" in summaries.cells.accels else "kvm",
        "accel_title": title,
        "accel_text": text,
        "alerts": _alerts(campaign),
    }


def _scope(campaign: Campaign, summaries: Summaries) -> str:
    planned_cells = len({run.cell_id for run in campaign.plan.runs})
    records = [run.record for run in campaign.runs]
    first, last = (
        _utc(when)[:10] for when in (min(r.started_at for r in records), max(r.finished_at for r in records))
    )
    return (
        f"{len(campaign.runs)} of {plural(len(campaign.plan.runs), 'planned run')} measured, "
        f"{len(summaries.cells.names)} of {plural(planned_cells, 'cell')}, "
        f"{plural(int(summaries.per_cell['checkpoints'].sum()), 'checkpoint')} after the warm-up, "
        f"{first if first == last else f'{first} to {last}'} (UTC)."
    )


def _alerts(campaign: Campaign) -> list[str]:
    doubtful = sum(not run.record.quality.ok for run in campaign.runs)
    counts = (
        (len(campaign.failures), "failed"),
        (len(campaign.unread), "could not be read"),
        (len(campaign.unfinished), "not yet measured"),
        (doubtful, "with quality problems"),
    )
    return [f"{plural(count, 'run')} {what}" for count, what in counts if count]


def _results(campaign: Campaign, summaries: Summaries, ecdf: Drawing, phases: Drawing) -> dict[str, Any]:
    per_cell = summaries.per_cell
    sample = _sample(per_cell)
    left_out = int(per_cell["warmup_left_out"].sum())
    planned = {name.cell_id: _planned_runs(campaign, name.cell_id) for name in summaries.cells.names}
    ecdf_caption = (
        f"Share of checkpoints that paused the VM for at most this long, one line per run, logarithmic axis. {sample} "
        f"{plural(left_out, 'warm-up checkpoint')} left out; no other exclusion, no interval."
    )
    phases_caption = (
        "Mean phases, which add up to the mean pause (the number at the bar). The VM stops at 0: request and stop lie "
        "before it, outside the pause. Whiskers: smallest and largest mean pause of a run, not a confidence interval. "
        f"{sample}"
    )
    return {
        "extremes": findings.extremes(per_cell),
        "cell_head": _CELL_HEAD,
        "cell_numbers": _CELL_NUMBERS,
        "cell_rows": [_cell_row(row, planned[row["cell_id"]]) for row in per_cell.to_dict("records")],
        "cell_note": _cell_note(per_cell),
        "ecdf": _shown(
            ecdf, findings.spread(summaries.per_run), ecdf_caption, "Distribution of the pause, a line per run"
        ),
        "phases": _shown(
            phases, findings.longest_phase(per_cell), phases_caption, "Mean phases of the pause, a bar per cell"
        ),
    }


def _planned_runs(campaign: Campaign, cell_id: str) -> int:
    return sum(run.cell_id == cell_id for run in campaign.plan.runs)


def _sample(per_cell: pd.DataFrame) -> str:
    runs, checkpoints = _span(per_cell["runs"]), _span(per_cell["checkpoints"])
    accels = " and ".join(ACCEL_TEXT[accel] for accel in sorted(set(per_cell["accel"])))
    noun = "run" if runs == "1" else "runs"
    return f"R = {runs} {noun} and N = {checkpoints} checkpoints per cell; {accels}."


def _span(values: pd.Series) -> str:
    return f"{values.min():,}" if values.min() == values.max() else f"{values.min():,} to {values.max():,}"


def _cell_row(row: dict[str, Any], planned: int) -> tuple[str, ...]:
    middle = ms_text(row["median_pause_ms"])
    if row["runs"] > 1:
        middle += f" [{ms_text(row['low_pause_ms'])}, {ms_text(row['high_pause_ms'])}]"
    triggers = {name: row[f"by_{name}"] for name in ("demand", "timer", "mismatch")}
    tails = (ms_text(row[f"p{p}_pause_ms"]) + _DAGGER * bool(row[f"p{p}_exploratory"]) for p in ENOUGH_FOR)
    shares = (f"{percent_text(count / row['checkpoints'])} {name}" for name, count in triggers.items() if count)
    return (
        row["cell"],
        middle,
        *tails,
        count_text(row["median_dirty_pages"]),
        f"{row['runs']} of {planned}",
        f"{row['checkpoints']:,}",
        ACCEL_TEXT[row["accel"]],
        ", ".join(shares) or MISSING,
    )


def _cell_note(per_cell: pd.DataFrame) -> str:
    note = "The median is the median of run medians. " + findings.interval_note(
        [int(runs) for runs in per_cell["runs"]]
    )
    note += " p95 and p99 are pooled over the checkpoints of a cell."
    if per_cell[[f"p{percent}_exploratory" for percent in ENOUGH_FOR]].any(axis=None):
        needs = " or ".join(f"{enough} for p{percent}" for percent, enough in ENOUGH_FOR.items())
        note += f" {_DAGGER} exploratory: a run has fewer than the {needs} checkpoints that such a quantile needs."
    return note


def _shown(drawing: Drawing, heading: str, caption: str, alt: str) -> dict[str, str]:
    return {
        "heading": heading,
        "caption": caption,
        "alt": f"{alt}. {heading}. The table above holds the numbers.",
        "wide": _data_uri(drawing.wide),
        "narrow": _data_uri(drawing.narrow),
    }


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.content).decode()}"


def _evidence(campaign: Campaign, summaries: Summaries) -> dict[str, Any]:
    labels = {name.cell_id: name.label for name in summaries.cells.names}
    runs = campaign.runs
    return {
        "trust_heading": _trust_heading(campaign),
        "agreement": _agreement(runs),
        "failures": [
            (f.planned.label, str(f.planned.block), str(f.attempts), f.phase, f.cause, f.message)
            for f in campaign.failures
        ],
        "unread": [(u.planned.label, u.planned.run_id, u.why) for u in campaign.unread],
        "unfinished": _unfinished(campaign),
        "problems": _problems(runs, labels),
        "drifts": [(labels[r.record.cell_id], r.record.run_id, str(d)) for r in runs for d in r.record.host.drift],
        "notes": campaign.notes,
        "design": _design(campaign),
        "run_rows": _run_rows(runs, summaries.per_run, labels),
        "versions": describe_versions(runs),
        "machine": describe_host(runs),
        "command": campaign.plan.command,
        "hashes": _hashes(campaign),
    }


def _unfinished(campaign: Campaign) -> str:
    named = [f"{run.label} (block {run.block})" for run in campaign.unfinished]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f", and {plural(more, 'other')}" if more > 0 else "")


def _trust_heading(campaign: Campaign) -> str:
    bad = sum(not run.record.quality.ok for run in campaign.runs)
    if bad:
        return (
            f"Can it be trusted? {bad} of {plural(len(campaign.runs), 'measured run')} did not pass the quality check"
        )
    return f"Can it be trusted? All {plural(len(campaign.runs), 'measured run')} passed the quality check"


def _agreement(runs: Sequence[Run]) -> str:
    medians = [abs(m) for run in runs if (m := run.record.quality.qmp_median_difference_s) is not None]
    largest = [abs(m) for run in runs if (m := run.record.quality.qmp_max_difference_s) is not None]
    if not medians or not largest:
        return "No run holds a comparison of the pause by trace with the pause by QMP events."
    return (
        "Two sources tell the pause, the trace and the QMP events STOP and RESUME. They differ by at most "
        f"{1e3 * max(medians):.2f} ms in the median of a run, {1e3 * max(largest):.2f} ms at the worst checkpoint."
    )


def _problems(runs: Sequence[Run], labels: dict[str, str]) -> list[tuple[str, ...]]:
    """Return the same remark on several runs of a cell once, with how many runs it is on and how often it occurred."""
    found: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for run in runs:
        for kind, what, count, example in _remarks(run.record.quality):
            found.setdefault((labels[run.record.cell_id], kind, what), []).append((count, example))
    return [
        (*key, str(len(times)), f"{sum(count for count, _ in times):,}", times[0][1]) for key, times in found.items()
    ]


def _remarks(quality: Quality) -> Iterator[tuple[str, str, int, str]]:
    for failure in quality.failures:
        yield "check failed", failure, 1, ""
    for problem in quality.problems:
        yield "not used", problem.what, problem.count, problem.example
    for note in quality.notes:
        yield "note", note, 1, ""


def _design(campaign: Campaign) -> list[tuple[str, str]]:
    plan = campaign.plan
    blocks = len({run.block for run in plan.runs})
    facts = [("Blocks", f"{blocks}"), ("Planned runs", f"{len(plan.runs)}")]
    facts += [("Seed of the order", f"{plan.seed}")] if plan.seed is not None else []
    facts += [("Experiment", plan.experiment)] if plan.experiment else []
    return [*facts, ("Unit", "a run, which is one launch of one pair; checkpoints of a run are not independent")]


def _run_rows(runs: Sequence[Run], per_run: pd.DataFrame, labels: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        (
            run.record.run_id,
            str(run.record.order),
            str(run.record.block),
            labels[run.record.cell_id],
            str(row["checkpoints"]),
            ms_text(row["median_pause_ms"]),
            "ok" if run.record.quality.ok else "problems",
            _utc(run.record.started_at),
        )
        for run, row in zip(runs, per_run.to_dict("records"), strict=True)
    ]


def _hashes(campaign: Campaign) -> list[tuple[str, str]]:
    listing = "".join(f"{run.sha256}  {run.record.run_id}\n" for run in campaign.runs)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    return [("SHA-256 of plan.json", campaign.plan_sha256), ("SHA-256 of the list of checkpoint files", digest)]


def _utc(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
