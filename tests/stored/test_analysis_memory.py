"""What a report holds in memory is bounded whatever the number of checkpoints, and its tables are exact."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.fake_campaign import Fake, fake_results, write_campaign

from analysis.errors import NotACampaignError
from analysis.plots import sketches, timelines, violin
from analysis.plots.data import sampled
from analysis.stored import checkpoints, requests, tables
from analysis.stored.held import Room, Stored
from analysis.stored.load import load_campaign
from analysis.stored.study import load_study
from analysis.verdicts.results import derive

SHORT = Fake(name="short", mems=(1 << 30,), repeats=4, count=40, finer=True, links=("unix",))
LONG = replace(SHORT, name="long", count=640)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    parent = tmp_path_factory.mktemp("memory")
    return write_campaign(parent, SHORT), write_campaign(parent, LONG)


def test_each_table_is_read_once_for_a_report_that_has_room_for_them(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Counter[Path]()

    def counted(path: Path, known: str = "") -> tuple[pa.Table, str]:
        read[path] += 1
        return tables.read_table(path, known)

    for module in (checkpoints, requests):
        monkeypatch.setattr(module, "read_table", counted)
    assert len(list(sketches(derive(load_campaign(folders[0]))))) > 10
    assert set(read.values()) == {1}


def held(folder: Path, most_bytes: int) -> int:
    """Return the bytes that a campaign and all that was derived from it take: of Python, and of Arrow's tables."""
    gc.collect()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        kept = derive(load_campaign(folder, most_bytes))
        gc.collect()
        assert len(kept.runs)
        return tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
    finally:
        tracemalloc.stop()


def test_what_is_held_does_not_grow_with_the_checkpoints(tmp_path: Path) -> None:
    short, long = (write_campaign(tmp_path, replace(SHORT, name=f"{n}", repeats=10, count=n)) for n in (20, 320))
    derive(load_campaign(short))  # whatever is loaded once has been
    flat = held(long, 0) / held(short, 0)
    growing = held(long, 1 << 30) / held(short, 1 << 30)
    assert flat < 1.5  # a few runs' tables, those that were looked at last, are at hand
    assert growing > 1.5 * flat  # as it is where there is room for all: this can be told apart


def test_tables_are_the_same_whether_or_not_there_is_room(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        roomy, tight = (derive(load_campaign(folder, most)) for most in (1 << 30, 0))
        pd.testing.assert_frame_equal(roomy.runs, tight.runs)
        pd.testing.assert_frame_equal(roomy.per_cell, tight.per_cell)
        assert repr(roomy.effects) == repr(tight.effects)  # NaN is not itself
        assert repr(roomy.diagnostics) == repr(tight.diagnostics)
        assert roomy.findings == tight.findings


def test_a_table_that_changes_meanwhile_is_no_longer_taken_for_what_was_read(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SHORT), 0)
    run, other = campaign.runs[0], campaign.runs[-1]
    assert len(run.checkpoints) == SHORT.count + SHORT.warmup
    home = tmp_path / "short" / "runs"
    (home / other.record.run_id / "checkpoints.parquet").replace(home / run.record.run_id / "checkpoints.parquet")
    for one in campaign.runs[1:6]:
        assert len(one.checkpoints)  # until nothing of the first is at hand any more
    with pytest.raises(NotACampaignError, match="changed while it was looked at"):
        _ = run.checkpoints


