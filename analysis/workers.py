"""Other processes that compute for this one, on every processor; where there can be none, this one does it.

They end when this one does, however it ends, and say nothing of it.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from analysis.process.interrupt import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")

_SELDOM = 50_000
"""New objects between two searches for what is no longer needed: figures are made of many that stay."""


class Begin(Protocol):
    """Begins to compute ``work(*given)``, and returns what gives its value."""

    def __call__(self, work: Callable[..., T], /, *given: Any) -> Callable[[], T]:
        """Begin; ``work`` and what it is given can be pickled."""


def here(work: Callable[..., T], /, *given: Any) -> Callable[[], T]:
    """Compute it when its value is asked for: a :class:`Begin` without other processes."""
    return partial(work, *given)


@contextmanager
def workers() -> Iterator[Begin]:
    """Compute on every processor; what is not asked for by the end is not computed."""
    pool = _pool()
    if pool is None:
        yield here
        return

    def begin(work: Callable[..., T], /, *given: Any) -> Callable[[], T]:
        with without_ctrl_c():  # it may have a worker begun
            return partial(_value, _submitted(pool, work, *given), work, *given)

    try:
        begin(_nothing)  # what is forked later takes along more of what this process holds by then
        yield begin
    finally:
        pool.shutdown(cancel_futures=True)  # who is interrupted does not wait for what nobody will see


def _nothing() -> None:
    """Do nothing."""


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _pool() -> ProcessPoolExecutor | None:
    """Return what computes on every processor, or nothing where there is one, or no room for what processes share."""
    if processors() == 1:
        return None
    # A fork has imported everything; but of other threads' locks it would hold those that were held.
    way = "fork" if threading.active_count() == 1 else "spawn"
    try:
        return ProcessPoolExecutor(processors(), get_context(way), _ready)
    except (OSError, ImportError, NotImplementedError):
        return None  # a sandbox whose /dev/shm is absent, full or not to be written to


def _ready() -> None:
    """End with the parent, and by whatever signal there is: a fork has its parent's handlers."""
    gc.freeze()  # what it took along is not looked at again
    gc.set_threshold(_SELDOM)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()


def _submitted(pool: ProcessPoolExecutor, work: Callable[..., T], *given: Any) -> Future[T] | None:
    try:
        return pool.submit(work, *given)
    except (OSError, RuntimeError):  # no further process is allowed, or the ones there were have been killed
        return None


def _value(future: Future[T] | None, work: Callable[..., T], *given: Any) -> T:
    """Return a value; what no other process could compute is computed here."""
    if future is None:
        return work(*given)
    try:
        return future.result()
    except BrokenProcessPool:
        return work(*given)


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
