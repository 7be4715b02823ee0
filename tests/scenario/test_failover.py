"""What a failover is, without a machine: configuration, steps, where a blow fell, and when a record is sound."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from fake_session import GIB, FakeBinary, FakeGuest, make_cell, make_settings
from fake_traces import (
    T0_US,
    parse,
    primary_checkpoint,
    primary_start,
    secondary_checkpoint,
    secondary_start,
)
from fake_traces import line as trace_line
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.config.factors import identity
from bench.config.model import Cell
from bench.config.procedure import Checkpoint, Deadlines, Failover, When
from bench.errors import WorkloadError
from bench.format.phases import DROPPED, EVENTS, ORDER, PHASES, PRIMARY, SECONDARY
from bench.host.clock import Clocks, Offset
from bench.host.links import Link
from bench.host.strike import Blow
from bench.measure.driver import CheckpointCounter
from bench.measure.pulse import HARNESS, Gap
from bench.measure.strike import BETWEEN, Hit, beginning_of, hit, until, written
from bench.plan.estimate import estimate
from bench.run.dryrun import Installed, render
from bench.scenario import failover
from bench.scenario.base import Notes, Stages
from bench.scenario.client import workload
from bench.scenario.registry import scenario_of
from bench.scenario.takeover import Course
from bench.vm.takeover import SWITCHED, planned_steps, planned_texts, takeover_steps, yank_step
from bench.workload.http import Http
from bench.workload.postgres import Postgres

TOTALS_ALONE = {"name": "valkey", "rate": 0, "client": "program"}
PHASES_US = (1000, 2000, 3000, 4000, 5000, 6000, 7000)
SECOND_US = 1_000_000


def failing(**asked: Any) -> Cell:
    return make_cell(scenario="failover", failover=asked, checkpoint=Checkpoint(count=9, warmup=1, interval=1))


def test_a_failover_is_in_no_id_but_its_own() -> None:
    assert "failover" not in identity(make_cell())
    assert make_cell() == make_cell(failover={"victim": "primary"})
    assert identity(failing())["failover"] == {
        "victim": "primary",
        "how": "kill",
        "when": "between",
        "after": 3,
        "heartbeat": 0.1,
        "timeout": 0.5,
    }
    assert identity(failing()) != identity(failing(how="stop"))


def test_a_cell_with_a_failover_survives_being_written_and_read() -> None:
    cell = failing(victim="secondary", when="load")
    assert Cell.model_validate(cell.model_dump(mode="json")) == cell


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"failover": {"victim": "secondary"}}, "scenario=failover"),
        ({"scenario": "native", "failover": {"after": 5}}, "scenario=failover"),
        ({"scenario": "failover", "failover": {"how": "cut"}}, "host=netns, and"),
        ({"scenario": "failover", "failover": {"how": "down"}}, "host=netns or host=bridged, and"),
        ({"scenario": "failover", "workload": Http()}, "host=bridged, failover.victim=secondary"),
        (
            {"scenario": "failover", "guest": "apps", "host": {"kind": "bridged"}, "workload": TOTALS_ALONE},
            "workload.client=own",
        ),
        ({"scenario": "failover", "failover": {"when": "never"}}, "between"),
        ({"scenario": "failover", "failover": {"when": "save"}, "host": {"kind": "ssh"}}, "failover.when=between"),
        ({"scenario": "failover", "failover": {"heartbeat": 0}}, "heartbeat"),
    ],
)
def test_what_cannot_be_is_refused_with_what_mends_it(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        make_cell(**fields)


def test_a_cut_unix_socket_is_refused_too() -> None:
    with pytest.raises(ValidationError, match="link=tcp or link=nodelay"):
        make_cell(scenario="failover", failover={"how": "cut"}, host={"kind": "netns"}, link={"transport": "unix"})


def test_a_host_can_go_down_where_each_side_has_a_link_of_its_own() -> None:
    for kind in ("netns", "bridged"):
        assert make_cell(scenario="failover", failover={"how": "down"}, host={"kind": kind}).failover is not None


def test_a_client_outlives_the_primary_where_a_switch_leads_it_to_the_secondary() -> None:
    assert make_cell(scenario="failover", host={"kind": "bridged"}, workload=Http()).failover is not None


def test_a_client_outlives_the_secondary() -> None:
    assert make_cell(scenario="failover", failover={"victim": "secondary"}, workload=Http()).failover is not None


def test_every_phase_of_a_checkpoint_can_be_struck() -> None:
    assert get_args(When) == (BETWEEN, *PHASES)


def test_a_run_takes_the_checkpoints_that_the_blow_comes_after() -> None:
    cell = failing(after=2)
    assert (cell.taken.count, cell.taken.warmup, make_cell().taken.count) == (2, 1, 4)
    assert estimate(failing(after=2)).seconds < estimate(failing(after=20)).seconds


def commands(victim: str) -> list[str]:
    survivor = Failover(victim=victim).survivor  # type: ignore[arg-type]
    return [" ".join((one.command, *map(str, dict(one.arguments).values()))) for one in takeover_steps(survivor)]


def test_the_secondary_takes_over_as_documented() -> None:
    assert commands("primary") == [
        *("nbd-server-stop", "x-colo-lost-heartbeat", "object-del f2", "object-del f1"),
        *("chardev-remove red1", "chardev-remove red0"),
    ]


def test_the_primary_takes_over_as_documented() -> None:
    assert commands("secondary") == [
        *("x-blockdev-change colo-disk0 children.1", "human-monitor-command drive_del replication0"),
        *(f"object-del {name}" for name in ("comp0", "iothread1", "m0", "redire0", "redire1")),
        "x-colo-lost-heartbeat",
    ]


def test_where_a_switch_leads_to_the_guests_it_is_turned_and_the_card_announced() -> None:
    shown = planned_texts("secondary", switched=True)
    assert shown[:-2] == planned_texts("secondary")
    assert (shown[-2], shown[-1].split()[1]) == (SWITCHED, "announce-self")
    assert planned_texts("primary", switched=True) == planned_texts("primary")


def test_only_what_leads_to_the_lost_side_is_yanked_and_out_of_band() -> None:
    nbd = {"type": "block-node", "node-name": "#block123"}
    yank = yank_step("primary", [{"type": "chardev", "id": "mirror0"}, {"type": "migration"}, nbd])
    assert yank is not None
    assert dict(yank.arguments) == {"instances": [{"type": "migration"}, nbd]}
    assert yank.out_of_band
    assert yank.text().endswith("(out of band)")
    assert yank_step("primary", [{"type": "chardev", "id": "mirror0"}]) is None


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_is_looked_for_by_the_very_line_that_qemu_writes(phase: str) -> None:
    arguments = {event.name: event.arguments for event in EVENTS}
    (kind,) = [kind for kind, begun in zip(ORDER[PRIMARY], PHASES, strict=False) if begun == phase]
    event, _, rest = beginning_of(phase).decode().partition(" ")
    match = re.fullmatch(arguments[event], f" {rest}")
    assert (event, match and match.groups()) == (kind.event, kind.values)
    assert beginning_of(phase) in "".join(primary_checkpoint(T0_US)).encode()


def test_every_event_of_the_order_can_be_written() -> None:
    lines = primary_checkpoint(T0_US)
    assert all(written(kind) in line.encode() for kind, line in zip(ORDER[PRIMARY], lines, strict=True))


def two_checkpoints(cut_after: int = 8) -> list[str]:
    """Return a primary's trace of two checkpoints a second apart, the last of which has so many of its events."""
    first = T0_US + SECOND_US
    last = primary_checkpoint(first + SECOND_US, PHASES_US)[:cut_after]
    return [*primary_start(), *primary_checkpoint(first, PHASES_US), *last]


