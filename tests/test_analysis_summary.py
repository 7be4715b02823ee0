from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from fixtures.fake_campaign import Fake, replace_parquet, run_ids, write_campaign

from analysis.cells import name_cells
from analysis.load import PAUSE_PHASES, load_campaign
from analysis.summary import MEAN_MS, cell_table, range_coverage, run_table, used_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from analysis.load import Campaign


def _tables(campaign: Campaign) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    cells = name_cells(run.record for run in campaign.runs)
    used, per_run = used_checkpoints(campaign.runs, cells), run_table(campaign.runs, cells)
    return used, per_run, cell_table(cells, per_run, used)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    fake = Fake(mems=(512 << 20,), smps=(1, 2), workloads=({"name": "idle"},), repeats=3, count=8, warmup=2, failed=1)
    return load_campaign(write_campaign(tmp_path_factory.mktemp("results"), fake))


def test_the_warm_up_is_left_out(campaign: Campaign) -> None:
    used, per_run, per_cell = _tables(campaign)
    assert len(used) == 5 * 8
    assert list(per_run["checkpoints"]) == [8] * 5
    assert sorted(per_cell["warmup_left_out"]) == [4, 6]


def test_a_cell_is_the_median_of_its_run_medians_with_their_range(campaign: Campaign) -> None:
    _, _, per_cell = _tables(campaign)
    row = per_cell.iloc[0]
    medians = [
        1e3 * np.median(run.checkpoints["pause_s"][2:]) for run in campaign.runs if run.record.cell_id == row["cell_id"]
    ]
    assert row["runs"] == len(medians)
    assert (row["low_pause_ms"], row["high_pause_ms"]) == (min(medians), max(medians))
    assert row["median_pause_ms"] == np.median(medians)


def test_the_mean_phases_add_up_to_the_mean_pause(campaign: Campaign) -> None:
    _, _, per_cell = _tables(campaign)
    phases = per_cell[[MEAN_MS[phase] for phase in PAUSE_PHASES]].sum(axis=1)
    np.testing.assert_allclose(phases, per_cell["mean_pause_ms"], rtol=1e-12)


def test_a_mean_of_a_cell_weighs_runs_not_checkpoints(tmp_path: Path) -> None:
    fake = Fake(mems=(1 << 30,), smps=(1,), workloads=({"name": "idle"},), repeats=2, count=8, warmup=0)
    folder = write_campaign(tmp_path, fake)
    replace_parquet(folder, run_ids(folder)[0], lambda table: table.slice(0, 2))
    _, per_run, per_cell = _tables(load_campaign(folder))
    assert list(per_run["checkpoints"]) == [2, 8]
    assert per_cell["mean_pause_ms"].iloc[0] == per_run["mean_pause_ms"].mean()


@pytest.mark.parametrize(("count", "p95", "p99"), [(99, True, True), (100, False, True), (500, False, False)])
def test_a_tail_is_exploratory_until_every_run_is_long_enough(tmp_path: Path, count: int, p95: bool, p99: bool) -> None:  # noqa: FBT001 - expected flags
    fake = Fake(mems=(1 << 30,), smps=(1,), workloads=({"name": "idle"},), repeats=1, count=count)
    _, _, per_cell = _tables(load_campaign(write_campaign(tmp_path, fake)))
    assert list(per_cell[["p95_exploratory", "p99_exploratory"]].iloc[0]) == [p95, p99]


def test_unknown_dirty_pages_stay_unknown(tmp_path: Path) -> None:
    fake = Fake(mems=(1 << 30,), smps=(1,), workloads=({"name": "idle"},), repeats=1, count=4, warmup=0)
    folder = write_campaign(tmp_path, fake)
    place, unknown = 14, pa.nulls(4, pa.int64())
    replace_parquet(folder, run_ids(folder)[0], lambda table: table.set_column(place, "dirty_pages", unknown))
    _, _, per_cell = _tables(load_campaign(folder))
    assert np.isnan(per_cell["median_dirty_pages"].iloc[0])


def test_triggers_are_counted(campaign: Campaign) -> None:
    _, _, per_cell = _tables(campaign)
    assert list(per_cell["by_demand"]) == list(per_cell["checkpoints"])
    assert per_cell[["by_timer", "by_mismatch"]].to_numpy().sum() == 0


def test_six_runs_are_the_first_whose_range_is_a_95_percent_interval() -> None:
    assert range_coverage(1) == 0.0
    assert range_coverage(5) == 0.9375
    assert range_coverage(6) == 0.96875
