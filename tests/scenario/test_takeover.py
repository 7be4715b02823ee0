"""A blow that falls for real, a heartbeat, and a survivor (a fake QEMU, a fake guest) that takes over or not."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fake_qmp import SILENCE, fake_qmp
from fake_session import make_cell

from bench.config.procedure import Deadlines
from bench.errors import HostError, LaunchError, MeasureError, StoreError
from bench.host.echo import echoing
from bench.host.netns import namespace
from bench.host.process import launch
from bench.host.strike import Blow, _take_down, blow_of, strike, strike_at, within
from bench.scenario.heart import Heart
from bench.scenario.takeover import Course, oops_lines, take_over
from bench.vm.console import open_console
from bench.vm.qmp import connect
from bench.vm.takeover import SWITCHED

if TYPE_CHECKING:
    from collections.abc import Callable

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def test_the_blow_falls_when_the_line_comes_and_not_before(tmp_path: Path) -> None:
    path, fell = tmp_path / "trace.log", list[str]()
    path.write_text("what was there before: mark\n")
    with path.open("rb") as log, path.open("a") as writer:
        log.seek(0, 2)

        def write() -> None:
            for part in ("another line\n", "stamp ma", "rk of it\n"):
                time.sleep(0.01)
                fell.append(part)
                writer.write(part)
                writer.flush()

        thread = threading.Thread(target=write)
        thread.start()
        blow = strike_at(log, b"mark", lambda: fell.append("blow"), 10)
        thread.join()
    assert fell == ["another line\n", "stamp ma", "rk of it\n", "blow"]
    assert blow is not None
    assert blow.before <= blow.after


def test_a_line_that_never_comes_strikes_nobody(tmp_path: Path) -> None:
    (tmp_path / "trace.log").touch()
    with (tmp_path / "trace.log").open("rb") as log:
        assert strike_at(log, b"mark", lambda: pytest.fail("struck"), 0.05) is None


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_process_is_killed_or_stopped(tmp_path: Path, how: str) -> None:
    async def scenario() -> Any:
        async with launch("victim", ("sleep", "60"), folder=tmp_path, qemu=False) as process:
            strike(blow_of(how, process, None))
            if how == "kill":
                return await process.exited()
            give_up = time.monotonic() + 5
            while not (process.state() or pytest.fail("gone")).stopped:
                assert time.monotonic() < give_up
                await asyncio.sleep(0.01)
            return "stopped"

    assert asyncio.run(scenario()) == {"kill": -9, "stop": "stopped"}[how]


def test_a_link_that_is_not_there_cannot_be_cut() -> None:
    with pytest.raises(HostError, match="no link"):
        blow_of("cut", None, None)  # type: ignore[arg-type]


def test_a_host_that_goes_down_has_lost_its_link_before_its_process_can_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    fell = list[str]()
    monkeypatch.setattr("bench.host.strike.within", lambda _pid, _work: fell.append("link"))
    process: Any = SimpleNamespace(kill=lambda: fell.append("process"))
    holder: Any = SimpleNamespace(pid=1)
    strike(blow_of("down", process, holder))
    assert fell == ["link", "process"]


def test_a_namespace_that_is_gone_is_named() -> None:
    with pytest.raises(HostError, match="process 999999999"):
        within(999_999_999, lambda: None)


def namespace_here() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


@root_only
def test_a_heartbeat_crosses_a_link_until_it_is_cut(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with namespace("primary", tmp_path) as holder:
            ours = namespace_here()
            assert within(holder.pid, namespace_here) != ours
            assert namespace_here() == ours
            enter = ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip", "link", "set", "lo", "up")
            await (await asyncio.create_subprocess_exec(*enter)).wait()
            heard = []
            end = (holder.pid, "127.0.0.1")
            async with echoing(end, end) as beat:
                async with asyncio.timeout(5):
                    await beat()
                heard.append("whole")
                within(holder.pid, partial(_take_down, "lo"))
                try:
                    async with asyncio.timeout(0.2):
                        await beat()
                except (TimeoutError, OSError):
                    heard.append("cut")
            return heard

    assert asyncio.run(scenario()) == ["whole", "cut"]


def hearts(beats: list[Any], work: Callable[[Heart], Any], timeout_s: float = 0.05) -> Any:
    """Let a heart beat that is answered as listed: a number takes so long, an error is raised; then all is silence."""

    async def beat() -> None:
        act = beats.pop(0) if beats else 60
        if isinstance(act, Exception):
            raise act
        await asyncio.sleep(act)

    async def scenario() -> Any:
        async with Heart(beat, 0.01, timeout_s) as heart:
            return await work(heart)

    return asyncio.run(scenario())


@pytest.mark.parametrize(("end", "takes_s"), [(60, 0.05), (OSError("gone"), 0.0)])
def test_the_first_beat_that_is_missed_is_noticed(end: Any, takes_s: float) -> None:
    async def work(heart: Heart) -> float:
        await heart.heard()
        heart.require()
        return float(await heart.lost(10))

    began = time.monotonic()
    # Three beats, 0.01 s each, are answered; the fourth is missed at once, or when its time is over.
    assert hearts([0, 0, 0, end], work) - began >= 0.028 + takes_s


def test_a_beat_missed_before_the_blow_is_a_failure_of_the_run() -> None:
    with pytest.raises(MeasureError, match="nothing had befallen") as caught:
        hearts([], lambda heart: heart.heard())
    assert caught.value.cause == "heartbeat-early"


def test_a_beat_that_cannot_be_put_on_record_is_none_that_was_missed() -> None:
    with pytest.raises(StoreError, match="full"):
        hearts([StoreError("the disk is full", cause="disk-full")], lambda heart: heart.heard())


def test_a_heart_that_goes_on_is_told_of() -> None:
    began = time.monotonic()
    with pytest.raises(MeasureError, match=r"was answered for 0\.1 s after the side was struck") as caught:
        hearts([0] * 1000, lambda heart: heart.lost(0.1))
    assert caught.value.cause == "heartbeat-deaf"
    # What was sent last, a period of 0.01 s after that, might have taken 0.05 s to be answered.
    assert time.monotonic() - began >= 0.158


YANKS = [{"type": "migration"}, {"type": "chardev", "id": "red0"}]
ALIVE = {"clock_us": 900, "pages": 70}


def guest_answers(checked: dict[str, Any], alive: dict[str, Any]) -> Callable[[str], str]:
    def answer(line: str) -> str:
        word, _, number = line.partition(" ")
        fields = {"asked": int(number), **(alive if word == "alive" else checked)}
        return f"colo-bench: {'alive' if word == 'alive' else 'checked'} {json.dumps(fields)}"

    return answer


SOUND = guest_answers({"pages": 8, "wrong": 0, "held": True}, ALIVE)


def taken_over(
    folder: Path,
    qemu: Callable[[str, dict[str, Any]], Any] = lambda _command, _arguments: {},
    guest: Callable[[str], str] = SOUND,
    said: str = "",
    accel: str = "kvm",
    program: tuple[str, ...] = ("sleep", "60"),
    switched: Callable[[], None] | None = None,
) -> Course:
    """Let a fake secondary take over, and return what it came to."""

    def answer(command: str, arguments: dict[str, Any]) -> Any:
        return YANKS if command == "query-yank" else qemu(command, arguments)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := (await reader.readline()).decode().strip():
            writer.write(f"{guest(line)}\n".encode())
        writer.close()

    async def turn() -> None:
        if switched:
            switched()

    async def scenario() -> Course:
        home = folder / "secondary"
        home.mkdir()
        host = SimpleNamespace(get=lambda _path: said.encode())  # its files have not followed to this machine yet
        cell = make_cell(accel=accel, scenario="failover", deadlines=Deadlines(failover=0.3))
        async with AsyncExitStack() as stack:
            process = await stack.enter_async_context(launch("secondary's QEMU", program, folder=home))
            await stack.enter_async_context(fake_qmp(folder / "qmp.sock", answer))
            monitor = await stack.enter_async_context(await connect("secondary", folder / "qmp.sock", None, 5))
            server = await asyncio.start_unix_server(serve, folder / "serial.sock")
            console = await stack.enter_async_context(open_console(folder / "serial.sock"))
            pair = SimpleNamespace(
                processes={"secondary": process},
                monitor=lambda _side: monitor,
                host=lambda _side: host,
                topology=SimpleNamespace(holders=(), switched=switched is not None, take_over=turn),
                folder=folder,
            )
            course = Course("secondary", (1.0, 1.0), guest={"before": {"clock_us": 800, "pages": 60}})
            run: Any = SimpleNamespace(cell=cell, pair=pair)
            asked = cell.failover
            assert asked is not None
            now = time.monotonic()
            stack.callback(server.close)
            await take_over(run, asked, course, Blow(1.0, 1.0, now - 0.25), now - 0.05, console)
            return course

    return asyncio.run(scenario())


def test_a_survivor_that_does_its_steps_and_answers_has_taken_over(tmp_path: Path) -> None:
    asked: list[str] = []

    def qemu(command: str, _arguments: dict[str, Any]) -> Any:
        asked.append(command)
        return {}

    course = taken_over(tmp_path, qemu)
    assert (course.success, course.cause, course.evidence) == (True, "", ())
    assert asked[:3] == ["yank", "nbd-server-stop", "x-colo-lost-heartbeat"]
    assert [one["step"].split()[1] for one in course.steps] == asked
    assert course.guest["first"] == {"asked": course.guest["first"]["asked"], **ALIVE}
    parts = (course.detect_s, course.decide_s, course.takeover_s, course.first_answer_s)
    assert course.detect_s == pytest.approx(0.2)
    assert sum(part or 0 for part in parts) == pytest.approx(course.outage_s, abs=1e-4)


def test_the_client_is_led_to_the_survivor_when_the_steps_are_done_and_its_card_is_announced(tmp_path: Path) -> None:
    order: list[str] = []

    def qemu(command: str, _arguments: dict[str, Any]) -> Any:
        order.append(command)
        return {}

    course = taken_over(tmp_path, qemu, switched=lambda: order.append("switch"))
    assert course.success
    assert order[-3:] == ["chardev-remove", "switch", "announce-self"]
    assert course.steps[-2]["step"] == SWITCHED
    assert course.taken_at == pytest.approx(
        course.struck_at[1] + (course.detect_s or 0) + (course.decide_s or 0) + (course.takeover_s or 0)
    )


def test_a_step_that_is_refused_is_what_the_run_found_out(tmp_path: Path) -> None:
    def qemu(command: str, _arguments: dict[str, Any]) -> Any:
        if command == "x-colo-lost-heartbeat":
            raise ValueError("VM is not in COLO mode")
        return {}

    course = taken_over(tmp_path, qemu)
    assert (course.success, course.cause, course.outage_s) == (False, "takeover-refused", None)
    assert "VM is not in COLO mode" in course.reason
    assert course.steps[-1]["said"] == course.reason
    assert course.hint


def test_a_step_that_hangs_is_told_from_one_that_is_refused(tmp_path: Path) -> None:
    course = taken_over(tmp_path, lambda command, _: SILENCE if command == "nbd-server-stop" else {})
    assert (course.success, course.cause) == (False, "takeover-stuck")


def test_a_guest_that_does_not_answer_is_silent(tmp_path: Path) -> None:
    course = taken_over(tmp_path, guest=lambda _: "")
    assert (course.success, course.cause, course.first_answer_s) == (False, "survivor-silent", None)
    assert course.takeover_s is not None


@pytest.mark.parametrize(
    ("checked", "alive", "words"),
    [
        ({"pages": 8, "wrong": 2, "held": True}, ALIVE, "2 of 8 pages"),
        ({"pages": 8, "wrong": 0, "held": False}, ALIVE, "did not stand still"),
        ({"pages": 8, "wrong": 0, "held": True}, {"clock_us": 900, "pages": 59}, "count of written pages says 59"),
        ({"oopses": 1}, ALIVE, "1 oopses"),
        ({"oopses": 0, "state_errors": 3, "state_writable": True}, ALIVE, "3 errors in the file system"),
        ({"oopses": 0, "state_errors": 0, "state_writable": False}, ALIVE, "no longer write to its replicated disk"),
    ],
)
def test_a_guest_that_is_not_what_it_was_is_damaged(
    tmp_path: Path, checked: dict[str, Any], alive: dict[str, Any], words: str
) -> None:
    course = taken_over(tmp_path, guest=guest_answers(checked, alive))
    assert (course.success, course.cause, course.outage_s) == (False, "survivor-damaged", None)
    assert words in course.reason


@pytest.mark.parametrize(
    ("accel", "said", "cause"),
    [
        ("tcg", "Oops: int3: 0000 [#1]\nKernel panic - not syncing\n", "tcg-translation"),
        ("tcg", "Kernel panic - not syncing: VFS\n", "guest-panic"),
        ("kvm", "Oops: int3: 0000 [#1]\nKernel panic - not syncing\n", "guest-panic"),
    ],
)
def test_what_emulation_breaks_is_told_from_what_colo_breaks(tmp_path: Path, accel: str, said: str, cause: str) -> None:
    course = taken_over(tmp_path, said=said, accel=accel)
    assert (course.success, course.cause) == (False, cause)
    assert "Kernel panic" in " ".join(course.evidence)


def test_a_survivor_that_ends_has_not_taken_over(tmp_path: Path) -> None:
    course = taken_over(tmp_path, lambda _command, _arguments: SILENCE, program=("false",))
    assert (course.success, course.cause) == (False, "survivor-ended")
    assert "status 1" in course.reason


def test_a_survivor_that_somebody_kills_says_nothing_of_colo(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="SIGKILL"):
        taken_over(tmp_path, lambda _command, _arguments: SILENCE, program=("sh", "-c", "kill -9 $$"))


def test_an_oops_on_the_survivor_s_console_is_no_survival(tmp_path: Path) -> None:
    course = taken_over(tmp_path, said="hello\nBUG: unable to handle\n")
    assert (course.success, course.cause) == (False, "guest-panic")
    assert "BUG: unable to handle" in course.evidence


def test_a_console_s_last_words_are_those_of_its_death() -> None:
    assert oops_lines("hello\nBUG: unable to handle\nfine\n") == ("BUG: unable to handle",)
    assert oops_lines("") == ()