def test_a_table_that_has_not_changed_is_not_checked_again(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (run, *_) = load_campaign(folders[0], 0).runs
    checked: list[object] = []
    for name in ("tables.is_as_written", "checkpoints._check_rows"):
        monkeypatch.setattr(f"analysis.stored.{name}", lambda *_, **__: checked.append(1))
    assert len(run.checkpoints) == SHORT.count + SHORT.warmup
    assert checked == []


def test_joining_campaigns_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (write_campaign(tmp_path / name, replace(SHORT, name=name)) for name in ("a", "b"))
    read = []
    monkeypatch.setattr("analysis.stored.study.load_campaign", partial(load_campaign, most_bytes=0))
    real = Stored.get
    monkeypatch.setattr(Stored, "get", lambda self: (read.append(self), real(self))[1])
    _change_every_table(other)
    study = load_study([one, other])
    assert read == []
    assert len(study.runs[-1].checkpoints) == SHORT.count + SHORT.warmup


def _change_every_table(folder: Path) -> None:
    """Make the tables others than those of the same fake in another folder: equal data is refused."""
    for path in folder.glob("runs/*/checkpoints.parquet"):
        table = pq.ParquetFile(path).read()
        at = table.schema.get_field_index("t_request")
        later = pa.array(table["t_request"].to_numpy() + 1e6)
        pq.write_table(table.set_column(at, table.schema.field(at), later), path)


def test_what_was_read_last_is_at_hand_and_the_room_is_kept_to() -> None:
    reads: list[str] = []

    def stored(name: str, size: int, room: Room) -> Stored[str]:
        return Stored(name, size, lambda: (reads.append(name), name)[1], room)

    room = Room(10)
    inside, *outside = stored("a", 8, room), *(stored(name, 8, room) for name in "bcdefg")
    for one in (inside, outside[0], outside[0], inside, outside[0]):
        one.get()
    assert reads == ["b"]
    for one in outside:
        one.get()
    outside[0].get()
    assert reads == ["b", *"cdefg", "b"]


def test_pauses_and_pages_are_at_hand_where_their_tables_have_no_room(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tight = load_campaign(folders[1]), load_campaign(folders[1], 200_000)
    read: list[Stored[Any]] = []
    real = Stored.get
    monkeypatch.setattr(Stored, "get", lambda self: (read.append(self), real(self))[1])
    for run, other in zip(whole.runs, tight.runs, strict=True):
        for name, warmup in product(("pause_s", "dirty_pages"), (False, True)):
            np.testing.assert_array_equal(run.column(name, warmup=warmup), other.column(name, warmup=warmup))
        assert len(run.column("pause_s")) == LONG.count
    assert all(one.held for one in read)
    assert len(tight.runs[-1].column("load_s")) == LONG.count  # any other is read
    assert not read[-1].held


def test_a_sample_is_of_the_run_always_the_same_and_in_its_order(folders: tuple[Path, Path]) -> None:
    run, other = load_campaign(folders[1]).runs[:2]
    values = np.arange(1000.0)
    first = sampled(values, 50, run)
    assert len(first) == 50
    assert (np.diff(first) > 0).all()
    assert (first == sampled(values, 50, run)).all()
    assert (first != sampled(values, 50, other)).any()
    assert sampled(values, 1000, run) is values
    assert len(run.column("pause_s")) == LONG.count


def test_figures_of_very_many_checkpoints_draw_a_sample_and_say_so(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results: Any = fake_results(folders[1])
    whole = {module: module.sketch(results) for module in (violin, timelines)}
    assert not any("sample" in one.words.caption for one in whole.values())
    monkeypatch.setattr(violin, "MOST_POOLED", 200)
    monkeypatch.setattr(timelines, "MOST_PAUSES", 100)
    monkeypatch.setattr(timelines, "_LONGEST", 20)
    shape, lines = (module.sketch(results) for module in (violin, timelines))
    assert "sample" in shape.words.caption
    assert "sample" in lines.words.caption
    of_cells = shape.data[shape.data["of"] == "checkpoint"].groupby("cell").size()
    assert set(of_cells) == {200}
    pauses = lines.data[lines.data["of"] == timelines.PAUSE]
    assert set(pauses.groupby("cell").size()) == {100}
    every = whole[timelines].data
    longest = every[every["of"] == timelines.PAUSE].groupby("cell")["value"].max()
    pd.testing.assert_series_equal(pauses.groupby("cell")["value"].max(), longest)
    assert f"N = {LONG.count + LONG.warmup} checkpoints" in lines.words.caption
    exact = ["run", "cell"]
    kept, before = (one[one["of"].isin(exact)].reset_index(drop=True) for one in (shape.data, whole[violin].data))
    pd.testing.assert_frame_equal(kept, before)
