"""``python -m analysis compare BASE NEW``: has a checkpoint become more expensive from one campaign to the other?

Cells are matched by their factors, whatever their QEMU is called. Per cell the runs of the two campaigns are two
independent samples; the ratio of their medians has the exact interval of the Mann-Whitney test. A two-sided 90 %
interval makes each word a one-sided test at 5 %:

- *regressed*: the low end is above 1 and the high end reaches the threshold;
- *not regressed*: the high end is below the threshold;
- *inconclusive*: neither, or too few runs for an interval, or a word that hangs on leaving failed runs out.

Over all cells: regressed when a cell is, after Holm's adjustment over the cells. Not regressed when every cell is not:
that claim needs no adjustment, because each of its parts has to hold (intersection-union test).

``--json`` writes one object, schema version 1: ``schema_version``; ``outcome``, ``unit`` of its values;
``threshold`` (0.05 is 5 %) and ``confidence`` of the intervals; ``verdict`` (``regressed``, ``not regressed``,
``inconclusive``), ``label`` in words, ``exit_code``; ``base`` and ``new`` {``campaign``, ``plan_sha256``, ``accel``
[], ``qemu`` [{``version``, ``sha256``}], ``runs``, ``excluded`` (own quality check failed), ``failed``}; ``cells``
[{``cell``, ``accel``, ``factors``, ``base``, ``new`` (medians of run values), ``ratio``, ``low``, ``high``,
``runs_base``, ``runs_new``, ``failed_base``, ``failed_new``, ``pvalue`` (one-sided, of growth), ``adjusted`` (after
Holm), ``pvalue_threshold`` (one-sided, of growth by the threshold), ``verdict``, ``label``, ``needed_runs`` (per side,
to be decided; null when it is, or cannot be said)}]; ``only_in_base``, ``only_in_new`` [label]; ``notes`` []. What
there is none of is null.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import stats
from analysis.errors import AnalysisError, NothingMeasuredError
from analysis.factors import factor_text, flatten, level_text
from analysis.load import load_campaign
from analysis.outcomes import OUTCOMES, TIMES, outcomes, used, used_pauses
from analysis.sentences import amount
from analysis.terminal import console, print_table, reported, share
from analysis.text import MISSING, accel_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from analysis.factors import Level
    from analysis.load import Campaign, Run

    Key = tuple[tuple[str, str], ...]

SCHEMA_VERSION = 1
"""The version of what ``--json`` writes."""

REGRESSED, NOT_REGRESSED, INCONCLUSIVE = "regressed", "not regressed", "inconclusive"
EXIT_CODES = {NOT_REGRESSED: 0, REGRESSED: 5, INCONCLUSIVE: 6}
CONFIDENCE, ALPHA = 0.90, 0.05

_IGNORED = {"qemu", "checkpoint.count", "checkpoint.warmup"}
_WORDS = {
    stats.Word.SUPPORTED: REGRESSED,
    stats.Word.REFUTED: NOT_REGRESSED,
    stats.Word.INCONCLUSIVE: INCONCLUSIVE,
}
_LABELS = {
    "material": "by the threshold or more",
    "direction certain, size uncertain": "slower for certain, by how much is not",
    "trivially positive": "slower, by less than the threshold",
    "equivalent to none": "no difference that matters",
    "opposite sign": "faster",
    "no material growth": "not slower by the threshold",
    "undecided": "between no change and the threshold",
}
_HANGS_ON_FAILURES = "depends on the failed runs"
_MOST_RUNS = 1_000
_SECONDS = {*TIMES, "period", "colo_start"}
_TCP = ("tcp", "nodelay")


class NotComparableError(AnalysisError):
    """Two campaigns whose numbers must not be set against each other."""

    exit_code = 2


@dataclass(frozen=True)
class Side:
    """One of the two campaigns: what ran, and how many of its runs count."""

    campaign: str
    plan_sha256: str
    accel: tuple[str, ...]
    qemu: tuple[tuple[str, str], ...]
    runs: int
    excluded: int
    failed: int


@dataclass(frozen=True)
class CellComparison:
    """One cell of both campaigns.

    Attributes:
        cell: its label in the base.
        factors: what it has in common on both sides.
        base: median over runs of the outcome; ``new``: the same of the other side; NaN when never measured.
        ratio: Hodges-Lehmann ratio of new to base; ``low``, ``high``: at 90 %, NaN where there is no interval.
        pvalue: one-sided, of growth; ``adjusted``: after Holm over the cells; ``pvalue_threshold``: one-sided, of
            growth by the threshold being ruled out.
        needed_runs: runs per side that decide it, planned with the upper 80 % bound of the spread; None when it is
            decided or nothing can be said.
    """

    cell: str
    accel: str
    factors: Mapping[str, Level]
    base: float
    new: float
    ratio: float
    low: float
    high: float
    runs_base: int
    runs_new: int
    failed_base: int
    failed_new: int
    pvalue: float
    adjusted: float
    pvalue_threshold: float
    verdict: str
    label: str
    needed_runs: int | None = None


@dataclass(frozen=True)
class Comparison:
    """The answer: a verdict on all cells, and each of them."""

    outcome: str
    threshold: float
    verdict: str
    label: str
    base: Side
    new: Side
    cells: tuple[CellComparison, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    notes: tuple[str, ...]
    seconds_per_run: float

    @property
    def exit_code(self) -> int:
        """Return 0, 5 or 6."""
        return EXIT_CODES[self.verdict]


@dataclass
class _Cell:
    """What one campaign knows of one cell."""

    label: str
    factors: dict[str, Level]
    cell_ids: set[str]
    values: list[float]
    failed: int = 0


def compare(base: Campaign, new: Campaign, *, threshold: float = 0.05, outcome: str = "pause") -> Comparison:
    """Return the verdict on every cell that both campaigns have, and on all of them.

    Args:
        base: what ``new`` is compared with.
        new: the campaign in question.
        threshold: the smallest growth that matters, 0.05 for 5 %.
        outcome: one of ``analysis.outcomes.OUTCOMES``.

    Raises:
        NotComparableError: one side ran under emulation and the other under KVM, or a side holds several cells that
            differ in their QEMU only.
        NothingMeasuredError: no cell in common has this outcome on either side.
    """
    sides = _side(base), _side(new)
    _refuse_other_accelerator(*sides)
    before, after = _cells(base, outcome), _cells(new, outcome)
    common = [key for key in before if key in after]
    judged = [_judge(before[key], after[key], threshold) for key in common]
    if not any(cell.runs_base and cell.runs_new for cell in judged):
        raise NothingMeasuredError(_nothing(before, after, common, outcome))
    judged = _holm(judged, threshold, [(before[key], after[key]) for key in common])
    verdict, label = _overall(judged)
    return Comparison(
        outcome=outcome,
        threshold=threshold,
        verdict=verdict,
        label=label,
        base=sides[0],
        new=sides[1],
        cells=tuple(judged),
        only_in_base=tuple(before[key].label for key in before if key not in after),
        only_in_new=tuple(after[key].label for key in after if key not in before),
        notes=tuple(_notes(base, new, sides, judged)),
        seconds_per_run=float(np.mean([run.record.finished_at - run.record.started_at for run in new.runs])),
    )


def _side(campaign: Campaign) -> Side:
    records = [run.record for run in campaign.runs]
    qemus = {(str(r.versions.get("qemu", "")), str(r.versions.get("qemu_sha256", ""))) for r in records}
    return Side(
        campaign=campaign.plan.campaign,
        plan_sha256=campaign.plan_sha256,
        accel=tuple(sorted({record.accel for record in records})),
        qemu=tuple(sorted(qemus)),
        runs=sum(record.quality.ok for record in records),
        excluded=sum(not record.quality.ok for record in records),
        failed=len(campaign.failures),
    )


def _refuse_other_accelerator(base: Side, new: Side) -> None:
    if base.accel and new.accel and not set(base.accel) & set(new.accel):
        raise NotComparableError(
            f"{base.campaign} ran under {accel_text(base.accel)} and {new.campaign} under {accel_text(new.accel)}: "
            "an emulated pair's pauses say nothing of a pair under KVM; measure both the same way"
        )


def _cells(campaign: Campaign, outcome: str) -> dict[Key, _Cell]:
    """Return a campaign's cells by their factors, in the order of the plan, with one value per run that counts."""
    found: dict[Key, _Cell] = {}
    keys: dict[str, Key] = {}
    known = {cell.cell_id: (cell.label, cell.cell) for cell in campaign.plan.cells}
    accels = {run.record.cell_id: run.record.accel for run in campaign.runs}
    known |= {run.record.cell_id: (run.record.label, run.record.cell) for run in campaign.runs}
    for cell_id, (label, cell) in known.items():
        factors = flatten(cell)
        factors["accel"] = accels.get(cell_id, factors.get("accel"))
        factors = {path: level for path, level in factors.items() if path not in _IGNORED}
        keys[cell_id] = tuple(sorted((path, repr(level)) for path, level in factors.items()))
        found.setdefault(keys[cell_id], _Cell(label, factors, set(), [])).cell_ids.add(cell_id)
    _refuse_several(campaign, found, known)
    for run in campaign.runs:
        value = run_value(run, outcome) if run.record.quality.ok else math.nan
        if math.isfinite(value) and value > 0:
            found[keys[run.record.cell_id]].values.append(value)
    for failure in campaign.failures:
        if failure.planned.cell_id in keys:
            found[keys[failure.planned.cell_id]].failed += 1
    return found


