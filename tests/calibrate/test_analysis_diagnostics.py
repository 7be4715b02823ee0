"""What bears on trust, on tables whose truth is known: every number here is invented."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import IDLE, Fake, replace_parquet, run_ids, write_campaign

from analysis.calibrate.model import model_of
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.stored.study import load_study
from analysis.verdicts.drift import drift, outside_block
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Campaign

GROWS = Hypothesis(id="H1", claim="It grows with RAM.", factor="mem").model_dump(mode="json")


def started(folder: int, block: int, *at: float) -> pd.DataFrame:
    return pd.DataFrame({"campaign": "again", "folder": folder, "block": block, "started_at": at})


def test_a_run_is_outside_its_block_when_a_later_one_of_its_folder_had_begun() -> None:
    one = [started(0, 0, 10, 20, 95), started(0, 1, 30, 40, 75), started(0, 3, 50, 60)]
    other = started(1, 4, 0, 5)
    runs = pd.concat([*one, other], ignore_index=True)
    assert outside_block(runs).tolist() == [False, False, True, False, False, True, *[False] * 4]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A campaign whose very first run was measured again when all others were done, and took ten times as long."""
    fake = Fake(workloads=(IDLE,), links=("unix",), repeats=6, count=12, hypotheses=(GROWS,))
    folder = write_campaign(tmp_path_factory.mktemp("results"), fake)
    records = {path: json.loads(path.read_text()) for path in folder.glob("runs/*/run.json")}
    last = max(record["started_at"] for record in records.values())
    path = min(records, key=lambda path: records[path]["order"])
    path.write_text(json.dumps(records[path] | {"started_at": last + 100, "finished_at": last + 110}))
    return load_campaign(folder)


def test_runs_are_in_the_order_in_which_they_ran_not_in_that_of_the_plan(again: Campaign) -> None:
    times = [run.record.started_at for run in again.runs]
    assert times == sorted(times)
    assert again.runs[-1].record.order == min(run.record.order for run in again.runs)


def test_a_run_that_was_measured_again_is_left_out_to_see_whether_a_word_hangs_on_it(again: Campaign) -> None:
    found = derive(again).diagnostics
    assert found.outside_block == 1
    choices = {one.choice for one in found.sensitivity}
    assert "runs measured outside their block's time left out" in choices
    assert not any(choice.startswith("without") for choice in choices)  # "but REFUTED with ...", the page goes on


def test_folders_of_one_name_keep_their_own_blocks(tmp_path: Path) -> None:
    fake = Fake(workloads=(IDLE,), links=("unix",), repeats=2, count=12)
    early, late = (write_campaign(tmp_path / name, fake) for name in ("early", "late"))
    for run_id in run_ids(late):
        replace_parquet(late, run_id, lambda table: table.slice(0, table.num_rows - 1))
    for path in late.glob("runs/*/run.json"):
        record = json.loads(path.read_text())
        times = {name: record[name] + 1e6 for name in ("started_at", "finished_at")}
        path.write_text(json.dumps(record | times))
    study = load_study([late, early])
    assert len({run.record.campaign for run in study.runs}) == 1
    assert {run.folder for run in study.runs} == {0, 1}
    assert derive(study).diagnostics.outside_block == 0


def test_a_drift_is_one_of_time(tmp_path: Path) -> None:
    fake = Fake(workloads=(IDLE,), links=("unix",), repeats=6, count=12)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    first = campaign.runs[0].record.started_at
    slower = [np.exp((run.record.started_at - first) / 1000) for run in campaign.runs]
    tables = [
        run.checkpoints.assign(pause_s=run.rows["pause_s"] * by) for run, by in zip(campaign.runs, slower, strict=True)
    ]
    runs = tuple(replace(run, rows=columns(table)) for run, table in zip(campaign.runs, tables, strict=True))
    span = campaign.runs[-1].record.started_at - first
    assert model_of(replace(campaign, runs=runs)).drift == pytest.approx(span / 1000, rel=0.3)


def test_what_a_block_had_in_common_is_no_drift_of_as_many_runs() -> None:
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        started = np.arange(84.0) * 40
        logs = np.repeat(rng.normal(0, 0.05, 6), 14) + rng.normal(0, 0.05, 84)
        ids = {"cell": np.tile(np.arange(14), 6), "folder": 0, "block": np.repeat(np.arange(6), 14)}
        change = drift(pd.DataFrame({**ids, "quality_ok": True, "started_at": started, "pause": np.exp(logs)}))
        assert change is not None
        found.append(not change.per_hour.low <= 0 <= change.per_hour.high)
    assert np.mean(found) <= 0.065


def test_four_blocks_cannot_tell_a_drift() -> None:
    ids = {"cell": [0] * 4, "folder": 0, "block": range(4), "quality_ok": True}
    assert drift(pd.DataFrame({**ids, "started_at": np.arange(4.0) * 600, "pause": np.exp(np.arange(4.0))})) is None
