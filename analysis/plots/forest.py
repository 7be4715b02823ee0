"""The hypotheses and their verdicts: effect with interval against the smallest effect of interest."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from analysis.format.outcomes import OUTCOMES
from analysis.plots import axes
from analysis.plots.drawing import NoFigureError, Sketch, Words
from analysis.plots.style import BAND, BAND_EDGE, CATEGORIES, FAINT, INK, LINE_PT, QUIET, SMALL_PT, Look, is_wide
from analysis.plots.words import MINUS, SPACE, design_text, percent_interval, sketch_of
from analysis.text import plural
from analysis.verdicts.amounts import amount, figures_of
from analysis.verdicts.hypotheses import NOTHING_TO_COMPARE
from analysis.verdicts.sentences import badge, range_text, why_exploratory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.claims import Effect
    from analysis.verdicts.finding import Finding, LevelFinding
    from analysis.verdicts.results import Results

NAME = "hypotheses"
EFFECTS, VALUES = "effects", "values"
_FAMILIES = ("primary", "secondary")
_LOOKS = {"SUPPORTED": (CATEGORIES[2], "o"), "REFUTED": (CATEGORIES[3], "X"), "INCONCLUSIVE": (CATEGORIES[1], "D")}
_SYMLOG_FROM = 8.0
"""Effects that are this many times what matters are drawn on a logarithmic scale."""

_MOST_LEVELS = 8
_ROUND = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_FAR = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
_VALUE_LIMITS = (-1.5, 2.5)
_DOUBTED = "in no interval, and ranked worst in the tests"
"""What became of runs whose own check failed."""

_BULLET = "\N{BULLET} "
_LINE_IN, _BAR_IN = 0.13, 0.09
_LABEL_IN, _VERDICT_IN = 2.2, 1.9
_DOT, _CAP = 4.2, 7.0
"""The estimate, and the ends of its interval, in points: higher than it, so that they show also where they are near."""

_MOST_IN = 6.0
"""How high rows in a column may be together; else those of levels are left to the wide figure."""


def sketch(results: Results) -> Sketch:
    """Return the figure before it is drawn.

    Raises:
        NoFigureError: no hypothesis was declared.
    """
    if not results.findings:
        raise NoFigureError("no hypothesis was declared")
    data = frame(results.findings)
    return sketch_of(NAME, results, data, _words(results, data), plot)


def frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row per hypothesis, and one per ``level`` of the other factors where the effect differs between them.

    A ``panel`` is a ``family`` with a ``kind``. Rows of :data:`EFFECTS` are relative (0.05 is 5 %), with ``sesoi`` on
    both sides. Rows of :data:`VALUES` stand in their own declared range: ``estimate``, ``low`` and ``high`` are 0 at
    its lower end and 1 at its upper one, ``from_text`` and ``to_text``. ``text`` has the numbers in their unit.
    """
    return pd.DataFrame([row for finding in findings for row in _rows_of(finding)])


def _rows_of(finding: Finding) -> Iterator[dict[str, Any]]:
    hypothesis = finding.hypothesis
    kind = VALUES if hypothesis.kind == "value" else EFFECTS
    own = {
        "panel": f"{hypothesis.family} hypotheses: {kind}",
        "family": hypothesis.family,
        "kind": kind,
        "id": hypothesis.id,
        "level": "",
        "claim": hypothesis.claim,
        "word": finding.word,
        "label": finding.label,
        "exploratory": finding.exploratory,
        "runs": finding.runs,
        "confidence": finding.confidence,
        "sesoi": np.nan if kind == VALUES else finding.sesoi,
        "from_text": "",
        "to_text": "",
    }
    if kind == VALUES:
        ends = (amount(end, hypothesis.outcome) for end in _range_of(hypothesis))
        own |= dict(zip(("from_text", "to_text"), ends, strict=True))
        yield {**own, **asdict(_in_range(finding.effect, hypothesis)), "text": _value_text(finding)}
        return
    per = " per doubling" if hypothesis.kind == "trend" else ""
    yield {**own, **asdict(finding.effect), "text": _effect_text(finding, finding.sesoi, per)}
    for level in finding.levels if _differs(finding) else ():
        said = {"level": level.level, "word": level.word, "label": level.label, "runs": level.runs}
        said |= {"sesoi": level.sesoi, "text": _effect_text(level, level.sesoi)}
        yield {**own, **said, **asdict(level.effect)}


def _differs(finding: Finding) -> bool:
    """Tell whether levels differ by more than what matters, and are few enough to be shown."""
    return 1 < len(finding.levels) <= _MOST_LEVELS and finding.levels_differ