def _refuse_several(campaign: Campaign, found: Mapping[Key, _Cell], known: Mapping[str, tuple[str, Any]]) -> None:
    for cell in found.values():
        if len(cell.cell_ids) > 1:
            trees = [flatten(known[cell_id][1]) for cell_id in sorted(cell.cell_ids)]
            differing = [path for path in sorted(_IGNORED) if len({tree.get(path) for tree in trees}) > 1]
            raise NotComparableError(
                f"{campaign.plan.campaign} holds {len(trees)} cells that differ in {', '.join(differing)} only "
                f"({cell.label}): a campaign to be compared needs one of each"
            )


def run_value(run: Run, outcome: str) -> float:
    """Return one run's outcome, as in :func:`analysis.outcomes.run_table`; NaN where it was not measured."""
    if outcome == "colo_start":
        return float(run.record.timings.get("colo_start_s", math.nan))
    if outcome == "pause":
        return float(np.median(used_pauses(run)))
    return float(outcomes(used(run), tcp=flatten(run.record.cell).get("link.transport") in _TCP)[outcome])


def _judge(before: _Cell, after: _Cell, threshold: float) -> CellComparison:
    base, new = np.array(before.values), np.array(after.values)
    blank = CellComparison(
        cell=before.label,
        accel=str(before.factors["accel"]),
        factors=before.factors,
        base=_median(base),
        new=_median(new),
        ratio=math.nan,
        low=math.nan,
        high=math.nan,
        runs_base=len(base),
        runs_new=len(new),
        failed_base=before.failed,
        failed_new=after.failed,
        pvalue=1.0,
        adjusted=1.0,
        pvalue_threshold=1.0,
        verdict=INCONCLUSIVE,
        label="",
    )
    if not len(base) or not len(new):
        return replace(blank, label=f"never measured in {' and '.join(_unmeasured(before, after))}")
    edge = math.log1p(threshold)
    found = stats.ratio_of_medians(new, base, confidence=CONFIDENCE)
    pvalue, pvalue_threshold = _pvalues(np.log(base), np.log(new), edge)
    judged = replace(blank, ratio=found.estimate, pvalue=pvalue, adjusted=pvalue, pvalue_threshold=pvalue_threshold)
    if found.low is None or found.high is None:
        return replace(judged, label=found.note)
    said = stats.verdict(math.log(found.low), math.log(found.high), edge)
    word, label = _WORDS[said.word], _LABELS[said.label]
    judged = replace(judged, low=found.low, high=found.high, verdict=word, label=label)
    if word != INCONCLUSIVE and _of_word(word, pvalue, pvalue_threshold) > ALPHA:
        return replace(judged, verdict=INCONCLUSIVE, label="too many tied runs for an exact test")
    return _with_failures(judged, base, new, edge)


