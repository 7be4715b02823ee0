"""The small values of a session; the session itself is tested with real pairs."""

from __future__ import annotations

import asyncio
import json
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_session import FakeBinary, FakeGuest, make_cell
from fake_traces import DATA

from bench.errors import BenchError, LaunchError, MeasureError, QmpError, WorkloadError
from bench.failures.cause import Phase
from bench.host.host import Here
from bench.host.netns import entering
from bench.measure.clock import ClockWatch
from bench.measure.pulse import Gap, Pulse
from bench.plan.plan import PlannedRun
from bench.run import session
from bench.run.session import measure_run
from bench.scenario import client
from bench.scenario.base import Stages, screen_text
from bench.scenario.client import is_answer, shortfall, workload_figures
from bench.scenario.progress import STAGES, Assets, Progress, phase_of
from bench.system.places import PACKAGES
from bench.vm.preflight import machine_key

RUN = PlannedRun("0" * 12, "c", "0" * 8, "a cell", 0, 0)


def failure_in(stage: str, error: BenchError, monkeypatch: pytest.MonkeyPatch, folder: Path) -> BenchError:
    """Return the error of a run whose pair breaks off in a stage."""

    async def break_off(*arguments: Any) -> None:
        stages: Stages = arguments[4]
        for name in STAGES:
            async with stages.stage(name):
                if name == stage:
                    raise error

    monkeypatch.setattr(session, "_live", break_off)
    with pytest.raises(BenchError) as caught:
        asyncio.run(measure_run(RUN, make_cell(), None, folder, lambda _: None))  # type: ignore[arg-type]
    return caught.value


def test_every_stage_that_a_run_announces_has_a_phase_for_its_failures() -> None:
    sources = (*(PACKAGES / "bench" / "scenario").glob("*.py"), PACKAGES / "bench" / "run" / "session.py")
    announced = {name for path in sources for name in re.findall(r'stage[(=]"([a-z-]+)"', path.read_text())}
    assert announced == set(STAGES)


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "store"])
def test_a_failure_goes_by_the_stage_that_the_run_had_come_to(
    stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error = failure_in(stage, LaunchError("the primary's QEMU was killed by SIGSEGV"), monkeypatch, tmp_path)
    assert error.phase == STAGES[stage]


def test_a_poke_that_is_not_answered_fails_in_the_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = failure_in("measure", QmpError("no answer", cause="qmp-timeout"), monkeypatch, tmp_path)
    assert (error.phase, error.cause) == (Phase.MEASURE, "qmp-timeout")


def test_a_run_that_cannot_be_stored_fails_in_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard: list[Progress] = []

    async def live(*_: Any) -> None:
        pass

    def store(*_: Any) -> None:
        raise BenchError("no")

    monkeypatch.setattr(session, "_live", live)
    monkeypatch.setattr(session, "_store", store)
    with pytest.raises(BenchError) as caught:
        asyncio.run(measure_run(RUN, make_cell(), None, tmp_path, heard.append))  # type: ignore[arg-type]
    assert caught.value.phase == Phase.STORE
    assert [news.stage for news in heard] == ["store"]


def test_a_screen_and_qemus_warnings_are_on_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cell = make_cell()
    warnings = {machine_key(cell): ("TCG doesn't support avx512f",)}
    screens = frozenset(("primary", "secondary"))
    assets = Assets(FakeBinary(), FakeGuest(), None, "c", watch=screens, warnings=warnings)  # type: ignore[arg-type]

    async def live(*_: Any) -> None:
        for side in ("primary", "secondary"):
            (tmp_path / side).mkdir()
            (tmp_path / side / "trace.log").write_bytes((DATA / f"{side}.trace.log").read_bytes())

    monkeypatch.setattr(session, "_live", live)
    asyncio.run(measure_run(RUN, cell, assets, tmp_path, lambda _: None))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["watch"] == ["primary", "secondary"]
    assert record["quality"]["notes"] == [
        "QEMU warned: TCG doesn't support avx512f",
        "a screen was open on primary and secondary",
    ]


def test_what_fails_before_the_first_stage_fails_in_the_launch() -> None:
    assert phase_of("") == Phase.LAUNCH


def test_reports_of_the_guest_become_a_rate_over_the_whole_run() -> None:
    reports = [{"seconds": 1.0, "bytes": 20_000_000}, {"seconds": 3.0, "bytes": 40_000_000}]
    assert workload_figures(reports) == {"reports": 2, "guest_seconds": 4.0, "achieved_mb_s": 15.0}


def test_a_guest_that_reports_nothing_has_no_figures() -> None:
    assert workload_figures([]) == {}
    assert shortfall(40.0, {}) == ()


def test_a_guest_that_could_not_write_as_fast_as_asked_is_told() -> None:
    assert shortfall(40.0, {"achieved_mb_s": 39.0}) == ()
    assert shortfall(0, {"achieved_mb_s": 39.0}) == ()  # as fast as it can
    (said,) = shortfall(40.0, {"achieved_mb_s": 31.093515})
    assert "31.1 MB/s of the 40 MB/s that were asked for" in said


def test_a_screen_is_told_as_the_command_that_shows_it() -> None:
    screen = {"host": "127.0.0.1", "service": "5900", "enabled": True}
    assert screen_text("primary", screen, Here()) == "primary: screen: vncviewer 127.0.0.1::5900"
    inside = "primary: screen: nsenter --net=/proc/7/ns/net -- vncviewer 127.0.0.1::5900"
    assert screen_text("primary", screen, Here(entering(7))) == inside


def stepped_clock() -> ClockWatch:
    """Return a watch on a wall clock that was set by an hour after the watch began."""
    set_by_s = [0.0]
    clock = ClockWatch(wall=lambda: time.monotonic() + set_by_s[0])
    set_by_s[0] = 3600.0
    return clock


def test_a_run_whose_clock_was_set_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def live(*_: Any) -> None:
        pass

    monkeypatch.setattr(session, "Notes", partial(session.Notes, clock=stepped_clock()))
    monkeypatch.setattr(session, "_live", live)
    with pytest.raises(BenchError) as caught:
        asyncio.run(measure_run(RUN, make_cell(), None, tmp_path, lambda _: None))  # type: ignore[arg-type]
    assert (caught.value.cause, caught.value.phase) == ("clock-stepped", Phase.MEASURE)
    assert not (tmp_path / "run.json").exists()


def test_a_checkpoint_that_a_clock_set_back_kept_from_beginning_is_laid_to_the_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "Notes", partial(session.Notes, clock=stepped_clock()))
    error = failure_in("measure", MeasureError("no checkpoint began"), monkeypatch, tmp_path)
    assert (error.cause, error.phase) == ("clock-stepped", Phase.MEASURE)


