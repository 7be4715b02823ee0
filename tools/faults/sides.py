"""Faults of the two QEMU processes: killed, stopped, and with the harness suspended for a while."""

from __future__ import annotations

import os
import signal
import time
from itertools import product
from typing import TYPE_CHECKING

from tools.faults.fault import BEFORE_COLO, BETWEEN, DONE, DURING, LASTING, QUICK_DEADLINES, SOME_FAILED, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.faults.fault import Act, Moment
    from tools.faults.scene import Scene

_TARGETS = {"primary": ("primary",), "secondary": ("secondary",), "both": ("primary", "secondary")}
_SUSPENDED_S = 2.0
_MOMENTS = {"before": BEFORE_COLO, "during": DURING, "between": BETWEEN}


def _send(number: signal.Signals, *sides: str) -> Act:
    def act(scene: Scene) -> None:
        for pid in [scene.side(side) for side in sides]:
            os.kill(pid, number)

    return act


def _killed(target: str, when: str, moment: Moment) -> Fault:
    return Fault(
        name=f"kill-{target}-{when}",
        group=f"SIGKILL of {_words(target)}",
        does=f"SIGKILL of {_words(target)} {moment.name}",
        causes=frozenset({"qemu-killed"}),
        moment=moment,
        act=_send(signal.SIGKILL, *_TARGETS[target]),
    )


def _stopped(target: str, when: str, moment: Moment) -> Fault:
    # Until the pair is in COLO nobody needs the secondary: then it is found when it is first asked.
    return Fault(
        name=f"stop-{target}-{when}",
        group=f"SIGSTOP of {_words(target)}",
        does=f"SIGSTOP of {_words(target)} {moment.name}",
        causes=frozenset({"qemu-hung"}),
        exits=frozenset({SOME_FAILED}),
        moment=moment,
        act=_send(signal.SIGSTOP, *_TARGETS[target]),
        overrides=QUICK_DEADLINES,
    )


def _suspend(pids_of: Callable[[Scene], list[int]]) -> Act:
    """Stop processes and let them run again, as Ctrl-Z and `fg` do."""

    def act(scene: Scene) -> None:
        pids = pids_of(scene)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(_SUSPENDED_S)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return act


def _suspended() -> Iterator[Fault]:
    """Yield who is stopped and runs again: the run ends well, and has to say that it is not what was asked for."""
    whose: dict[str, Callable[[Scene], list[int]]] = {
        "harness": lambda scene: [scene.pid],
        "primary": lambda scene: [scene.side("primary")],
        "secondary": lambda scene: [scene.side("secondary")],
    }
    for who, pids_of in whose.items():
        yield Fault(
            name=f"suspend-{who}",
            group="the harness or a side suspended, and running again",
            does=f"the {who} is stopped for {_SUSPENDED_S:g} s between checkpoints, and then let run",
            says=rf"the {who} did not run for|later than the [\d.]+ s that were asked for",
            exits=frozenset({DONE}),
            moment=LASTING,
            act=_suspend(pids_of),
            may_succeed=True,
        )


def _words(target: str) -> str:
    return "both sides" if target == "both" else f"the {target}"


def faults() -> Iterator[Fault]:
    """Yield each signal for each side at each moment."""
    for build, target, (when, moment) in product((_killed, _stopped), _TARGETS, _MOMENTS.items()):
        yield build(target, when, moment)
    yield from _suspended()