@given(st.integers(0, sum(PHASES_US) - 1), st.booleans())
def test_a_blow_is_told_by_the_last_event_before_it(into_us: int, killed: bool) -> None:  # noqa: FBT001
    begins = [sum(PHASES_US[:place]) for place in range(8)]
    phase = max(place for place, begin in enumerate(begins) if begin <= into_us)
    lines = two_checkpoints(phase + 1 if killed else 8)  # one that is killed writes nothing more
    struck_us = T0_US + 2 * SECOND_US + into_us
    assert hit(until(parse(lines), struck_us), struck_us) == Hit(
        PHASES[phase], pytest.approx((into_us - begins[phase]) / 1e6), 1, 0
    )


@pytest.mark.parametrize("cut_after", [2, 8])
def test_a_blow_falls_into_prepare_from_when_the_run_state_changed_as_in_the_table(cut_after: int) -> None:
    begin_us = T0_US + 2 * SECOND_US
    lines = two_checkpoints(cut_after)
    lines.insert(12, trace_line(begin_us + 2000, "runstate_set", " current_run_state 9 (running) new_state 15 (colo)"))
    struck_us = begin_us + 2500
    assert hit(until(parse(lines), struck_us), struck_us) == Hit("prepare", pytest.approx(0.0005), 1, 0)


