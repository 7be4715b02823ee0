"""Why the page may be believed, and where not: the second source, controls, drift, warm-up, outliers, failures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.derived.sentences import percent_change
from analysis.report.page import Column, Table, number, text
from analysis.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.derived.diagnostics import Diagnostics
    from analysis.derived.results import Results
    from analysis.stored.load import Campaign, Run
    from analysis.stored.records import Quality

_NOTICED = 0.05


def context(results: Results) -> dict[str, Any]:
    """Return what the template needs on trust."""
    campaign = results.campaign
    labels = {name.cell_id: name.label for name in results.cells.names}
    return {
        "trust_heading": trust_heading(campaign),
        "checks": [*_checks(results)],
        "threats": [*_threats(results)],
        "sensitivity": _sensitivity(results),
        "controls": _controls(results.diagnostics),
        "failures": _failures(campaign),
        "unread": Table(
            "Runs whose files cannot be used",
            (Column("Cell"), Column("Run"), Column("Why")),
            tuple((text(u.planned.label), text(u.planned.run_id), text(u.why)) for u in campaign.unread),
        ),
        "problems": _problems(campaign.runs, labels),
        "drifts": Table(
            "Drift of the host during a run",
            (Column("Cell"), Column("Run"), Column("Drift")),
            tuple(
                (text(labels[run.record.cell_id]), text(run.record.run_id), text(str(drift)))
                for run in campaign.runs
                for drift in run.record.host.drift
            ),
        ),
        "notes": campaign.notes,
    }


def trust_heading(campaign: Campaign) -> str:
    """Say whether the runs passed their own quality check."""
    bad = sum(not run.record.quality.ok for run in campaign.runs)
    of = plural(len(campaign.runs), "measured run")
    if bad:
        return f"Can it be trusted? {bad} of {of} did not pass the quality check"
    return f"Can it be trusted? All {of} passed the quality check"


def _checks(results: Results) -> Iterator[tuple[str, str]]:
    found = results.diagnostics
    yield "Second source", agreement(results.campaign.runs)
    yield "Equals (A/A)", _aa(found)
    yield "Drift", _drift(found)
    yield "Warm-up", _warmup(found)
    yield "Steadiness", _steadiness(found)
    yield "Outliers", _outliers(found)
    yield "Modes", _modes(found)
    yield "Dependence", f"the median autocorrelation of neighbouring checkpoints of a run is {found.lag1:.2f}"


def agreement(runs: Sequence[Run]) -> str:
    """Say how far the two sources of the pause are apart."""
    medians = [abs(m) for run in runs if (m := run.record.quality.qmp_median_difference_s) is not None]
    largest = [abs(m) for run in runs if (m := run.record.quality.qmp_max_difference_s) is not None]
    if not medians or not largest:
        return "no run holds a comparison of the pause by trace with the pause by QMP events"
    return (
        "the trace and the QMP events STOP and RESUME tell the same pause: they differ by at most "
        f"{1e3 * max(medians):.2f} ms in the median of a run, {1e3 * max(largest):.2f} ms at the worst checkpoint"
    )


def _aa(found: Diagnostics) -> str:
    if not found.controls:
        return "no cell was measured twice under two names (replica=a,b): the noise floor is unknown"
    return (
        f"{plural(len(found.controls), 'pair')} of cells that are the same machine; compared as all cells are, they "
        f"could differ by up to {100 * found.noise_floor:.1f} % (95 % interval); no smaller effect is called material"
    )


def _drift(found: Diagnostics) -> str:
    if found.drift is None:
        return "too few repeated runs to see any"
    change = percent_change(found.drift.per_hour)
    seen = "moved with time" if found.drift.pvalue < _NOTICED else "show no drift"
    return (
        f"run medians {seen}: {change} per hour (95 % interval, p = {found.drift.pvalue:.2g}); every comparison is "
        "made within blocks, which a slow drift leaves alone"
    )


def _warmup(found: Diagnostics) -> str:
    rule = f"at least {plural(found.warmup, 'checkpoint')} left out of every run, as planned before the data"
    if found.warmup_cut <= found.warmup:
        return f"{rule}; MSER-5 would cut no more than {found.warmup_cut} in any run"
    return f"{rule}; MSER-5 would cut up to {found.warmup_cut} in a run: see the sensitivity table"


def _steadiness(found: Diagnostics) -> str:
    return "runs by class: " + ", ".join(f"{count} {kind}" for kind, count in found.steadiness.items())


def _outliers(found: Diagnostics) -> str:
    return (
        f"{found.outliers:,} severe and {found.mild_outliers:,} mild (Tukey), {found.modified_z:,} by modified z, of "
        f"{found.checkpoints:,} checkpoints; none was removed"
    )


def _modes(found: Diagnostics) -> str:
    said = f"{plural(found.multimodal, 'run')} with more than one mode"
    stalled, over_tcp = found.stalled
    if not over_tcp:
        return said
    return (
        f"{said}; over TCP {stalled} of {plural(over_tcp, 'run')} have checkpoints about 40 ms above the others, where "
        "a small write waits for a delayed acknowledgement (link=nodelay and link=unix do without)"
    )


def _threats(results: Results) -> Iterator[str]:
    if "tcg" in results.cells.accels:
        yield (
            "Emulation: vCPUs, device models and the copying of pages share the same host CPUs, and a vCPU is far "
            "slower than under KVM. Absolute times do not carry over; the effect of vCPUs may not either."
        )
    hosts = {str(run.record.cell.get("host", {}).get("kind", "local")) for run in results.campaign.runs}
    if "local" in hosts:
        yield "Both virtual machines ran on one host and competed for it; two hosts take that away and add a network."
    found = results.diagnostics
    if found.drifting_hosts:
        yield f"{plural(found.drifting_hosts, 'run')} saw the host change while measured; a table above says how."
    few = int(results.per_cell["runs"].min())
    if few < 6:  # noqa: PLR2004 - the first R with a 95 % interval
        yield f"Only {plural(few, 'run')} in some cells: too few for a 95 % interval of a cell."
    if results.campaign.attempts:
        retried = len(results.campaign.attempts) - len(results.campaign.failures)
        again = f", and {plural(retried, 'run')} was measured on a later attempt" if retried else ""
        again = again.replace("runs was", "runs were")
        failed = plural(len(results.campaign.attempts), "attempt")
        yield f"{failed} failed{again}; where a verdict hangs on lost runs it says so."
    if not results.campaign.plan.hypotheses:
        yield "No hypothesis was declared before the data: differences between cells are descriptions, not tests."
    yield "One machine, one guest, one binary: others may differ by more than any interval here says."


def _sensitivity(results: Results) -> Table | None:
    words = {finding.hypothesis.id: finding.word for finding in results.findings}
    rows = tuple(
        (
            text(one.hypothesis),
            text(one.choice),
            number(one.effect.estimate, percent_change(one.effect)),
            text(one.word + ("" if one.word == words.get(one.hypothesis) else " (changed)")),
        )
        for one in results.diagnostics.sensitivity
    )
    columns = (Column("Hypothesis"), Column("Choice"), Column("Effect [90 % CI]", numeric=True), Column("Verdict"))
    return Table("The same verdicts under other choices", columns, rows) if rows else None


def _controls(found: Diagnostics) -> Table | None:
    rows = tuple(
        (
            text(control.one),
            text(control.other),
            number(control.ratio.estimate, _ratio(control.ratio.estimate, control.ratio.low, control.ratio.high)),
            number(control.largest, f"{100 * control.largest:.1f} %"),
            number(control.blocks, str(control.blocks)),
        )
        for control in found.controls
    )
    columns = (
        *(Column("Cell"), Column("Its equal"), Column("Ratio [95 % CI]", numeric=True)),
        *(Column("Largest difference in a block", numeric=True), Column("Blocks", numeric=True)),
    )
    return Table("Equals measured twice (A/A)", columns, rows) if rows else None


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{middle:.3f}" if math.isnan(low) else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _failures(campaign: Campaign) -> Table:
    columns = (
        *(Column("Cell"), Column("Block", numeric=True), Column("Attempt", numeric=True)),
        *(Column("Phase"), Column("Cause"), Column("What happened")),
    )
    rows = tuple(
        (
            text(failure.planned.label),
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
            found.setdefault((labels[run.record.cell_id], kind, what), []).append((count, example))
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
