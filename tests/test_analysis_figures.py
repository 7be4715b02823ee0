from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures.fake_campaign import DIRTY, IDLE, Fake, write_campaign
from PIL import Image

from analysis.cells import name_cells
from analysis.figures import MOST_STEPS, NARROW_IN, WIDE_IN, ecdf_points, figures, plot_ecdf, plot_phases, style
from analysis.load import load_campaign
from analysis.summary import cell_table, run_table, used_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.cells import Cells
    from analysis.figures import Drawing


def _tables(parent: Path, fake: Fake) -> tuple[pd.DataFrame, pd.DataFrame, Cells]:
    campaign = load_campaign(write_campaign(parent, fake))
    cells = name_cells(run.record for run in campaign.runs)
    used = used_checkpoints(campaign.runs, cells)
    return used, cell_table(cells, run_table(campaign.runs, cells), used), cells


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, Cells]:
    fake = Fake(smps=(1, 2), workloads=(IDLE, DIRTY), links=("tcp", "unix"), repeats=2, count=12)
    return _tables(tmp_path_factory.mktemp("results"), fake)


@pytest.fixture(scope="module")
def drawings(demo: tuple[pd.DataFrame, pd.DataFrame, Cells]) -> tuple[Drawing, ...]:
    return tuple(figures(*demo))


def test_each_figure_comes_in_three_formats_and_with_its_data(drawings: tuple[Drawing, ...]) -> None:
    assert [drawing.name for drawing in drawings] == ["pause_ecdf", "phase_means"]
    for drawing in drawings:
        assert drawing.files["svg"].rstrip().endswith(b"</svg>")
        assert drawing.files["pdf"].startswith(b"%PDF")
        assert Image.open(io.BytesIO(drawing.files["png"])).size[0] == WIDE_IN * 200
        assert len(drawing.data) > 0


def test_each_figure_says_how_the_pairs_ran(drawings: tuple[Drawing, ...]) -> None:
    for drawing in drawings:
        assert "pairs under emulation (TCG)" in drawing.files["svg"].decode()


def test_no_figure_holds_a_date(drawings: tuple[Drawing, ...]) -> None:
    for drawing in drawings:
        assert b"CreationDate" not in drawing.files["pdf"]
        assert b"dc:date" not in drawing.files["svg"]


def test_a_step_rises_from_zero_to_one_at_the_sorted_pauses(demo: tuple[pd.DataFrame, pd.DataFrame, Cells]) -> None:
    used, _, cells = demo
    run_id, run = next(iter(used.groupby("run_id")))
    points = ecdf_points(used, cells)
    points = points[points["run_id"] == run_id]
    assert list(points["pause_ms"]) == [run["pause_ms"].min(), *sorted(run["pause_ms"])]
    np.testing.assert_array_equal(points["share"], np.arange(13) / 12)


def test_a_long_run_is_drawn_at_few_of_its_own_pauses(tmp_path: Path) -> None:
    fake = Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), repeats=1, count=1000)
    used, _, cells = _tables(tmp_path, fake)
    points = ecdf_points(used, cells)
    assert len(points) == MOST_STEPS + 1
    assert set(points["pause_ms"]) <= set(used["pause_ms"])
    assert (points["share"].iloc[-1], points["pause_ms"].max()) == (1.0, used["pause_ms"].max())


def _overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return pairs of texts that touch: tick labels of one axis, or the legend against a label."""
    figure.draw_without_rendering()
    axes = [axis for ax in figure.axes if ax.get_visible() for axis in (ax.xaxis, ax.yaxis)]
    groups = [[label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()] for axis in axes]
    found = []
    for group in groups:
        boxes = [(label.get_text(), label.get_window_extent()) for label in group]
        found += [(a, b) for (a, box_a), (b, box_b) in pairwise(boxes) if box_a.overlaps(box_b)]
    legend = figure.legends[0].get_window_extent()
    texts = [text for ax in figure.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label) if text.get_text()]
    found += [(text.get_text(), "legend") for text in texts if text.get_window_extent().overlaps(legend)]
    if legend.x0 < 0 or legend.x1 > figure.bbox.width or legend.y0 < 0:
        found.append(("legend", "edge"))
    return found


@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN])
@pytest.mark.parametrize(
    "fake",
    [
        Fake(count=6, repeats=1),
        Fake(mems=tuple(n << 30 for n in (4, 8, 16)), smps=(2, 8), workloads=(IDLE,), repeats=1, count=6),
        Fake(mems=tuple(n << 29 for n in (1, 2, 4)), smps=(1, 4), links=("tcp", "unix"), repeats=1, count=6),
        Fake(workloads=(IDLE,), links=("tcp", "unix", "nodelay"), repeats=1, count=6),
        Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=1, count=6),
    ],
    ids=["demo", "card", "24-cells", "three-panels", "one-cell"],
)
def test_no_labels_overlap_and_no_legend_is_clipped(tmp_path: Path, fake: Fake, width_in: float) -> None:
    used, per_cell, cells = _tables(tmp_path, fake)
    with style():
        assert _overlaps(plot_ecdf(ecdf_points(used, cells), cells, width_in)) == []
        assert _overlaps(plot_phases(per_cell, cells, width_in)) == []


def test_a_name_in_another_script_or_with_a_dollar_is_drawn(tmp_path: Path) -> None:
    odd = {"name": "50$ \N{CJK UNIFIED IDEOGRAPH-65E5} <b>"}
    used, per_cell, cells = _tables(tmp_path, Fake(smps=(1,), workloads=(IDLE, odd), repeats=1, count=6))
    for drawing in figures(used, per_cell, cells):
        assert "50$ \N{CJK UNIFIED IDEOGRAPH-65E5} &lt;b&gt;" in drawing.files["svg"].decode()
