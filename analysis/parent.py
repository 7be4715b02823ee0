"""Worker processes that end when the process which started them does, however it ends, and say nothing of it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import TYPE_CHECKING

from analysis.process.interrupt import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Begin processes that Ctrl-C does not reach, as whoever started them ends them: each would print a traceback.

    A terminal sends it to all of them; a mask of signals is what a new process keeps from its very beginning. What
    would end this process waits for the end of the block: another thread (Arrow has some) is not masked, and a process
    that is half begun prints a traceback too.
    """
    came: list[signal.Signals] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    own = threading.current_thread() is threading.main_thread()  # no other one may set a handler, nor is interrupted
    heard = {number: signal.getsignal(number) for number in SIGNALS if own}
    for number in (number for number, handler in heard.items() if callable(handler)):
        signal.signal(number, lambda number, _: came.append(signal.Signals(number)))
    try:
        yield
    finally:
        for number, handler in heard.items():
            if callable(handler):
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in came[:1]:
            signal.raise_signal(number)


def end_with_parent() -> None:
    """Have this worker end as soon as its parent has: an initialiser of pools.

    A pool's workers wait for work on a pipe whose other end each of them holds too, so that a killed parent would leave
    them waiting for ever.
    """
    threading.Thread(target=_follow, name="end-with-parent", daemon=True).start()


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