@pytest.mark.parametrize(
    ("line", "answered"),
    [
        ('{"error": null, "status": 200}', True),
        ('{"error": null, "status": 503}', False),
        ('{"error": "ConnectionRefusedError: ", "status": 0}', False),
        ('{"error": null, "sta', False),
        ("3", False),
    ],
)
def test_an_answer_is_one_that_came_and_was_good(line: str, answered: bool) -> None:  # noqa: FBT001
    assert is_answer(line) == answered


@pytest.mark.parametrize(
    ("said", "cause"),
    [("", "client-silent"), ('{"error": "ConnectionRefusedError: ", "status": 0}\n', "client-refused")],
)
def test_a_client_without_an_answer_was_refused_or_met_silence(tmp_path: Path, said: str, cause: str) -> None:
    (tmp_path / "client.jsonl").write_text(said)
    with pytest.raises(WorkloadError) as caught:
        asyncio.run(client._first_answer(tmp_path / "client.jsonl", 0.1))
    assert caught.value.cause == cause
    assert caught.value.evidence == tuple(said.splitlines())


class SuspendedPulse(Pulse):
    """The pulse of a harness that has just been asleep for half a minute."""

    def look(self) -> None:
        self.gaps = [Gap("harness", time.time() - 31, time.time() - 1)]


def test_a_deadline_that_passed_while_the_harness_slept_is_laid_to_the_harness(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "Notes", partial(session.Notes, pulse=SuspendedPulse()))
    error = failure_in("measure", MeasureError("no checkpoint began"), monkeypatch, tmp_path)
    assert (error.cause, error.phase, error.transient) == ("harness-suspended", Phase.MEASURE, True)
    assert error.evidence == ("no checkpoint began",)


def test_what_is_no_deadline_keeps_its_cause_though_the_harness_slept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "Notes", partial(session.Notes, pulse=SuspendedPulse()))
    assert failure_in("measure", LaunchError("killed"), monkeypatch, tmp_path).cause == "qemu-exited"


def test_the_qemu_on_record_is_the_one_that_ran_where_a_host_ran_its_own() -> None:
    assets: Any = Assets(FakeBinary(), FakeGuest(), None, "c")  # type: ignore[arg-type]
    own = {"qemu": {"path": "/opt/qemu", "version": "10.0.2", "sha256": "d" * 64}}
    theirs = {"": "10.0.2", "_source": "path", "_sha256": "d" * 64}
    ours = {"": "11.1.3", "_source": "provisioned", "_sha256": "a" * 64}

    def told(cell: Any, **hosts: Any) -> dict[str, Any]:
        found = session._versions(assets, cell, hosts)
        return {name: value for name, value in found.items() if name.startswith("qemu")}

    def named(binary: dict[str, str], kind: str = "qemu") -> dict[str, str]:
        return {f"{kind}{name}": value for name, value in binary.items()}

    pair, alone = make_cell(), make_cell(scenario="native")
    assert told(pair) == named(ours)
    assert told(pair, primary=own, secondary=own) == named(theirs)
    assert told(pair, primary={}, secondary=own) == named(ours) | named(theirs, "qemu_secondary")
    assert told(alone, primary=own, secondary={}) == named(theirs)
