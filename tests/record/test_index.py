from __future__ import annotations

import csv
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.errors import StoreError
from bench.measure.checkpoints import Checkpoint
from bench.record.index import COLUMNS, Index, write_index
from bench.record.ledger import Ledger
from bench.record.table import checkpoint_columns, write_checkpoints

LABEL = "1 GiB · 2 vCPUs · dirty, unix"
CELL: dict[str, Any] = {
    "mem": 1 << 30,
    "smp": 2,
    "accel": "tcg",
    "workload": {"name": "dirty", "rate": 20.0},
    "link": {"transport": "unix"},
}


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    runs = [
        {
            "order": order,
            "block": order // 2,
            "run_id": run_id,
            "cell_id": "cc",
            "label": LABEL,
        }
        for order, run_id in enumerate(("aaa", "bbb", "ccc"))
    ]
    plan = {"schema_version": 1, "cells": [{"cell_id": "cc", "label": "x", "cell": CELL}], "runs": runs}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    return tmp_path


def measure(folder: Path, run_id: str, pauses_us: list[int], *, ok: bool = True) -> None:
    home = folder / "runs" / run_id
    home.mkdir(parents=True)
    ones = [
        Checkpoint(n, tuple(10**15 + us for us in (0, 0, 0, 0, 0, 0, 0, pause))) for n, pause in enumerate(pauses_us)
    ]
    write_checkpoints(home / "checkpoints.parquet", checkpoint_columns(run_id, ones, ("demand",) * len(ones), warmup=1))
    (home / "run.json").write_text(json.dumps({"accel": "kvm", "cell": CELL, "quality": {"ok": ok}}))


def rows(folder: Path) -> list[dict[str, str]]:
    write_index(folder)
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_planned_campaign_has_a_row_for_every_run(campaign: Path) -> None:
    found = rows(campaign)
    assert [row["run_id"] for row in found] == ["aaa", "bbb", "ccc"]
    assert found[0] == dict.fromkeys(COLUMNS, "") | {
        "run_id": "aaa",
        "block": "0",
        "order": "0",
        "cell_id": "cc",
        "label": LABEL,
        "state": "planned",
        "accel": "tcg",
        "mem_bytes": "1073741824",
        "smp": "2",
        "workload": "dirty",
        "link": "unix",
    }


def test_a_measured_run_shows_its_pauses_without_the_warm_up(campaign: Path) -> None:
    measure(campaign, "bbb", [900_000, 10_000, 20_000, 30_000])
    Ledger(campaign / "ledger.jsonl").append("bbb", "measured")
    row = rows(campaign)[1]
    assert (row["state"], row["accel"], row["quality_ok"]) == ("measured", "kvm", "true")
    assert (row["checkpoints"], row["pause_median_s"], row["pause_p95_s"]) == ("3", "0.020000", "0.029000")


def test_a_failed_run_shows_its_cause(campaign: Path) -> None:
    ledger = Ledger(campaign / "ledger.jsonl")
    ledger.append("ccc", "started")
    ledger.append("ccc", "failed", 0, "launch", "qemu-failed", "it did not start")
    row = rows(campaign)[2]
    assert (row["state"], row["cause"], row["pause_median_s"]) == ("failed", "qemu-failed", "")


def test_a_record_that_the_ledger_does_not_know_is_not_shown(campaign: Path) -> None:
    measure(campaign, "aaa", [1, 2])
    assert (rows(campaign)[0]["state"], rows(campaign)[0]["checkpoints"]) == ("planned", "")


def test_a_run_whose_quality_failed_says_so(campaign: Path) -> None:
    measure(campaign, "aaa", [1], ok=False)
    Ledger(campaign / "ledger.jsonl").append("aaa", "measured")
    row = rows(campaign)[0]
    assert (row["quality_ok"], row["checkpoints"], row["pause_median_s"]) == ("false", "0", "")


def test_an_unreadable_table_leaves_its_columns_empty(campaign: Path) -> None:
    measure(campaign, "aaa", [1, 2])
    (campaign / "runs" / "aaa" / "checkpoints.parquet").write_bytes(b"torn")
    Ledger(campaign / "ledger.jsonl").append("aaa", "measured")
    assert (rows(campaign)[0]["checkpoints"], rows(campaign)[0]["state"]) == ("", "measured")


def test_a_torn_ledger_line_is_passed_over(campaign: Path) -> None:
    Ledger(campaign / "ledger.jsonl").append("aaa", "started")
    with (campaign / "ledger.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"schema_version": 1, "t": 1.0, "run_id": "aaa", "att')
    assert rows(campaign)[0]["state"] == "started"


def test_the_same_data_give_the_same_bytes(campaign: Path) -> None:
    measure(campaign, "aaa", [5, 6, 7])
    write_index(campaign)
    first = (campaign / "index.csv").read_bytes()
    write_index(campaign)
    assert (campaign / "index.csv").read_bytes() == first
    assert first.endswith(b"\n")
    assert b"\r" not in first
    assert first.startswith(b"run_id,block,order,cell_id,label,state,accel,mem_bytes,smp,workload,link,checkpoints,")


def test_without_a_plan_there_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"plan\.json cannot be read"):
        write_index(tmp_path)


def test_only_the_run_that_changed_is_read_again(campaign: Path) -> None:
    ledger = Ledger(campaign / "ledger.jsonl")
    for run_id in ("aaa", "bbb"):
        measure(campaign, run_id, [1, 20_000])
        ledger.append(run_id, "measured")
    index = Index(campaign, ledger.last, clock=count().__next__)
    index.write()
    (campaign / "runs" / "aaa" / "checkpoints.parquet").unlink()
    ledger.append("ccc", "failed", cause="guest-panic")
    index.changed("ccc")
    index.write()
    with (campaign / "index.csv").open(newline="", encoding="utf-8") as file:
        kept, _, failed = csv.DictReader(file)
    assert (kept["checkpoints"], failed["state"], failed["cause"]) == ("1", "failed", "guest-panic")


def test_the_index_under_way_takes_a_fiftieth_of_the_time(campaign: Path) -> None:
    ledger = Ledger(campaign / "ledger.jsonl")
    # Asked whether it is due, begun, ended; then 49 s later, and 51 s later.
    times = iter([0.0, 0.0, 1.0, 50.0, 52.0, 52.0, 53.0])
    index = Index(campaign, ledger.last, clock=times.__next__)
    index.changed("aaa")
    (campaign / "index.csv").unlink()
    index.changed("aaa")
    assert not (campaign / "index.csv").exists()
    index.changed("aaa")
    assert (campaign / "index.csv").exists()


@pytest.mark.parametrize("plan", ["[]", '{"cells": 3}', '{"cells": [], "runs": [{"run_id": 1}]}', "[" * 100_000])
def test_a_plan_of_another_shape_is_refused_in_words(campaign: Path, plan: str) -> None:
    (campaign / "plan.json").write_text(plan)
    with pytest.raises(StoreError, match=r"plan\.json cannot be read"):
        write_index(campaign)


def test_what_the_index_has_read_of_a_table_is_not_read_again_until_its_run_changes(campaign: Path) -> None:
    measure(campaign, "aaa", [900_000, 10_000, 20_000])
    Ledger(campaign / "ledger.jsonl").append("aaa", "measured")
    index = write_index(campaign)
    (campaign / "runs" / "aaa" / "checkpoints.parquet").unlink()
    pauses = index.pauses("aaa")
    assert pauses is not None
    assert (pauses.checkpoints, pauses.median_s) == (2, 0.015)
    index.changed("aaa")
    assert index.pauses("aaa") is None