def test_a_blow_between_two_checkpoints_is_in_none() -> None:
    struck_us = T0_US + SECOND_US + 500_000
    assert hit(until(parse(two_checkpoints()), struck_us), struck_us) == Hit(BETWEEN, None, 0, 0)
    assert hit(parse(primary_start()), T0_US + 5) == Hit(BETWEEN, None, None, 0)


def test_checkpoints_that_are_not_whole_before_the_blow_are_counted() -> None:
    lines = two_checkpoints()
    del lines[4]
    struck_us = T0_US + 2 * SECOND_US + 500_000
    assert hit(parse(lines), struck_us).unfinished == 1


COURSE = {
    "survivor": "secondary",
    "struck_at": [0.0, 0.0],
    "detect_s": 0.1,
    "decide_s": 0.001,
    "takeover_s": 0.05,
    "first_answer_s": 0.01,
    "outage_s": 0.161,
    "success": True,
    "cause": "",
    "reason": "",
    "steps": [],
}


def run_folder(folder: Path, primary: list[str], secondary: list[str]) -> Path:
    stops = []
    for number, begin in enumerate(line for line in primary if "'run' => 'stop'" in line):
        del begin
        at_us = T0_US + (number + 1) * SECOND_US + sum(PHASES_US[:2])
        for name, later in (("STOP", 0), ("RESUME", sum(PHASES_US[2:]))):
            stamp = {"seconds": (at_us + later) // SECOND_US, "microseconds": (at_us + later) % SECOND_US}
            stops.append({"t": at_us / 1e6, "side": "primary", "event": name, "timestamp": stamp, "data": {}})
    for side, lines in (("primary", primary), ("secondary", secondary)):
        (folder / side).mkdir()
        (folder / side / "trace.log").write_text("".join(f"{line}\n" for line in lines))
    (folder / "qmp.jsonl").write_text("".join(json.dumps(one) + "\n" for one in stops))
    return folder


def judged(
    folder: Path,
    struck_us: int,
    asked: dict[str, Any],
    course: dict[str, Any],
    gaps: tuple[Gap, ...] = (),
    **told: Any,
) -> Any:
    later = [line for begin in (1, 2, 3) for line in primary_checkpoint(T0_US + begin * SECOND_US, PHASES_US)]
    theirs = [line for begin in (1, 2, 3) for line in secondary_checkpoint(T0_US + begin * SECOND_US)]
    run_folder(folder, [*primary_start(), *later], [*secondary_start(), *theirs])
    cell = failing(after=1, **asked)
    struck_at = [struck_us / 1e6 - 1e-5, struck_us / 1e6]
    notes = Notes(failover={**COURSE, "struck_at": struck_at, **course}, **told)
    notes.pulse.gaps.extend(gaps)
    return scenario_of(cell).evidence(folder, "abc", cell, notes, ())


def test_a_record_is_sound_when_all_is_there_up_to_the_blow_and_what_came_later_counts_for_nothing(
    tmp_path: Path,
) -> None:
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, {})
    assert evidence.quality.failures == ()
    assert evidence.quality.notes == ()
    assert evidence.measured == 1
    assert evidence.failover["hit"] == {"phase": "between", "into_s": None, "checkpoint": 1}


def test_a_blow_that_missed_its_phase_is_a_note_and_no_failure(tmp_path: Path) -> None:
    evidence = judged(tmp_path, T0_US + 3 * SECOND_US + 11_000, {"when": "save"}, {})
    assert evidence.quality.ok
    assert evidence.failover["hit"]["phase"] == "deliver"
    assert "the blow was meant for save and fell into deliver" in evidence.quality.notes


