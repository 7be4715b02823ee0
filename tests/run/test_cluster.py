"""Campaigns whose blocks are jobs, with a FAKE Slurm and fake pairs: what is submitted, merged, and made up for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings
from fixtures.cluster_world import CELLS, World, fail, measured, planned, states

from bench.cluster import slurm as commands
from bench.cluster.parts import part_name, parts_folder, read_order, starts
from bench.cluster.submissions import Submissions
from bench.config.launcher import Launcher
from bench.config.questions import questions
from bench.errors import ConfigError, GuestError, HostError
from bench.record.ledger import Ledger
from bench.run import part
from bench.run.campaign import run_campaign
from bench.system.exits import Exit
from bench.system.units import parse_duration_s

if TYPE_CHECKING:
    from fake_slurm import FakeSlurm

INVENTORY = {"kind": "ssh", **{side: {"ssh": side, "address": "192.0.2.1"} for side in ("primary", "secondary")}}


def kill() -> None:
    """What the node's death is to the process of a job."""
    raise KeyboardInterrupt


def test_every_block_is_a_job_and_what_jobs_measured_is_one_campaign(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    world.moves = [lambda: slurm.run(2, world.tools, "n2"), lambda: slurm.run(1, world.tools)]
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]
    assert measured(world.results) == {run["run_id"] for run in planned(world.results)}
    assert states(world.results) == [("started", 0), ("measured", 0)] * 4
    assert [run.block for run in world.session.calls] == [1, 1, 0, 0]
    in_order = {run["block"]: [] for run in planned(world.results)}
    for run in planned(world.results):
        in_order[run["block"]].append(run["run_id"])
    assert [run.run_id for run in world.session.calls] == [*in_order[1], *in_order[0]]
    shown = capsys.readouterr().out
    assert "block 2: job 2 ended on n2: 2 of 2 runs measured" in shown
    assert "c: pauses of pairs under emulation (TCG)" in shown
    assert f"report: {world.results / 'c'}/fake" in shown


def test_a_finished_campaign_submits_nothing_more(world: World, slurm: FakeSlurm) -> None:
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    world.go()
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]


def test_a_job_that_dies_loses_no_run_and_the_rest_of_its_block_is_submitted_again_where_it_was(
    world: World, slurm: FakeSlurm
) -> None:
    world.session.acts = {2: kill}
    world.moves = [
        lambda: slurm.run(1, world.tools, "n3", ends="NODE_FAIL"),
        lambda: slurm.run(2, world.tools, "n2"),
        lambda: slurm.run(3, world.tools, "n3"),
    ]
    assert world.go() == Exit.DONE
    assert len(measured(world.results)) == 4
    first, broken = world.session.calls[:2]
    again = world.session.calls[-1]
    assert (again.run_id, again.attempt) == (broken.run_id, 1)
    assert [run.run_id for run in world.session.calls].count(first.run_id) == 1
    assert "--nodelist=n3" in slurm.argv(3)
    assert not [word for word in slurm.argv(1) if word.startswith("--nodelist")]
    kept = world.results / "c" / "failed" / f"{broken.run_id}-0"
    assert (kept / "stderr.log").read_text() == "said\n"
    assert ("failed", 0) in states(world.results)
    assert Ledger(world.results / "c" / "ledger.jsonl").attempts(broken.run_id) == 2


def test_the_rest_of_a_block_goes_elsewhere_when_its_node_is_down(world: World, slurm: FakeSlurm) -> None:
    world.session.acts = {2: kill}

    def die() -> None:
        slurm.run(1, world.tools, "n3", ends="NODE_FAIL")
        slurm.set("nodes", "down*\n")

    world.moves = [die, lambda: slurm.run(2, world.tools), lambda: slurm.run(3, world.tools, "n4")]
    assert world.go() == Exit.DONE
    assert not [word for word in slurm.argv(3) if word.startswith("--nodelist")]


