from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plots import axes
from analysis.plots.style import look


def _ax(width_in: float = 3.0) -> axes.Axes:
    return Figure(figsize=(width_in, 2.0)).add_subplot()


def test_an_axis_of_similar_values_starts_at_zero() -> None:
    ax = _ax()
    assert not axes.ms_axis(ax, "y", np.array([20.0, 60.0]), room=2.0)
    assert ax.get_ylim() == pytest.approx((0.0, 63.6))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "20", "40", "60"]


def test_an_axis_of_values_of_different_magnitudes_is_logarithmic() -> None:
    ax = _ax()
    assert axes.ms_axis(ax, "x", np.array([np.nan, 2.0, 400.0]), room=2.0)
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["3", "10", "30", "100", "300"]


def test_values_with_a_zero_are_never_drawn_on_a_logarithmic_axis() -> None:
    for log in (None, True):
        assert not axes.ms_axis(_ax(), "x", np.array([0.0, 400.0]), room=2.0, log=log)


@pytest.mark.parametrize(("values", "wide"), [([2.0, 400.0], True), ([20.0, 60.0], False), ([0.0, 400.0], False)])
def test_a_figure_can_say_beforehand_that_an_axis_will_be_logarithmic(values: list[float], *, wide: bool) -> None:
    known = np.array([*values, np.nan])
    assert axes.ranges_widely(known) == wide == axes.ms_axis(_ax(), "y", known, room=2.0)


def test_room_for_text_lies_above_the_values() -> None:
    ax = _ax()
    axes.ms_axis(ax, "y", np.array([1.0, 10.0]), room=2.0, log=False, head=0.5)
    assert ax.get_ylim()[1] == pytest.approx(15.6)


def test_sizes_are_marked_by_name_on_a_scale_of_doublings() -> None:
    ax = _ax(4.0)
    axes.size_axis(ax, [1 << 28, 1 << 30, 1 << 32], ["256 MiB", "1 GiB", "4 GiB"], 3.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["256 MiB", "1 GiB", "4 GiB"]
    assert list(ax.get_xticks()) == [1 << 28, 1 << 30, 1 << 32]


def test_names_of_sizes_that_would_touch_are_left_out_and_their_marks_are_not() -> None:
    ax = _ax()
    sizes = [n << 28 for n in (4, 5, 6, 7, 8)]
    axes.size_axis(ax, sizes, ["1 GiB", "1280 MiB", "1536 MiB", "1792 MiB", "2 GiB"], 2.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1 GiB", "", "1536 MiB", "", "2 GiB"]
    assert len(ax.get_xticks()) == len(sizes)


def test_a_text_is_broken_into_lines_that_fit() -> None:
    assert axes.fitting("dirty, working set fixed · unix · qemu64", 1.0) == "dirty, working set\nfixed · unix\nqemu64"
    assert axes.fitting("", 1.0) == ""


def test_a_legend_fills_its_rows_and_its_height_is_known() -> None:
    entries = [Line2D([], [], label=f"{n} GiB") for n in range(9)]
    assert axes.legend_in(entries, 7.0) == pytest.approx(2 * 0.165 + 0.06)
    assert axes.legend_in([], 7.0) == 0.0


def test_panels_stand_in_two_columns_over_the_page_and_in_one_in_a_column() -> None:
    with look():
        wide, narrow = (axes.Panels(["a", "b", "c"], width, [1.0] * 3) for width in (7.0, 3.4))
    assert [(panels.columns, panels.rows) for panels in (wide, narrow)] == [(2, 2), (1, 3)]
    assert list(wide.by_name) == ["a", "b", "c"]
    assert [ax.get_visible() for ax in wide.figure.axes] == [True, True, True, False]


def test_the_axis_label_stands_below_a_panel_that_has_none_beneath() -> None:
    with look():
        panels = axes.Panels(["a", "b", "c"], 7.0, [1.0] * 3)
        panels.label("VM pause [ms]", "share")
    assert [ax.get_xlabel() for ax in panels.axes] == ["", "VM pause [ms]", "VM pause [ms]"]


def test_rows_stand_in_two_columns_when_one_would_be_long() -> None:
    assert axes.columns_of_rows(7.0, [6, 6, 6]) == 2
    assert axes.columns_of_rows(7.0, [4, 4]) == 1
    assert axes.columns_of_rows(7.0, [30]) == 1
    assert axes.columns_of_rows(3.4, [6, 6, 6]) == 1


def test_the_names_of_axes_beside_each_other_do_not_touch() -> None:
    with look():
        panels = axes.Panels(["one", "two", "three"], 7.0, [0.7] * 3, columns=3)
        panels.label("time since the first request or checkpoint [s]")
        panels.figure.draw_without_rendering()
        boxes = [ax.xaxis.label.get_window_extent() for ax in panels.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert boxes[-1].x1 <= panels.figure.bbox.x1
    assert min(box.y0 for box in boxes) >= 0