def test_a_host_whose_clock_was_set_leaves_no_sound_record_of_a_failover_either(tmp_path: Path) -> None:
    fault = "the clock of the primary's host moved by +1.000000 s against ours during the run"
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, {}, clock_faults=(fault,))
    assert evidence.quality.failures == (fault,)


def test_a_workload_that_died_after_the_blow_is_a_note(tmp_path: Path) -> None:
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, {}, workload={"died": "killed"})
    assert evidence.quality.ok
    assert "after the blow the guest's workload died: killed" in evidence.quality.notes


def test_a_failover_that_failed_leaves_a_sound_record_that_says_why(tmp_path: Path) -> None:
    lost = {"success": False, "outage_s": None, "cause": "survivor-silent", "reason": "no answer"}
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, lost)
    assert evidence.quality.ok
    assert "the secondary did not take over: no answer" in evidence.quality.notes
    assert evidence.failover["success"] is False


def test_a_survivor_that_stays_alone_is_a_note_and_no_failure(tmp_path: Path) -> None:
    joining = {"steps": [], "at": [0.0, 0.0], "cause": "qmp-refused", "reason": "it was refused"}
    alone = {"redundancy_s": None, "redundancy": joining}
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {"redundancy": True}, alone)
    assert evidence.quality.ok
    assert "the survivor got no new secondary: it was refused (qmp-refused)" in evidence.quality.notes


def test_a_joining_that_the_harness_slept_through_is_no_sound_record(tmp_path: Path) -> None:
    struck_us = T0_US + 2 * SECOND_US + 500_000
    asked_at = struck_us / 1e6 + 2
    joined = {"redundancy_s": 3.0, "redundancy": {"steps": [], "at": [asked_at, asked_at + 3]}}
    before, within, after = (Gap(HARNESS, asked_at + late_s, asked_at + late_s + 0.25) for late_s in (-1, 1, 4))
    evidence = judged(tmp_path, struck_us, {"redundancy": True}, joined, (before, within, after))
    assert evidence.quality.failures == ("the harness did not run for 0.25 s while a new secondary was to join",)


def test_a_survivor_that_goes_into_colo_anew_has_begun_none_of_the_checkpoints_before(tmp_path: Path) -> None:
    later = [line for begin in (1, 2) for line in primary_checkpoint(T0_US + begin * SECOND_US, PHASES_US)]
    theirs = [line for begin in (1, 2) for line in secondary_checkpoint(T0_US + begin * SECOND_US)]
    folder = run_folder(tmp_path, [*primary_start(), *later], [*secondary_start(), *theirs])

    def said(at_us: int, command: str, **arguments: int) -> str:
        entry = {"t": at_us / 1e6, "side": "primary", "command": command, "arguments": arguments, "seconds": 1e-4}
        return json.dumps(entry) + "\n"

    asked_us = [T0_US + begin * SECOND_US - 500 for begin in (1, 2)]
    pokes = [said(one, "migrate-set-parameters", **{"x-checkpoint-delay": 9}) for one in asked_us]
    struck_us = T0_US + 2 * SECOND_US + 500_000
    with (folder / "qmp.jsonl").open("a") as log:
        log.writelines((said(T0_US - 1, "migrate"), *pokes, said(struck_us + SECOND_US, "migrate")))
    cell = failing(after=1)
    notes = Notes(failover={**COURSE, "struck_at": [struck_us / 1e6, struck_us / 1e6]})
    assert scenario_of(cell).evidence(folder, "abc", cell, notes, ()).triggers["demand"] == 2


def test_what_speaks_against_the_pauses_alone_says_nothing_of_the_failover(tmp_path: Path) -> None:
    struck_us = T0_US + 4 * SECOND_US + 500_000
    cell = failing(after=1)
    late = [line for second in (1, 4) for line in primary_checkpoint(T0_US + second * SECOND_US, PHASES_US)]
    theirs = [line for second in (1, 4) for line in secondary_checkpoint(T0_US + second * SECOND_US)]
    folder = run_folder(tmp_path, [*primary_start(), *late], [*secondary_start(), *theirs])
    notes = Notes(failover={**COURSE, "struck_at": [struck_us / 1e6, struck_us / 1e6]})
    quality = scenario_of(cell).evidence(folder, "abc", cell, notes, ()).quality
    assert quality.ok
    assert any(one.startswith("its pauses are not to be relied on: checkpoint 1: it began") for one in quality.notes)