def test_a_job_that_slurm_starts_again_writes_to_a_folder_of_its_own_and_repeats_nothing(
    world: World, slurm: FakeSlurm
) -> None:
    world.session.acts = {2: kill}

    def requeued() -> None:
        slurm.run(1, world.tools, ends="PENDING")
        slurm.run(2, world.tools, "n2")

    world.moves = [requeued, lambda: slurm.run(1, world.tools, "n4")]
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]
    assert [one.path.name for one in starts(slurm.part(1))] == ["begun-0", "begun-1"]
    broken = world.session.calls[1].run_id
    assert [(run.run_id, run.attempt) for run in world.session.calls if run.run_id == broken] == [
        (broken, 0),
        (broken, 1),
    ]
    assert len(world.session.calls) == 5
    assert len(measured(world.results)) == 4
    mine = [one for one in states(world.results) if one[0] == "failed"]
    assert mine == [("failed", 0)]
    assert (world.results / "c" / "failed" / f"{broken}-0").is_dir()


def test_a_job_that_was_cancelled_is_made_up_for_by_the_next_command(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    world.session.acts = {2: kill}
    world.moves = [lambda: slurm.run(1, world.tools, ends="CANCELLED"), lambda: slurm.run(2, world.tools)]
    assert world.go() == Exit.RUNS_FAILED
    assert "job 1 CANCELLED on n1: 1 of 2 runs measured" in capsys.readouterr().out
    assert len(measured(world.results)) == 3
    world.moves = [lambda: slurm.run(3, world.tools)]
    assert world.go() == Exit.DONE
    assert len(measured(world.results)) == 4


def test_a_job_that_runs_into_its_limit_again_and_again_is_given_up_after_a_few_times(
    world: World, slurm: FakeSlurm
) -> None:
    world.session.acts = dict.fromkeys(range(1, 20), kill)

    def all_time_out() -> None:
        for job in slurm.jobs:
            if slurm.state(job) == "PENDING":
                slurm.run(job, world.tools, ends="TIMEOUT")

    world.moves = [all_time_out] * 5
    assert world.go() == Exit.RUNS_FAILED
    assert len(slurm.jobs) == 2 * 3
    assert measured(world.results) == set()


def test_who_leaves_comes_back_to_the_same_jobs(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    world.moves = [kill]
    assert world.go() == Exit.INTERRUPTED
    assert "to end them: scancel 1 2" in capsys.readouterr().out
    slurm.run(1, world.tools)
    slurm.forget(1)  # Slurm forgets what is over
    world.moves = [lambda: slurm.run(2, world.tools)]
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]
    assert len(measured(world.results)) == 4


def test_detached_it_submits_and_returns_and_the_same_command_merges(world: World, slurm: FakeSlurm) -> None:
    assert world.go(launcher={"detach": True}) == Exit.DONE
    assert measured(world.results) == set()
    for job in slurm.jobs:
        slurm.run(job, world.tools)
    assert world.go(launcher={"detach": True}) == Exit.DONE
    assert len(measured(world.results)) == 4
    assert slurm.jobs == ["1", "2"]


def test_a_further_look_is_on_record_also_where_the_command_leaves_a_job(world: World, slurm: FakeSlurm) -> None:
    def looks() -> Any:
        return json.loads((world.results / "c" / "plan.json").read_text())["looks"]

    asked: dict[str, Any] = {"hypotheses": questions(CELLS), "by_size": True}
    world.session.acts = dict.fromkeys((1, 3), fail(GuestError("no ready line", transient=False)))
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    assert world.go(**asked) == Exit.RUNS_FAILED
    assert looks() == [2]
    assert world.go(launcher={"detach": True}, **asked) == Exit.DONE
    assert looks() == [2]
    slurm.run(3, world.tools)
    assert world.go(launcher={"detach": True}, **asked) == Exit.DONE
    assert len(measured(world.results)) == 3
    assert looks() == [2, 2]


def test_a_job_whose_id_was_never_heard_is_found_again(world: World, slurm: FakeSlurm) -> None:
    slurm.set("silent", "")  # it takes the job, and its answer is lost
    with pytest.raises(HostError, match="refused"):
        world.go()
    folder = world.results / "c"
    lines = (folder / "submissions.jsonl").read_text().splitlines()
    (folder / "submissions.jsonl").write_text(lines[0] + "\n")  # a kill while it was asked leaves this much
    slurm.set("silent", None)
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]


