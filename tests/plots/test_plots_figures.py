from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.fake_campaign import DEMO, SERVICE, SINGLE, SWEEP, fake_results, write_campaign
from PIL import Image

from analysis import plots
from analysis.format.outcomes import PAUSES_IN_DOUBT
from analysis.plots.drawing import _carried, _files
from analysis.plots.style import STYLES, look
from analysis.workers import workers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from analysis.plots import Drawing, Sketch
    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

FAKES = {
    "sweep": replace(SWEEP, count=8),
    "demo": replace(DEMO, count=8, failed=5),
    "one": SINGLE,
    "service": SERVICE,
}
CALIBRATION = pd.DataFrame(
    [
        ("one-way ANOVA", "pooled", 0.87, 0.85, 0.89),
        ("Welch's t, largest against smallest", "pooled", 0.40, 0.37, 0.43),
        ("exact blocked Jonckheere-Terpstra", "run", 0.041, 0.03, 0.05),
    ],
    columns=["method", "level", "type_one", "low", "high"],
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    return {name: fake_results(write_campaign(tmp_path_factory.mktemp(name), fake)) for name, fake in FAKES.items()}


@pytest.fixture(scope="module")
def sketches(results: dict[str, Results]) -> dict[str, dict[str, Sketch]]:
    found: dict[str, dict[str, Sketch]] = {}
    for name, own in results.items():
        every = plots.sketches(own, lambda: CALIBRATION)
        found[name] = {sketch.name: sketch for sketch in every if isinstance(sketch, plots.Sketch)}
    return found


@pytest.fixture(scope="module")
def drawings(sketches: dict[str, dict[str, Sketch]]) -> dict[str, Drawing]:
    """Of each kind of picture one: with text, with hatches, with a colour bar, with pixels."""
    chosen = ("hypotheses", "checkpoint_gantt", "pause_heatmap", "pause_by_pages")
    return {name: plots.draw(sketches["sweep"][name], STYLES["screen"]) for name in chosen}


OF_SERVICES = ("overhead", "triggers")
"""Figures of campaigns with a baseline or with checkpoints that nobody asked for."""


def test_a_full_campaign_has_every_figure_in_order(sketches: dict[str, dict[str, Sketch]]) -> None:
    assert tuple(sketches["sweep"]) == tuple(name for name in plots.NAMES if name not in OF_SERVICES)
    assert set(OF_SERVICES) <= set(sketches["service"])


def test_other_processes_draw_the_same_bytes_in_order(
    sketches: dict[str, dict[str, Sketch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [sketches["sweep"][name] for name in ("failures", "equal_cells")]
    here = [plots.draw(sketch, STYLES["acm"]) for sketch in few]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with workers() as begin:
        there = [drawn() for drawn in [begin(plots.draw, sketch, STYLES["acm"]) for sketch in few]]
    assert [drawing.name for drawing in there] == ["failures", "equal_cells"]
    assert [(drawing.files, drawing.column_files) for drawing in there] == [
        (drawing.files, drawing.column_files) for drawing in here
    ]


def test_what_a_campaign_has_no_data_for_is_left_out_with_the_reason(results: dict[str, Results]) -> None:
    skipped = {one.name: one.why for one in plots.sketches(results["one"]) if isinstance(one, plots.Skipped)}
    assert skipped == {
        "hypotheses": "no hypothesis was declared",
        "overhead": (
            "no machine's sound runs tell throughput or latency with COLO and without in one block "
            "(scenario=native,colo)"
        ),
        "pause_by_memory": "memory never varies among measured cells while everything else stays the same",
        "pause_by_vcpus": "the number of vCPUs never varies among measured cells while everything else stays the same",
        "pause_heatmap": "memory and vCPUs are the same in every cell that was measured",
        "checkpoint_gantt": "no checkpoint has the parts of both sides",
        "triggers": (
            "in runs that passed their check every checkpoint was asked for: neither a timer nor differing output "
            "began one"
        ),
        "run_order": "every cell was measured once, so no run can be compared with its like",
        "autocorrelation": "no run has 8 checkpoints that differ",
        "equal_cells": "no two cells are the same machine under two names and have sound runs in the same block",
        "pooling": "the methods were not calibrated on this design",
    }


@pytest.mark.parametrize(
    ("name", "figure", "why"),
    [
        ("service", "overhead", "no machine's sound runs tell throughput or latency"),
        ("service", "triggers", "no run of a pair has passed its check"),
        ("service", "timelines", "no run that is asked for checkpoints has passed its check"),
        ("sweep", "pause_by_pages", "no run whose check and pauses are sound has counted the dirty pages"),
        ("sweep", "equal_cells", "have sound runs in the same block"),
    ],
)
def test_what_runs_show_that_failed_their_check_is_not_said_to_be_missing(
    results: dict[str, Results], name: str, figure: str, why: str
) -> None:
    own = results[name]
    doubted = replace(
        own.campaign, runs=tuple(map(_doubted, own.campaign.runs)), without=tuple(map(_doubted, own.campaign.without))
    )
    unsound = replace(own, campaign=doubted, runs=own.runs.assign(quality_ok=False))
    with pytest.raises(plots.NoFigureError, match=why):
        plots._FIGURES[figure](unsound)


def test_runs_without_colo_that_passed_their_check_are_not_said_to_have_failed_it(results: dict[str, Results]) -> None:
    own = results["service"]
    unsound = replace(own, campaign=replace(own.campaign, runs=tuple(map(_doubted, own.campaign.runs))))
    native = tuple(run for run in own.campaign.without if run.record.cell.get("scenario") == "native")
    alone = replace(unsound, campaign=replace(unsound.campaign, without=native))
    assert all(run.record.quality.ok for run in native)
    for figure, of in (("triggers", "of a pair"), ("timelines", "that is asked for checkpoints")):
        with pytest.raises(plots.NoFigureError, match=f"^no run {of} has passed its check$"):
            plots._FIGURES[figure](alone)


def test_pauses_that_alone_are_in_doubt_are_no_check_that_failed(results: dict[str, Results]) -> None:
    own = results["sweep"]
    quality = own.campaign.runs[0].record.quality.model_copy(update={"notes": (f"{PAUSES_IN_DOUBT}: no event",)})
    runs = tuple(run.of_study(run.record.model_copy(update={"quality": quality}), 0) for run in own.campaign.runs)
    with pytest.raises(plots.NoFigureError, match="no run whose check and pauses are sound has counted"):
        plots._FIGURES["pause_by_pages"](replace(own, campaign=replace(own.campaign, runs=runs)))


def _doubted(run: Run) -> Run:
    quality = run.record.quality.model_copy(update={"ok": False})
    return run.of_study(run.record.model_copy(update={"quality": quality}), 0)


def test_figures_say_what_they_skip_and_draw_the_rest(
    results: dict[str, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(plots, "draw", lambda sketch, style: (sketch.name, style.name))
    skipped: list[plots.Skipped] = []
    drawn = list(plots.figures(results["one"], "acm", on_skip=skipped.append))
    rest = ("pause_ecdf", "phase_means", "timelines", "pause_by_pages", "pause_violin", "failures")
    assert drawn == [(name, "acm") for name in rest]
    assert [one.name for one in skipped] == [name for name in plots.NAMES if name not in rest]


def test_an_unknown_style_is_refused(results: dict[str, Results]) -> None:
    with pytest.raises(ValueError, match=re.escape("figure.style must be one of screen, acm, ieee")):
        next(plots.figures(results["one"], "poster"))


def test_each_figure_is_in_three_formats_over_the_page_and_in_one_on_a_phone(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        assert set(drawing.files) == {"svg", "pdf", "png"}
        assert drawing.files["pdf"].startswith(b"%PDF")
        assert drawing.files["svg"].rstrip().endswith(b"</svg>")
        assert Image.open(io.BytesIO(drawing.files["png"])).size[0] == 7.0 * 200
        ((kind, content),) = drawing.column_files.items()
        assert (drawing.narrow.mime, drawing.narrow.content) == (drawing.wide.mime, content)
        assert content.rstrip().endswith(b"</svg>") if kind == "svg" else _width_px(content) == 3.4 * 200


def _width_px(png: bytes) -> int:
    width: int = Image.open(io.BytesIO(png)).size[0]
    return width


@pytest.mark.parametrize("style", STYLES)
def test_a_figure_has_exactly_the_width_of_the_style(sketches: dict[str, dict[str, Sketch]], style: str) -> None:
    drawing = plots.draw(sketches["one"]["failures"], STYLES[style])
    for files, width_in in ((drawing.files, STYLES[style].wide_in), (drawing.column_files, STYLES[style].narrow_in)):
        svg = re.search(rb'<svg [^>]*width="([\d.]+)pt"', files["svg"])
        assert svg
        assert float(svg[1]) == pytest.approx(72 * width_in)
        assert "png" not in files or _width_px(files["png"]) == round(width_in * STYLES[style].dpi)
    pdf = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ", drawing.files["pdf"])
    assert pdf
    assert float(pdf[1]) == pytest.approx(72 * STYLES[style].wide_in)
    assert ("pdf" in drawing.column_files) == (style != "screen")


def test_the_label_of_a_colour_bar_stands_below_its_marks(sketches: dict[str, dict[str, Sketch]]) -> None:
    sketch = sketches["sweep"]["pause_heatmap"]
    with look():
        figure = sketch.plot(sketch.data, 7.0)
        _files(figure, 200, ("png",))
        (bar,) = (ax for ax in figure.axes if ax.get_xlabel().startswith("median VM pause"))
        marks = [mark.get_window_extent() for mark in bar.get_xticklabels() if mark.get_text()]
        assert bar.xaxis.label.get_window_extent().y1 <= min(mark.y0 for mark in marks)


def test_the_same_data_gives_the_same_bytes(
    results: dict[str, Results], sketches: dict[str, dict[str, Sketch]]
) -> None:
    for name in ("sweep", "service"):
        every = plots.sketches(results[name], lambda: CALIBRATION)
        drawn = [one for one in every if isinstance(one, plots.Sketch)]
        assert [one.name for one in drawn] == list(sketches[name])
        for again in drawn:
            first = sketches[name][again.name]
            assert again.words == first.words
            pd.testing.assert_frame_equal(again.data, first.data)


@pytest.mark.parametrize("name", ["pause_violin", "pause_ecdf", "pause_by_memory", "phase_means"])
def test_a_figure_plotted_again_is_the_same(sketches: dict[str, dict[str, Sketch]], name: str) -> None:
    sketch = sketches["sweep"][name]
    with look():
        one, other = (_files(sketch.plot(sketch.data, 3.4), 200, ("svg",)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("name", ["pause_heatmap", "pause_by_pages"])
def test_a_picture_drawn_again_is_the_same_in_every_format(
    sketches: dict[str, dict[str, Sketch]], drawings: dict[str, Drawing], name: str
) -> None:
    again, first = plots.draw(sketches["sweep"][name], STYLES["screen"]), drawings[name]
    assert again.by_name == first.by_name


def test_fonts_are_embedded_as_outlines_and_nothing_is_dated(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        assert b"/Type3" not in drawing.files["pdf"]
        assert b"/FontFile2" in drawing.files["pdf"]
        assert b"CreationDate" not in drawing.files["pdf"]
        assert b"dc:date" not in drawing.files["svg"]
        assert b"font-family: 'DejaVu Sans', 'Verdana', sans-serif" in drawing.files["svg"]
        assert b"<text" in drawing.files["svg"]


def test_a_page_carries_no_large_vector_picture(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        for picture, files in ((drawing.wide, drawing.files), (drawing.narrow, drawing.column_files)):
            assert picture.content == files["svg" if picture.mime == "image/svg+xml" else "png"]
            assert len(picture.content) < 1_000_000


def test_a_large_vector_picture_is_carried_as_pixels() -> None:
    small, large = {"svg": b"s" * 250_000, "png": b"p"}, {"svg": b"s" * 250_001, "png": b"p"}
    assert (_carried(small), _carried(large)) == ("svg", "png")


def test_the_data_comes_as_csv_without_an_index(drawings: dict[str, Drawing]) -> None:
    for drawing in drawings.values():
        back = pd.read_csv(io.BytesIO(drawing.by_name[f"{drawing.name}.csv"]))
        assert list(back.columns) == list(drawing.data.columns)
        assert len(back) == len(drawing.data) > 0


def test_captions_say_runs_checkpoints_exclusions_and_how_pairs_ran(sketches: dict[str, dict[str, Sketch]]) -> None:
    for own in sketches.values():
        for name, sketch in own.items():
            caption = sketch.words.caption
            assert "emulation (TCG)" in caption
            assert re.search(r"\bR\b", caption), name
            assert re.search(r"\bN\b", caption), name
            assert re.search(r"Left out|excluded|chosen among all", caption), name
            assert re.search(r"interval|95 %", caption), name


def test_headings_are_sentences_and_alternative_texts_repeat_them(sketches: dict[str, dict[str, Sketch]]) -> None:
    for own in sketches.values():
        for sketch in own.values():
            assert sketch.words.heading[0].isupper() or sketch.words.heading[0].isdigit()
            assert not sketch.words.heading.endswith(".")
            assert sketch.words.heading in sketch.words.alt
            assert "nan" not in sketch.words.heading + sketch.words.caption


def test_pictures_say_how_the_pairs_ran(drawings: dict[str, Drawing]) -> None:
    for name, drawing in drawings.items():
        assert "pairs under emulation (TCG)" in drawing.files["svg"].decode(), name


def _combinations() -> list[Any]:
    widths = {"sweep": (7.0, 3.33), "demo": (7.16, 3.33), "one": (3.33,), "service": (7.0, 3.33)}
    return [pytest.param(fake, width, id=f"{fake}-{width}") for fake in FAKES for width in widths[fake]]


@pytest.mark.parametrize(("fake", "width_in"), _combinations())
def test_no_texts_overlap_and_none_is_cut_off(
    sketches: dict[str, dict[str, Sketch]], fake: str, width_in: float
) -> None:
    for name, sketch in sketches[fake].items():
        with look():
            figure = sketch.plot(sketch.data, width_in)
            figure.set_dpi(200)
            figure.draw_without_rendering()
            assert (name, _overlaps(figure)) == (name, [])
            assert (name, _cut_off(figure)) == (name, [])
            assert (name, _too_fine(figure)) == (name, [])


def _shown(figure: Figure) -> list[Text]:
    """Return every text that is drawn: tick labels only where their tick is in view."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    texts += [text for text in (figure._suptitle, figure._supxlabel, figure._supylabel) if text]  # type: ignore[attr-defined]
    for ax in figure.axes:
        if ax.get_visible():
            texts += [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *_tick_labels(ax)]  # type: ignore[attr-defined]
    unique = {id(text): text for text in texts if text.get_visible() and text.get_text()}
    return list(unique.values())


def _tick_labels(ax: Axes) -> list[Text]:
    labels: list[Text] = []
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        seen = [tick for tick in axis.get_major_ticks() if min(limits) <= tick.get_loc() <= max(limits)]
        labels += [tick.label1 for tick in seen if tick.label1.get_visible()]
    return labels


def _boxes(texts: list[Text]) -> np.ndarray[Any, np.dtype[np.float64]]:
    boxes = [text.get_window_extent() for text in texts]
    return np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])


def _overlaps(figure: Figure) -> list[tuple[str, str]]:
    texts = _shown(figure)
    boxes = _boxes(texts)
    slack = 1.0
    x0, y0, x1, y1 = boxes.T
    meet = (
        (x0[:, None] + slack < x1[None, :])
        & (x0[None, :] + slack < x1[:, None])
        & (y0[:, None] + slack < y1[None, :])
        & (y0[None, :] + slack < y1[:, None])
    )
    pairs = np.argwhere(np.triu(meet, 1))
    return [(texts[a].get_text(), texts[b].get_text()) for a, b in pairs]


def _cut_off(figure: Figure) -> list[str]:
    """Return texts that would leave the figure if they were 5 % wider, as in a browser without our font."""
    texts = _shown(figure)
    width, height = figure.bbox.width, figure.bbox.height
    found = []
    for text, (x0, y0, x1, y1) in zip(texts, _boxes(texts), strict=True):
        wider = 0.0 if text.get_rotation() else 0.05 * (x1 - x0)
        left = {"left": 0.0, "center": 0.5, "right": 1.0}[str(text.get_horizontalalignment())]
        if x0 - left * wider < -1 or y0 < -1 or x1 + (1 - left) * wider > width + 1 or y1 > height + 1:
            found.append(text.get_text())
    return found


def _too_fine(figure: Figure) -> list[str]:
    """Return texts below 7 pt and lines below 0.5 pt."""
    small = [text.get_text() for text in _shown(figure) if float(text.get_fontsize()) < 7]
    lines = [line for ax in figure.axes for line in ax.get_lines() if line.get_linestyle() != "None"]
    thin = [f"line of {line.get_linewidth()} pt" for line in lines if float(line.get_linewidth()) < 0.5]
    patches = [patch for ax in figure.axes for patch in ax.patches]
    thin += [f"edge of {patch.get_linewidth()} pt" for patch in patches if 0 < float(patch.get_linewidth()) < 0.5]
    return small + thin
