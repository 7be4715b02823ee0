"""One row per run: hand-made checkpoints with outcomes that can be computed in the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import IDLE, Fake, write_campaign

from analysis.format.factors import flatten
from analysis.format.outcomes import OUTCOMES
from analysis.format.phases import PARTS, SECONDARY
from analysis.format.table import PHASES
from analysis.format.version import VERSION_KEY
from analysis.runs.behaviour import behaviour
from analysis.runs.counting import unanswered
from analysis.runs.outcomes import outcomes as outcomes_of
from analysis.runs.outcomes import run_table, too_short_for
from analysis.runs.stalls import Free, always_note, free_cells, own_work
from analysis.stored.campaign import Run
from analysis.stored.cells import name_cells
from analysis.stored.factors import effective, parse_level, working_set_bytes
from analysis.stored.load import load_campaign
from analysis.stored.records import RunRecord
from analysis.stored.requests import Requests, read_requests

GIB = 1 << 30


def checkpoints(pauses_ms: list[float], *, gap: int | None = None) -> pd.DataFrame:
    """Return checkpoints one second apart; ``gap`` leaves one out of the numbering."""
    count = len(pauses_ms)
    index = np.arange(count) + (np.arange(count) >= gap if gap is not None else 0)
    rows = {
        "index": index,
        "trigger": ["demand"] * (count - 1) + ["mismatch"],
        "t_request": 100.0 + index,
        "pause_s": np.array(pauses_ms) / 1e3,
        "total_s": np.array(pauses_ms) / 1e3 + 0.002,
        **dict.fromkeys(PHASES, 0.001),
        **{f"{part.name}_s": [np.nan] * count for part in PARTS},
        "dirty_pages": pd.array([10 * (place + 1) for place in range(count)], dtype="Int64"),
        "bytes_sent": pd.array([None] * count, dtype="Int64"),
    }
    return pd.DataFrame(rows)


def answered(latencies: tuple[float, ...]) -> Requests:
    count = len(latencies)
    return Requests(np.arange(count, dtype=float), np.array(latencies), np.ones(count, dtype=bool))


def outcomes(
    rows: pd.DataFrame, *, tcp: bool, free: Free | None = None, latencies: tuple[float, ...] = (), **record: Any
) -> dict[str, float | bool]:
    """Return the outcomes of a run with these checkpoints after its warm-up."""
    run = Run(record_of(tcp=tcp, **record), columns(rows.assign(warmup=False)), "", requests=answered(latencies))
    return outcomes_of(run, free)


def record_of(*, tcp: bool, **record: Any) -> RunRecord:
    run = {
        **dict.fromkeys(("run_id", "campaign", "cell_id", "label"), "r"),
        **dict.fromkeys(("block", "order", "started_at", "finished_at"), 0),
        "accel": "tcg",
        "quality": {"ok": True},
        "cell": {"link": {"transport": "tcp" if tcp else "unix"}},
        **record,
    }
    return RunRecord.model_validate(run)


def test_what_users_measure_is_an_outcome() -> None:
    row = outcomes(
        checkpoints([10] * 4).assign(bytes_sent=pd.array([1, 2, 3, 4], dtype="Int64")),
        tcp=False,
        latencies=(0.1, 0.2, 0.3, 0.4, 2.0),
        workload={"achieved_mb_s": 19.5},
        client={"requests_per_s": 12.5},
        timings={"colo_start_s": 1.5},
    )
    assert (row["client_p50"], row["client_max"]) == (pytest.approx(0.3), 2.0)
    assert row["client_p99"] == pytest.approx(np.quantile([0.1, 0.2, 0.3, 0.4, 2.0], 0.99))
    assert (row["requests_per_s"], row["achieved_mb_s"], row["colo_start"]) == (12.5, 19.5, 1.5)
    assert row["bytes_sent"] == 2.5
    assert row["demand_share"] == 0.75
    assert set(OUTCOMES) <= set(row)


def test_the_service_time_stands_beside_the_response_time_where_the_client_told_it(tmp_path: Path) -> None:
    path = tmp_path / "client.parquet"
    rows = {
        "t_send": [1.0, 2.0, 3.0],
        "latency_s": [0.5, 0.7, 9.0],
        "status": pa.array([200, 200, 0], pa.int32()),
        "error": [None, None, "unanswered"],
        "bytes": [1, 1, 0],
        "service_s": pa.array([0.1, None, None], pa.float64()),
        "connection": pa.array([0, 1, None], pa.int32()),
    }
    pq.write_table(pa.table(rows).replace_schema_metadata({VERSION_KEY: b"3"}), path)
    run = Run(
        record_of(tcp=False), columns(checkpoints([10]).assign(warmup=False)), "", requests=read_requests(path)[0]
    )
    row = outcomes_of(run)
    assert (row["client_p50"], row["client_service_p50"]) == (pytest.approx(0.6), 0.1)
    # Who asks for a quantile of either is told that two answers have none.
    quantiles = [name for name, one in OUTCOMES.items() if one.reducer in {"p95", "p99"}]
    assert {name: row[f"{name}_enough"] for name in quantiles} == dict.fromkeys(quantiles, False)
    assert all(too_short_for(run, name) for name in quantiles)


def test_a_run_from_before_the_service_time_was_kept_is_not_one_that_failed_by_it(tmp_path: Path) -> None:
    path = tmp_path / "client.parquet"
    rows = {"t_send": [1.0], "latency_s": [0.5], "status": pa.array([200], pa.int32()), "bytes": [1]}
    table = pa.table({**rows, "error": pa.nulls(1, pa.string())})
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"2"}), path)
    record = record_of(tcp=False, client={"requests": 1})
    run = Run(record, columns(checkpoints([10]).assign(warmup=False)), "", requests=read_requests(path)[0])
    assert np.isnan(outcomes_of(run)["client_service_p50"])
    assert not unanswered(run)
    assert unanswered(Run(record, columns(checkpoints([10]).assign(warmup=False)), ""))
    totals = record_of(tcp=False, client={"requests": 9, "requests_per_s": 3.0})  # of a program, which has no rows
    assert not unanswered(Run(totals, columns(checkpoints([10]).assign(warmup=False)), ""))


def test_shares_of_time_and_rates_are_those_of_whole_periods_however_few_there_are() -> None:
    for count in (2, 3, 30):
        row = outcomes(checkpoints([250] * count).assign(trigger="mismatch"), tcp=False)
        assert (row["paused_share"], row["mismatch_rate"]) == (pytest.approx(0.25), pytest.approx(1.0))
    gap = checkpoints([250] * 6).drop(index=2)
    assert outcomes(gap, tcp=False)["paused_share"] == pytest.approx(0.25)
    alone = outcomes(checkpoints([250]), tcp=False)
    assert np.isnan(alone["paused_share"])
    assert np.isnan(alone["mismatch_rate"])


def test_a_run_is_reduced_to_one_number_per_outcome() -> None:
    row = outcomes(checkpoints([10, 20, 30, 40, 100]), tcp=False)
    assert row["pause"] == pytest.approx(0.030)
    assert row["pause_mean"] == pytest.approx(0.040)
    assert row["dirty_pages"] == 30
    assert row["period"] == pytest.approx(1.0)
    assert row["paused_share"] == pytest.approx(0.100 / 4)  # four whole periods: the fifth has no end
    assert row["mismatch_share"] == pytest.approx(0.2)
    assert row["joined_share"] == 0
    assert not row["pause_p95_enough"]
    assert np.isnan(row["bytes_sent"])
    assert np.isnan(row["slow_share"])


def test_a_pause_of_0_has_no_logarithm_and_stops_no_report() -> None:
    pauses = np.array([0.0, *np.linspace(0.02, 0.03, 11)])
    assert behaviour(pauses, pauses)["modes"] == 1


def test_stalls_are_counted_from_the_same_cell_without_them_where_that_is_known() -> None:
    every = checkpoints([52, 51, 50, 52, 91]).assign(load_s=0.042)
    alone = outcomes(every, tcp=True)
    assert (alone["slow_share"], alone["always_stalled"]) == (0.2, True)
    assert np.isnan(alone["slow_base_s"])
    beside = outcomes(every, tcp=True, free=Free(pause_s=0.010, load_s=0.002))
    assert (beside["slow_share"], beside["slow_base_s"], beside["always_stalled"]) == (1.0, 0.010, True)


def test_a_load_phase_that_is_as_long_without_tcp_is_no_stall() -> None:
    long = checkpoints([60] * 5).assign(load_s=0.050)
    assert not outcomes(long, tcp=True, free=Free(pause_s=0.058, load_s=0.049))["always_stalled"]
    assert not outcomes(long, tcp=False)["always_stalled"]
    assert not outcomes(long.assign(load_s=[0.050] * 4 + [0.002]), tcp=True)["always_stalled"]


def test_all_that_the_secondary_does_itself_is_its_own_work_where_it_is_known() -> None:
    parts = [f"{part.name}_s" for part in PARTS if part.side == SECONDARY and part.of_pause]
    rows = pd.DataFrame({name: [1.0, 1.0, np.nan] for name in parts})
    rows.loc[1, "restart_s"] = np.nan
    known, partly, unknown = own_work(columns(rows))
    assert (known, partly) == (len(parts), len(parts) - 1)
    assert np.isnan(unknown)


def test_the_same_cell_over_a_unix_socket_or_without_delay_is_found(tmp_path: Path) -> None:
    fake = Fake(workloads=(IDLE,), links=("tcp", "nodelay", "unix"), repeats=2, count=12)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    table = run_table(campaign.runs, name_cells(run.record for run in campaign.runs))
    factors = ["mem", "smp"]
    for _, cell in table.groupby(factors):
        by = dict(list(cell.groupby("link.transport")))
        assert by["tcp"]["slow_base_s"].unique() == pytest.approx(
            pd.concat([by["nodelay"], by["unix"]])["pause"].median()
        )
        assert by["nodelay"]["slow_base_s"].unique() == pytest.approx(by["unix"]["pause"].median())
        assert by["unix"]["slow_base_s"].isna().all()
    assert table.loc[table["link.transport"] == "tcp", "always_stalled"].all()
    assert always_note(campaign.runs).startswith("in 8 of 16 runs over TCP every checkpoint waits about 40 ms")
    only = [run for run in campaign.runs if flatten(run.record.cell)["link.transport"] == "tcp"]
    assert free_cells(only) == [None] * 8


def test_the_period_is_that_of_neighbours() -> None:
    assert outcomes(checkpoints([10] * 6, gap=3), tcp=False)["period"] == pytest.approx(1.0)


def test_the_arms_of_a_sweep_meet_where_their_working_sets_are_equal() -> None:
    fixed = {"mem": GIB, "workload.name": "dirty", "workload.working_set": 32 << 20, "workload.scaling": "fixed"}
    scaled = fixed | {"workload.scaling": "mem"}
    assert effective(fixed) == effective(scaled)
    assert working_set_bytes(scaled | {"mem": 4 * GIB}) == 128 << 20
    assert effective(fixed | {"mem": 4 * GIB}) != effective(scaled | {"mem": 4 * GIB})
    assert working_set_bytes({"mem": GIB}) is None


def test_factors_are_flat_and_without_deadlines() -> None:
    tree = {"mem": 1, "cpu": {"features": ["+a", "-b"], "cache": {"l3": {"size": None}}}, "deadlines": {"boot": 1}}
    assert flatten(tree) == {"mem": 1, "cpu.features": "+a,-b", "cpu.cache.l3.size": None}


@pytest.mark.parametrize(
    ("path", "level", "expected"),
    [("mem", "512M", 512 << 20), ("mem", 4, 4), ("mem", "huge", "huge"), ("link.transport", "4G", "4G")],
)
def test_a_size_in_words_is_bytes(path: str, level: str | int, expected: str | int) -> None:
    assert parse_level(path, level) == expected
