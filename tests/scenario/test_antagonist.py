"""The cache antagonist and its control, as real processes; what shows that the caches were taken."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fake_session import make_cell

from bench.config.factors import identity
from bench.config.model import Cell
from bench.config.tuning import HostCache
from bench.plan.estimate import primary_bytes
from bench.provision.programs import antagonist_program
from bench.scenario.antagonist import unapplied

SHARE = 0.4
DID = {"reach_before_s": 5e-9, "reach_s": 9e-9, "cpus": 2, "cpu_s": 5.0, "seconds": 10.0, "swept_bytes": 1 << 40}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLO_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return antagonist_program(lambda _text: None)


def ran(program: Path, kind: str, seconds: float = 0.5) -> dict[str, Any]:
    child = subprocess.Popen([program, kind, str(4 << 20), str(SHARE)], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(seconds)
        child.terminate()
        said, _ = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0
    figures: dict[str, Any] = json.loads(said)
    return figures


def reach_ns(program: Path, size_bytes: int) -> float:
    argv = [program, "chase", str(size_bytes), "0.02"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return float(json.loads(done.stdout)["reach_ns"])


@pytest.mark.parametrize("kind", ["sweep", "compute"])
def test_it_runs_on_every_cpu_for_no_more_than_its_share(program: Path, kind: str) -> None:
    did = ran(program, kind)
    assert did["cpus"] == len(os.sched_getaffinity(0))
    periods = did["seconds"] * did["cpus"]
    assert 0 < did["cpu_s"] < 1.5 * SHARE * periods
    assert (did["swept_bytes"] > 0) == (kind == "sweep")


def test_it_runs_only_where_it_may(program: Path) -> None:
    one = min(os.sched_getaffinity(0))
    argv = ["taskset", "-c", str(one), program, "sweep", str(1 << 20), "0.1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        time.sleep(0.3)
        child.terminate()
        said, _ = child.communicate(timeout=60)
    assert json.loads(said)["cpus"] == 1


def test_a_line_beyond_the_caches_takes_longer_to_be_reached_than_one_inside(program: Path) -> None:
    assert reach_ns(program, 128 << 20) > 2 * reach_ns(program, 16 << 10)


@pytest.mark.parametrize(
    "argv", [(), ("sweep",), ("sweep", "1", "0.5"), ("sweep", "1048576", "0"), ("chase", "x", "1")]
)
def test_what_it_cannot_do_is_refused(program: Path, argv: tuple[str, ...]) -> None:
    done = subprocess.run([program, *argv], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage" in done.stderr


def test_without_memory_it_says_so(program: Path) -> None:
    argv = [program, "sweep", str(1 << 46), "0.5"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no memory" in done.stderr


def test_what_was_taken_and_had_its_time_fails_nothing() -> None:
    assert unapplied(HostCache(kind="antagonist"), DID) == ()
    assert unapplied(HostCache(kind="control"), DID | {"reach_s": 5e-9}) == ()
    assert unapplied(HostCache(), {}) == ()


def test_an_antagonist_that_took_nothing_fails_the_run() -> None:
    (said,) = unapplied(HostCache(kind="antagonist"), DID | {"reach_s": 5.2e-9})
    assert "5.0 ns before and 5.2 ns under the antagonist: the cache was not taken" in said


@pytest.mark.parametrize("kind", ["antagonist", "control"])
def test_one_that_had_no_cpu_time_fails_the_run(kind: str) -> None:
    (said,) = unapplied(HostCache(kind=kind), DID | {"cpu_s": 4.9})  # type: ignore[arg-type]
    assert f"the cache {kind} had 4.9 s of CPU time, 10.0 s were asked for" in said


def test_a_cell_without_one_is_the_cell_of_before() -> None:
    assert "cache" not in identity(make_cell())
    cell = Cell.model_validate(make_cell().model_dump() | {"cache": {"kind": "antagonist", "buffer": "32M"}})
    assert identity(cell)["cache"]["buffer"] == 32 << 20
    assert primary_bytes(cell) > primary_bytes(make_cell())


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.5}, {"share": True}, {"buffer": "1K"}, {"kind": "all"}])
def test_what_it_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HostCache(**wrong)