def _unmeasured(before: _Cell, after: _Cell) -> list[str]:
    return [
        f"{name} ({plural(cell.failed, 'run')} failed)"
        for name, cell in (("BASE", before), ("NEW", after))
        if not cell.values
    ]


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _pvalues(base: NDArray[np.float64], new: NDArray[np.float64], edge: float) -> tuple[float, float]:
    """Return the exact one-sided p-values of growth, and of growth by less than ``edge``, from logs."""
    growth = stats.jonckheere([base, new], alternative="increasing", allow_infinite=True)
    less = stats.jonckheere([base + edge, new], alternative="decreasing", allow_infinite=True)
    return growth.pvalue, less.pvalue


def _of_word(word: str, growth: float, less: float) -> float:
    return growth if word == REGRESSED else less


def _with_failures(
    judged: CellComparison, base: NDArray[np.float64], new: NDArray[np.float64], edge: float
) -> CellComparison:
    """Judge again with failed runs ranked worst; a word that hangs on leaving them out is no word."""
    if judged.verdict == INCONCLUSIVE or not judged.failed_base + judged.failed_new:
        return judged
    before, after = (
        np.concatenate([np.log(values), np.full(failed, np.inf)])
        for values, failed in ((base, judged.failed_base), (new, judged.failed_new))
    )
    if _of_word(judged.verdict, *_pvalues(before, after, edge)) <= ALPHA:
        return judged
    return replace(judged, verdict=INCONCLUSIVE, label=_HANGS_ON_FAILURES)


