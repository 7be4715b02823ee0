from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from analysis.plots.style import STYLES, category, dashes_of, ink_on, is_wide, look, named, ordered_colours


@pytest.mark.parametrize(
    ("name", "wide_in", "narrow_in"), [("screen", 7.0, 3.4), ("acm", 7.0, 3.33), ("ieee", 7.16, 3.5)]
)
def test_a_style_has_the_widths_of_its_page(name: str, wide_in: float, narrow_in: float) -> None:
    style = named(name)
    assert (style.name, style.wide_in, style.narrow_in) == (name, wide_in, narrow_in)
    assert is_wide(wide_in)
    assert not is_wide(narrow_in)


def test_print_is_finer_than_a_screen() -> None:
    assert {name: style.dpi for name, style in STYLES.items()} == {"screen": 200, "acm": 300, "ieee": 300}


def test_an_unknown_style_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match=r"screen, acm, ieee and is 'nature'"):
        named("nature")


def test_the_look_embeds_fonts_and_is_gone_afterwards() -> None:
    before = dict(mpl.rcParams)
    with look():
        assert (mpl.rcParams["pdf.fonttype"], mpl.rcParams["svg.fonttype"]) == (42, "none")
        assert mpl.rcParams["font.size"] == 8.0
    assert dict(mpl.rcParams) == before


def test_ordered_colours_get_lighter_in_grey_too() -> None:
    grey = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(mpl.colors.to_rgb, ordered_colours(7))]
    assert (np.diff(grey) > 0.03).all()


def test_no_two_of_many_levels_look_the_same_in_a_legend() -> None:
    assert len({category(place) for place in range(40)}) == 40
    assert len({dashes_of(place) for place in range(16)}) == 16


@pytest.mark.parametrize(("colour", "ink"), [("#ffffff", "#111111"), ("#F0E442", "#111111"), ("#000000", "#ffffff")])
def test_ink_contrasts_with_what_it_is_on(colour: str, ink: str) -> None:
    assert ink_on(colour) == ink
