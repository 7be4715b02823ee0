"""Faults of the harness itself: signals at every stage, its terminal closed, two of it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.scenario.progress import STAGES as OF_A_RUN
from tools.faults.fault import DIRTY, DONE, INTERRUPTED, LOCAL, SOME_CHECKPOINTS, Fault, at_stage
from tools.faults.scene import MissedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.faults.fault import Act
    from tools.faults.scene import Scene

_ELSEWHERE = {"serve", "failover", "redundancy"}
"""Stages that the tiny campaign does not come to."""

STAGES = ("prepare", *(stage for stage in OF_A_RUN if stage not in _ELSEWHERE), "report")
_AGAIN_S = 0.05
_REFUSED_S = 60.0
_REFUSED = 2


def send(number: signal.Signals, times: int = 1) -> Act:
    """Return the act that sends a signal to the harness, so many times."""

    def act(scene: Scene) -> None:
        for left in reversed(range(times)):
            os.kill(scene.pid, number)
            time.sleep(_AGAIN_S if left else 0)

    return act


def _signalled(label: str, number: signal.Signals, stage: str, times: int = 1) -> Fault:
    twice = ", twice" if times > 1 else ""
    words = f"{number.name} of the harness{twice}"
    return Fault(
        name=f"{label}-harness-{stage}",
        group=f"{words}, at every stage",
        does=f"{words}, at {stage}",
        causes=frozenset({"interrupted"}),
        exits=frozenset({INTERRUPTED}),
        moment=at_stage(stage),
        act=send(number, times),
        setting=DIRTY if stage == "workload" else LOCAL,  # an idle guest's takes no time: it could not be met
        overrides=("report=true",) if stage == "report" else (),  # most of the time of a tiny campaign
        may_succeed=stage in {"teardown", "store", "report"},
    )


def _killed(stage: str) -> Fault:
    return replace(
        _signalled("kill", signal.SIGKILL, stage),
        exits=frozenset({-signal.SIGKILL}),
        dies=True,
        may_succeed=stage in {"store", "report"},
    )


def _second_command(scene: Scene) -> None:
    """Start the same command once more: it has to be refused, and the first not to notice."""
    second = subprocess.run(
        scene.command(),
        cwd=scene.folder,
        env={**os.environ, **scene.env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_REFUSED_S,
        check=False,
    )
    (scene.folder / "second.txt").write_bytes(second.stdout + second.stderr)
    if second.returncode != _REFUSED or b"is being run by process" not in second.stdout + second.stderr:
        raise MissedError(f"the second command was not refused: status {second.returncode}")


def _second_and_kill(scene: Scene) -> None:
    _second_command(scene)
    os.kill(scene.pid, signal.SIGKILL)


def faults() -> Iterator[Fault]:
    """Yield every signal at every stage, the closed terminal, and two commands at once."""
    for stage in STAGES:
        yield _killed(stage)
        yield _signalled("term", signal.SIGTERM, stage)
        yield _signalled("int", signal.SIGINT, stage)
        yield _signalled("int-twice", signal.SIGINT, stage, times=2)
        yield _signalled("hup", signal.SIGHUP, stage)
    yield Fault(
        name="terminal-closed",
        group="the terminal closed",
        does="the terminal of the harness is closed after some checkpoints",
        causes=frozenset({"interrupted"}),
        exits=frozenset({INTERRUPTED}),
        moment=SOME_CHECKPOINTS,
        act=lambda scene: scene.close_terminal(),
        terminal=True,
    )
    yield Fault(
        name="two-at-once",
        group="two campaigns of the same name at once",
        does="the same command a second time while the first measures: refused, the first goes on",
        exits=frozenset({DONE}),
        moment=at_stage("boot"),
        act=_second_command,
        may_succeed=True,
    )
    yield Fault(
        name="dead-owner",
        group="two campaigns of the same name at once",
        does="the first of two is SIGKILLed: it does not keep the lock",
        causes=frozenset({"interrupted"}),
        exits=frozenset({-signal.SIGKILL}),
        moment=at_stage("boot"),
        act=_second_and_kill,
        dies=True,
    )
