"""What is behind a failure that says only that something did not come: real processes, fake QMP servers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_qmp import SILENCE, fake_qmp

from bench.errors import BenchError, ColoError, GuestError, HostError, MeasureError, QmpError
from bench.host import host as host_module
from bench.host.host import Here
from bench.host.netns import entering
from bench.host.process import Process, launch
from bench.host.topology import Node, Topology, local_topology
from bench.vm import explain as module
from bench.vm.explain import explained, link_is_up
from bench.vm.pair import refused
from bench.vm.qmp import connect

UP = "2: colo0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default"
DOWN = "2: colo0@if2: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state LOWERLAYERDOWN mode DEFAULT"
STUCK = MeasureError("a checkpoint began and did not end within 20 s")

Sides = dict[str, Process]


def answer(*_: Any) -> dict[str, Any]:
    return {"status": "running"}


def silent(*_: Any) -> object:
    return SILENCE


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.2)


def explain(
    error: BenchError,
    folder: Path,
    *,
    meanwhile: Callable[[Sides], None] = lambda _: None,
    answers: tuple[Callable[..., Any], Callable[..., Any]] = (answer, answer),
    topology: Topology | None = None,
) -> BenchError:
    """Explain a failure of two live processes, after something was done to them."""

    async def scenario() -> BenchError:
        async with AsyncExitStack() as stack:
            processes, monitors = {}, {}
            for side, reply in zip(("primary", "secondary"), answers, strict=True):
                home = folder / side
                home.mkdir(exist_ok=True)
                process = launch(f"{side}'s QEMU", ("sleep", "60"), folder=home)
                processes[side] = await stack.enter_async_context(process)
                await stack.enter_async_context(fake_qmp(home / "qmp.sock", reply))
                monitor = await connect(side, home / "qmp.sock", None, 5)
                monitors[side] = await stack.enter_async_context(monitor)
            meanwhile(processes)
            return await explained(error, processes, monitors, topology or local_topology())

    return asyncio.run(scenario())


def stop(side: str) -> Callable[[Sides], None]:
    def send(processes: Sides) -> None:
        os.kill(processes[side].pid, signal.SIGSTOP)
        give_up = time.monotonic() + 10
        while (state := processes[side].state()) is None or not state.stopped:
            assert time.monotonic() < give_up
            time.sleep(0.01)

    return send


def says(side: str, line: str, log: str = "stderr.log") -> Callable[[Sides], None]:
    def write(processes: Sides) -> None:
        (processes[side].folder / log).write_text(f"{line}\n")

    return write


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_side_that_was_stopped_is_named(tmp_path: Path, side: str) -> None:
    error = explain(STUCK, tmp_path, meanwhile=stop(side))
    assert error.cause == "qemu-hung"
    assert error.transient
    assert f"the {side}'s QEMU" in error.message
    assert "state T: stopped by a signal" in error.message
    assert STUCK.message in error.evidence
    assert len(error.logs) == 2


def test_a_side_that_is_alive_and_answers_nothing_hangs(tmp_path: Path) -> None:
    error = explain(QmpError("no answer", cause="qmp-timeout"), tmp_path, answers=(answer, silent))
    assert error.cause == "qemu-hung"
    assert "the secondary's QEMU" in error.message
    assert "state S: sleeping" in error.message


def test_a_command_that_is_slow_on_a_side_that_answers_stays_a_time_out(tmp_path: Path) -> None:
    slow = QmpError("the primary did not answer `migrate`", cause="qmp-timeout")
    assert explain(slow, tmp_path, meanwhile=says("primary", "qemu: warning")) is slow
    assert slow.evidence == ("primary's QEMU: qemu: warning",)
    assert len(slow.logs) == 2


def test_words_of_either_side_go_before_everything(tmp_path: Path) -> None:
    line = "qemu: Size mismatch: pc.ram: 0x40000000 != 0x20000000: Invalid argument"
    error = explain(
        ColoError("the migration ended `failed`", cause="migration-failed"), tmp_path, meanwhile=says("secondary", line)
    )
    assert (error.cause, error.evidence) == ("sides-differ", (line,))
    assert error.logs == (tmp_path / "secondary" / "stderr.log",)


def test_a_migration_that_failed_is_laid_to_sides_that_differ_where_nothing_else_explains_it(tmp_path: Path) -> None:
    line = "qemu: failed to save SaveStateEntry with id(name): 2(ram): -5"
    failed = ColoError("the migration ended `failed`", cause="migration-failed")
    assert explain(failed, tmp_path, meanwhile=says("primary", line)).cause == "sides-differ"
    left = ColoError("COLO ended", cause="colo-exit")
    assert explain(left, tmp_path, meanwhile=says("primary", line)).cause == "colo-exit"

    def both(processes: Sides) -> None:
        says("primary", line)(processes)
        stop("secondary")(processes)

    assert explain(failed, tmp_path, meanwhile=both).cause == "qemu-hung"


def test_a_guest_that_panicked_under_a_live_qemu_is_named(tmp_path: Path) -> None:
    line = "[ 7.3] Kernel panic - not syncing: Fatal exception"
    error = explain(STUCK, tmp_path, meanwhile=says("secondary", line, "serial.log"))
    assert (error.cause, error.evidence) == ("guest-panic", (line,))


def test_a_guest_that_is_not_ready_shows_how_far_it_came(tmp_path: Path) -> None:
    late = GuestError("the guest was not ready within 90 s")
    assert explain(late, tmp_path, meanwhile=says("primary", "[ 1.0] Probing EDD", "serial.log")) is late
    assert late.evidence == ("[ 1.0] Probing EDD",)
    assert late.logs == (tmp_path / "primary" / "serial.log",)


def test_what_needs_no_explanation_is_left_alone(tmp_path: Path) -> None:
    error = HostError("x", cause="host-memory")
    assert explain(error, tmp_path, meanwhile=stop("primary")) is error
    assert error.logs == ()


@pytest.mark.parametrize(
    ("shown", "cause"),
    [
        (DOWN, "link-down"),
        (HostError("failed", evidence=('Device "colo0" does not exist.',)), "link-down"),
        (
            HostError("failed", evidence=("nsenter: cannot open /proc/7/ns/net: No such file or directory",)),
            "netns-lost",
        ),
        (HostError("slow", cause="command-slow"), "checkpoint-stuck"),
        (HostError("gone", cause="connection-cut"), "connection-cut"),
        (HostError("gone", cause="agent-killed"), "agent-killed"),
        (UP, "checkpoint-stuck"),
    ],
)
def test_a_cable_that_was_pulled_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str | HostError, cause: str
) -> None:
    asked: list[tuple[str, ...]] = []

    async def run(argv: tuple[str, ...], _deadline_s: float, **_: Any) -> str:
        asked.append(argv)
        if isinstance(shown, HostError):
            raise shown
        return shown

    monkeypatch.setattr(host_module, "run", run)
    nodes = {side: Node(side, Here(entering(pid)), {}, "colo0") for side, pid in (("primary", 7), ("secondary", 8))}
    error = explain(MeasureError(STUCK.message), tmp_path, topology=Topology(nodes))
    assert error.cause == cause
    assert asked[0] == ("nsenter", "--net=/proc/7/ns/net", "--", "ip", "-o", "link", "show", "dev", "colo0")


def test_a_link_is_up_when_it_has_a_carrier() -> None:
    assert link_is_up(UP)
    assert not link_is_up(DOWN)
    assert not link_is_up("2: colo0: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT")
    assert not link_is_up("")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("the primary answered to drive_add: Requested export not available", "nbd-export-missing"),
        ("the primary answered to drive_add: Unknown driver 'replication'", "replication-missing"),
        ("the secondary refused `nbd-server-start`: Failed to bind socket: Address already in use", "port-taken"),
        ("the primary answered to drive_add: something else", "hmp-refused"),
    ],
)
def test_a_refused_step_takes_its_cause_from_what_qemu_said(said: str, cause: str) -> None:
    error = refused(said, "hmp-refused")
    assert (error.cause, error.message) == (cause, said)
