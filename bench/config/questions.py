"""Sweeping a size is asking what it does: the hypotheses of a campaign that declares none of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.config.factors import factor_levels
from bench.config.hypotheses import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.config.model import Cell
    from bench.format.factors import Level

    Factors = Mapping[str, Level]

_SCALING = "workload.scaling"
_CACHE_SIZE = re.compile(r"cpu\.cache\.(?P<name>l[0-9][di]?)\.size")


def questions(cells: Sequence[Cell]) -> tuple[Hypothesis, ...]:
    """Return one hypothesis per size that these cells sweep; of RAM two, where they hold both arms of dirty pages.

    The sizes are RAM, vCPUs and the guest's caches. vCPUs and caches are asked at a fixed dirty working set where there
    is one: it is the arm that has them all. All ask of the mean: over TCP a checkpoint stalls once or twice, and a
    median is of whichever is more frequent, so that it jumps between the two from run to run.
    """
    factors = [factor_levels(cell) for cell in cells]
    return tuple(Hypothesis.model_validate({"outcome": "pause_mean", **asked}) for asked in _asked(factors))


def _asked(factors: Sequence[Factors]) -> Iterator[dict[str, object]]:
    arms = {level for cell in factors if (level := cell.get(_SCALING)) is not None}
    fixed = {"where": {_SCALING: "fixed"}} if len(arms) > 1 else {}
    if _sizes(factors, "mem") and fixed:
        own = {"id": "ram_alone", "claim": "The pause grows with RAM by itself, at the same dirty working set."}
        yield {**own, "factor": "mem", **fixed}
        pages = {"id": "ram_pages", "claim": "The pause grows with RAM when the dirty working set grows with it."}
        yield {**pages, "factor": "mem", "where": {_SCALING: "mem"}}
    elif _sizes(factors, "mem"):
        yield {"id": "ram", "claim": "The pause grows with RAM.", "factor": "mem"}
    if _sizes(factors, "smp"):
        yield {"id": "vcpus", "claim": "The pause grows with the number of vCPUs.", "factor": "smp", **fixed}
    if {cell.get("cpu.l3_cache") for cell in factors} >= {True, False}:
        claim = "A guest with an L3 cache pauses longer than one without."
        own = {"id": "l3_cache", "claim": claim, "kind": "contrast", "factor": "cpu.l3_cache"}
        yield {**own, "levels": (False, True), **fixed}
    for path in dict.fromkeys(path for cell in factors for path in cell):
        if (match := _CACHE_SIZE.fullmatch(path)) and _sizes(factors, path):
            name = match["name"]
            claim = f"The pause grows with the guest's {name.upper()} cache."
            yield {"id": f"{name}_cache_size", "claim": claim, "factor": path, **fixed}


def _sizes(factors: Sequence[Factors], path: str) -> bool:
    """Return whether a size is swept: two levels of it, or more."""
    return len({cell.get(path) for cell in factors} - {None}) > 1
