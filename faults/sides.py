"""Faults of the two QEMU processes: killed and stopped."""

from __future__ import annotations

import os
import signal
from itertools import product
from typing import TYPE_CHECKING

from faults.fault import BEFORE_COLO, BETWEEN, DURING, QUICK_DEADLINES, SOME_FAILED, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.fault import Act, Moment
    from faults.scene import Scene

_TARGETS = {"primary": ("primary",), "secondary": ("secondary",), "both": ("primary", "secondary")}
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


def _words(target: str) -> str:
    return "both sides" if target == "both" else f"the {target}"


def faults() -> Iterator[Fault]:
    """Yield each signal for each side at each moment."""
    for build, target, (when, moment) in product((_killed, _stopped), _TARGETS, _MOMENTS.items()):
        yield build(target, when, moment)
