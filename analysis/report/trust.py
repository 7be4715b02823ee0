"""Why the page may be believed, and where not: the second source, controls, drift, warm-up, outliers, failures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.plots.words import CANNOT, change_over_campaign, signed
from analysis.report.page import Column, Table, number, text
from analysis.report.words import effect_text, equals
from analysis.text import MISSING, plural
from analysis.verdicts.diagnostics import AS_DECLARED
from analysis.verdicts.drift import FEWEST_BLOCKS
from analysis.verdicts.equals import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.stored.load import Campaign, Run
    from analysis.stored.records import PlannedRun, Quality
    from analysis.verdicts.diagnostics import Diagnostics
    from analysis.verdicts.finding import Effect
    from analysis.verdicts.results import Results

_FEW_CHECKPOINTS = 20


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
        "failures": _failures(campaign, labels),
        "unread": Table(
            "Runs whose files cannot be used",
            (Column("Cell"), Column("Run"), Column("Why")),
            tuple((text(_label(u.planned, labels)), text(u.planned.run_id), text(u.why)) for u in campaign.unread),
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
    """Say whether the runs passed their own quality check, and during how many the host changed."""
    bad = sum(not run.record.quality.ok for run in campaign.runs)
    drifted = sum(bool(run.record.host.drift) for run in campaign.runs)
    of = plural(len(campaign.runs), "measured run")
    passed = f"{bad} of {of} did not pass the quality check" if bad else f"all {of} passed the quality check"
    return f"Can it be trusted? {passed.capitalize()}" + (f"; during {drifted} the host changed" if drifted else "")


def _checks(results: Results) -> Iterator[tuple[str, str]]:
    found = results.diagnostics
    yield "Second source", agreement(results.campaign.runs)
    yield "Equals (A/A)", _aa(found)
    yield "Drift", _drift(results)
    yield "Warm-up", _warmup(found)
    yield "Steadiness", _steadiness(found)
    yield "Outliers", _outliers(found)
    yield "Modes", _modes(found)
    yield "Dependence", _dependence(found)


def agreement(runs: Sequence[Run]) -> str:
    """Say how far the two sources of the pause are apart."""
    medians = [abs(m) for run in runs if (m := run.record.quality.qmp_median_difference_s) is not None]
    largest = [abs(m) for run in runs if (m := run.record.quality.qmp_max_difference_s) is not None]
    if not medians or not largest:
        return "no run holds a comparison of the pause by trace with the pause by QMP events"
    return (
        "the pause by the trace and by the QMP events STOP and RESUME: they differ by at most "
        f"{1e3 * max(medians):.2f} ms in the median of a run, {1e3 * max(largest):.2f} ms at the worst checkpoint"
    )


def _aa(found: Diagnostics) -> str:
    if not found.controls:
        return "no cell was measured twice under two names (replica=a,b): the noise floor is unknown"
    return (
        f"{plural(len(found.controls), 'pair')} of cells that are the same machine; compared as all cells are, one "
        f"could have a pause up to {100 * found.noise_floor:.1f} % above the other's ({_floor_is(found)}): "
        "the noise floor of the pause. Every outcome has its own: nothing smaller from end to end of a factor is "
        "called supported, and nothing is refuted where that is more than what matters"
    )


def _floor_is(found: Diagnostics) -> str:
    if sum(control.blocks for control in found.controls) < FEWEST:
        return f"the largest difference seen: {FEWEST} comparisons give an interval"
    return "far end of the 95 % interval, either way, and no less than the difference of a pair that surely has one"


def _drift(results: Results) -> str:
    found = results.diagnostics.drift
    if found is None:
        return f"fewer than {FEWEST_BLOCKS} blocks: too few to see any"
    low, middle, high = found.per_hour.low, found.per_hour.estimate, found.per_hour.high
    change = change_over_campaign((middle, low, high), found.hours)
    within = "every comparison is made within blocks, which a slow drift leaves alone"
    if late := results.diagnostics.outside_block:
        within += f", but for {plural(late, 'run')} measured after a later block had begun"
    if change.startswith(CANNOT):
        return f"whether pauses drifted {change}, so wide is the interval; {within}"
    seen = "none shows" if low <= 0 <= high else "pauses drifted"
    how = f"95 % interval over {found.blocks} blocks, p {equals(found.pvalue)}"
    return f"{seen}: run medians change by {change} ({how}); {within}"


def _warmup(found: Diagnostics) -> str:
    if found.warmup:
        rule = (
            f"the first {plural(found.warmup, 'checkpoint')} or more of every run left out, as planned before the data"
        )
    else:
        rule = "in some runs no checkpoint was left out, as planned before the data"
    if not found.warmup_cut:
        return (
            f"{rule}; nothing suggests a longer one (MSER-5, which looks for the start that makes the mean steadiest)"
        )
    if found.warmup_cut <= found.warmup:
        return f"{rule}; a rule that goes by the data (MSER-5) would leave out {found.warmup_cut} at most, no more"
    return (
        f"{rule}; a rule that goes by the data (MSER-5) would leave out up to {found.warmup_cut} in a run: what other "
        "warm-ups do to the verdicts is in the table of other choices, where a hypothesis was declared"
    )


_CLASSES = {
    "flat": "steady from the beginning",
    "warmup": "steady after getting faster",
    "slowdown": "steady after getting slower",
    "no-steady": "never steady",
    "too-short": "too short to tell, with fewer than 10 checkpoints",
}


def _steadiness(found: Diagnostics) -> str:
    return "; ".join(f"{plural(count, 'run')} {_CLASSES.get(kind, kind)}" for kind, count in found.steadiness.items())


def _outliers(found: Diagnostics) -> str:
    return (
        f"of {found.checkpoints:,} checkpoints, {found.outliers:,} lie more than 3 interquartile ranges off the "
        f"quartiles of their run (Tukey's severe ones) and {found.mild_outliers:,} between 1.5 and 3 (mild); "
        f"{found.modified_z:,} lie far off its median as measured by the typical distance from it (modified z score); "
        "none was removed"
    )


def _modes(found: Diagnostics) -> str:
    said = f"a second mode of the pause shows in {found.multimodal} runs"
    said = said.replace("in 0 runs", "in no run").replace("in 1 runs", "in 1 run")
    stalled, over_tcp = found.stalled
    if not over_tcp:
        return said
    said += (
        f"; over TCP {stalled} of {plural(over_tcp, 'run')} {'holds' if stalled == 1 else 'hold'} checkpoints about "
        "40 ms above the usual pause, where a small write waits for a delayed acknowledgement (link=nodelay and "
        "link=unix do without)"
    )
    if found.stalled_by_own_pause:
        these = "" if found.stalled_by_own_pause == over_tcp else f" of {plural(found.stalled_by_own_pause, 'run')}"
        said += f"; the usual pause{these} is the run's own, so that a stall in every checkpoint does not show here"
    if found.always_stalled:
        said += (
            f"; in {plural(found.always_stalled, 'run')} over TCP the load phase is as long as a stall in every "
            "checkpoint: there, every checkpoint holds one"
        )
    return said


def _dependence(found: Diagnostics) -> str:
    if math.isnan(found.lag1):
        return "too few checkpoints in a run to tell how far neighbours are alike"
    return f"neighbouring checkpoints of a run correlate by {signed(found.lag1, 2)} (autocorrelation, median run)"


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
    if not found.controls:
        yield (
            "The noise floor is unknown: no cell was measured twice under two names, so nothing here shows how far "
            "apart equals come out, and an effect may be called material that equals could have as well."
        )
    yield from _unsettled(results)
    few = int(results.per_cell["runs"].min())
    if few < 6:  # noqa: PLR2004 - the first R with a 95 % interval
        yield f"Only {plural(few, 'run')} in some cells: too few for a 95 % interval of a cell."
    short = int(results.runs["checkpoints"].min())
    if short < _FEW_CHECKPOINTS:
        yield (
            f"Few checkpoints per run, {short} in the shortest: tails (p95, p99), second modes and dependence hardly "
            "show in so few, and nothing says what a longer run would have come to."
        )
    if results.campaign.attempts:
        failing = {attempt.planned.run_id for attempt in results.campaign.attempts}
        retried = len(failing & {run.record.run_id for run in results.campaign.runs})
        again = f", and {plural(retried, 'run')} was measured on a later attempt" if retried else ""
        again = again.replace("runs was", "runs were")
        failed = plural(len(results.campaign.attempts), "attempt")
        yield f"{failed} failed{again}; where a verdict hangs on lost runs it says so."
    if not results.campaign.plan.hypotheses:
        yield "No hypothesis was declared before the data: differences between cells are descriptions, not tests."
    yield f"{_measured_on(results.campaign.runs)}: others may differ by more than any interval here says."


def _measured_on(runs: Sequence[Run]) -> str:
    records = [run.record for run in runs]
    counted = (
        ("machine", {(one.host.before.get("cpu_model"), one.host.before.get("kernel")) for one in records}),
        ("guest", {one.versions.get("kernel_sha256") for one in records}),
        ("binary", {sha256 for one in records for _, sha256 in one.binaries}),
    )
    said = [f"one {name}" if len(found) == 1 else f"{len(found)} {_PLURALS[name]}" for name, found in counted]
    return f"{said[0][:1].upper()}{said[0][1:]}, {said[1]}, {said[2]}"


_PLURALS = {"machine": "machines", "guest": "guests", "binary": "binaries"}


def _unsettled(results: Results) -> Iterator[str]:
    """Say which verdicts hang on a choice."""
    for name, word in _by_itself(results).items():
        others = [one for one in results.diagnostics.sensitivity if one.hypothesis == name and one.word != word]
        if others:
            yield (
                f"{name} is {word} by itself, but " + ", ".join(f"{one.word} with {one.choice}" for one in others) + "."
            )


def _by_itself(results: Results) -> dict[str, str]:
    return {one.hypothesis: one.word for one in results.diagnostics.sensitivity if one.choice == AS_DECLARED}


def _sensitivity(results: Results) -> Table | None:
    words = _by_itself(results)
    asked = {one.hypothesis.id: one.hypothesis for one in results.findings}
    rows = tuple(
        (
            text(one.hypothesis),
            text(one.choice),
            number(one.effect.estimate, effect_text(asked[one.hypothesis], one.effect)),
            text(one.word + ("" if one.word == words.get(one.hypothesis, one.word) else " (changed)")),
        )
        for one in results.diagnostics.sensitivity
    )
    columns = (
        *(Column("Hypothesis"), Column("Choice")),
        *(Column("Effect or value [90 % CI]", numeric=True), Column("Verdict, unadjusted")),
    )
    return Table("The same verdicts under other choices", columns, rows) if rows else None


def _controls(found: Diagnostics) -> Table | None:
    rows = tuple(
        (
            text(control.one),
            text(control.other),
            number(control.ratio.estimate, _ratio(control.ratio.estimate, control.ratio.low, control.ratio.high)),
            number(_worst(control.ratio), _percent(_worst(control.ratio))),
            number(control.largest, _percent(control.largest)),
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


def _percent(share: float) -> str:
    return MISSING if math.isnan(share) else f"{100 * share:.1f} %"


def _ratio(middle: float, low: float, high: float) -> str:
    return f"{middle:.3f}" if math.isnan(low) else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _label(planned: PlannedRun, labels: Mapping[str, str]) -> str:
    """Return the name of a run's cell as it is elsewhere on the page; a cell that was never measured has the plan's."""
    return labels.get(planned.cell_id, planned.label)


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
