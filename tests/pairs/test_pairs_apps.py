"""Real pairs that run applications: one of each family, small, under emulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from fixtures.pairs import bench, checkpoints, records, undisturbed

from bench.provision.apps import build_apps
from bench.provision.qemu import find_qemu
from bench.provision.state import state_image
from bench.workload.postgres import Postgres

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pair

SMALL = (
    *("guest=apps", "mem=512M", "smp=1", "accel=tcg", "link=nodelay", "tcp_timestamps=false", "compare.timeout=100ms"),
    *("compare.expired_scan_cycle=50ms", "checkpoint.interval=0.5", "checkpoint.count=6", "checkpoint.warmup=2"),
)


@pytest.fixture(autouse=True, scope="module")
def images_are_made_before() -> None:
    """What is made once takes longer than a run may."""
    apps, binary = build_apps(print), find_qemu("provisioned", print)
    for state in ("", Postgres().guest_state()):
        state_image(apps, binary, state, print)


@pytest.mark.parametrize("workload", ["valkey", "nginx", "postgres"])
def test_a_service_answers_its_client_under_colo_and_each_request_is_a_row(workload: str, tmp_path: Path) -> None:
    bench(tmp_path, *SMALL, f"workload={workload}", "workload.rate=10", "workload.connections=2", "campaign=service")
    (record,) = records(tmp_path / "service")
    # When checkpoints began is the host's; that packets were compared, and requests answered, is not.
    assert not [said for said in record["quality"]["failures"] if "colo-compare" in said or "answered" in said]
    assert len(checkpoints(tmp_path / "service", record)) >= 8
    requests = pd.read_parquet(tmp_path / "service" / "runs" / record["run_id"] / "client.parquet")
    assert len(requests) == record["client"]["requests"] > 0
    assert (requests["error"].isna() & (requests["status"] == 200)).any()


@pytest.mark.parametrize(("workload", "program"), [("redis", "redis-benchmark"), ("nginx", "wrk")])
def test_a_server_s_own_benchmark_program_is_its_client(workload: str, program: str, tmp_path: Path) -> None:
    asked = ("workload.rate=0", "workload.client=program", "workload.connections=2")
    campaign = undisturbed(tmp_path, "program", *SMALL, "scenario=native", f"workload={workload}", *asked)
    (record,) = records(campaign)
    told = record["client"]["program"]
    assert (told["name"], told["errors"]) == (program, 0)
    assert told["version"]
    assert record["client"]["requests_per_s"] == told["requests_per_s"] > 0
    assert not (campaign / "runs" / record["run_id"] / "client.parquet").exists()


# A compiler takes seconds to start under emulation: its run is longer, and its files are small.
SMALL_FILES = ("workload.functions=1", "workload.jobs=1", "checkpoint.count=40")


@pytest.mark.shares
@pytest.mark.parametrize(("workload", "more"), [("fio", ()), ("build", SMALL_FILES), ("cpu", ())])
def test_what_has_no_client_gets_something_done_under_colo(
    workload: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    bench(tmp_path, *SMALL, f"workload={workload}", *more, "campaign=inside")
    (record,) = records(tmp_path / "inside")
    assert record["workload"]["per_second"] > 0


def test_the_same_service_without_colo_begins_with_the_same_state(tmp_path: Path) -> None:
    asked = ("scenario=native", "workload=postgres", "workload.connections=2")
    (record,) = records(undisturbed(tmp_path, "base", *SMALL, *asked))
    assert record["client"]["errors"] == 0
    assert record["client"]["program"]["name"] == "pgbench"