def test_a_submission_that_slurm_never_got_is_repeated(world: World, slurm: FakeSlurm) -> None:
    folder = world.results / "c"
    folder.mkdir(parents=True)
    Submissions(folder).ask(0)
    world.moves = [lambda: [slurm.run(job, world.tools) for job in slurm.jobs]]  # type: ignore[list-item,func-returns-value]
    assert world.go() == Exit.DONE
    assert [slurm.part(job).name for job in slurm.jobs] == [part_name(0, 1), part_name(1, 0)]


def test_a_controller_that_is_silent_for_a_while_costs_nothing(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    def back() -> None:
        slurm.set("down", None)
        slurm.run(2, world.tools)

    def away() -> None:
        slurm.set("down", "")
        slurm.run(1, world.tools)

    world.moves = [away, back]
    assert world.go() == Exit.DONE
    shown = capsys.readouterr().out
    assert "Unable to contact slurm controller" in shown
    # The part of a job that has said that it is whole is taken whatever Slurm says.
    assert shown.index("block 1: job 1") < shown.index("block 2: job 2")


@pytest.mark.parametrize("asked", ["partitions", "submit"])
def test_a_controller_that_goes_away_between_a_look_and_a_submission_is_asked_again(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    def away() -> None:
        slurm.run(1, world.tools, ends="NODE_FAIL")
        slurm.run(2, world.tools)
        monkeypatch.setattr(commands, asked, gone)

    def gone(*_: object) -> None:
        monkeypatch.setattr(commands, asked, there)
        raise commands.UnreachableError("Unable to contact slurm controller")

    there = getattr(commands, asked)
    world.session.acts = {2: kill}
    world.moves = [away, lambda: None, lambda: slurm.run(3, world.tools)]
    assert world.go() == Exit.DONE
    assert "Unable to contact slurm controller: trying again" in capsys.readouterr().out
    assert len(measured(world.results)) == 4


@pytest.mark.parametrize("launcher", [{}, {"detach": True}])
def test_a_controller_that_goes_away_while_blocks_are_submitted_is_waited_for_where_somebody_waits(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, launcher: dict[str, Any]
) -> None:
    def second(*asked: Any) -> str:
        if slurm.jobs == ["1"]:
            monkeypatch.setattr(commands, "submit", there)
            raise commands.UnreachableError("Unable to contact slurm controller")
        return there(*asked)

    there = commands.submit
    monkeypatch.setattr(commands, "submit", second)
    if launcher:
        with pytest.raises(commands.UnreachableError):
            world.go(launcher=launcher)
        assert slurm.jobs == ["1"]
    world.moves = [lambda: slurm.run(1, world.tools), lambda: slurm.run(2, world.tools)]
    assert world.go() == Exit.DONE
    assert slurm.jobs == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "answer", "launcher", "said"),
    [
        (
            "never",
            "sbatch: error: allocation failure: Requested node configuration is not available",
            {},
            "not available",
        ),
        ("first", "PENDING|PartitionNodeLimit|\n", {}, "PartitionNodeLimit"),
        ("next", "0", {"partition": "gpu"}, "no partition gpu"),
        ("next", "0", {"partition": "short", "time": "1h"}, "gives a job 2 min 0 s at most"),
        ("next", "0", {"partition": "old"}, "partition old has 0 nodes"),
    ],
)
def test_what_can_never_start_is_told_at_submission_and_nothing_of_it_stays(
    world: World, slurm: FakeSlurm, name: str, answer: str, launcher: dict[str, Any], said: str
) -> None:
    slurm.set(name, answer)
    with pytest.raises(HostError, match=said) as refusal:
        world.go(launcher=launcher)
    assert refusal.value.cause == "job-never-starts"
    assert Submissions(world.results / "c").open == []
    assert {slurm.state(job) for job in slurm.jobs} <= {"CANCELLED"}


def test_a_time_shorter_than_a_block_is_told_before_anything_is_submitted(world: World, slurm: FakeSlurm) -> None:
    long = tuple(make_cell(f"{size}M") for size in range(256, 256 + 20))
    with pytest.raises(ConfigError, match=r"launcher\.time=1 min 0 s is shorter than a block") as refusal:
        world.go(launcher={"time": "1min"}, cells=long)
    assert refusal.value.cause == "job-too-short"
    (offered,) = re.findall(r"launcher\.time=(\w+)", refusal.value.hint)
    assert parse_duration_s(offered) > 200
    assert slurm.jobs == []


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="needs `sbatch`") as refusal:
        commands.require_slurm()
    assert refusal.value.cause == "slurm-missing"


