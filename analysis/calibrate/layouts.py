"""Which runs of a design answer each hypothesis: what the error rates of its verdicts depend on beside the noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.format.factors import flatten
from analysis.format.outcomes import OUTCOMES
from analysis.runs.counting import counts
from analysis.stored.factors import effective, working_set_bytes
from analysis.stored.records import Hypothesis
from analysis.verdicts.declared import declared
from analysis.verdicts.designs import designs
from analysis.verdicts.equals import equals
from analysis.verdicts.question import make_sample, question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis.calibrate.simulate import Model
    from analysis.stored.campaign import Campaign

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

FAMILY = 4
"""Hypotheses of a family where no campaign says how many."""

_PAIRS = ((0, 1), (2, 3))
"""Equal cells where a campaign has none: two pairs, of which five blocks give an interval."""


@dataclass(frozen=True)
class Layout:
    """The runs that a hypothesis is judged from.

    Attributes:
        hypothesis: a trend or a contrast.
        x: (n,) the factor on the scale of its effect, from 0.
        block: (n,) the block of each run; ``cell``: (n,) its cell's place; ``level``: (n,) its combination of the other
            factors.
    """

    hypothesis: Hypothesis
    x: Floats
    block: Ints
    cell: Ints
    level: Ints

    @property
    def strata(self) -> list[tuple[int, int]]:
        """Return the stratum of each run."""
        return list(zip(self.block.tolist(), self.level.tolist(), strict=True))

    def of_blocks(self, count: int) -> Layout:
        """Return one of so many blocks, each as the one that compares most, the first of several: others lost some."""

        def compared(block: int) -> int:
            own = self.block == block
            return len(set(zip(self.level[own], self.x[own], strict=True))) - len(set(self.level[own]))

        whole = self.block == max(np.unique(self.block).tolist(), key=compared)
        x, cell, level = (np.tile(each[whole], count) for each in (self.x, self.cell, self.level))
        return Layout(self.hypothesis, x, np.repeat(np.arange(count), int(whole.sum())), cell, level)

    @property
    def design(self) -> tuple[tuple[float, ...], int]:
        """Return the levels of the factor, and how many combinations of the others compare them."""
        return tuple(float(x) for x in np.unique(self.x)), len(np.unique(self.level))


@dataclass(frozen=True)
class Layouts:
    """What is asked of a design.

    Attributes:
        cells: per block.
        primary: the trends and contrasts of the primary family; ``secondary``: of the other.
        trends: the different designs among them: levels of the factor, combinations of the others.
        pairs: of equal cells, by their places.
    """

    cells: int
    primary: tuple[Layout, ...]
    secondary: tuple[Layout, ...]
    trends: tuple[tuple[tuple[float, ...], int], ...]
    pairs: tuple[tuple[int, int], ...]


def told_apart(trends: Iterable[tuple[tuple[float, ...], int]]) -> dict[tuple[tuple[float, ...], int], str]:
    """Return what tells designs of as many levels and combinations apart: the span of their factor; else nothing."""
    every = list(trends)
    alike = [(len(x), combinations) for x, combinations in every]
    return {
        one: f", span {max(one[0]) - min(one[0]):.3g}" if alike.count(both) > 1 else ""
        for one, both in zip(every, alike, strict=True)
    }


def assumed(model: Model) -> Layouts:
    """Return a stand-in for a design without hypotheses: both families of four, each on cells of its own."""
    own = len(model.sizes) * model.combinations
    place, block = np.tile(np.arange(own), model.blocks), np.repeat(np.arange(model.blocks), own)
    x, level = np.tile(np.array(model.sizes) - model.sizes[0], model.strata), place // len(model.sizes)
    claim = {"claim": "It grows.", "factor": "mem"}
    primary, secondary = (
        tuple(
            Layout(
                Hypothesis.model_validate({**claim, "id": f"{family} {number}", "family": family}),
                x=x,
                block=block,
                cell=number * own + place,
                level=level,
            )
            for number in range(FAMILY)
        )
        for family in ("primary", "secondary")
    )
    return Layouts(FAMILY * own, primary, secondary, ((model.sizes, model.combinations),), _PAIRS)


def layouts_of(campaign: Campaign, model: Model) -> Layouts:
    """Return what a campaign's plan asks of the runs that it has; the stand-in for what it does not declare.

    Args:
        campaign: as it was read; its outcomes play no part.
        model: of it, for the stand-in.
    """
    runs = _bare(campaign)
    found = [layout for one in declared(campaign) if (layout := _layout(campaign, runs, one)) is not None]
    primary, secondary = (
        tuple(one for one in found if one.hypothesis.family == name) for name in ("primary", "secondary")
    )
    other = assumed(model)
    pairs = tuple(equals(runs)) or other.pairs
    cells = 1 + max(int(runs["cell"].max()), *map(max, pairs))
    needed = cells if primary and secondary else max(cells, other.cells)
    trends = (one.design for one in (*primary, *secondary)) if found else _of_cells(campaign)
    return Layouts(
        needed,
        primary or other.primary,
        secondary or other.secondary,
        tuple(dict.fromkeys(trends)) or other.trends,
        pairs,
    )


def _bare(campaign: Campaign) -> pd.DataFrame:
    """Return the run table without anything measured, of the runs that count: every outcome is 1."""
    sound = [run for run in campaign.runs if counts(run)]
    cells = {cell: place for place, cell in enumerate(sorted({run.record.cell_id for run in sound}))}
    blocks = {block: place for place, block in enumerate(sorted({run.record.block for run in sound}))}
    rows = []
    for run in sound:
        factors = flatten(run.record.cell) | {"accel": run.record.accel}
        own = {
            "cell": cells[run.record.cell_id],
            "block": blocks[run.record.block],
            "quality_ok": True,
            "working_set_bytes": working_set_bytes(factors),
            "effective": repr(sorted(effective(factors).items())),
        }
        rows.append({**factors, **own, **dict.fromkeys(OUTCOMES, 1.0)})
    return pd.DataFrame(rows)


def _layout(campaign: Campaign, runs: pd.DataFrame, hypothesis: Hypothesis) -> Layout | None:
    """Return None for a value, and where no stratum of runs that take checkpoints compares anything."""
    if hypothesis.kind == "value":
        return None
    asked = question(replace(campaign, without=()), runs, hypothesis)
    sample = make_sample(asked, asked.runs) if len(asked.runs) else None
    if sample is None:
        return None
    block, cell = (asked.runs[name].to_numpy(dtype=np.int64) for name in ("block", "cell"))
    return Layout(
        hypothesis,
        x=sample.x - sample.x.min(),
        block=block,
        cell=cell,
        level=_codes(stratum[1:] for stratum in sample.strata),
    )


def _codes(labels: Iterable[object]) -> Ints:
    texts = [repr(label) for label in labels]
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def _of_cells(campaign: Campaign) -> list[tuple[tuple[float, ...], int]]:
    """Return the trends over every size among the cells, each over all combinations that compare it."""
    most: dict[tuple[float, ...], int] = {}
    for design in designs({run.record.cell_id: run for run in campaign.runs}.values()):
        if design.per == "per doubling":
            x = tuple(value - design.x[0] for value in design.x)
            most[x] = max(most.get(x, 1), design.combinations)
    return list(most.items())
