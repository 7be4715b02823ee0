"""How often families of verdicts are wrong: after their adjustment, at the size that is promised; and of slopes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from analysis import stats
from analysis.calibrate.layouts import told_apart
from analysis.calibrate.rates import AT_MOST, NOMINAL, around, as_rate
from analysis.calibrate.simulate import simulate_runs
from analysis.stats.exact_power import smallest_slope
from analysis.verdicts.claims import ALPHA
from analysis.verdicts.designs import POWER
from analysis.verdicts.equals import floor_of
from analysis.verdicts.families import adjust, decided
from analysis.verdicts.finding import Finding, nothing
from analysis.verdicts.trend import Edges, Sample, in_logs, stages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.calibrate.layouts import Layout, Layouts
    from analysis.calibrate.rates import Asked, Rate

    Floats = NDArray[np.float64]
    Pairs = Sequence[tuple[int, int]]
    Counted = Callable[[Sequence[Finding]], float]

_FAR, _ANY = 3.0, 1e-9
_ONE_WAY = {"trivially positive", "trivially negative", "opposite sign", "material"}
_PROMISED_BLOCKS = (3, 6, 12)
_PROMISED, _NEVER = around(POWER, 0.05), around(0.0, 0.05)
_LARGE = 1.0  # a doubling per doubling, where no effect can be found


def families(asked: Asked) -> Iterator[Rate]:
    """Yield how often a family holds a false word, before and after its adjustment, and which share of words is false.

    Every outcome is simulated once per study and shared by the hypotheses that ask about it; runs that are lost rank
    worst. A false SUPPORTED is asked of claims of any growth, however small: a smallest effect of interest makes it
    rarer. A false REFUTED is asked at the declared relative one, of claims in every direction, and there a false
    SUPPORTED of claims of no difference, with equal cells and without: what they differ by may make nothing easier.
    Of the secondary family none holds, and then every other one.
    """
    layouts = asked.layouts
    for said, family, edge, any_false, pairs in _any_false(layouts):
        slopes = [edge_of(one, edge) for one in family]
        yield from _adjusted_and_raw(asked, f"Holm: any of {len(family)} {said}", family, slopes, any_false, pairs)
    secondary, count = of_any_size(layouts.secondary), len(layouts.secondary)
    for first in dict.fromkeys((count, 1)):
        holding = set(range(first, count, 2))
        slopes = [
            _holding(one) if place in holding else edge_of(one, "SUPPORTED")
            for place, one in enumerate(layouts.secondary)
        ]
        said = f"share of false ones among SUPPORTED of {count}, {count - len(holding)} without growth"
        share = partial(_false_share, holding)
        yield from _adjusted_and_raw(asked, f"Benjamini-Hochberg: {said}", secondary, slopes, share)


def _any_false(layouts: Layouts) -> Iterator[tuple[str, Sequence[Layout], str, Counted, Pairs]]:
    """Yield what may be false, of whom, at the edge of which word, whether any finding is, and beside which equals."""
    primary, any_way = layouts.primary, lambda found: any(one.label in _ONE_WAY for one in found)
    yield "falsely SUPPORTED without growth", of_any_size(primary), "SUPPORTED", partial(_any_has, "SUPPORTED"), ()
    yield "falsely said to go one way without growth", primary, "SUPPORTED", any_way, ()
    for direction in ("increasing", "decreasing", "none"):
        family = [_claiming(one, direction=direction) for one in primary]
        # Of a claim of no difference both words are false there: it is as large as matters, and no larger.
        words = ("SUPPORTED", "REFUTED") if direction == "none" else ("REFUTED",)
        beside: tuple[tuple[str, Pairs], ...] = (("with equal cells", layouts.pairs), ("without", ()))
        for word, (equals, pairs) in product(words, beside):
            said = f"falsely {word} at the smallest effect of interest, claimed {direction}, {equals}"
            yield said, family, word, partial(_any_has, word), pairs


def _adjusted_and_raw(
    asked: Asked,
    method: str,
    family: Sequence[Layout],
    slopes: Sequence[float],
    counted: Counted,
    pairs: Pairs = (),
) -> Iterator[Rate]:
    """Yield what is counted in the findings of a family, adjusted and as they are; with ``pairs`` of equals."""
    rng = asked.rng
    model = replace(asked.model.alike(asked.layouts.cells), missing=0.0)
    outcomes = dict.fromkeys(one.hypothesis.outcome for one in family)
    logs = {outcome: simulate_runs(model, rng, asked.studies) for outcome in outcomes}
    adjusted, raw = [], []
    for study in range(asked.studies):
        found = [
            found_of(one, slope, logs[one.hypothesis.outcome][study], pairs)
            for one, slope in zip(family, slopes, strict=True)
        ]
        raw.append(counted(found))
        adjusted.append(counted(adjust(found)))
    yield as_rate(method, adjusted, AT_MOST)
    yield as_rate(f"unadjusted: {method.partition(': ')[2]}", raw, AT_MOST, recommended=False)


def _any_has(word: str, found: Sequence[Finding]) -> bool:
    return any(one.word == word for one in found)


def _false_share(holding: Collection[int], found: Sequence[Finding]) -> float:
    said = [place for place, one in enumerate(found) if one.word == "SUPPORTED"]
    return sum(place not in holding for place in said) / max(len(said), 1)


def _claiming(layout: Layout, **other: object) -> Layout:
    return replace(layout, hypothesis=layout.hypothesis.model_copy(update=other))


def of_any_size(family: Sequence[Layout]) -> list[Layout]:
    """Return the claims of growth as those of any growth; a claim of no difference keeps its smallest effect."""
    return [one if one.hypothesis.direction == "none" else _claiming(one, sesoi=_ANY) for one in family]


def edge_of(layout: Layout, word: str) -> float:
    """Return the slope, in logs, at which a word is false and hardest to avoid."""
    direction = layout.hypothesis.direction
    if word == "SUPPORTED" and direction != "none":
        return 0.0
    falls = direction == "decreasing"
    return (-1.0 if falls else 1.0) * in_logs(layout.hypothesis.sesoi, falls=falls)


def _holding(layout: Layout) -> float:
    """Return a slope, in logs, at which a claim holds beyond doubt."""
    return 0.0 if layout.hypothesis.direction == "none" else _FAR * edge_of(layout, "REFUTED")


def found_of(layout: Layout, slope: float, logs: Floats, pairs: Pairs) -> Finding:
    """Return the finding of one hypothesis in one study, not adjusted for its family.

    Args:
        layout: its runs.
        slope: what the logs grow by per unit of x.
        logs: (blocks, cells) without any effect, NaN where a run is lost.
        pairs: of equal cells, by their places.
    """
    rest = logs[layout.block, layout.cell]
    kept = np.isfinite(rest)
    x, strata = layout.x, np.array(layout.strata)
    y = np.exp(rest[kept] + slope * x[kept])
    there, lost = (tuple(map(tuple, strata[runs].tolist())) for runs in (kept, ~kept))
    sample = Sample(x[kept], x[kept], y, there, x[~kept], lost)
    hypothesis, blank = layout.hypothesis, nothing(layout.hypothesis, 0, int((~kept).sum()), ())
    if not sample.compares:
        return blank
    edges = Edges(hypothesis.sesoi, "sesoi", _floor(logs, pairs, sample.span))
    return decided(replace(blank, stages=tuple(stages(sample, edges, hypothesis.direction))), ALPHA)


def _floor(logs: Floats, pairs: Pairs, span: float) -> float:
    """Return what equals differ by, per unit of x, as :func:`analysis.verdicts.equals.noise_floor` has it."""
    every = [logs[:, other] - logs[:, one] for one, other in pairs]
    known = [each[np.isfinite(each)] for each in every]
    return float(np.expm1(np.log1p(floor_of([each for each in known if len(each)])) / span))


def interactions(asked: Asked) -> Iterator[Rate]:
    """Yield how often slopes that are equal at all levels of the other factors are found unequal (F test, 5 %).

    Of every design with several levels, where its runs suffice for the test; of two levels of the first one where no
    design has several.
    """
    layouts = asked.layouts
    several = {one.design: one for one in (*layouts.primary, *layouts.secondary) if one.design[1] > 1}
    if not several:
        one = layouts.primary[0]
        twice = replace(
            one,
            x=np.tile(one.x, 2),
            block=np.tile(one.block, 2),
            cell=np.concatenate([one.cell, one.cell + layouts.cells]),
            level=np.concatenate([one.level, one.level + one.level.max() + 1]),
        )
        several = {twice.design: twice}
    every, apart = asked.runs(asked.model.complete.alike(2 * layouts.cells)), told_apart(several)
    for (sizes, levels), one in several.items():
        level, block = one.level.tolist(), one.block.tolist()
        try:
            hits = [
                stats.interaction(one.x, study[one.block, one.cell], level, block).pvalue <= ALPHA for study in every
            ]
        except ValueError:
            continue
        said = f"F test of equal slopes, {len(sizes)} levels at {levels} combinations of others{apart[sizes, levels]}"
        yield as_rate(said, hits, NOMINAL)


def promises(asked: Asked) -> Iterator[Rate]:
    """Yield whether ``power`` promises what verdicts then do: how often an effect of the promised size is SUPPORTED.

    It is alone in its family, the first of the primary one that claims an effect, and no run goes missing, as ``power``
    assumes. Nothing where nobody claims one: no effect supports that there is none.
    """
    primary, pairs = asked.layouts.primary, asked.layouts.pairs
    claimed = next((one for one in primary if one.hypothesis.direction != "none"), None)
    if claimed is None:
        return
    way = -1.0 if claimed.hypothesis.direction == "decreasing" else 1.0
    ordered = of_any_size((claimed, *(one for one in primary if one is not claimed)))
    for blocks in _PROMISED_BLOCKS:
        family = [one.of_blocks(blocks) for one in ordered]
        logs = asked.runs(replace(asked.model.complete.alike(asked.layouts.cells), blocks=blocks))
        slope, said, claim = _promised(family, logs, blocks, len(pairs)), "at the size that power promises", _PROMISED
        if math.isinf(slope):
            slope, said, claim = _LARGE, "though power says that no effect can be", _NEVER
        slopes = [way * slope, *(edge_of(one, "SUPPORTED") for one in family[1:])]
        hits = [
            adjust([found_of(*one, study, pairs) for one in zip(family, slopes, strict=True)])[0].word == "SUPPORTED"
            for study in logs
        ]
        yield as_rate(f"SUPPORTED {said}, {blocks} blocks", hits, claim)


def _promised(family: Sequence[Layout], logs: Floats, blocks: int, pairs: int) -> float:
    """Return the smallest slope that is promised, planned with the deviation that this noise has within blocks."""
    one = family[0]
    first = one.block == 0
    strata = [one.x[first & (one.level == level)] for level in np.unique(one.level)]
    rest = logs - logs.mean(axis=-1, keepdims=True)
    sd = math.sqrt(float((rest**2).mean()) * logs.shape[-1] / (logs.shape[-1] - 1))
    return smallest_slope(strata, sd, blocks, alpha=ALPHA / len(family), power=POWER, pairs=pairs)