@pytest.mark.parametrize(
    ("more", "cells", "said"),
    [
        ({}, (make_cell(accel="auto"),), "accel=auto"),
        ({"launcher": {"nodes": 2}}, CELLS, "launcher.nodes=2"),
        ({}, (make_cell(host={"kind": "ssh"}),), "launcher.nodes=1 has one"),
        ({"launcher": {"nodes": 2}}, (make_cell(host=INVENTORY),), "an inventory names hosts"),
        ({"launcher": {"nodes": 2}}, (make_cell(host={"kind": "ssh"}, link={"delay": "1ms"}),), "and a job has none"),
        ({"watch": "primary"}, CELLS, "watch="),
    ],
)
def test_what_is_decided_on_one_machine_is_refused(world: World, more: dict[str, Any], cells: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        world.go(cells=cells, **more)


def test_a_node_with_another_qemu_measures_nothing_and_says_why(
    world: World, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    other = fake_tools(world.session, sha256="e" * 64)

    def differs() -> None:
        for job in (1, 2):
            with pytest.raises(HostError, match="other programs") as refusal:
                slurm.run(job, other)
            assert refusal.value.cause == "node-differs"

    world.moves = [differs]
    assert world.go() == Exit.RUNS_FAILED
    assert world.session.calls == []
    assert slurm.jobs == ["1", "2"]
    assert "QEMU (provisioned): 11.1.3 aaaaaaaaaaaa -> 11.1.3 eeeeeeeeeeee" in capsys.readouterr().out


def test_a_run_that_fails_for_good_is_not_submitted_again_by_the_same_command(world: World, slurm: FakeSlurm) -> None:
    world.session.acts = {1: fail(GuestError("no ready line", transient=False))}
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    assert world.go() == Exit.RUNS_FAILED
    assert slurm.jobs == ["1", "2"]
    assert len(measured(world.results)) == 3


def test_a_run_that_failed_under_an_earlier_command_is_tried_also_where_the_first_job_for_it_dies(
    world: World, slurm: FakeSlurm
) -> None:
    world.session.acts = {1: fail(GuestError("no ready line", transient=False))}
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    assert world.go() == Exit.RUNS_FAILED
    world.moves = [lambda: slurm.put(3, "NODE_FAIL"), lambda: slurm.run(4, world.tools)]
    assert world.go() == Exit.DONE
    assert len(measured(world.results)) == 4


def test_the_logs_of_an_attempt_are_found_where_they_are_after_merging(world: World, slurm: FakeSlurm) -> None:
    def broken() -> None:
        (log,) = world.results.glob("c/parts/*/begun-*/runs/*/stderr.log")
        raise GuestError("no ready line", logs=(log,))

    everything = {"launcher": {"detach": True}, "repeats": 1}
    for attempt in range(2):
        world.session = FakeSession({1: broken})
        world.go(**everything)  # type: ignore[arg-type]
        slurm.run(attempt + 1, world.tools)
    world.go(**everything)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (world.results / "c" / "ledger.jsonl").read_text().splitlines()]
    failed = [one for one in lines if one["state"] == "failed"]
    assert [one["logs"] for one in failed] == [[f"failed/{failed[0]['run_id']}-{n}/stderr.log"] for n in range(2)]
    assert all((world.results / "c" / log).is_file() for one in failed for log in one["logs"])


def test_on_error_stop_takes_back_what_has_not_begun(world: World, slurm: FakeSlurm) -> None:
    world.session.acts = {1: fail(GuestError("no ready line", transient=False))}
    world.moves = [lambda: slurm.run(1, world.tools)]
    assert world.go(on_error="stop") == Exit.RUNS_FAILED
    assert slurm.state(2) == "CANCELLED"
    assert len(world.session.calls) == 1


def test_a_job_that_waits_to_be_started_again_is_taken_back_and_what_it_measured_is_kept(
    world: World, slurm: FakeSlurm
) -> None:
    world.session.acts = {2: kill, 3: fail(GuestError("no ready line", transient=False))}

    def requeued() -> None:
        slurm.run(1, world.tools, ends="PENDING")
        slurm.run(2, world.tools)

    world.moves = [requeued, lambda: None]
    assert world.go(on_error="stop") == Exit.RUNS_FAILED
    assert slurm.state(1) == "CANCELLED"
    assert measured(world.results) == {world.session.calls[0].run_id}
    assert Submissions(world.results / "c").open == []


def test_a_job_that_begins_while_it_is_taken_back_goes_on(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.session.acts = {1: fail(GuestError("no ready line", transient=False))}
    cancel = commands.cancel_waiting

    def late(jobs: Sequence[str]) -> None:
        if jobs:
            slurm.put(2, "RUNNING", node="n2")
        cancel(jobs)

    monkeypatch.setattr(commands, "cancel_waiting", late)
    world.moves = [lambda: slurm.run(1, world.tools), lambda: slurm.run(2, world.tools)]
    assert world.go(on_error="stop") == Exit.RUNS_FAILED
    assert slurm.state(2) == "COMPLETED"
    assert len(measured(world.results)) == 2


def test_a_campaign_whose_jobs_are_out_is_not_measured_here_as_well(world: World, slurm: FakeSlurm) -> None:
    world.go(launcher={"detach": True})
    with pytest.raises(ConfigError, match="jobs of this campaign are out"):
        run_campaign(make_settings(world.results), CELLS, "python -m bench", world.tools)
    assert slurm.jobs == ["1", "2"]


def test_so_many_at_once_is_slurms_to_hold(world: World, slurm: FakeSlurm) -> None:
    world.go(launcher={"detach": True, "jobs": 2}, repeats=5)
    names = [next(word for word in slurm.argv(job) if word.startswith("--job-name=")) for job in slurm.jobs]
    assert [names.count(name) for name in dict.fromkeys(names)] == [3, 2]
    assert all("--dependency=singleton" in slurm.argv(job) for job in slurm.jobs)


def test_a_job_is_submitted_as_arguments_whatever_its_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: FakeSlurm
) -> None:
    odd = World(tmp_path / 'it\'s 100% $HOME; "mine"', monkeypatch)
    odd.go(launcher={"detach": True, "partition": "main", "account": "physics", "time": "90min"}, repeats=1)
    words = slurm.argv(1)
    part = odd.results / "c" / "parts" / "block-0001-submission-1"
    assert words[-3:] == ["-m", "bench.part", str(part)]
    assert f"--output={str(part).replace('%', '%%')}/slurm-%j.log" in words
    assert {"--partition=main", "--account=physics", "--time=90", "--signal=B:TERM@60", "--exclusive"} <= set(words)
    assert (part / "job.sh").read_text().endswith('exec "$@"\n')


def test_parts_lie_where_the_nodes_can_write(world: World, slurm: FakeSlurm, tmp_path: Path) -> None:
    world.moves = [lambda: [slurm.run(job, world.tools) for job in (1, 2)]]  # type: ignore[list-item,func-returns-value]
    assert world.go(launcher={"workdir": str(tmp_path / "shared")}) == Exit.DONE
    assert slurm.part(1).is_relative_to(tmp_path / "shared")
    assert slurm.part(1).parent.parent.name.startswith("c-")
    assert len(measured(world.results)) == 4


def test_campaigns_of_one_name_do_not_meet_in_a_shared_folder(
    world: World, slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"workdir": str(tmp_path / "shared"), "detach": True}
    world.go(launcher=shared, repeats=1)
    World(tmp_path / "others", monkeypatch).go(launcher=shared, repeats=1)
    assert slurm.part(1).parent != slurm.part(2).parent
    mine = parts_folder(world.results / "c", tmp_path / "shared")
    assert slurm.part(1).parent == Path(mine)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert parts_folder(world.results / "c", tmp_path / "shared") != mine


def test_a_part_is_found_where_it_was_submitted_whatever_such_folders_are_called_now(
    world: World, slurm: FakeSlurm, tmp_path: Path
) -> None:
    shared = {"workdir": str(tmp_path / "shared"), "detach": True}
    world.go(launcher=shared, repeats=1)
    now, before = slurm.part(1).parent, tmp_path / "shared" / "c" / "parts"
    before.parent.mkdir()
    now.rename(before)
    for path in (slurm.job(1) / "argv", world.results / "c" / "submissions.jsonl"):
        path.write_text(path.read_text().replace(str(now), str(before)))
    slurm.run(1, world.tools)
    assert world.go(launcher=shared, repeats=1) == Exit.DONE
    assert len(measured(world.results)) == 2


def test_no_run_is_begun_that_would_not_end_in_time(world: World, slurm: FakeSlurm) -> None:
    world.go(launcher={"detach": True}, repeats=1)
    order = read_order(slurm.part(1))
    (slurm.part(1) / "order.json").write_text(replace(order, limit_s=0.0).to_json())
    slurm.run(1, world.tools)
    assert len(world.session.calls) == 1  # the first may always begin
    ended = starts(slurm.part(1))[0].ended
    assert ended is not None
    assert not ended.whole
    world.moves = [lambda: slurm.run(2, world.tools)]
    assert world.go(repeats=1) == Exit.DONE


def test_the_time_of_a_job_ends_when_it_may_be_told_to_come_to_its_end() -> None:
    now = [100.0]
    fits = part._in_time(1000.0, lambda: now[0])
    assert fits(5000.0)  # the first may always begin
    now[0] = 600.0
    assert fits(379.0)
    assert not fits(381.0)  # Slurm's word comes up to 120 s before the limit
    short = part._in_time(300.0, lambda: now[0])
    assert short(0.0)
    assert short(284.0)
    assert not short(286.0)


def test_what_preparing_takes_is_of_the_time_of_a_job(
    world: World, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    tools, in_time = world.tools, part._in_time

    def begun(limit_s: float) -> Callable[[float], bool]:
        did.append("began")
        return in_time(limit_s)

    def prepare(*words: Any) -> Any:
        did.append("prepared")
        return tools.prepare(*words)

    monkeypatch.setattr(part, "_in_time", begun)
    world.go(launcher={"detach": True}, repeats=1)
    slurm.run(1, replace(tools, prepare=prepare))
    assert did == ["began", "prepared"]


def test_a_dry_run_says_what_a_cluster_lacks_and_looks_at_no_memory_of_this_machine(
    slurm: FakeSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del slurm

    def refused(**launcher: Any) -> list[str]:
        asked = make_settings(tmp_path / "r", launcher=Launcher(kind="slurm", **launcher), dry_run=True)
        assert run_campaign(asked, (make_cell("512G"),), "bench") == Exit.DONE
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line.startswith("  refused") and "cannot be made" not in line]

    assert refused() == []
    (line,) = refused(partition="absent")
    assert line.startswith(
        "  refused  partition: the cluster has no partition absent; fix: launcher.partition=NAME, of: "
    )


def test_without_slurm_the_machine_that_submits_says_so_before_it_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    session = FakeSession()
    asked = make_settings(tmp_path / "r", launcher=Launcher(kind="slurm"))
    with pytest.raises(HostError, match="Slurm: launcher=slurm needs `sbatch`") as refusal:
        run_campaign(asked, CELLS, "bench", fake_tools(session))
    assert refusal.value.cause == "slurm-missing"
    assert (session.calls, (tmp_path / "r").exists()) == ([], False)


def test_a_dry_run_claims_nothing_of_the_nodes_from_this_machine(
    slurm: FakeSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del slurm
    cell = make_cell("1G", 255, accel="kvm")
    for kind, here in (("slurm", False), ("local", True)):
        launcher = Launcher.model_validate({"kind": kind})
        run_campaign(make_settings(tmp_path / "r", launcher=launcher, dry_run=True), (cell,), "bench")
        shown = capsys.readouterr().out
        assert ("of this host: they take turns" in shown) is here
        assert ("pairs    KVM of the hosts that measure" in shown) is not here


def test_a_dry_run_refuses_what_is_decided_on_one_machine(slurm: FakeSlurm, tmp_path: Path) -> None:
    del slurm
    asked = make_settings(tmp_path / "r", launcher=Launcher(kind="slurm"), dry_run=True)
    with pytest.raises(ConfigError, match="accel=auto is found out on the machine that measures"):
        run_campaign(asked, (make_cell(accel="auto"),), "bench")
