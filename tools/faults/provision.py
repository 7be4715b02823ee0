"""Signals of the harness while something is made in the cache, before any run: the guest, the packages."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tools.faults.fault import INTERRUPTED, Fault, Moment
from tools.faults.harness import send
from tools.faults.storage import copied_cache, own_cache, remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.faults.scene import Scene

_MADE = (("guest", "building the guest", 1.0, False), ("packages", "fetching the packages", 20.0, True))
"""What is made: its folder's name, in words, about how long it takes in seconds, and whether that is slow."""

_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT, "hup": signal.SIGHUP}


def _under_way(made: str, takes_s: float) -> Moment:
    def wait(scene: Scene) -> None:
        scene.until(lambda: any(copied_cache(scene).glob(f"{made}-*.*")), f"the making of {made}")
        time.sleep(scene.chance * takes_s)

    return Moment("before any run", wait, early=True)


def faults() -> Iterator[Fault]:
    """Yield every signal while the guest is built and while the packages are fetched."""
    for made, words, takes_s, slow in _MADE:
        for label, number in _SIGNALS.items():
            dies = number == signal.SIGKILL
            yield Fault(
                name=f"{label}-harness-{made}",
                group="signals of the harness while it fetches and builds",
                does=f"{number.name} of the harness while {words}",
                exits=frozenset({-signal.SIGKILL if dies else INTERRUPTED}),
                moment=_under_way(made, takes_s),
                act=send(number),
                ground=own_cache,
                damage=remove(f"{made}-*"),
                dies=dies,
                slow=slow,
            )