def _range_of(hypothesis: Hypothesis) -> tuple[float, float]:
    """Return the declared range, of a share only as much of it as a share can be."""
    low, high = float(hypothesis.low or 0.0), float(hypothesis.high or 0.0)
    return (max(low, 0.0), min(high, 1.0)) if hypothesis.outcome.endswith("_share") else (low, high)


def _in_range(effect: Effect, hypothesis: Hypothesis) -> Effect:
    low, high = _range_of(hypothesis)
    width = high - low if high > low else math.nan
    return type(effect)(*((end - low) / width for end in (effect.estimate, effect.low, effect.high)))


def _effect_text(found: Finding | LevelFinding, sesoi: float, per: str = "") -> str:
    """Return an effect with its interval, or why there is none: runs that measured 0 have no ratio, say."""
    effect = found.effect
    if math.isnan(effect.estimate):
        return found.label or NOTHING_TO_COMPARE
    return percent_interval(effect.estimate, effect.low, effect.high, sesoi) + per


def _value_text(finding: Finding) -> str:
    """Return a value with its interval, or why there is none, as that no run counts; and the claim."""
    effect, hypothesis = finding.effect, finding.hypothesis
    say = partial(amount, outcome=hypothesis.outcome, figures=figures_of(hypothesis, effect))
    wanted = f"claimed {range_text(hypothesis, effect)}".replace(" ", SPACE)
    if math.isnan(effect.estimate):
        return f"{finding.label}; {wanted}"
    interval = "no interval" if math.isnan(effect.low) else f"{say(effect.low)} to {say(effect.high)}"
    return f"{say(effect.estimate)} ({interval}); {wanted}"


def plot(data: pd.DataFrame, width_in: float, *, where: str = "") -> Figure:
    """Draw a row per hypothesis: the claim, the interval over its band, the verdict; in a column one below another."""
    wide = is_wide(width_in)
    order = [f"{family} hypotheses: {kind}" for family in _FAMILIES for kind in (EFFECTS, VALUES)]
    names = [name for name in order if name in set(data["panel"])]
    rows = _rows(data, names, width_in)
    if not wide and sum(row.height_in for some in rows.values() for row in some) > _MOST_IN:
        rows = _rows(data[data["level"] == ""], names, width_in)
    panels = axes.Panels(
        names,
        width_in,
        [sum(row.height_in for row in rows[name]) for name in names],
        where=where,
        entries=_entries(data, wide=wide),
        columns=1,
        extra_in=0.15 + sum(0.35 if name.endswith(EFFECTS) else 0.1 for name in names),
        share="",
    )
    for name, ax in panels.by_name.items():
        own = data[data["panel"] == name]
        factor = _effect_scale(ax, own, wide=wide) if name.endswith(EFFECTS) else _value_scale(ax)
        _draw(ax, rows[name], factor)
    return panels.figure


def _rows(data: pd.DataFrame, names: Sequence[str], width_in: float) -> dict[str, list[_Row]]:
    return {name: [_Row(row, width_in) for row in data[data["panel"] == name].itertuples()] for name in names}


def _entries(data: pd.DataFrame, *, wide: bool) -> list[Artist]:
    entries: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=_DOT, mec=INK, mew=0.5, linewidth=1.2, label=word)
        for word, (colour, marker) in _LOOKS.items()
        if wide and word in set(data["word"])
    ]
    percent = " and ".join(f"{100 * level:g}{SPACE}%" for level in sorted(set(data["confidence"])))
    entries.append(Line2D([], [], color=INK, marker="|", markersize=_CAP, linewidth=1.2, label=f"{percent} interval"))
    band: Look = {"facecolor": BAND, "edgecolor": BAND_EDGE, "linewidth": LINE_PT}
    labels = {EFFECTS: "too small to matter", VALUES: "declared range"}
    entries.append(Patch(label=" or ".join(text for kind, text in labels.items() if kind in set(data["kind"])), **band))
    return entries


