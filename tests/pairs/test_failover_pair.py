"""Real pairs that lose a side: the other one takes over, and the record says when, where and how long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.pairs import bench, checkpoints, records, running_below

from bench.measure.strike import BETWEEN
from bench.vm.takeover import SWITCHED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pair

AFTER, WARMUP = 2, 1
FAILOVER = (
    *("scenario=failover", "guest=bare", "mem=256M", "smp=1", "link=nodelay", "devices.vga=none"),
    *("workload=dirty", "workload.working_set=2M", "workload.rate=20", "checkpoint.interval=0.2"),
    *(f"checkpoint.warmup={WARMUP}", f"failover.after={AFTER}", "failover.timeout=1", "repeats=1", "hypotheses=none"),
)
PARTS = ("detect_s", "decide_s", "takeover_s", "first_answer_s")


def failed_over(results: Path, name: str, *overrides: str) -> dict[str, Any]:
    """Run one failover and return what its record says, held to what any survived failover has."""
    bench(results, *FAILOVER, f"campaign={name}", *overrides)
    (record,) = records(results / name)
    told: dict[str, Any] = record["failover"]
    assert told["success"], told
    assert told["cause"] == ""
    table = checkpoints(results / name, record)
    assert len(table) >= WARMUP + AFTER
    assert table["ram_receive_s"].notna().all()  # the sides are matched, though one of them may end inside a checkpoint
    assert sum(told[part] for part in PARTS) == pytest.approx(told["outage_s"], abs=1e-4)
    guest = told["guest"]
    assert guest["checked"]["wrong"] == 0
    assert guest["checked"]["pages"] == (2 << 20) / 4096
    assert guest["first"]["pages"] >= guest["before"]["pages"]
    return told


def test_the_secondary_takes_over_from_a_primary_killed_between_checkpoints(tmp_path: Path) -> None:
    told = failed_over(tmp_path, "primary", "failover.victim=primary")
    assert (told["survivor"], told["hit"]["phase"]) == ("secondary", BETWEEN)
    assert told["noticed_s"] is not None


def test_the_primary_takes_over_from_a_secondary_that_is_killed(tmp_path: Path) -> None:
    told = failed_over(tmp_path, "secondary", "failover.victim=secondary")
    assert (told["survivor"], told["hit"]["phase"]) == ("primary", BETWEEN)


@pytest.mark.parametrize("victim", ["primary", "secondary"])
def test_the_survivor_gets_a_new_secondary_and_both_take_a_checkpoint(tmp_path: Path, victim: str) -> None:
    told = failed_over(tmp_path, "again", f"failover.victim={victim}", "failover.redundancy=true")
    assert "reason" not in told["redundancy"], told["redundancy"]
    assert told["redundancy_s"] > 0
    assert told["redundancy"]["steps"][-1]["step"].startswith("primary   migrate-set-parameters")
    (record,) = records(tmp_path / "again")
    assert record["triggers"]["demand"] >= AFTER
    assert running_below(tmp_path) == set()
    assert list(tmp_path.rglob("*.qcow2")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="host=netns needs root")
def test_the_secondary_takes_over_from_a_primary_whose_host_goes_down(tmp_path: Path) -> None:
    told = failed_over(tmp_path, "down", "failover.victim=primary", "failover.how=down", "host=netns")
    assert told["steps"][0]["step"].startswith("secondary yank")  # no socket says that the primary is gone


@pytest.mark.skipif(os.geteuid() != 0, reason="host=bridged needs root")
def test_a_client_on_the_switch_goes_on_with_the_secondary_and_has_lost_nothing(tmp_path: Path) -> None:
    service = ("guest=apps", "mem=512M", "accel=tcg", "devices.vga=std", "host=bridged", "tcp_timestamps=false")
    compare = ("compare.timeout=100ms", "compare.expired_scan_cycle=50ms", "failover.timeout=2")
    load = ("workload=valkey", "workload.rate=50", "workload.connections=2", "workload.keys=100")
    own = [one for one in FAILOVER if not one.startswith(("guest", "mem", "devices", "workload", "failover.timeout"))]
    bench(tmp_path, *own, *service, *compare, *load, "failover.victim=primary", "campaign=served")
    (record,) = records(tmp_path / "served")
    told = record["failover"]
    assert told["success"], told
    assert any(step["step"] == SWITCHED for step in told["steps"])
    seen = told["client"]
    assert seen["gap_s"] > 0
    assert seen["connections"] == 2
    assert (seen["lost"], seen["checked"] > 0) == (0, True), seen


def test_the_secondary_takes_over_from_a_primary_that_is_stopped_inside_a_checkpoint(tmp_path: Path) -> None:
    told = failed_over(tmp_path, "stopped", "failover.victim=primary", "failover.how=stop", "failover.when=load")
    assert told["hit"]["phase"] != BETWEEN
    assert told["steps"][0]["step"].startswith(
        "secondary yank"
    )  # its sockets stay open: nothing else ends a wait for it
