"""The tables of the report, each as CSV (stored units, all digits) and as LaTeX (units and digits of a paper)."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING

import pandas as pd

from analysis.format.outcomes import OUTCOMES
from analysis.report import failovers
from analysis.report.design import design_rows
from analysis.report.latex import Column, escape, tabular
from analysis.report.words import all_declared, case, p_text
from analysis.runs.cell_table import MEANS
from analysis.runs.counting import doubted_text
from analysis.runs.failovers import failover_table
from analysis.stored.factors import factor_text
from analysis.text import EXPLORATORY, MISSING, change_text, count_text, percent_number, plural, spans
from analysis.verdicts.amounts import shown_in
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.digits import csv
from analysis.verdicts.looks import looked_at
from analysis.verdicts.sentences import badge, why_exploratory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.verdicts.finding import Finding
    from analysis.verdicts.results import Results

_MS, _PERCENT = 1e3, 1e2
_DIGITS = 3
_PHASES = ("pause_mean", *MEANS)
_CELL = Column("cell", align="p{7cm}")
_ACCEL = {"tcg": "TCG", "kvm": "KVM"}
_PHASE_DECIMALS = 2


def tables(results: Results, seeds: Sequence[int | None] = ()) -> dict[str, bytes]:
    """Return every table of the report by its file name, ``tables/<name>.csv`` and ``tables/<name>.tex``.

    Names: ``cells`` (the pause per cell with its interval), ``phases`` (mean phases per cell), ``verdicts`` (one row
    per hypothesis), ``design`` (what was measured, in which versions, on what); and ``failovers``, where runs end in
    one.
    """
    made = {
        "cells": (results.per_cell, _cells_tex(results)),
        "phases": (_phases(results), _phases_tex(results)),
        "verdicts": (_verdicts(results), _verdicts_tex(results)),
        "design": (_design(results, seeds), _design_tex(results, seeds)),
    }
    found = failover_table(results.campaign, results.cells)
    if not found.empty:
        made["failovers"] = (found, failovers.tex(found, results.campaign))
    files: dict[str, bytes] = {}
    for name, (table, tex) in made.items():
        files[f"tables/{name}.csv"] = csv(table)
        files[f"tables/{name}.tex"] = tex.encode("ascii")
    return files


def aligned(values: Sequence[float], scale: float = 1.0, most: int = 4) -> list[str]:
    """Return one column of numbers with the same decimals each, so that right-aligned they line up.

    The decimals are those that give the median of them three digits, ``most`` at most; a dash is for what is missing.
    """
    numbers = [value * scale for value in values]
    known = sorted(abs(number) for number in numbers if math.isfinite(number) and number)
    middle = known[len(known) // 2] if known else 1.0
    decimals = min(max(_DIGITS - 1 - math.floor(math.log10(middle)), 0), most) if known else 0
    return [_number(number, decimals) for number in numbers]


def _number(number: float, decimals: int) -> str:
    if math.isnan(number):
        return MISSING
    if math.isinf(number):
        return "\N{INFINITY}" if number > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    text = f"{number:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.removeprefix("-")


def _together(groups: Sequence[Sequence[float]], scale: float = 1.0, most: int = 4) -> list[list[str]]:
    """Return several columns of one quantity with the decimals of the first that is not all 0, or missing."""
    first = next((group for group in groups if any(value and math.isfinite(value) for value in group)), groups[0])
    decimals = max((len(text.partition(".")[2]) for text in aligned(first, scale, most)), default=0)
    return [[_number(value * scale, decimals) for value in values] for values in groups]


def _marked(texts: Sequence[str], marks: Iterable[bool]) -> list[str]:
    return [
        f"{EXPLORATORY}{text}" if mark and text != MISSING else text for text, mark in zip(texts, marks, strict=True)
    ]


def _cells_tex(results: Results) -> str:
    cells = results.per_cell
    median, low, high = _together([cells[name].tolist() for name in ("pause", "pause_low", "pause_high")], _MS, most=2)
    rows = [
        cells["cell"].tolist(),
        [_ACCEL[accel] for accel in cells["accel"]],
        [str(runs) for runs in cells["runs"]],
        [str(failed) for failed in cells["failed"]],
        [f"{checkpoints:,}" for checkpoints in cells["checkpoints"]],
        median,
        low,
        high,
        *(_marked(aligned(cells[tail].tolist(), _MS, 1), cells[f"{tail}_exploratory"]) for tail in ("p95", "p99")),
        [count_text(pages) for pages in cells["dirty_pages"]],
        [MISSING if math.isnan(share) else percent_number(share, 1) for share in cells["paused_share"]],
    ]
    columns = (
        _CELL,
        Column("pair", align="l"),
        Column("R"),
        Column("failed"),
        Column("N"),
        Column("pause", "ms"),
        Column("low", "ms"),
        Column("high", "ms"),
        Column("p95", "ms"),
        Column("p99", "ms"),
        Column("dirty", "pages"),
        Column("paused", "%"),
    )
    remarks = (
        "Caption: The pause per cell: median over runs of the run medians with its order-statistic interval (95 %).",
        f"{_counts(results)} R: runs per cell; failed: failed attempts of its runs; N: checkpoints after the warm-up.",
        f"Pairs ran under {results.cells.under}. TCG is QEMU's software emulation, whose times are not those of KVM.",
        "A dash: no interval below six runs, or not measured. A dagger: runs too short for it, exploratory.",
        *_kept(results),
    )
    return tabular(columns, list(zip(*rows, strict=True)), remarks)


def _counts(results: Results) -> str:
    cells = results.per_cell
    return f"R = {spans(cells['runs'], 'run')} per cell, N = {_checkpoints(cells)} in all."


def _kept(results: Results) -> tuple[str, ...]:
    """Return what a caption of single cells says of runs that no effect has; nothing where there are none."""
    told = doubted_text(results.runs)
    return (f"Kept: {told}.",) if told else ()


def _checkpoints(rows: pd.DataFrame) -> str:
    return plural(int(rows["checkpoints"].sum()), "checkpoint")


def _phases(results: Results) -> pd.DataFrame:
    """Return mean phases and the mean pause per cell in seconds, one row each, with 95 % t intervals over runs."""
    return pd.DataFrame(
        {
            "cell": cell["cell"],
            "accel": cell["accel"],
            "phase": name,
            "mean_s": cell[name],
            "low_s": cell[f"{name}_low"],
            "high_s": cell[f"{name}_high"],
            "runs": cell["runs"],
        }
        for cell in results.per_cell.to_dict("records")
        for name in _PHASES
    )


def _phases_tex(results: Results) -> str:
    cells = results.per_cell
    columns = [Column("cell", align="p{4cm}"), Column("R")]
    rows = [cells["cell"].tolist(), [str(runs) for runs in cells["runs"]]]
    for name in _PHASES:
        half = (cells[f"{name}_high"] - cells[f"{name}_low"]) / 2
        rows += _together([cells[name].tolist(), half.tolist()], _MS, _PHASE_DECIMALS)
        heading = "pause" if name == "pause_mean" else name
        columns += [Column(heading, "ms"), Column(heading, plus_minus=True)]
    remarks = (
        "Caption: Mean phases of a checkpoint in time order, with the half-width of the 95 % t interval over runs.",
        f"{_counts(results)} Means add up: prepare to resume are the pause; request and stop come before it.",
        *_kept(results),
    )
    return tabular(columns, list(zip(*rows, strict=True)), remarks)


_VERDICT = {
    **{name: f"hypothesis.{name}" for name in ("id", "claim", "kind", "factor", "outcome", "family")},
    **{name: name for name in ("exploratory", "word", "label")},
    "effect": "effect.estimate",
    "low": "effect.low",
    "high": "effect.high",
    "confidence": "confidence",
    "absolute": "absolute.estimate",
    "absolute_low": "absolute.low",
    "absolute_high": "absolute.high",
    **{name: name for name in ("absolute_unit", "sesoi", "pvalue", "adjusted", "runs", "excluded", "failed", "strata")},
}
"""The columns of a finding, and where it has them."""


def _verdicts(results: Results) -> pd.DataFrame:
    """Return one row per hypothesis; effects are relative, 0.05 is 5 %, except for those of kind ``value``."""
    told = {name: [attrgetter(path)(finding) for finding in results.findings] for name, path in _VERDICT.items()}
    return pd.DataFrame({**told, "notes": ["; ".join(finding.notes) for finding in results.findings]})


def _verdicts_tex(results: Results) -> str:
    columns = (
        Column("hypothesis", align="p{2cm}"),
        Column("outcome", align="p{2.4cm}"),
        Column("by", align="p{1.7cm}"),
        Column("effect"),
        Column("low"),
        Column("high"),
        Column("unit", align="l"),
        Column("\N{GREEK SMALL LETTER DELTA}", "%"),
        Column("p adj."),
        Column("R"),
        Column("verdict", align="p{4.8cm}"),
    )
    runs = [finding.runs for finding in results.findings] or [0]
    _, seen = looked_at(results.campaign, results.runs)
    remarks = (
        f"Caption: Hypotheses{_declared(results)}: effect with its two-sided 90 % interval, and verdict.",
        f"R = {spans(runs, 'run')} per hypothesis, N = {_checkpoints(seen)} in all.",
        "unit: %/2x is percent per doubling. delta: the smallest effect of interest that was judged by.",
        "p adj.: one-sided, of the verdict (support: against no effect, or what equal cells differ by; refutation:",
        "against one of delta or more; of no difference and of a range: against the other case, and twice that where",
        "either side refutes), after Holm over the primary family, after Benjamini-Hochberg over the secondary one.",
        *(
            f"A dagger: {why}, exploratory."
            for why in dict.fromkeys(filter(None, map(why_exploratory, results.findings)))
        ),
        *(escape(f"{finding.hypothesis.id}: {note}.") for finding in results.findings for note in finding.notes),
    )
    return tabular(columns, [_verdict_row(finding) for finding in results.findings], remarks)


def _declared(results: Results) -> str:
    return " declared before the data" if results.findings and all_declared(results.findings) else ""


def _verdict_row(finding: Finding) -> tuple[str, ...]:
    hypothesis = finding.hypothesis
    value = hypothesis.kind == "value"
    ends = (finding.effect.estimate, finding.effect.low, finding.effect.high)
    if value:
        unit, scale = _unit_of(hypothesis.outcome, finding.effect.estimate)
        effect, low, high = (one for (one,) in _together([[end] for end in ends], scale))
    else:
        unit = "%/2\N{MULTIPLICATION SIGN}" if hypothesis.kind == "trend" else "%"
        effect, low, high = (_percent_of(end, finding.sesoi) for end in ends)
    word = badge(finding.word, finding.label)
    return (
        f"{hypothesis.id}{EXPLORATORY}" if finding.exploratory else hypothesis.id,
        OUTCOMES[hypothesis.outcome].words.removeprefix("the "),
        factor_text(hypothesis.factor) if hypothesis.factor else MISSING,
        effect,
        low,
        high,
        unit,
        percent_number(finding.sesoi, 1) if finding.sesoi_rests_on else MISSING,
        _pvalue(finding.adjusted),
        str(finding.runs),
        case(finding.word, finding.label) if word == finding.word else f"{word} ({finding.label})",
    )


def _percent_of(change: float, sesoi: float) -> str:
    """Return a relative change in percent as the page has it, without the sign of a rise; a dash for a missing one."""
    shown = MISSING if math.isnan(change) else change_text(_PERCENT * change, _PERCENT * sesoi)
    return shown.removeprefix("+")


def _unit_of(outcome: str, value: float) -> tuple[str, float]:
    """Return the unit in which a value of an outcome is shown, and by what it is multiplied for that."""
    scale, unit = shown_in(outcome)
    return ("s", 1.0) if unit == "ms" and abs(value) >= 1 else (unit, scale)


def _pvalue(pvalue: float) -> str:
    if math.isnan(pvalue):
        return MISSING
    shown = "<0.0001" if pvalue < 1e-4 else f"{pvalue:.4f}"  # noqa: PLR2004 - four decimals are shown
    return p_text(pvalue) if shown == f"{ALPHA:.4f}" else shown


def _design(results: Results, seeds: Sequence[int | None]) -> pd.DataFrame:
    """Return what was measured, in which versions, on what: one row per statement."""
    return pd.DataFrame(design_rows(results, seeds), columns=["name", "value"])


def _design_tex(results: Results, seeds: Sequence[int | None]) -> str:
    columns = (Column("what", align="l"), Column("value", align="p{12cm}"))
    remarks = (f"Caption: What was measured. {_counts(results)}",)
    return tabular(columns, design_rows(results, seeds), remarks)
