"""The real command, from another directory, in a dry run: nothing is started, fetched or left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Bench = Callable[..., subprocess.CompletedProcess[str]]
LABEL = re.compile(r"run \S+ +cell [0-9a-f]{8} .*  (\d+ .iB · .*)$", re.MULTILINE)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        environment = {**os.environ, "COLO_BENCH_CACHE": str(tmp_path / "cache"), "COLUMNS": "80"}
        done = subprocess.run(
            [sys.executable, "-m", "bench", f"results={tmp_path / 'results'}", *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert list(elsewhere.iterdir()) == []
        assert not (tmp_path / "results").exists()
        return done

    return run


def labels(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    found: list[str] = LABEL.findall(done.stdout)
    assert found, done.stdout
    return found


def test_a_grid_is_every_combination_once(bench: Bench) -> None:
    shown = labels(bench("-m", "mem=256M,512M", "smp=1,2", "workload=idle", "accel=tcg", "dry_run=true"))
    expected = {f"{mem} MiB · {cpus} · idle · tcp" for mem in (256, 512) for cpus in ("1 vCPU", "2 vCPUs")}
    assert len(shown) == 4
    assert set(shown) == expected


def test_one_configuration_is_a_sweep_of_one(bench: Bench) -> None:
    assert labels(bench("mem=1G", "smp=2", "dry_run=true")) == ["1 GiB · 2 vCPUs · idle · tcp"]


ARMS = {
    f"{mem} GiB · {cpus} vCPUs · dirty working_set={own} · tcp"
    for mem, cpus, own in [
        *((mem, cpus, "32 MiB scaling=fixed") for mem in (4, 8, 16) for cpus in (2, 8)),
        *((mem, 2, "3 MiB scaling=mem") for mem in (4, 8, 16)),
    ]
}


def test_sweeping_sizes_asks_what_they_do_under_a_workload_that_can_tell(bench: Bench) -> None:
    done = bench("-m", "mem=4G,8G,16G", "smp=2,8", "accel=tcg", "dry_run=true")
    assert set(labels(done)) == ARMS
    assert len(labels(done)) == len(ARMS)  # one block to begin with
    for asked in ("ram_alone: The pause grows with RAM by itself", "ram_pages: ", "vcpus: The pause grows with the nu"):
        assert f"  asks     {asked}" in done.stdout
    assert "at most 1 h 0 min of measuring (budget) and 24 blocks (max_blocks)" in done.stdout


def test_what_is_chosen_stands(bench: Bench) -> None:
    sweep = ("-m", "mem=1G,2G", "smp=1,2", "dry_run=true")
    shown = labels(bench(*sweep, "checkpoint.count=7", "hypotheses=none", "link=unix"))
    assert len(shown) == 6
    assert "3 + 7 checkpoints, each 0.25 s" in bench(*sweep, "checkpoint.count=7").stdout
    assert "1 + 10 checkpoints by QEMU's own timer" in bench(*sweep, "checkpoint=timer").stdout
    assert "asks" not in bench(*sweep, "hypotheses=none").stdout
    assert all(" · idle · " in one for one in labels(bench(*sweep, "workload=idle")))
    assert all(" · idle · " in one for one in labels(bench("-m", "link=tcp,unix", "dry_run=true")))


def test_ranges_and_globs_sweep_too(bench: Bench) -> None:
    shown = labels(bench("-m", "smp=range(1,4)", "link=glob(*,exclude=no*)", "dry_run=true"))
    assert len(shown) == 6
    assert {one.rpartition(" · ")[2] for one in shown} == {"tcp", "unix"}


def test_an_experiment_brings_its_sweep_and_the_command_line_wins(bench: Bench) -> None:
    done = bench("experiment=demo", "dry_run=true")
    assert len(labels(done)) == 35
    assert "campaign demo: a dry run" in done.stdout
    assert len(labels(bench("experiment=demo", "mem=1G", "repeats=1", "hypotheses=none", "dry_run=true"))) == 4


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("procedure", 1),
        ("card_sweep", 18),
        ("size_sweep", 84),
        ("procedure_claims", 42),
        ("interval", 30),
        ("e1000", 35),
    ],
)
def test_every_experiment_composes(bench: Bench, name: str, runs: int) -> None:
    assert len(labels(bench(f"experiment={name}", "dry_run=true"))) == runs


def test_the_procedure_is_the_2020_set_up(bench: Bench) -> None:
    shown = bench("experiment=procedure", "dry_run=true").stdout
    for wanted in ("-cpu qemu64,+kvmclock", "-m 16384M", "-smp 8", "rtl8139", "usb-tablet", "if=ide", "timer, 20 s"):
        assert wanted in shown


def test_a_dry_run_without_qemu_says_what_would_be_fetched(bench: Bench) -> None:
    assert "QEMU     provisioned: not there yet; it is fetched first" in bench("dry_run=true").stdout


def test_wrong_usage_is_refused_in_words_before_anything_starts(bench: Bench) -> None:
    done = bench("memm=4")
    assert done.returncode == 2
    assert done.stderr.startswith("colo-bench: unknown key memm; did you mean mem? legal: accel, ")
    assert done.stdout == ""


def test_help_lists_groups_keys_and_commands(bench: Bench) -> None:
    done = bench("--help")
    assert done.returncode == 0
    for wanted in (
        "workload: build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey",
        "experiment: accel, cache, card_sweep, demo",
        "on_error: retry:2",
        "dry_run=true",
    ):
        assert wanted in done.stdout


def test_a_cell_that_cannot_fit_in_memory_is_refused_beforehand_with_status_3(bench: Bench) -> None:
    done = bench("mem=100T", "accel=tcg")
    assert done.returncode == 3
    assert "does not fit: it needs 102400.7 GiB of memory" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_grids_are_one_campaign_and_an_override_holds_in_each(bench: Bench) -> None:
    shown = labels(bench("experiment=size_sweep", "repeats=1", "smp=2", "hypotheses=[]", "dry_run=true"))
    assert len(shown) == 8  # three sizes of two arms over a unix socket, two sizes over TCP
    assert all("2 vCPUs" in one for one in shown)


def test_a_hypothesis_that_the_cells_cannot_decide_is_refused_before_the_first_boot(bench: Bench) -> None:
    done = bench("experiment=size_sweep", "mem=1G", "dry_run=true")
    assert done.returncode == 2
    assert "hypothesis H1_total: mem does not take the levels that it compares" in done.stderr


def test_the_secondarys_binary_is_a_factor_of_its_own(bench: Bench) -> None:
    done = bench("-m", "qemu=11.1", "qemu.secondary=10.0,11.1", "mem=256M", "smp=1", "accel=tcg", "dry_run=true")
    assert sorted(labels(done)) == [
        "256 MiB · 1 vCPU · idle · tcp · qemu_secondary=10.0",
        "256 MiB · 1 vCPU · idle · tcp · qemu_secondary=11.1",
    ], done.stderr
