"""What shows that the page may be believed, a sentence each: the second source, controls, drift, warm-up, outliers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.plots.words import CANNOT, change_over_campaign, signed
from analysis.report.words import equals
from analysis.runs.behaviour import FEWEST_FOR_MSER
from analysis.text import listed, ms_text, plural, span, tenths_text
from analysis.verdicts.diagnostics import AS_DECLARED
from analysis.verdicts.drift import TOO_FEW
from analysis.verdicts.equals import FEWEST
from analysis.verdicts.equals import equals as equal_cells
from analysis.verdicts.nodes import MOST, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.stored.campaign import Run
    from analysis.verdicts.diagnostics import Diagnostics
    from analysis.verdicts.nodes import Nodes
    from analysis.verdicts.results import Results


def checks(results: Results) -> Iterator[tuple[str, str]]:
    """Yield what was looked at, and what came of it."""
    found = results.diagnostics
    yield "Second source", agreement(results.campaign.runs)
    yield "Equals (A/A)", _aa(results)
    yield "Drift", _drift(results)
    yield "Warm-up", _warmup(found)
    yield "Steadiness", _steadiness(found)
    yield "Outliers", _outliers(found)
    yield "Modes", _modes(found)
    yield "Dependence", _dependence(found)
    if found.nodes:
        yield "Nodes", _on_nodes(results, found.nodes)


def agreement(runs: Sequence[Run]) -> str:
    """Say how far the two sources of the pause are apart."""
    medians = [abs(m) for run in runs if (m := run.record.quality.qmp_median_difference_s) is not None]
    largest = [abs(m) for run in runs if (m := run.record.quality.qmp_max_difference_s) is not None]
    if not medians or not largest:
        return "no run holds a comparison of the pause by trace with the pause by QMP events"
    median, worst = (ms_text(1e3 * max(differences)) for differences in (medians, largest))
    inside = "the pause by the QMP events STOP and RESUME lies within what the trace leaves open"
    lacking = len(runs) - len(largest)
    holds = "holds" if lacking == 1 else "hold"
    but = f" ({lacking} of {plural(len(runs), 'run')} {holds} no such comparison)" if lacking else ""
    if not max(largest):
        return f"{inside}, at every checkpoint that has both{but}"
    return f"{inside}{but}, but for at most {median} ms in the median of a run, {worst} ms at the worst checkpoint"


def without_controls(results: Results) -> str:
    """Return why nothing tells how far apart equals come out."""
    if pairs := equal_cells(results.runs):
        these = (
            "the cells that are the same machine have" if len(pairs) == 1 else "cells that are the same machine have"
        )
        return f"{these} no block in which both count"
    return "no cell was measured twice under two names"


def _aa(results: Results) -> str:
    found = results.diagnostics
    if not found.controls:
        return f"{without_controls(results)} (replica=a,b): the noise floor is unknown"
    return (
        f"{plural(len(found.controls), 'pair')} of cells that are the same machine; compared as all cells are, one "
        f"could have a pause up to {tenths_text(found.noise_floor)} above the other's ({_floor_is(found)}): "
        "the noise floor of the pause. Every outcome has its own: nothing smaller from end to end of a factor is "
        "called an effect, and none is ruled out where that is more than what matters"
    )


def _floor_is(found: Diagnostics) -> str:
    if sum(control.blocks for control in found.controls) < FEWEST:
        return f"the largest difference seen: {FEWEST} comparisons give an interval"
    return "far end of the 95 % interval, either way, and no less than the difference of a pair that surely has one"


def _drift(results: Results) -> str:
    found = results.diagnostics.drift
    if found is None:
        return f"{TOO_FEW}: too few to see any"
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
    if found.warmup_cut is None:
        return f"{rule}; no run has the {FEWEST_FOR_MSER} checkpoints that tell whether a longer one is wanted (MSER-5)"
    short = plural(found.warmup_untold, "run")
    untold = f"; of {short} of fewer than {FEWEST_FOR_MSER} checkpoints nothing can be told" * bool(found.warmup_untold)
    if not found.warmup_cut:
        why = "nothing suggests a longer one (MSER-5, which looks for the start that makes the mean steadiest)"
    elif found.warmup_cut <= found.warmup:
        why = f"a rule that goes by the data (MSER-5) would leave out {found.warmup_cut} at most, no more"
    else:
        table = ": what other warm-ups do to primary verdicts on the pause is in the table of other choices"
        judged = table * bool(found.sensitivity)
        why = f"a rule that goes by the data (MSER-5) would leave out up to {found.warmup_cut} in a run{judged}"
    return f"{rule}; {why}{untold}"


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
    stalled, told = found.stalled
    if told:
        said += (
            f"; over TCP {stalled} of {plural(told, 'run')} {'holds' if stalled == 1 else 'hold'} checkpoints about "
            "40 ms above the usual pause, as long as a small write waits for a delayed acknowledgement (link=nodelay "
            "and link=unix do without)"
        )
    if found.stalls_untold:
        runs = plural(found.stalls_untold, "run")
        said += f"; of {runs} over TCP no stalls of about 40 ms can be told, so far do pauses spread there"
    if found.stalled_by_own_pause:
        these = "" if found.stalled_by_own_pause == told else f" of {plural(found.stalled_by_own_pause, 'run')}"
        said += f"; the usual pause{these} is the run's own, so that a stall in every checkpoint does not show here"
    if found.always_stalled:
        said += (
            f"; in {plural(found.always_stalled, 'run')} over TCP the load phase is as long as a stall in every "
            "checkpoint: there, every checkpoint holds one"
        )
    return said


def _dependence(found: Diagnostics) -> str:
    if math.isnan(found.lag1):
        return "no run has enough checkpoints that differ to tell how far neighbours are alike"
    return f"neighbouring checkpoints of a run correlate by {signed(found.lag1, 2)} (autocorrelation, median run)"


def _on_nodes(results: Results, nodes: Nodes) -> str:
    held = [len(blocks) for blocks in nodes.blocks.values()]
    if len(held) == 1:
        return "every block was measured on one node (or pair): others may differ"
    said = f"{len(held)} nodes (or pairs), each with runs of {span(held)} of the blocks; "
    if math.isnan(nodes.spread):
        said += "how far apart they are cannot be told: no two have runs that count, with others of their cell"
    else:
        said += (
            f"the median run on the slowest, against others of its cell, was {tenths_text(nodes.spread)} longer than "
            "on the fastest, chance included: that is between blocks and in no comparison"
        )
    if nodes.split:
        holds = "holds" if nodes.split == 1 else "hold"
        said += f"; {plural(nodes.split, 'block')} {holds} runs of more than one, which are compared all the same"
    words, others = by_itself(results), {(s.hypothesis, s.choice): s.word for s in results.diagnostics.sensitivity}
    if not words:
        return said
    hang = {node: names for node in nodes.blocks if (names := hanging(words, others, node))}
    one = f"one of the {MOST} with most runs" if len(held) > MOST else "one of them"
    of = f"of {listed(list(words))}"
    if not hang:
        return f"{said}; {of}, no word changes when the runs on any {one} are left out"
    which = "; ".join(f"{node}: {', '.join(names)}" for node, names in hang.items())
    return f"{said}; {of}, words that change when the runs on {one} are left out: {which}"


def by_itself(results: Results) -> dict[str, str]:
    """Return each hypothesis's word as it was declared."""
    return {one.hypothesis: one.word for one in results.diagnostics.sensitivity if one.choice == AS_DECLARED}
