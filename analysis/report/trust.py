"""Why the page may be believed, and where not: sentences, and the tables that they speak of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.report.checks import by_itself, checks
from analysis.report.page import Column, Table, number, text
from analysis.report.threats import threats
from analysis.report.words import effect_text
from analysis.runs.counting import pauses_told
from analysis.text import plural, ratio_text, tenths_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.stored.campaign import Campaign, Run
    from analysis.stored.records import PlannedRun, Quality
    from analysis.verdicts.claims import Effect
    from analysis.verdicts.diagnostics import Diagnostics
    from analysis.verdicts.results import Results


def context(results: Results) -> dict[str, Any]:
    """Return what the template needs on trust."""
    campaign = results.campaign
    labels = {name.cell_id: name.label for name in results.cells.names}
    return {
        "trust_heading": trust_heading(campaign),
        "checks": [*checks(results)],
        "threats": [*threats(results)],
        "sensitivity": _sensitivity(results),
        "controls": _controls(results.diagnostics),
        "failures": _failures(campaign, labels),
        "unread": Table(
            "Runs whose files cannot be used",
            (Column("Cell"), Column("Run"), Column("Why")),
            tuple((text(_label(u.planned, labels)), text(u.planned.run_id), text(u.why)) for u in campaign.unread),
        ),
        "problems": _problems((*campaign.runs, *campaign.without), labels),
        "drifts": Table(
            "Drift of the host during a run",
            (Column("Cell"), Column("Run"), Column("Drift")),
            tuple(
                (text(_of(run, labels)), text(run.record.run_id), text(str(drift)))
                for run in (*campaign.runs, *campaign.without)
                for drift in run.record.host.drift
            ),
        ),
        "notes": [*campaign.notes, *_asked_for_none(campaign)],
    }


def _asked_for_none(campaign: Campaign) -> Iterator[str]:
    if count := len(campaign.without):
        these = "run was" if count == 1 else "runs were"
        yield f"{count:,} {these} asked for no checkpoints: in no table or figure of pauses"


def trust_heading(campaign: Campaign) -> str:
    """Say whether the runs passed their own quality check, of how many the pauses alone did not, when hosts changed."""
    runs = (*campaign.runs, *campaign.without)
    bad = sum(not run.record.quality.ok for run in runs)
    doubted = sum(run.record.quality.ok and not pauses_told(run) for run in runs)
    drifted = sum(bool(run.record.host.drift) for run in runs)
    of = plural(len(runs), "measured run")
    every = f"all {of}" if len(runs) > 1 else "the one measured run"
    passed = f"{bad} of {of} did not pass the quality check" if bad else f"{every} passed the quality check"
    but = f", and of {doubted} the pauses alone are in doubt" if doubted else ""
    changed = f"; during {drifted} the host changed" if drifted else ""
    return f"Can it be trusted? {passed.capitalize()}{but}{changed}"


def _sensitivity(results: Results) -> Table | None:
    words = by_itself(results)
    asked = {one.hypothesis.id: one for one in results.findings}
    rows = tuple(
        (
            text(one.hypothesis),
            text(one.choice),
            number(one.effect.estimate, effect_text(finding.hypothesis, one.effect, finding.sesoi)),
            text(one.word + ("" if one.word == words.get(one.hypothesis, one.word) else " (changed)")),
        )
        for one, finding in ((one, asked[one.hypothesis]) for one in results.diagnostics.sensitivity)
    )
    columns = (
        *(Column("Hypothesis"), Column("Choice")),
        *(Column("Effect or value [90 % CI]", numeric=True), Column("Verdict, unadjusted")),
    )
    return Table("Primary verdicts on the pause under other choices", columns, rows) if rows else None


def _controls(found: Diagnostics) -> Table | None:
    rows = tuple(
        (
            text(control.one),
            text(control.other),
            number(control.ratio.estimate, _ratio(control.ratio.estimate, control.ratio.low, control.ratio.high)),
            number(_worst(control.ratio), tenths_text(_worst(control.ratio))),
            number(control.largest, tenths_text(control.largest)),
            number(control.blocks, str(control.blocks)),
        )
        for control in found.controls
    )
    columns = (
        *(Column("Cell"), Column("Its equal"), Column("Ratio [95 % CI]", numeric=True)),
        Column("Could be above the other by up to, either way", numeric=True),
        *(Column("Was above the other by up to, in a block", numeric=True), Column("Blocks", numeric=True)),
    )
    return Table("Equals measured twice (A/A)", columns, rows) if rows else None


def _worst(ratio: Effect) -> float:
    """Return by how much the larger of two equals could be above the other: the far end of the interval, either way."""
    if math.isnan(ratio.low):
        return math.nan
    return max(ratio.high, 1 / ratio.low if ratio.low > 0 else math.inf) - 1


def _ratio(middle: float, low: float, high: float) -> str:
    shown = ratio_text(middle)
    return shown if math.isnan(low) else f"{shown} [{ratio_text(low)}, {ratio_text(high)}]"


def _label(planned: PlannedRun, labels: Mapping[str, str]) -> str:
    """Return the name of a run's cell as it is elsewhere on the page; a cell that was never measured has the plan's."""
    return labels.get(planned.cell_id, planned.label)


def _of(run: Run, labels: Mapping[str, str]) -> str:
    return labels.get(run.record.cell_id, run.record.label)


def _failures(campaign: Campaign, labels: Mapping[str, str]) -> Table:
    columns = (
        *(Column("Cell"), Column("Block", numeric=True), Column("Attempt", numeric=True)),
        *(Column("Phase"), Column("Cause"), Column("What happened")),
    )
    rows = tuple(
        (
            text(_label(failure.planned, labels)),
            number(failure.planned.block, str(failure.planned.block)),
            number(failure.attempts, str(failure.attempts)),
            text(failure.phase),
            text(failure.cause),
            text(failure.message),
        )
        for failure in campaign.attempts
    )
    return Table("Attempts that failed", columns, rows)


def _problems(runs: Sequence[Run], labels: dict[str, str]) -> Table:
    """Return the same remark on several runs of a cell once, with how many runs it is on and how often it occurred."""
    found: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for run in runs:
        for kind, what, count, example in _remarks(run.record.quality):
            found.setdefault((_of(run, labels), kind, what), []).append((count, example))
    columns = (
        *(Column("Cell"), Column("Kind"), Column("What"), Column("Runs", numeric=True)),
        *(Column("Times", numeric=True), Column("Example")),
    )
    rows = tuple(
        (
            *map(text, key),
            number(len(times), str(len(times))),
            number(sum(count for count, _ in times), f"{sum(count for count, _ in times):,}"),
            text(times[0][1]),
        )
        for key, times in found.items()
    )
    return Table("What the runs say of their own data", columns, rows)


def _remarks(quality: Quality) -> Iterator[tuple[str, str, int, str]]:
    for failure in quality.failures:
        yield "check failed", failure, 1, ""
    for problem in quality.problems:
        yield "not used", problem.what, problem.count, problem.example
    for note in quality.notes:
        yield "note", note, 1, ""
