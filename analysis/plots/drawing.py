"""A figure as files, as pictures for a page and a phone, as data, and in words."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG

from analysis.plots.letters import reduced_once
from analysis.plots.style import FALLBACK, FONT, look
from analysis.verdicts.digits import csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.plots.style import Style

KINDS = ("svg", "pdf", "png")
"""Kinds of files over the width of the page."""

_MOST_SVG_BYTES = 250_000
_PLACES = 6
"""Decimals of a position, in shares of the figure: far less than anybody sees."""


class NoFigureError(Exception):
    """This campaign has no data for a figure; the message says what is missing."""


@dataclass(frozen=True)
class Skipped:
    """A figure that was not drawn, and why not, as a sentence without its full stop."""

    name: str
    why: str


@dataclass(frozen=True)
class Words:
    """What a figure says.

    Attributes:
        heading: the finding, as a sentence without a full stop.
        caption: what is drawn, of how many runs and checkpoints, which intervals, what is left out.
        alt: the picture for those who cannot see it.
    """

    heading: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Sketch:
    """A figure before it is drawn: the data that will be, the words, and the way to plot it at a width in inches."""

    name: str
    data: pd.DataFrame
    words: Words
    plot: Callable[[pd.DataFrame, float], Figure]


@dataclass(frozen=True)
class Picture:
    """An image that a page can carry."""

    mime: str
    content: bytes


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: of its files.
        files: ``svg``, ``pdf`` and ``png`` over the width of the page.
        column_files: the same in the width of a column; for a screen ``narrow`` alone, since that is for a phone.
        wide: the picture for a page; ``narrow``: for a phone.
        data: what is drawn, to be saved beside it as CSV.
        words: what it says.
    """

    name: str
    files: dict[str, bytes]
    column_files: dict[str, bytes]
    wide: Picture
    narrow: Picture
    data: pd.DataFrame
    words: Words

    @property
    def by_name(self) -> dict[str, bytes]:
        """Return all of its files by name: over the page, in a column, and its data."""
        wide = {f"{self.name}.{kind}": content for kind, content in self.files.items()}
        column = {f"{self.name}-column.{kind}": content for kind, content in self.column_files.items()}
        return wide | column | {f"{self.name}.csv": csv(self.data)}


def draw(sketch: Sketch, style: Style) -> Drawing:
    """Draw a sketch at both widths of a style. The same data gives the same bytes: no dates, fixed identifiers."""
    with look():
        files = _files(sketch.plot(sketch.data, style.wide_in), style.dpi, KINDS)
        kinds = style.column_kinds or (_carried(files),)
        column = _files(sketch.plot(sketch.data, style.narrow_in), style.dpi, kinds)
    return Drawing(
        name=sketch.name,
        files=files,
        column_files=column,
        wide=_picture(files, _carried(files)),
        narrow=_picture(column, _carried(files)),
        data=sketch.data,
        words=sketch.words,
    )


def _files(figure: Figure, dpi: int, kinds: Sequence[str]) -> dict[str, bytes]:
    with warnings.catch_warnings():
        # A workload may be named in a script that the bundled font lacks: a box in the figure, not a failed report.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.set_dpi(dpi)
        # Laid out once for all kinds of file: they then agree, and only one of them pays for it.
        if engine := figure.get_layout_engine():
            engine.execute(figure)
        figure.set_layout_engine("none")
        _settle(figure)
        return {kind: _save(figure, kind, dpi) for kind in kinds}


def _settle(figure: Figure) -> None:
    """Have everything stay where the layout has put it, rounded: its last bits differ from one process to the next.

    Matplotlib names clips in an SVG by the hash of where they are; and labels of axes that may still move are placed
    anew in each drawing, by all that stands beside them.
    """
    for ax in figure.axes:
        ax.get_tightbbox()  # its labels stand where it is now
        ax.set_position(np.round(ax.get_position(original=True).bounds, _PLACES).tolist())
        # A colour bar is placed anew in each drawing, and its label with it.
        for axis in (ax.xaxis, ax.yaxis) if ax.get_axes_locator() is None else ():
            label = axis.label
            at = label.get_transform().transform(label.get_position())
            axis.set_label_coords(*np.round(ax.transAxes.inverted().transform(at), _PLACES))
    for text in figure.texts:
        text.set_position(np.round(text.get_position(), _PLACES).tolist())


def _save(figure: Figure, kind: str, dpi: int) -> bytes:
    # The vector formats leave the figure at their own 72 dots per inch.
    figure.set_dpi(dpi)
    return _CANVASES[kind](figure)


# The canvases are called by themselves: savefig would draw each figure once more to find its layout.
def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue().replace(f"'{FONT}'".encode(), ", ".join((f"'{FONT}'", *FALLBACK)).encode())


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with reduced_once():
        FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Of the usual level the file is a twentieth smaller, and takes half as long again.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None}, pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


_MIME = {"svg": "image/svg+xml", "png": "image/png"}
_CANVASES = {"svg": _svg, "pdf": _pdf, "png": _png}


def _carried(files: dict[str, bytes]) -> str:
    """Return the kind of file that a page carries."""
    return "svg" if len(files["svg"]) <= _MOST_SVG_BYTES else "png"


def _picture(files: dict[str, bytes], kind: str) -> Picture:
    return Picture(_MIME[kind], files[kind])
