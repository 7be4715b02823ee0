"""How sizes show: memory is a colour in order of lightness and a marker, the number of vCPUs a line style."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.lines import Line2D

from analysis.plots.data import cell_columns
from analysis.plots.style import INK, MARKERS, dashes_of, line_style, ordered_colours

if TYPE_CHECKING:
    from analysis.stored.cells import Cells


@dataclass(frozen=True)
class SizeKey:
    """The colour, marker and line style of each size.

    Attributes:
        memories: as a person writes them, smallest first; ``vcpus``: the same.
        colours: by memory; ``markers``: by memory; ``dashes``: by vCPUs.
    """

    memories: tuple[str, ...]
    vcpus: tuple[str, ...]
    colours: dict[str, str]
    markers: dict[str, str]
    dashes: dict[str, Any]

    @classmethod
    def of(cls, data: pd.DataFrame) -> SizeKey:
        """Read the sizes off a frame with the columns of :func:`analysis.plots.data.cell_columns`."""
        memories = _ordered(data, "memory", "mem_bytes")
        vcpus = _ordered(data, "vcpus", "smp")
        return cls(
            memories,
            vcpus,
            dict(zip(memories, ordered_colours(len(memories), lines=True), strict=True)),
            {text: MARKERS[place % len(MARKERS)] for place, text in enumerate(memories)},
            {text: dashes_of(place) for place, text in enumerate(vcpus)},
        )

    @classmethod
    def of_all(cls, cells: Cells) -> SizeKey:
        """Return the key of every size of a campaign, so that one looks the same in every figure."""
        return cls.of(pd.DataFrame([cell_columns(cells, place) for place in range(len(cells.names))]))

    def within(self, data: pd.DataFrame) -> SizeKey:
        """Return the key of the sizes that a frame has."""
        memories, vcpus = _ordered(data, "memory", "mem_bytes"), _ordered(data, "vcpus", "smp")
        return replace(self, memories=memories, vcpus=vcpus)

    def entries(self, *, markers: bool = False) -> list[Line2D]:
        """Return legend entries; of a size that never varies too, since it has to be known."""
        by_memory = [
            Line2D(
                [],
                [],
                color=self.colours[text],
                linewidth=2,
                marker=self.markers[text] if markers else "none",
                markersize=4,
                label=text,
            )
            for text in self.memories
        ]
        by_vcpus = [
            Line2D([], [], color=INK, linewidth=1.2, linestyle=line_style(self.dashes[text]), label=text)
            for text in self.vcpus
        ]
        return by_memory + by_vcpus


def _ordered(data: pd.DataFrame, text: str, number: str) -> tuple[str, ...]:
    return tuple(data[[text, number]].drop_duplicates().sort_values(number)[text])