class _Row:
    """One hypothesis, or one level of it: where its parts stand, in inches from the top of its row."""

    def __init__(self, row: Any, width_in: float) -> None:
        self.row, self.wide, self.word = row, is_wide(width_in), badge(row.word, row.label)
        mark = " (exploratory)" if row.exploratory and not row.level else ""
        claim = f"{_BULLET}{row.level}" if row.level else f"{row.claim}{mark}"
        self.claim = axes.fitting(claim, _LABEL_IN if self.wide else width_in - 0.1)
        self.apart = self.wide and not row.level
        room = _VERDICT_IN if self.wide else width_in - 0.25
        # In a column the range stands below its band only.
        said = row.text if self.wide or not row.from_text else row.text.partition(";")[0]
        self.verdict = axes.fitting(said if self.apart else f"{self.word}  {said}", room)
        claim_in, verdict_in = (_LINE_IN * axes.line_count(text) for text in (self.claim, self.verdict))
        if self.wide:
            word_in = _LINE_IN if self.apart else 0.0
            ends_in = 2 * (_BAR_IN + _LINE_IN + 0.03) if row.from_text else 0.0
            self.height_in = max(claim_in, word_in + verdict_in, ends_in) + 0.1
            self.claim_at = self.bar_at = self.height_in / 2
            self.verdict_at = self.bar_at + word_in / 2
            self.word_at = self.bar_at - verdict_in / 2
        else:
            self.claim_at = 0.06 + claim_in / 2
            self.bar_at = 0.06 + claim_in + _BAR_IN + 0.04
            ends_in = _LINE_IN + 0.02 if row.from_text else 0.0
            self.verdict_at = self.bar_at + _BAR_IN + ends_in + 0.04 + verdict_in / 2
            self.height_in = self.verdict_at + verdict_in / 2 + 0.06


def _effect_scale(ax: Axes, data: pd.DataFrame, *, wide: bool) -> float:
    """Set the scale of effects in percent, logarithmic beyond what matters where effects are large; return 100."""
    numbers = 100 * data[["estimate", "low", "high"]].to_numpy(dtype=np.float64).ravel()
    numbers, bands = numbers[np.isfinite(numbers)], 100 * data["sesoi"].to_numpy(dtype=np.float64)
    band = float(bands.min(where=bands > 0, initial=np.inf)) if (bands > 0).any() else 0.0
    # A band that is far wider than any interval fills its row, and leaves the others their scale.
    shown = min(float(bands.max()), max(band, 1.25 * float(np.abs(numbers).max(initial=0.0))))
    low, high = min(float(numbers.min(initial=0.0)), -shown), max(float(numbers.max(initial=0.0)), shown)
    if max(-low, high) <= _SYMLOG_FROM * band or band == 0:
        pad = 0.06 * (high - low) or 1.0
        ax.set_xlim(low - pad, high + pad)
        marks = axes.round_marks(low - pad, high + pad, 7 if wide else 5)
        ax.set_xlabel("effect [%]", labelpad=2)
    else:
        ax.set_xscale("symlog", linthresh=band, linscale=0.8)
        near = max((mark for mark in _ROUND if mark <= band), default=band)
        # Room on the logarithmic side for every mark in a wide figure, for every other one in a column.
        far = [mark for mark in _FAR if mark >= 2.5 * band]
        right = [mark for mark in far if mark <= 1.3 * high][:: 1 if wide else 2]
        left = [mark for mark in far if mark <= -1.3 * low][:: 1 if wide else 2]
        marks = [*(-mark for mark in reversed(left)), -near, 0.0, near, *right]
        ax.set_xlim(min(1.4 * low, -1.4 * band), max(1.4 * high, 1.4 * band))
        ax.set_xlabel(f"effect [%], linear up to ±{band:.3g}, log scale beyond", labelpad=2)
    ax.set_xticks(marks, [f"{mark:+,g}".replace("-", MINUS) if mark else "0" for mark in marks])
    ax.set_xticks([], minor=True)
    return 100.0


def _value_scale(ax: Axes) -> float:
    low, high = _VALUE_LIMITS
    ax.set_xlim(low, high)
    # Each row has a scale of its own, from one end of its range to the other.
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    return 1.0


