"""How figures look: at their size in print, colour-blind safe, legible in grey, the same bytes from the same data."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Look = dict[str, Any]
"""Keyword arguments of matplotlib."""

TEXT_PT, SMALL_PT = 8.0, 7.0
"""Text sizes at print size, in points: names and labels, and everything that stands closer together."""

LINE_PT = 0.5
"""The thinnest line that print keeps, in points."""

CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Colours without an order (Okabe & Ito), told apart by colour-blind readers."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Markers without an order: what a colour says, a marker says too."""

DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (5, 1, 1, 1), (8, 2), (3, 1, 1, 1, 1, 1))
"""Line styles without an order, as seaborn takes them; of more, see :func:`dashes_of`."""

FONT, FALLBACK = "DejaVu Sans", ("'Verdana'", "sans-serif")
"""What letters are drawn with, and what a browser takes where there is none of that name: Verdana is as wide."""

INK, QUIET, FAINT = "#111111", "#555555", "#dddddd"
"""Text and whiskers, what is said aside, and grid lines."""

BAND, BAND_EDGE = "#e4ecf3", "#8899aa"
"""Shaded ranges."""

_WIDE_FROM_IN = 5.0
_PALEST, _PALEST_LINE = 0.88, 0.62


@dataclass(frozen=True)
class Style:
    """Where a figure is going.

    Attributes:
        wide_in: width over the whole page, in inches.
        narrow_in: width of a column, or of a phone.
        dpi: of the PNG, and of what is drawn as pixels in the others.
        column_kinds: kinds of files at the narrow width; none: the one kind that a page for a phone carries.
    """

    name: str
    wide_in: float
    narrow_in: float
    dpi: int
    column_kinds: tuple[str, ...] = ("svg", "pdf", "png")


STYLES = {
    style.name: style
    for style in (
        Style("screen", 7.0, 3.4, 200, ()),
        Style("acm", 7.0, 3.33, 300),
        Style("ieee", 7.16, 3.5, 300),
    )
}
"""The styles by the names that ``figure.style`` takes: ACM sigconf, IEEE journals, and a page on a screen."""

_COMMON: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.labelsize": TEXT_PT,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT_PT,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # given, or each drawing looks where there is room
    "figure.constrained_layout.use": True,
    "figure.titlesize": SMALL_PT,
    "font.family": [FONT],
    "font.size": TEXT_PT,
    "grid.color": FAINT,
    "grid.linewidth": LINE_PT,
    "hatch.linewidth": LINE_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.title_fontsize": SMALL_PT,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "colo-bench",
    "text.parse_math": False,
    "xtick.labelsize": SMALL_PT,
    "xtick.major.width": 0.6,
    "ytick.labelsize": SMALL_PT,
    "ytick.major.width": 0.6,
}


def named(style: str) -> Style:
    """Return a style by its name.

    Raises:
        ValueError: there is none of that name; the message lists them.
    """
    if style not in STYLES:
        raise ValueError(f"figure.style must be one of {', '.join(STYLES)} and is {style!r}")
    return STYLES[style]


@contextmanager
def look() -> Iterator[None]:
    """Set matplotlib to the look of the figures, whatever the user's own settings are, and set it back."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", _COMMON))
        yield


def is_wide(width_in: float) -> bool:
    """Tell whether a figure spans the page; else it stands in a column or on a phone."""
    return width_in > _WIDE_FROM_IN


def category(place: int) -> tuple[str, str]:
    """Return colour and marker of what has no order; places of one colour differ in their marker."""
    again = place // len(CATEGORIES)
    return CATEGORIES[place % len(CATEGORIES)], MARKERS[(place + again) % len(MARKERS)]


def dashes_of(place: int) -> Any:
    """Return the dashes of a place: beyond :data:`DASHES` each has a dot more, so that no two look the same."""
    more = place - len(DASHES)
    return DASHES[place] if more < 0 else (3, 1, *(1, 1) * (more + 3))


def line_style(dashes: Any) -> Any:
    """Return dashes as matplotlib's lines take them."""
    return (0, dashes) if dashes else "-"


def ordered_colours(count: int, *, lines: bool = False) -> list[str]:
    """Return colours whose order shows in grey too: viridis without its palest end, a darker one for lines."""
    palest = _PALEST_LINE if lines else _PALEST
    return [mpl.colors.to_hex(mpl.colormaps["viridis"](place)) for place in np.linspace(0.0, palest, count)]


def ink_on(colour: Any) -> str:
    """Return black or white, whichever is read more easily on ``colour`` (relative luminance, WCAG 2)."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - of sRGB
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return INK if luminance > 0.18 else "#ffffff"  # noqa: PLR2004 - equal contrast with both
