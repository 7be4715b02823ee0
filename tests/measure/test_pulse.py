"""The harness's heartbeat, on clocks that the tests set; the real thing stops a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench.host.vitals import State, read_state
from bench.measure.pulse import BEAT_S, Gap, Pulse


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def beaten(*after_s: float, sides: dict[str, list[str]] | None = None) -> Pulse:
    """Return a pulse whose beats came after these times; ``sides`` are the letters that each side's state has then."""
    clock, wall = Clock(100.0), Clock(5000.0)
    pulse = Pulse(clock, wall)

    async def scenario() -> None:
        letters = {side: iter(states) for side, states in (sides or {}).items()}
        watched = {side: (lambda states=states: State(next(states, "S"))) for side, states in letters.items()}
        async with pulse.watching(watched, kept.append):
            for one in after_s:
                clock.now += one
                wall.now += one
                pulse.look()

    kept: list[Gap] = []
    asyncio.run(scenario())
    assert kept == pulse.gaps
    return pulse


def test_a_beat_in_time_is_no_gap() -> None:
    pulse = beaten(BEAT_S, BEAT_S + 0.09)
    assert pulse.gaps == []
    assert pulse.to_json()["longest_gap_s"] == 0.09


def test_a_beat_that_comes_late_is_a_gap_of_the_harness_up_to_now() -> None:
    pulse = beaten(BEAT_S, 20.0 + BEAT_S)
    assert pulse.gaps == [Gap("harness", 5000.0 + BEAT_S + BEAT_S, 5000.0 + 2 * BEAT_S + 20.0)]
    assert pulse.gaps[0].seconds == pytest.approx(20.0)
    assert pulse.lost_since(5019) == pytest.approx(20.0)
    assert pulse.lost_since(5021) == 0


def test_a_side_that_stands_still_is_a_gap_from_the_first_look_to_the_one_that_saw_it_run() -> None:
    pulse = beaten(0.05, 0.05, 0.05, 0.05, sides={"primary": ["S", "T", "t", "S"]})
    (gap,) = pulse.gaps
    assert (gap.who, gap.seconds) == ("primary", pytest.approx(0.1))


def test_a_side_that_never_runs_again_is_a_gap_to_the_end() -> None:
    (gap,) = beaten(0.05, 0.05, sides={"secondary": ["T", "T", "T"]}).gaps
    assert (gap.who, gap.seconds) == ("secondary", pytest.approx(0.05))


def test_a_frozen_process_stands_still_as_a_stopped_one_does() -> None:
    assert State("S", frozen=True).still
    assert State("T").still
    assert not State("S", "ep_poll").still
    assert not State("D", "io_schedule").still


def test_a_harness_that_was_stopped_knows_it_when_it_runs_again(tmp_path: Path) -> None:
    code = (
        "import asyncio, json, sys\n"
        "from bench.measure.pulse import Pulse\n"
        "async def main():\n"
        "    pulse = Pulse()\n"
        "    async with pulse.beating():\n"
        "        print('beats', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.readline)\n"
        "    print(json.dumps([gap.seconds for gap in pulse.gaps if gap.seconds > 0.6]))\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as child:
        assert child.stdin
        assert child.stdout
        try:
            child.stdout.readline()
            os.kill(child.pid, signal.SIGSTOP)
            while (state := read_state(child.pid)) is not None and not state.still:
                time.sleep(0.01)
            time.sleep(0.8)  # the time that is to be noticed
            os.kill(child.pid, signal.SIGCONT)
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline().count(".") == 1
        finally:
            child.kill()


FREEZERS = {
    "1": (Path("/sys/fs/cgroup/freezer"), "freezer.state", "FROZEN", "THAWED"),
    "2": (Path("/sys/fs/cgroup/unified"), "cgroup.freeze", "1", "0"),
}


@pytest.mark.parametrize("version", FREEZERS)
def test_a_frozen_control_group_is_seen_in_a_real_process(version: str) -> None:
    top, switch, freeze, thaw = FREEZERS[version]
    if not os.access(top, os.W_OK):
        pytest.skip(f"no control group of version {version} to freeze as this user")
    group = top / f"colo-bench-test-{os.getpid()}"
    group.mkdir()
    child = subprocess.Popen(["sleep", "60"])
    try:
        (group / "cgroup.procs").write_text(str(child.pid))
        (group / switch).write_text(freeze)
        give_up = time.monotonic() + 5
        while not ((state := read_state(child.pid)) and state.still):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        (group / switch).write_text(thaw)
        while (state := read_state(child.pid)) and state.still:
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        (group / switch).write_text(thaw)
        child.kill()
        child.wait()
        give_up = time.monotonic() + 10
        while group.exists() and time.monotonic() < give_up:
            with suppress(OSError):  # the kernel lets go of the process a little later
                group.rmdir()
