"""What a fault is: a small declared object, with the moment at which it comes and the causes that name it rightly."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tools.faults.scene import MissedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tools.faults.scene import Scene

    Act = Callable[[Scene], None]
    Ground = Callable[[Scene], AbstractContextManager[None]]

DONE, SOME_FAILED, USAGE, HOST, INTERRUPTED = 0, 1, 2, 3, 130

LOCAL: tuple[str, ...] = ()
NETNS = ("host=netns",)
DIRTY = ("workload=dirty", "workload.working_set=8M", "workload.rate=1")

QUICK_DEADLINES = ("deadlines.qmp=6", "deadlines.checkpoint=8", "deadlines.boot=25", "deadlines.teardown=5")
"""For what hangs: a fault is found within seconds. Deadlines are no part of a run's identity."""

_STAGE_TAKES_S = {
    "prepare": 1.5,
    "launch": 0.3,
    "handshake": 0.05,
    "boot": 4.0,
    "colo-start": 1.5,
    "workload": 0.3,
    "measure": 0.8,
}
_REPORT_TAKES_S = 2.0
_WELL_WITHIN_S = 0.03
_SEEN = 2


class BlockedError(Exception):
    """This machine cannot do the fault; the message says why."""


@dataclass(frozen=True)
class Moment:
    """When a fault comes.

    Attributes:
        name: for a person.
        wait: returns when it has come.
        hit: asked right after the act: whether the act really came then.
        inside: whether a checkpoint has to be under way, which then never completes: asked of the trace at the end.
        early: whether it comes before any run, of which the ledger then has nothing to say.
    """

    name: str
    wait: Act
    hit: Callable[[Scene], bool] = lambda _: True
    inside: bool = False
    early: bool = False


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: short and unique.
        group: the row of the table that it is counted in.
        does: what it does, in a line.
        causes: the causes in the ledger that name it rightly.
        says: for a command that is refused before any run, so that no line of the ledger tells: what it has to print.
        exits: the exit statuses that the broken command may end with (negative: the signal).
        moment: when ``act`` comes; ``None`` where nothing is done while the command runs.
        act: what is done at that moment.
        ground: what the whole injection stands on: a mount, a cache, hosts.
        undisturbed: what the undisturbed campaign of its setting stands on.
        damage: what is done to the half-measured campaign before the command is started.
        remedy: what a person does, as the hint says, before repeating the command.
        setting: what the tiny campaign is.
        overrides: of the broken command only.
        terminal: whether the broken command runs on a terminal.
        dies: whether the command cannot clean up; its files then go at the next start.
        may_succeed: whether the broken command may measure the run after all.
        reruns: whether the damage takes away what was measured, so that it has to be measured again.
        slow: left out of a round unless asked for.
        deadline_s: how long the broken command may go on after the act.
    """

    name: str
    group: str
    does: str
    causes: frozenset[str] = frozenset()
    says: str = ""
    exits: frozenset[int] = frozenset({SOME_FAILED})
    moment: Moment | None = None
    act: Act = lambda _: None
    ground: Ground = lambda _: nullcontext()
    undisturbed: Ground = lambda _: nullcontext()
    damage: Act = lambda _: None
    remedy: Act = lambda _: None
    setting: tuple[str, ...] = LOCAL
    overrides: tuple[str, ...] = ()
    terminal: bool = False
    dies: bool = False
    may_succeed: bool = False
    reruns: bool = False
    slow: bool = False
    deadline_s: float = 120.0


def at_stage(stage: str) -> Moment:
    """Return the moment at which a stage is announced; in later rounds, somewhere within it."""

    def wait(scene: Scene) -> None:
        if stage == "prepare":
            scene.until(scene.listens, "the preparation")
        else:
            scene.until(lambda: scene.stage() == stage, f"the stage {stage}")
        takes_s = _REPORT_TAKES_S if stage == "report" else _STAGE_TAKES_S.get(stage, 0.0)
        time.sleep(scene.chance * takes_s)
        if stage not in ("prepare", scene.stage()):
            raise MissedError(f"the stage {stage} was over")

    return Moment(f"at {stage}", wait, early=stage == "prepare")


def _before_colo(scene: Scene) -> None:
    scene.until(lambda: scene.stage() == "boot", "the boot")
    time.sleep(0.5 + scene.chance * 2.0)


def _some_checkpoints(scene: Scene) -> None:
    """Wait until the measurement has seen some checkpoints end."""
    scene.until(lambda: scene.stage() == "measure", "the measurement")
    first = scene.pauses()[1]
    scene.until(lambda: scene.pauses()[1] >= first + _SEEN, f"{_SEEN} checkpoints")


def during(stops: Callable[[Scene], int]) -> Callable[[Scene], None]:
    """Return what waits for a standstill after some checkpoints; ``stops`` tells how many there have been."""

    def wait(scene: Scene) -> None:
        _some_checkpoints(scene)
        before = stops(scene)
        scene.until(lambda: stops(scene) > before, "the next STOP")

    return wait


def _between(scene: Scene) -> None:
    _some_checkpoints(scene)
    time.sleep(_WELL_WITHIN_S)


def _started(scene: Scene) -> None:
    """Wait, by the files alone, until some checkpoints have ended: for a command whose display cannot be read."""
    scene.until(lambda: scene.pauses()[1] >= _SEEN + 2, "some checkpoints")


def _announced(scene: Scene) -> None:
    scene.until(lambda: b"NBD " in scene.text(), "the ports' announcement")


BEFORE_COLO = Moment("before COLO", _before_colo)
DURING = Moment("during a checkpoint", during(lambda scene: scene.pauses()[0]), inside=True)
BETWEEN = Moment("between checkpoints", _between, lambda scene: not scene.paused())
LASTING = replace(BETWEEN, hit=lambda _: True)
"""For what lasts longer than the time between two: it begins there."""

SOME_CHECKPOINTS = Moment("after some checkpoints", _started)
PORTS_ANNOUNCED = Moment("ports announced", _announced)


def unset(*names: str) -> Act:
    """Return what takes variables out of a command's environment again."""

    def act(scene: Scene) -> None:
        for name in names:
            scene.env.pop(name, None)

    return act


def require_root(what: str) -> None:
    """Raise when this process is not root.

    Raises:
        BlockedError: it is not.
    """
    if os.geteuid() != 0:
        raise BlockedError(f"{what} needs root")