@pytest.mark.parametrize(("dropped_s", "failures"), [(1.5, 1), (2.6, 0)])
def test_a_pair_whose_packets_were_not_compared_before_the_blow_leaves_no_sound_record(
    tmp_path: Path, dropped_s: float, failures: int
) -> None:
    begins = [T0_US + second * SECOND_US for second in (1, 2)]
    dropped_us = T0_US + round(dropped_s * SECOND_US)
    said = {begin: primary_checkpoint(begin, PHASES_US) for begin in begins}
    said[dropped_us] = [trace_line(dropped_us, DROPPED, " : primary: queue size too big, drop packet")]
    ours = [line for at_us in sorted(said) for line in said[at_us]]
    theirs = [line for begin in begins for line in secondary_checkpoint(begin)]
    folder = run_folder(tmp_path, [*primary_start(), *ours], [*secondary_start(), *theirs])
    struck_us = T0_US + 2 * SECOND_US + 500_000
    notes = Notes(failover={**COURSE, "struck_at": [struck_us / 1e6, struck_us / 1e6]})
    cell = failing(after=1)
    quality = scenario_of(cell).evidence(folder, "abc", cell, notes, ()).quality
    assert len(quality.failures) == failures
    assert all("colo-compare dropped 1 packets" in one for one in quality.failures)
    assert quality.notes == ()


def test_too_few_checkpoints_before_the_blow_make_no_sound_record(tmp_path: Path) -> None:
    evidence = judged(tmp_path, T0_US + SECOND_US + 500_000, {}, {})
    assert any("0 usable checkpoints" in one for one in evidence.quality.failures)


@pytest.mark.parametrize(("begin_s", "ok"), [(0.05, False), (0.2, True)])
def test_a_harness_that_did_not_run_before_the_answer_has_no_times(tmp_path: Path, begin_s: float, ok: bool) -> None:  # noqa: FBT001
    struck_us = T0_US + 2 * SECOND_US + 500_000
    begin = struck_us / 1e6 + begin_s
    evidence = judged(tmp_path, struck_us, {}, {}, (Gap(HARNESS, begin, begin + 0.3),))
    assert evidence.quality.ok is ok


@pytest.mark.parametrize(("later_s", "counts"), [(1.0, True), (-1.0, False)])
def test_what_the_guest_said_counts_if_it_was_before_the_last_checkpoint_by_the_clock_of_the_primary_s_host(
    monkeypatch: pytest.MonkeyPatch,
    later_s: float,
    counts: bool,  # noqa: FBT001
) -> None:
    ahead_s, said = 5.0, {"clock_us": 1, "pages": 2}

    async def ask(*_: Any) -> dict[str, Any]:
        return said

    async def drive(_pair: Any, _cell: Any, counter: CheckpointCounter, told: Any, _sample: Any) -> list[Any]:
        told(1, 2, 0.0)
        await asyncio.sleep(0.01)
        counter.stops.append(time.time() + ahead_s + later_s)
        return []

    monkeypatch.setattr(failover, "drive", drive)
    notes = Notes(clocks=Clocks({PRIMARY: Offset(ahead_s, 0.001)}))
    run: Any = SimpleNamespace(pair=None, cell=failing(after=1), notes=notes, on_event=lambda _: None)
    console: Any = SimpleNamespace(ask=ask)
    journal: Any = SimpleNamespace(sample=None)
    assert asyncio.run(failover._drive(run, CheckpointCounter(), console, journal)) == (said if counts else None)


@pytest.mark.parametrize("struck", [False, True])
def test_a_workload_that_dies_fails_the_run_before_the_blow_and_is_on_record_after_it(
    tmp_path: Path,
    struck: bool,  # noqa: FBT001
) -> None:
    console: Any = SimpleNamespace(reports=[], arrived=[], died=lambda: "the server postgres ended")
    node = SimpleNamespace(addresses={Link.CLIENT: "127.0.0.1"})
    topology, spec = SimpleNamespace(client=node), SimpleNamespace(service_port=None)
    pair = SimpleNamespace(folder=tmp_path, topology=topology, spec=spec)
    run: Any = SimpleNamespace(pair=pair, cell=failing(), notes=Notes(), stages=Stages(lambda _: None, {}))

    async def scenario() -> None:
        async with workload(run, console, over=lambda: struck):
            pass

    if not struck:
        with pytest.raises(WorkloadError, match="the server postgres ended") as caught:
            asyncio.run(scenario())
        assert caught.value.cause == "server-ended"
        return
    asyncio.run(scenario())
    assert run.notes.workload == {"died": "the server postgres ended"}


