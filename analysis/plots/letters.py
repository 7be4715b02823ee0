"""The fonts of PDFs: reduced once in a process to the letters that figures have, instead of anew for each figure.

To reduce them took a quarter of the time that PDFs took, for what is nearly always the same letters.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.backends import _backend_pdf_ps as fonts
from matplotlib.font_manager import get_font

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LIGATURES = range(0xFB00, 0xFB07)
_SIGNS = (0xA0, 0xB1, 0xB5, 0xB7, 0xD7, 0x2013, 0x2014, 0x2020, 0x2026, 0x2192, 0x2212, 0x2264, 0x2265)
_LETTERS = (*range(0x20, 0x7F), *_SIGNS, *_LIGATURES)
"""Code points: those of ASCII, and what stands between numbers."""

_UNREAD = ("GDEF", "GPOS", "GSUB", "MATH", "kern")
"""Tables by which letters are chosen and set: a PDF names each by number and place."""

_reduced = fonts.get_glyphs_subset
_REUSED = hasattr(fonts, "SubsetResults")
"""Whether matplotlib asks for glyphs by number, as it does from 3.11 on: else it reduces each font anew."""


@contextmanager
def reduced_once() -> Iterator[None]:
    """Have matplotlib take the fonts that it embeds from those that were reduced before."""
    tables = getattr(subset.Options, "_drop_tables_default", [])
    setattr(subset.Options, "_drop_tables_default", [*tables, *_UNREAD])  # noqa: B010 - it is not ours to see
    if _REUSED:
        fonts.get_glyphs_subset = _of_all  # type: ignore[assignment]
    try:
        yield
    finally:
        setattr(subset.Options, "_drop_tables_default", tables)  # noqa: B010 - as above
        fonts.get_glyphs_subset = _reduced


def _of_all(path: Any, glyphs: Collection[int]) -> Any:
    """Return a font with all of the usual letters, or with these, where one of them is another one."""
    usual, content, places = _usual(path)
    if not usual.issuperset(glyphs):
        return _reduced(path, set(glyphs))
    # Nothing is computed anew: the same bytes at any time.
    font = TTFont(io.BytesIO(content), lazy=True, recalcBBoxes=False, recalcTimestamp=False)
    return fonts.SubsetResults(font, places)._as_cm()  # noqa: SLF001 - as it does


@lru_cache(maxsize=8)
def _usual(path: Any) -> tuple[frozenset[int], bytes, dict[Any, Any]]:
    """Return the glyphs of the usual letters in a font, its file with these alone, and their numbers there."""
    font = get_font(path)
    glyphs = frozenset(glyph for letter in _LETTERS if (glyph := font.get_char_index(letter)))
    with _reduced(path, set(glyphs)) as found:
        return glyphs, fonts.font_as_file(found.font).getvalue(), found.glyph_index_map  # type: ignore[no-untyped-call]
