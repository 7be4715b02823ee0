"""What the doctor, a dry run and a submission find out about a cluster beforehand, with a FAKE Slurm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import make_cell, make_settings

from bench.config.launcher import Launcher
from bench.doctor import main
from bench.errors import ConfigError, HostError
from bench.run import cluster_checks
from bench.run.cluster_checks import check_node, checks, node_checks, require_cluster, wanted_by
from bench.run.dryrun import dry_run
from bench.system.exits import Exit

if TYPE_CHECKING:
    from fake_slurm import FakeSlurm

CELLS = (make_cell("256M"), make_cell("512M"))


def wanted(results: Path, **launcher: Any) -> cluster_checks.Wanted:
    return wanted_by(make_settings(results, launcher=Launcher(kind="slurm", **launcher)), CELLS, "c")


def found(results: Path, **launcher: Any) -> dict[str, tuple[str, str]]:
    return {one.name: (one.status, one.text) for one in checks(wanted(results, **launcher))}


@pytest.mark.usefixtures("slurm")
def test_a_cluster_that_has_what_is_asked_for_passes_in_a_fixed_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_checks, "file_system", lambda _: "nfs4")
    seen = found(tmp_path)
    assert list(seen) == ["Slurm", "controller", "partition", "job time", "shared folder"]
    assert {status for status, _ in seen.values()} == {"ok"}
    assert "22.05.8" in seen["controller"][1]
    assert seen["partition"][1].startswith("main: up, 4 nodes that are up, any time")
    assert require_cluster(wanted(tmp_path)) == ()


@pytest.mark.usefixtures("slurm")
def test_a_folder_on_a_disk_of_this_machine_is_told_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_checks, "file_system", lambda _: "ext4")
    (told,) = require_cluster(wanted(tmp_path))
    assert (told.name, told.status) == ("shared folder", "warn")
    assert "launcher.workdir=" in told.fix


@pytest.mark.parametrize(
    ("launcher", "file", "content", "name", "said"),
    [
        ({"partition": "gpu"}, "next", "0", "partition", "no partition gpu"),
        ({"partition": "old"}, "next", "0", "partition", "partition old has 0 nodes"),
        ({"nodes": 3, "partition": "short"}, "next", "0", "partition", "launcher.nodes=3 asks more"),
        ({}, "partitions", "main*|infinite|4|idle|down\n", "partition", "starts no jobs: it is not up"),
        ({"time": "1min"}, "next", "0", "job time", "is shorter than a block"),
        ({"partition": "short", "time": "1h"}, "next", "0", "job time", "gives a job 2 min 0 s at most"),
    ],
)
def test_what_a_cluster_lacks_is_told_with_what_mends_it_and_refused_in_the_same_words(
    tmp_path: Path, slurm: FakeSlurm, launcher: dict[str, Any], file: str, content: str, name: str, said: str
) -> None:
    slurm.set(file, content)
    long = tuple(make_cell(f"{size}M") for size in range(256, 276))
    asked = wanted_by(make_settings(tmp_path, launcher=Launcher(kind="slurm", **launcher)), long, "c")
    (wrong,) = [one for one in checks(asked) if one.status == "fail"]
    assert wrong.name == name
    assert said in wrong.text
    assert wrong.fix
    with pytest.raises((HostError, ConfigError), match=said) as refusal:
        require_cluster(asked)
    assert refusal.value.hint == wrong.fix


def test_without_slurm_nothing_more_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (only,) = checks(wanted(tmp_path))
    assert (only.name, only.status, only.cause) == ("Slurm", "fail", "slurm-missing")
    assert "slurm-client" in only.fix


@pytest.mark.parametrize(
    ("says", "status"), [("22.05.2", "ok"), ("24.11.5", "warn"), ("20.11.9", "warn"), ("nothing", "ok")]
)
def test_releases_that_differ_or_were_never_tried_are_told(
    tmp_path: Path, slurm: FakeSlurm, says: str, status: str
) -> None:
    slurm.set("config", f"SLURM_VERSION = {says}\n")
    assert found(tmp_path)["controller"][0] == status


@pytest.mark.usefixtures("slurm")
def test_a_node_is_asked_by_a_job_whether_it_sees_the_folder(tmp_path: Path) -> None:
    submission, node = node_checks(wanted(tmp_path))
    assert (submission.name, submission.status) == ("submission", "ok")
    assert (node.name, node.status) == ("node n1", "ok"), node
    assert f"{os.cpu_count()} CPUs" in node.text
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_job_that_would_never_start_and_nodes_that_are_busy_are_told(tmp_path: Path, slurm: FakeSlurm) -> None:
    slurm.set("busy", "")
    _, busy = node_checks(wanted(tmp_path))
    assert (busy.status, busy.fix != "") == ("warn", True)
    slurm.set("never", "sbatch: error: allocation failure: Invalid account")
    (never,) = node_checks(wanted(tmp_path))
    assert (never.status, never.cause) == ("fail", "job-never-starts")
    assert "Invalid account" in never.text


ANSWER: dict[str, object] = {"node": "n1", "seen": True, "written": True, "wrong": "", "kvm": True, "cpus": 8}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seen": False}, "is not shared with n1: it does not see"),
        ({}, "what it writes is not seen here"),
        ({"wrong": "No module named 'bench'"}, "colo-bench cannot be run there: No module named"),
    ],
)
def test_a_node_that_cannot_measure_is_told_with_why(change: dict[str, object], said: str) -> None:
    check = check_node(ANSWER | change, Path("/shared"), back="wrong" in change)
    assert check.status == "fail"
    assert said in check.text
    assert check.fix


@pytest.mark.usefixtures("slurm")
def test_the_doctor_shows_the_list_and_a_dry_run_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("launcher=slurm", "mem=256M", "smp=1", "accel=tcg", f"results={tmp_path}", "launcher.partition=gpu")
    assert main(["--quick", *words]) == Exit.HOST
    shown = capsys.readouterr().out
    assert "ok    campaign" in shown
    assert "fail  partition     the cluster has no partition gpu" in shown
    assert "fix: launcher.partition=NAME, of: main, short, old" in shown
    settings = make_settings(tmp_path, launcher=Launcher(kind="slurm", partition="gpu"))
    assert "refused  partition: the cluster has no partition gpu" in dry_run(settings, CELLS, "c", lambda *_: ())


@pytest.mark.usefixtures("slurm")
def test_what_is_decided_on_one_machine_is_the_doctor_s_to_tell_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "launcher=slurm", "mem=256M", "smp=1", "accel=auto", f"results={tmp_path}"]) == Exit.HOST
    assert "fail  campaign      accel=auto" in capsys.readouterr().out