def take_over_at_once(monkeypatch: pytest.MonkeyPatch, *, success: bool = True) -> None:
    """Put a secondary that takes over, or does not, in the place of everything up to that."""

    async def until_the_blow(*_: Any) -> Any:
        return SimpleNamespace(client=None, noticed_s=lambda *_: None)

    async def fail(*_: Any) -> Course:
        return Course("secondary", (1.0, 1.0), success=success)

    monkeypatch.setattr(failover, "_until_the_blow", until_the_blow)
    monkeypatch.setattr(failover, "_fail", fail)
    monkeypatch.setattr(failover, "_LAST_LOOK_S", 0)


async def guarded(work: Coroutine[None, None, Any]) -> Any:
    return await work


def test_the_disks_of_every_host_are_looked_at_after_a_failover(monkeypatch: pytest.MonkeyPatch) -> None:
    take_over_at_once(monkeypatch)
    order: list[str] = []
    victim = SimpleNamespace(kill=lambda: order.append("kill"))
    room = lambda: order.append("every disk")  # noqa: E731
    pair = SimpleNamespace(guarded=guarded, processes={"primary": victim}, require_room=room)
    stages = Stages(lambda _: None, {})
    run: Any = SimpleNamespace(pair=pair, cell=failing(), notes=Notes(), stages=stages, on_event=lambda _: None)
    asyncio.run(failover.FailoverRun().carry_out(run))
    assert order == ["kill", "every disk"]


@pytest.mark.parametrize(("asked", "success"), [(True, True), (True, False), (False, True)])
def test_a_survivor_is_joined_where_it_survived_and_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,  # noqa: FBT001
    success: bool,  # noqa: FBT001
) -> None:
    async def join(_run: Any, course: Course) -> None:
        course.redundancy_s = 1.5

    take_over_at_once(monkeypatch, success=success)
    monkeypatch.setattr(failover, "join_again", join)
    victim = SimpleNamespace(kill=lambda: None)
    pair = SimpleNamespace(guarded=guarded, processes={"primary": victim}, require_room=lambda: None)
    timings: dict[str, float] = {}
    told: dict[str, Any] = {"stages": Stages(lambda _: None, timings), "on_event": lambda _: None}
    run: Any = SimpleNamespace(pair=pair, cell=failing(redundancy=asked), notes=Notes(), **told)
    asyncio.run(failover.FailoverRun().carry_out(run))
    assert run.notes.failover["redundancy_s"] == (1.5 if asked and success else None)
    assert ("redundancy_s" in timings) is (asked and success)


def test_a_side_that_hangs_is_noticed_however_long_an_answer_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = asyncio.Event()

    async def beat() -> None:
        if hangs.is_set():
            await asyncio.sleep(10)

    async def beat_of(*_: Any) -> Any:
        return beat

    async def strike(*_: Any) -> Blow:
        hangs.set()
        return Blow(time.time(), time.time(), time.monotonic())

    async def take_over(*_: Any) -> None:
        pass

    for name, stands_in in (("_beat", beat_of), ("_strike", strike), ("take_over", take_over)):
        monkeypatch.setattr(failover, name, stands_in)
    victim, topology = SimpleNamespace(kill=None), SimpleNamespace(holders=())
    pair = SimpleNamespace(processes={"primary": victim}, topology=topology)
    asked: Any = Failover(heartbeat=0.01, timeout=0.5)
    cell = make_cell(scenario="failover", failover=asked, deadlines=Deadlines(failover=0.2))
    journal = SimpleNamespace(struck=lambda _: None)
    scene: Any = SimpleNamespace(journal=journal, before=None, consoles={SECONDARY: None})
    run: Any = SimpleNamespace(pair=pair, cell=cell)
    course = asyncio.run(failover._fail(run, asked, scene))
    assert course.survivor == SECONDARY


