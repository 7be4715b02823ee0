"""The fault injector: what it counts, what it calls left behind, and a handful of its faults against real pairs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings

from bench.errors import StoreError
from bench.run.campaign import run_campaign
from bench.run.folder import locked
from bench.system.exits import Exit
from bench.system.places import PACKAGES
from tools.faults import machine, records
from tools.faults.catalogue import CATALOGUE, chosen
from tools.faults.fault import BETWEEN
from tools.faults.inject import Outcome, References, inject
from tools.faults.jobs import read_outcomes, share
from tools.faults.scene import Beside, MissedError, Scene
from tools.faults.table import declared, line, markdown, rows
from tools.lab.hosts import Lab

REQUEST = b"2026-11-23T06:35:01.000001Z colo_send_message Send 'checkpoint-request' message\n"
LOADED = b"2026-11-23T06:35:01.000002Z colo_receive_message Receive 'vmstate-loaded' message\n"
STOP = b"2026-11-23T06:35:01.000003Z colo_vm_state_change Change 'run' => 'stop'\n"
RUN = b"2026-11-23T06:35:01.000004Z colo_vm_state_change Change 'stop' => 'run'\n"
WHOLE = REQUEST + STOP + LOADED + RUN
ELSEWHERE = ("| `far-", "| `job-")


@pytest.mark.parametrize(
    ("trace", "counts"),
    [
        (b"", (0, 0)),
        (RUN, (0, 0)),
        (RUN + WHOLE * 3, (3, 3)),
        (WHOLE + REQUEST + STOP + LOADED, (2, 1)),
        (WHOLE + REQUEST + STOP + RUN, (2, 1)),
        (WHOLE + REQUEST + STOP + LOADED + RUN[:-1], (2, 1)),
        (LOADED + RUN + WHOLE, (1, 1)),
    ],
)
def test_a_checkpoint_counts_when_it_was_loaded_and_the_guest_runs_again(trace: bytes, counts: tuple[int, int]) -> None:
    assert records.begun_and_complete(trace) == counts


def test_every_fault_of_the_issue_is_there() -> None:
    sides = {f"{act}-{side}-{when}" for act in ("kill", "stop") for side in ("primary", "secondary", "both")
             for when in ("before", "during", "between")}  # fmt: skip
    stages = (
        "prepare",
        "launch",
        "handshake",
        "boot",
        "colo-start",
        "workload",
        "measure",
        "teardown",
        "store",
        "report",
    )
    signals = {f"{name}-harness-{stage}" for name in ("kill", "term", "int", "int-twice", "hup") for stage in stages}
    signals |= {f"{name}-harness-{made}" for name in ("kill", "term", "int", "hup") for made in ("guest", "packages")}
    assert sides | signals <= set(CATALOGUE)
    assert {fault.name for fault in chosen(["port-stolen-*", "two-at-once"], slow=False)} == {
        "port-stolen-mirror",
        "port-stolen-migration",
        "port-stolen-nbd",
        "two-at-once",
    }
    cuts = {f"far-cut-{side}-{when}" for side in ("primary", "secondary") for when in ("before", "during", "between")}
    sides_of_hosts = product(("host-gone", "agent-killed", "disk-full"), ("primary", "secondary"))
    far = {f"far-{what}-{side}" for what, side in sides_of_hosts}
    far |= {f"far-{what}" for what in ("key-refused", "host-key-changed", "other-build", "other-architecture")}
    assert cuts | far | {"job-cancelled", "job-node-killed", "job-time-limit"} <= set(CATALOGUE)
    with pytest.raises(KeyError):
        chosen(["no-such-fault"], slow=False)


def test_what_was_not_there_before_is_left_behind(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", (), "0" * 12)
    (tmp_path / "cache").mkdir()
    before = machine.look(scene, tmp_path / "cache")
    run = scene.run / "primary"
    run.mkdir(parents=True)
    image, scratch, partial = run / "primary.qcow2", scene.temporary / "colo-bench-x", tmp_path / "cache" / "packages.x"
    for path in (image, scratch, partial, run / "trace.log"):
        path.write_text("")
    after = machine.look(scene, tmp_path / "cache")
    assert machine.left(before, after) == tuple(sorted(f"file {path}" for path in (image, scratch, partial)))
    assert machine.left(before, after, files=False) == ()


def test_what_is_on_another_host_is_looked_for_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", (), "0" * 12)
    there = Beside()
    scene.beside.append(lambda: there)
    before = machine.look(scene, tmp_path / "cache")
    there = Beside(frozenset({"process 1"}), frozenset({"listening on 20000"}), frozenset({"file runs/x"}))
    after = machine.look(scene, tmp_path / "cache")
    assert machine.left(before, after) == ("file runs/x", "listening on 20000", "process 1")
    assert machine.left(before, after, files=False) == ("listening on 20000", "process 1")


def test_a_run_that_a_job_measures_is_found_where_it_is(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", (), "0" * 12)
    own = scene.campaign / "runs" / scene.run_id
    assert scene.run == own
    part = scene.campaign / "parts/block-0001-submission-0/begun-0"
    (part / "runs" / scene.run_id / "primary").mkdir(parents=True)
    assert scene.run == part / "runs" / scene.run_id
    (scene.run / "primary/trace.log").write_bytes(WHOLE * 3)
    assert records.lost(scene.campaign, {}) == 3
    own.mkdir(parents=True)
    assert scene.run == own
    assert set(records.attempts(scene.campaign)) == {
        f"runs/{scene.run_id}",
        f"parts/block-0001-submission-0/begun-0/runs/{scene.run_id}",
    }


def test_a_checkpoint_is_under_way_when_the_primary_s_last_word_was_stop(tmp_path: Path) -> None:
    scene = Scene(tmp_path, (), "0" * 12)
    scene.run.mkdir(parents=True)
    said, hits = "", []
    for word in ("primary RESUME", "primary STOP", "secondary RESUME", "primary RESUME", "secondary STOP"):
        side, event = word.split()
        said += f'{{"t":1.5,"side":"{side}","event":"{event}","data":{{}}}}\n'
        (scene.run / "qmp.jsonl").write_text(said)
        hits.append(BETWEEN.hit(scene))
    assert hits == [True, False, False, True, True]  # the first RESUME is that of the guest's start


def test_of_another_host_its_own_trace_tells_whether_a_checkpoint_is_under_way(tmp_path: Path) -> None:
    scene = Scene(tmp_path, (), "0" * 12)
    scene.hosts = Lab(tmp_path / "hosts")
    scene.hosts.pids = {"primary": 1 << 30}  # no process: its files are found where they are
    far = CATALOGUE["far-cut-primary-during"].moment
    assert far
    trace = scene.hosts.work("primary") / "runs" / "1-2-3" / "0" / "primary" / "trace.log"
    trace.parent.mkdir(parents=True)
    hits = []
    for said in (RUN, RUN + STOP, RUN + WHOLE, RUN + WHOLE + REQUEST + STOP + LOADED):
        trace.write_bytes(said)
        hits.append(far.hit(scene))
    assert hits == [False, True, False, True]


def test_every_fault_of_other_hosts_and_of_jobs_is_in_the_document_with_what_was_seen() -> None:
    page = (PACKAGES / "docs" / "reliability.md").read_text().splitlines()
    listed = [one.removeprefix("| ").removesuffix(" |").split(" | ") for one in page if one.startswith(ELSEWHERE)]
    assert [tuple(cells[:3]) for cells in listed] == [
        declared(one) for one in CATALOGUE.values() if f"| `{one.name}".startswith(ELSEWHERE)
    ]
    assert all(cells[3].startswith(("as it should be", "not as it should be", "not yet run here")) for cells in listed)


def test_a_row_counts_what_was_not_as_it_should_be() -> None:
    good = Outcome("a", "group", cause="qemu-killed", named=True, finished=True, redone=3)
    wrong = ["exit status 0, not 1"]
    bad = Outcome("b", "group", lost=2, leftovers=["process 1"], cause="unknown", finished=True, wrong=wrong)
    blocked = Outcome("c", "other", blocked="needs root")
    found = rows([good, bad, blocked])
    assert [row.cells() for row in found] == [
        ("group", "2", "2", "1", "1 of 2", "always", "1", "3"),
        ("other", "0", *["blocked"] * 6),
        ("all", "2", "2", "1", "1 of 2", "always", "1", "3"),
    ]
    assert (good.ok, bad.ok) == (True, False)
    assert "NOT AS IT SHOULD BE" in line(bad)
    assert markdown(found).count("\n") == 4


def test_jobs_share_all_faults_and_nothing_of_what_they_found_is_lost() -> None:
    shares = [share([*CATALOGUE.values()], f"{number}/3") for number in range(3)]
    assert sorted(one.name for part in shares for one in part) == sorted(CATALOGUE)
    found = [Outcome("a", "b", status=1, leftovers=["process 1: qemu"], cause="qemu-killed"), Outcome("c", "b", "why")]
    written = json.dumps({"machine": "here", "injections": [one.to_json() for one in found]})
    assert read_outcomes(written.encode()) == found


def test_a_command_that_ends_before_the_moment_is_told_from_one_that_was_hit(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ("mem=nonsense",), "0" * 12)
    try:
        scene.start()
        with pytest.raises(MissedError, match="status 2"):
            scene.until(lambda: scene.stage() == "boot", "the boot")
    finally:
        scene.close()


# Damage to what is stored, before the campaign is continued: no pair is needed for that.

CELLS = (make_cell("256M"),)


def go(results: Path, session: FakeSession) -> Exit:
    return run_campaign(make_settings(results), CELLS, "python -m bench", fake_tools(session))


def states(results: Path) -> list[tuple[str, str | None]]:
    entries = []
    for text in (results / "c" / "ledger.jsonl").read_text(errors="replace").splitlines():
        with suppress(ValueError):
            entry = json.loads(text)
            entries.append((entry["state"], entry.get("cause")))
    return entries


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda _: b"\x00{", lambda _: b""])
def test_a_damaged_plan_is_refused_and_nothing_is_touched(tmp_path: Path, damage: Any) -> None:
    go(tmp_path, FakeSession())
    plan = tmp_path / "c" / "plan.json"
    kept = plan.read_bytes()
    plan.write_bytes(damage(kept))
    ledger = (tmp_path / "c" / "ledger.jsonl").read_bytes()
    with pytest.raises(StoreError, match=r"plan\.json"):
        go(tmp_path, FakeSession())
    assert (tmp_path / "c" / "ledger.jsonl").read_bytes() == ledger
    plan.unlink()  # as the hint says: the same command makes the same plan
    session = FakeSession()
    assert go(tmp_path, session) == Exit.DONE
    assert session.calls == []
    assert json.loads(plan.read_bytes())["runs"] == json.loads(kept)["runs"]


@pytest.mark.parametrize("size", [0, 3, 200, -1])
def test_a_measured_run_whose_table_is_damaged_is_measured_again_and_kept(tmp_path: Path, size: int) -> None:
    first = FakeSession()
    go(tmp_path, first)
    run_id = first.calls[0].run_id
    table = tmp_path / "c" / "runs" / run_id / "checkpoints.parquet"
    os.truncate(table, size if size >= 0 else table.stat().st_size - 1)
    second = FakeSession()
    assert go(tmp_path, second) == Exit.DONE
    assert [run.run_id for run in second.calls] == [run_id]
    assert states(tmp_path)[-3:] == [("failed", "store-failed"), ("started", None), ("measured", None)]
    kept = {path.name for path in (tmp_path / "c" / "failed" / f"{run_id}-0").iterdir()}
    assert kept == {"checkpoints.parquet", "run-without-tables.json", "stderr.log"}


def test_a_run_that_a_killed_harness_left_is_on_record_as_broken_off(tmp_path: Path) -> None:
    first = FakeSession()
    go(tmp_path, first)
    path = tmp_path / "c" / "ledger.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (tmp_path / "c" / "runs" / first.calls[-1].run_id / "run.json").unlink()
    assert go(tmp_path, FakeSession()) == Exit.DONE
    assert states(tmp_path)[-3:] == [("failed", "interrupted"), ("started", None), ("measured", None)]


def test_a_dead_owner_does_not_keep_the_campaign(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        try:
            with locked(tmp_path / "c"):
                os._exit(0)
        finally:
            os._exit(1)  # else this would go on with the tests as well
    assert os.waitpid(pid, 0) == (pid, 0)
    assert go(tmp_path, FakeSession()) == Exit.DONE


# Real pairs.


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> References:
    return References(tmp_path_factory.mktemp("references"))


@pytest.mark.pair
@pytest.mark.parametrize(
    "name",
    [
        *(
            pytest.param(name, marks=pytest.mark.shares)
            for name in ("kill-secondary-during", "kill-harness-measure", "int-twice-harness-boot")
        ),
        "far-disk-full-secondary",
    ],
)
def test_nothing_is_lost_and_nothing_left_behind(name: str, references: References, tmp_path: Path) -> None:
    fault = CATALOGUE[name]
    # Whatever the guest is: the bare one boots at once, and its checkpoints over TCP are as long.
    outcome = inject(replace(fault, setting=fault.setting or ("guest=bare",)), references, tmp_path)
    if outcome.blocked:
        pytest.skip(outcome.blocked)
    assert outcome.ok, line(outcome)