def _holm(
    judged: Sequence[CellComparison], threshold: float, cells: Sequence[tuple[_Cell, _Cell]]
) -> list[CellComparison]:
    adjusted = stats.holm([cell.pvalue for cell in judged])
    found = []
    for cell, pvalue, (before, after) in zip(judged, adjusted, cells, strict=True):
        lost = cell.verdict == REGRESSED and pvalue > ALPHA
        changed = replace(cell, adjusted=float(pvalue))
        if lost:
            changed = replace(
                changed, verdict=INCONCLUSIVE, label=f"not after Holm's adjustment over {len(judged)} cells"
            )
        if changed.verdict == INCONCLUSIVE:
            among = len(judged) if lost else 1
            changed = replace(changed, needed_runs=_needed(before.values, after.values, threshold, among))
        found.append(changed)
    return found


def _needed(before: Sequence[float], after: Sequence[float], threshold: float, among: int) -> int | None:
    """Return runs per side whose interval is narrower than the threshold, so that it cannot hold both 1 and that.

    The spread is the upper 80 % bound of the pooled deviation of logs, widened by the efficiency of a rank test; an
    exact test among ``among`` cells also needs enough runs to reach its level at all.
    """
    sides = [np.log(values) for values in (before, after) if len(values) > 1]
    df = sum(len(side) - 1 for side in sides)
    fewest = next(runs for runs in range(1, _MOST_RUNS) if math.comb(2 * runs, runs) * ALPHA >= among)
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / df if df else math.nan
    if not variance > 0:
        return fewest if variance == 0 else None
    planned = stats.needed_blocks(
        math.sqrt(variance * math.pi / 3),
        df,
        math.log1p(threshold) / 2,
        x=(0.0, 1.0),
        confidence=1 - 2 * ALPHA / among,
        most=_MOST_RUNS,
    )
    return None if planned.blocks is None else max(planned.blocks, fewest)