def write_client(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "client.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def answer(ended_s: float, place: int, error: str | None = None) -> dict[str, Any]:
    """Return a client's row whose answer came so long after the traces' beginning; it took 10 ms."""
    t_send = T0_US / 1e6 + ended_s - 0.01
    status = 0 if error else 200
    return {"t_send": t_send, "latency_s": 0.01, "status": status, "error": error, "bytes": 2, "connection": place}


def test_what_a_client_saw_of_a_failover_is_on_record_and_a_loss_is_said_first(tmp_path: Path) -> None:
    kept = {"checked": 90, "lost": 2, "examples": ["key 7 is gone"], "error": ""}
    rows = [answer(2.45, 0), answer(2.48, 1), answer(2.6, 1, "ConnectionResetError: "), answer(2.7, 0), answer(2.71, 2)]
    write_client(tmp_path, *rows, {"kept": kept})
    evidence = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, {})
    assert evidence.quality.ok
    assert not [one for one in evidence.quality.problems if "client" in one.what]
    assert evidence.quality.notes[0] == "2 of 90 acknowledged writes are lost: key 7 is gone"
    seen = evidence.failover["client"]
    # From the last answer before the blow to the first one after it.
    assert seen["gap_s"] == pytest.approx(0.22, abs=1e-5)
    assert (seen["connections"], seen["survived"], seen["survived_share"]) == (2, 1, 0.5)
    assert (seen["errors_after"], seen["checked"], seen["lost"]) == (1, 90, 2)


@pytest.mark.parametrize(("script", "asked"), [("tpcb-like", True), ("select-only", False)])
def test_of_a_client_that_was_to_look_for_what_it_wrote_and_did_not_nothing_is_known(
    tmp_path: Path,
    script: Any,
    asked: bool,  # noqa: FBT001
) -> None:
    write_client(tmp_path, answer(2.45, 0))
    cell: Any = SimpleNamespace(workload=Postgres(script=script))
    kept = failover._kept(tmp_path, cell, Notes(workload={"client_ended": "it did not end within 10 s"}))
    unknown = {"checked": 0, "lost": 0, "examples": [], "error": "it did not end within 10 s"}
    assert kept == (unknown if asked else None)


def test_a_client_that_was_never_answered_again_has_a_gap_without_end(tmp_path: Path) -> None:
    write_client(tmp_path, answer(2.45, 0), answer(2.9, 0, "unanswered when the run ended"))
    lost = {"success": False, "outage_s": None, "cause": "survivor-unreachable", "reason": "no answer"}
    seen = judged(tmp_path, T0_US + 2 * SECOND_US + 500_000, {}, lost).failover["client"]
    assert (seen["gap_s"], seen["connections"], seen["survived"]) == (None, 1, 0)


@pytest.mark.parametrize(("victim", "last"), [("primary", "chardev-remove"), ("secondary", "x-colo-lost-heartbeat")])
def test_a_dry_run_shows_the_blow_and_every_step_of_the_takeover(tmp_path: Path, victim: str, last: str) -> None:
    known: dict[str, Any] = {"binaries": {"provisioned": FakeBinary()}, "guest": FakeGuest()}
    installed = Installed(**known, available_bytes=20 * GIB, free_bytes=50 * GIB)
    text = render(make_settings(tmp_path), [failing(victim=victim, when="load")], "c", installed)
    assert "1 + 3 checkpoints" in text
    _, _, after = text.partition(f"then the {victim} is killed (SIGKILL), when load of the next one begins")
    shown = [line.split(". ")[1] for line in after.splitlines() if re.match(r" +\d+\. ", line)]
    survivor = Failover(victim=victim).survivor  # type: ignore[arg-type]
    assert shown == [step.text() for step in planned_steps(survivor)]
    assert last in shown[-1]


def test_a_dry_run_shows_how_the_survivor_is_joined(tmp_path: Path) -> None:
    known: dict[str, Any] = {"binaries": {"provisioned": FakeBinary()}, "guest": FakeGuest()}
    installed = Installed(**known, available_bytes=20 * GIB, free_bytes=50 * GIB)
    text = render(make_settings(tmp_path), [failing(victim="primary", redundancy=True)], "c", installed)
    _, _, after = text.partition("then a new secondary is started in place of the primary")
    assert "secondary migrate-incoming" in after
    assert "primary   migrate " in after
