"""A real Slurm of four nodes on this machine, real pairs: a node dies, a job is cancelled, one runs into its limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures.pairs import command, records

from bench.cluster.parts import starts
from bench.cluster.submissions import Submissions
from tools.lab.slurm import Cluster, cluster, missing, until

pytestmark = [pytest.mark.pair, pytest.mark.shares, pytest.mark.skipif(bool(missing()), reason=missing())]

BLOCKS, CELLS = 4, 2
ASKED = (
    *("-m", "guest=bare", "mem=64M,128M", "smp=1", "accel=tcg", "workload=idle", "link=unix", "cpu=qemu64,max"),
    *("checkpoint.count=4", "checkpoint.warmup=1", "checkpoint.interval=0.2", "hypotheses=none", "launcher=slurm"),
)
CAMPAIGN = (*ASKED, f"repeats={BLOCKS}", "campaign=c", "launcher.jobs=2", "launcher.time=1min")


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "slurm") as made:
        yield made


class Command:
    """The command under way, in the background."""

    def __init__(self, slurm: Cluster, results: Path, *overrides: str) -> None:
        self.said = results.with_suffix(".log")
        with self.said.open("ab") as out:
            self.child = subprocess.Popen(
                command(results, *overrides), cwd="/", env={**os.environ, **slurm.environ}, stdout=out, stderr=out
            )

    def ends(self, seconds: float = 600) -> int:
        """Return its exit status."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not end: {self.said.read_text()}")
        finally:
            self.kill()

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def say(slurm: Cluster, tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Return what starts the command; it does not outlive the test."""
    begun: list[Command] = []

    def start(*overrides: str) -> Command:
        begun.append(Command(slurm, tmp_path / "results", *overrides))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()


def measured(part: Path) -> int:
    """Return how many runs a part has measured so far."""
    return sum(1 for start in starts(part) for _ in start.path.glob("runs/*/run.json"))


def in_the_middle(slurm: Cluster, parts: Path, job: str) -> bool:
    """Return whether a job has measured something, and has more to do."""
    state, _ = slurm.states().get(job, ("", ""))
    mine = [part for part in parts.glob("*") if any(one.begun and one.begun.job == job for one in starts(part))]
    return state == "RUNNING" and any(0 < measured(part) < 2 * CELLS for part in mine)


def test_nothing_is_lost(slurm: Cluster, say: Callable[..., Command], tmp_path: Path) -> None:
    folder = tmp_path / "results" / "c"
    parts = folder / "parts"
    first = say(*CAMPAIGN)
    whole: set[str] = set()

    def seen() -> set[str]:
        return {path.parent.name for path in parts.glob("*/begun-*/runs/*/run.json")}

    until(lambda: bool(job_of(folder, 1)), 240, "two blocks are submitted")
    dies, hangs = job_of(folder, 0), job_of(folder, 1)
    until(lambda: in_the_middle(slurm, parts, dies), 240, "the first job has measured something")
    whole |= seen()
    slurm.kill_node(slurm.states()[dies][1], dies)

    until(lambda: in_the_middle(slurm, parts, hangs), 240, "the second job has measured something")
    whole |= seen()
    os.kill(slurm.begun(hangs), signal.SIGSTOP)  # it comes to no end by itself: the limit ends it

    cancelled = next_job(slurm, parts, {dies, hangs})
    whole |= seen()
    slurm.say("scancel", cancelled)

    assert first.ends() == 1, first.said.read_text()  # what was cancelled is for the next command
    said = first.said.read_text()
    assert f"job {cancelled} CANCELLED" in said
    assert f"job {hangs} TIMEOUT" in said
    second = say(*CAMPAIGN, "report=true")
    assert second.ends() == 0, second.said.read_text()

    plan = json.loads((folder / "plan.json").read_text())
    found = records(folder)
    assert [one["run_id"] for one in found] == [one["run_id"] for one in plan["runs"]]
    assert len(found) == BLOCKS * 2 * CELLS
    attempts = {one["run_id"]: one["attempt"] for one in found}
    assert {run_id for run_id in whole if attempts[run_id]} == set()  # measured once, and taken as it was
    requeued = [part for part in parts.glob("*") if len(starts(part)) > 1]
    assert [one.begun.job for part in requeued for one in starts(part) if one.begun] == [dies, dies]
    nodes = {one["nodes"]["primary"] for one in found}
    assert nodes <= {"n1", "n2", "n3", "n4"}
    assert all(
        one["nodes"] == dict.fromkeys(("primary", "secondary", "client"), one["nodes"]["primary"]) for one in found
    )
    assert Submissions(folder).open == []
    assert slurm.processes() == []
    report = (folder / "report" / "report.html").read_text()
    assert "Nodes, a factor of blocks" in report


def test_each_side_is_on_a_node_of_its_own(slurm: Cluster, say: Callable[..., Command], tmp_path: Path) -> None:
    asked = (*ASKED, "link=tcp", "cpu=qemu64", "host=ssh", "launcher.nodes=2", "repeats=1", "campaign=two")
    done = say(*asked)
    folder = tmp_path / "results" / "two"
    logs = "".join(path.read_text() for path in folder.glob("parts/*/slurm-*.log"))
    assert done.ends() == 0, done.said.read_text() + logs
    found = records(folder)
    assert len(found) == 2
    for one in found:
        primary, secondary = (one["nodes"][side] for side in ("primary", "secondary"))
        assert primary != secondary
        assert one["nodes"]["client"] == primary
        assert one["cell"]["host"] == {"kind": "ssh"}  # which nodes is where it was measured, and no part of what
    assert slurm.processes() == []


def job_of(folder: Path, block: int) -> str:
    """Return the first job of a block; empty before Slurm has it."""
    return next((one.job for one in Submissions(folder).of(block)), "") if folder.exists() else ""


def next_job(slurm: Cluster, parts: Path, others: set[str]) -> str:
    """Return a job beside others that has measured something, and has more to do."""

    def found() -> list[str]:
        return [job for job in slurm.states() if job not in others and in_the_middle(slurm, parts, job)]

    until(lambda: bool(found()), 400, "a third job has measured something")
    return found()[0]


def test_jobs_run_below_a_folder_whose_name_is_longer_than_a_socket_s_address(tmp_path: Path) -> None:
    with cluster(tmp_path / ("long" * 25)) as made:
        job = made.say("sbatch", "--parsable", "--wrap=true", "--output=/dev/null").strip()
        until(lambda: made.states().get(job, ("", ""))[0] == "COMPLETED", 60, "the job ends")


def test_what_never_starts_is_told(slurm: Cluster, say: Callable[..., Command], tmp_path: Path) -> None:
    too_long = say(*ASKED, "repeats=1", "campaign=long", "launcher.partition=brief", "launcher.time=1h")
    assert too_long.ends() == 3
    nowhere = say(*ASKED, "repeats=1", "campaign=nowhere", "launcher.partition=gpu")
    assert nowhere.ends() == 3
    short = say(*ASKED, "checkpoint.count=300", "repeats=1", "campaign=short", "launcher.time=1min")
    assert short.ends() == 2
    said = (tmp_path / "results.log").read_text()
    assert "partition brief gives a job 2 min 0 s at most" in said
    assert "the cluster has no partition gpu" in said
    assert "is shorter than a block" in said
    assert slurm.states() == {}


def test_who_leaves_comes_back_and_a_job_that_is_told_to_end_does_so_in_order(
    slurm: Cluster, say: Callable[..., Command], tmp_path: Path
) -> None:
    asked = (*ASKED, "repeats=1", "campaign=left")
    folder = tmp_path / "results" / "left"
    assert say(*asked, "launcher.detach=true").ends() == 0
    job = job_of(folder, 0)
    until(lambda: in_the_middle(slurm, folder / "parts", job), 240, "the job has measured something")
    os.kill(slurm.begun(job), signal.SIGTERM)
    until(lambda: slurm.states()[job][0] in {"COMPLETED", "FAILED"}, 60, "the job ends")
    (start,) = starts(next((folder / "parts").iterdir()))
    ended: Any = start.ended
    assert (ended.status, ended.whole) == (130, False)
    back = say(*asked)
    assert back.ends() == 0, back.said.read_text()
    assert len(records(folder)) == 2 * CELLS
    with suppress(FileNotFoundError):
        assert list((folder / "parts").glob("*/begun-*/runs/*")) == []
