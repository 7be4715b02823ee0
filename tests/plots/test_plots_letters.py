from __future__ import annotations

import io
import zlib
from re import DOTALL, findall

import pytest
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from analysis.plots.letters import reduced_once
from analysis.plots.style import look

USUAL, RARE = "fine: 5 ± 1 ms, −3 %", "ж: 5 ms"  # noqa: RUF001 - letters of a page


def written(text: str) -> bytes:
    """Return a PDF of a text, with nothing in it that differs from one to the next."""
    file = io.BytesIO()
    with look():
        figure = Figure(figsize=(2, 1))
        figure.text(0.1, 0.5, text)
        FigureCanvasPdf(figure).print_pdf(file, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return file.getvalue()


def shapes(pdf: bytes) -> set[str]:
    """Return the names of the letters that have a shape in its fonts."""
    found: set[str] = set()
    for packed in findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, DOTALL):
        content = zlib.decompress(packed) if packed[:1] == b"x" else packed
        if content.startswith(b"\x00\x01\x00\x00"):
            glyphs = TTFont(io.BytesIO(content))["glyf"]
            found |= {name for name in glyphs.keys() if glyphs[name].numberOfContours}  # noqa: SIM118 - no mapping
    return found


@pytest.mark.parametrize("text", [USUAL, RARE])
def test_a_pdf_has_a_shape_for_every_letter_that_it_is_set_in(text: str) -> None:
    alone = shapes(written(text))
    with reduced_once():
        assert alone
        assert alone <= shapes(written(text))


def test_what_is_taken_again_is_the_same_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with reduced_once():
        first = written(USUAL)
        monkeypatch.setattr("fontTools.ttLib.tables._h_e_a_d.timestampNow", lambda: 0)
        assert written(USUAL) == first


def test_what_is_rare_comes_alone() -> None:
    with reduced_once():
        assert len(shapes(written(RARE))) < len(shapes(written(USUAL))) / 10
    assert len(shapes(written(USUAL))) < 30