def _draw(ax: Axes, rows: Sequence[_Row], factor: float) -> None:
    top, labels = 0.0, []
    for row in rows:
        _band(ax, row.row, top + row.bar_at, factor)
        _effect(ax, row.row, top + row.bar_at, factor)
        side: Look = {
            "xycoords": ("axes fraction", "data"),
            "va": "center",
            "fontsize": SMALL_PT,
            "annotation_clip": False,
        }
        left = 1.02 if row.wide else 0.0
        ax.annotate(row.verdict, (left, top + row.verdict_at), color=QUIET if row.apart else INK, **side)
        if row.apart:
            ax.annotate(row.word, (left, top + row.word_at), fontweight="bold", **side)
        if not row.wide:
            ax.annotate(row.claim, (0.0, top + row.claim_at), **side)
        labels.append(top + row.claim_at)
        top += row.height_in
        ax.axhline(top, color=FAINT, linewidth=LINE_PT)
    ax.set_ylim(top, 0.0)
    ax.grid(visible=False)
    if rows[0].wide:
        ax.set_yticks(labels, [row.claim for row in rows])
    else:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _band(ax: Axes, row: Any, y: float, factor: float) -> None:
    low, high = (-factor * row.sesoi, factor * row.sesoi) if row.kind == EFFECTS else (0.0, 1.0)
    look: Look = {"facecolor": BAND, "edgecolor": BAND_EDGE, "linewidth": LINE_PT}
    if high > low:
        ax.add_patch(Rectangle((low, y - _BAR_IN), high - low, 2 * _BAR_IN, **look))
    for at, text in ((low, row.from_text), (high, row.to_text)):
        if text:
            ax.text(at, y + _BAR_IN + 0.02, text, ha="center", va="top", fontsize=SMALL_PT, color=QUIET)
    if row.kind == EFFECTS:
        ax.plot([0, 0], [y - _BAR_IN - 0.02, y + _BAR_IN + 0.02], color=INK, linewidth=0.8)


def _effect(ax: Axes, row: Any, y: float, factor: float) -> None:
    if math.isnan(row.estimate):
        return
    colour, marker = _LOOKS[row.word]
    low, high = ax.get_xlim()
    ends = [factor * (row.estimate if math.isnan(end) else end) for end in (row.low, row.high)]
    ax.plot(np.clip(ends, low, high), [y, y], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
    known = [end for end in ends if low <= end <= high and not math.isnan(row.low)]
    ax.plot(known, [y] * len(known), "|", color=colour, markersize=_CAP, mew=1.2, zorder=3)
    for beyond, edge, arrow in ((ends[0] < low, low, "<"), (ends[1] > high, high, ">")):
        if beyond:
            ax.plot(edge, y, marker=arrow, color=colour, markersize=4, clip_on=False, zorder=3)
    if low <= factor * row.estimate <= high:
        size = 3.4 if row.level else _DOT
        ax.plot(factor * row.estimate, y, marker=marker, color=colour, markersize=size, mec=INK, mew=0.5, zorder=4)


def _words(results: Results, data: pd.DataFrame) -> Words:
    own = data[data["level"] == ""]
    counts = {
        text: int((own["word"] == word).sum())
        for word, text in zip(_LOOKS, ("supported", "refuted", "inconclusive"), strict=True)
    }
    said = ", ".join(f"{count} {'is' if count == 1 else 'are'} {text}" for text, count in counts.items() if count)
    late = int(own["exploratory"].sum())
    mark = "exploratory " if late == len(own) else ""
    some = f", {late} of them exploratory," if 0 < late < len(own) else ""
    heading = (
        f"Of {len(own)} {mark}hypotheses{some} {said}" if len(own) > 1 else f"The {mark}hypothesis is {_only(counts)}"
    )
    excluded = max((one.excluded for one in results.findings), default=0)
    left = f" Up to {plural(excluded, 'run')} per hypothesis {_DOUBTED}." if excluded else ""
    why = dict.fromkeys(filter(None, map(why_exploratory, results.findings)))
    exploratory = f" Exploratory: {'; '.join(why)}." if why else ""
    levels = (
        " Bulleted, where there is room: the same question at each level of the other factors, where they differ."
        if len(own) < len(data)
        else ""
    )
    percent = " and ".join(f"{100 * level:g}{SPACE}%" for level in sorted({one.confidence for one in results.findings}))
    interval = (
        f"Lines: two-sided {percent} intervals, by stratified Theil-Sen for effects and by order statistics for "
        "values (of cells, from the lowest end to the highest; of a share of runs by Clopper and Pearson); none where "
        "the text says so."
    )
    # What speaks against the pauses of a run alone takes it from nothing else.
    asked = (one.hypothesis.outcome for one in results.findings)
    outcome = next((one for one in asked if OUTCOMES[one].table != "checkpoints"), "pause")
    caption = (
        "Effects are relative, per doubling of a size or for a change of level. Shaded: effects that are too small to "
        f"matter, within the smallest effect of interest; for values the declared range.{levels}{exploratory}{left} "
        f"{design_text(results, interval, doubted=_DOUBTED, outcome=outcome, judged=True)}"
    )
    each = "; ".join(f"{row.claim} {badge(row.word, row.label)}" for row in own.itertuples())
    return Words(heading, caption, f"Forest plot. {heading}. {each}.")


def _only(counts: dict[str, int]) -> str:
    return next(text for text, count in counts.items() if count)