def _overall(cells: Sequence[CellComparison]) -> tuple[str, str]:
    by_word = {word: [cell for cell in cells if cell.verdict == word] for word in EXIT_CODES}
    counted = plural(len(cells), "cell")
    if by_word[REGRESSED]:
        worst = max(by_word[REGRESSED], key=lambda cell: cell.low)
        return REGRESSED, f"{len(by_word[REGRESSED])} of {counted}, most of all {worst.cell}"
    if not by_word[INCONCLUSIVE]:
        return NOT_REGRESSED, f"none of {counted}"
    return INCONCLUSIVE, f"{len(by_word[INCONCLUSIVE])} of {counted} could not be decided"


def _notes(base: Campaign, new: Campaign, sides: tuple[Side, Side], cells: Sequence[CellComparison]) -> Iterable[str]:
    if sides[0].qemu == sides[1].qemu:
        yield "both campaigns ran the same QEMU: this compares two measurements of one binary"
    for name, side in zip(("BASE", "NEW"), sides, strict=True):
        if len(side.qemu) > 1:
            yield f"{name} ran {len(side.qemu)} different QEMUs"
        if side.excluded:
            yield f"{name}: {plural(side.excluded, 'run')} left out, their own quality check failed"
    for what, differing in _conditions(base, new):
        yield f"{what} differs too: {differing}"
    failed = [sum(getattr(cell, f"failed_{name}") for cell in cells) for name in ("base", "new")]
    if any(failed):
        yield f"failed runs in these cells: {failed[0]} in BASE, {failed[1]} in NEW"
    yield "the two campaigns were measured one after the other: what else changed on the host counts as a difference"


def _conditions(base: Campaign, new: Campaign) -> Iterable[tuple[str, str]]:
    """Yield what else differs between the two, and how."""
    old, now = ([_condition(run) for run in campaign.runs] for campaign in (base, new))
    for what in _condition(base.runs[0]):
        sides = [sorted({condition[what] for condition in side}) for side in (old, now)]
        if sides[0] != sides[1]:
            yield what, " against ".join(", ".join(side) for side in sides)


def _condition(run: Run) -> dict[str, str]:
    factors = flatten(run.record.cell)
    return {
        "the guest's kernel": str(run.record.versions.get("kernel_sha256", ""))[:12],
        "the guest's initramfs": str(run.record.versions.get("initramfs_sha256", ""))[:12],
        "the host's CPU": str(run.record.host.before.get("cpu_model", "")),
        "the host's kernel": str(run.record.host.before.get("kernel", "")),
        "the number of checkpoints": str(factors.get("checkpoint.count", "")),
        "the warm-up": str(factors.get("checkpoint.warmup", "")),
    }


def _nothing(before: Mapping[Key, _Cell], after: Mapping[Key, _Cell], common: Sequence[Key], outcome: str) -> str:
    if common:
        return f"no cell in common has {outcome} measured on both sides"
    differing = []
    sides = [[cell.factors for cell in side.values()] for side in (before, after)]
    for path in dict.fromkeys(path for side in sides for factors in side for path in factors):
        old, new = (sorted({level_text(path, f[path]) for f in side if path in f}) for side in sides)
        if not set(old) & set(new):
            differing.append(f"{factor_text(path)}: {', '.join(old) or 'none'} against {', '.join(new) or 'none'}")
    return "no cell in common: " + ("; ".join(differing) or "each factor has levels in common, no combination has")


def to_json(comparison: Comparison) -> str:
    """Return the comparison as the JSON that this module's head describes."""
    sides = {
        name: {**asdict(side), "qemu": [{"version": version, "sha256": sha256} for version, sha256 in side.qemu]}
        for name, side in (("base", comparison.base), ("new", comparison.new))
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "outcome": comparison.outcome,
        "unit": unit_of(comparison.outcome),
        "threshold": comparison.threshold,
        "confidence": CONFIDENCE,
        "verdict": comparison.verdict,
        "label": comparison.label,
        "exit_code": comparison.exit_code,
        **sides,
        "cells": [_known(asdict(cell)) for cell in comparison.cells],
        "only_in_base": comparison.only_in_base,
        "only_in_new": comparison.only_in_new,
        "notes": comparison.notes,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def unit_of(outcome: str) -> str:
    """Return the unit in which an outcome is stored."""
    if outcome in _SECONDS:
        return "s"
    return {"dirty_pages": "pages", "bytes_sent": "bytes"}.get(outcome, "share")


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def show(comparison: Comparison, out: Console) -> None:
    """Print the comparison for a person."""
    for name, side in (("BASE", comparison.base), ("NEW", comparison.new)):
        qemu = ", ".join(f"{version or 'QEMU'} ({sha256[:12] or 'no hash'})" for version, sha256 in side.qemu)
        out.print(f"{name:<5}{side.campaign}: {accel_text(side.accel)}, {plural(side.runs, 'run')}, {qemu}")
    out.print()
    headings = ("cell", "base", "new", "new / base", "90 % interval", "runs", "verdict")
    print_table(out, headings, [_row(cell, comparison.outcome) for cell in comparison.cells])
    out.print()
    for name, labels in (("BASE", comparison.only_in_base), ("NEW", comparison.only_in_new)):
        if labels:
            out.print(f"only in {name}: {'; '.join(labels)}")
    for note in comparison.notes:
        out.print(f"note: {note}")
    threshold = f"{100 * comparison.threshold:g} %"
    out.print(f"{comparison.verdict.upper()} at a threshold of {threshold}: {comparison.label}")
    if comparison.verdict == INCONCLUSIVE:
        out.print(settles(comparison))


def _row(cell: CellComparison, outcome: str) -> tuple[str, ...]:
    interval = MISSING if math.isnan(cell.low) else f"[{cell.low:.3f}, {cell.high:.3f}]"
    runs = f"{cell.runs_base} + {cell.runs_new}"
    failed = cell.failed_base + cell.failed_new
    return (
        cell.cell,
        amount(cell.base, outcome),
        amount(cell.new, outcome),
        MISSING if math.isnan(cell.ratio) else f"{cell.ratio:.3f}",
        interval,
        f"{runs}, {failed} failed" if failed else runs,
        f"{cell.verdict}: {cell.label}",
    )


def settles(comparison: Comparison) -> str:
    """Return in words what would turn an inconclusive comparison into a word."""
    undecided = [cell for cell in comparison.cells if cell.verdict == INCONCLUSIVE]
    known = [(cell, cell.needed_runs) for cell in undecided if cell.needed_runs is not None]
    failing = sum(cell.label == _HANGS_ON_FAILURES for cell in undecided)
    again = f"Measure the failed runs of {plural(failing, 'cell')} again. " if failing else ""
    if not known:
        return again.strip() or "What would settle it: at least three runs of each cell on both sides."
    cell, runs = max(known, key=lambda pair: pair[1])
    more = max(runs - min(cell.runs_base, cell.runs_new), 1)
    minutes = more * len(known) * comparison.seconds_per_run / 60
    return (
        f"{again}What would settle it: about {plural(more, 'more run')} of each undecided cell on each side "
        f"({runs} in all for {cell.cell}), {minutes:,.0f} min of measuring per side, or a larger threshold."
    )


def main(arguments: Sequence[str]) -> int:
    """Return 0 not regressed, 5 regressed, 6 inconclusive, 1 nothing was measured, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis compare",
        description="Compare two campaigns cell by cell. Ends with 0 not regressed, 5 regressed, 6 inconclusive, "
        "1 nothing was measured that both have, 2 wrong usage.",
    )
    parser.add_argument("base", type=Path, help="the campaign to compare with")
    parser.add_argument("new", type=Path, help="the campaign in question")
    parser.add_argument("--threshold", type=share, default=0.05, help="the smallest growth that matters (default: 5%%)")
    parser.add_argument("--outcome", choices=OUTCOMES, default="pause", metavar="OUTCOME", help="default: pause")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the answer there")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    comparison = compare(
        load_campaign(options.base), load_campaign(options.new), threshold=options.threshold, outcome=options.outcome
    )
    show(comparison, console())
    if options.json is not None:
        temporary = options.json.with_name(f".{options.json.name}.{os.getpid()}")
        temporary.write_text(to_json(comparison), encoding="utf-8")
        temporary.replace(options.json)
    return comparison.exit_code
