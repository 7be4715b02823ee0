"""One ``KeyboardInterrupt`` for SIGINT, SIGTERM and SIGHUP, whatever code the signal meets."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its hooks of forks come before ours
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command in good order."""

_AGAIN_S = 0.01


@dataclass
class _State:
    """How many blocks hold interrupts back, whether one waits for them, and whether forks are such blocks."""

    held: int = 0
    waiting: bool = False
    forks: bool = False


_state = _State()


def listen() -> None:
    """From now on a signal raises ``KeyboardInterrupt``, once: the end that is then under way is not cut short."""
    if not _state.forks:
        _hold_back_in_forks()
    for number in heard():
        signal.signal(number, _interrupt)
    sys.unraisablehook = _again


def _hold_back_in_forks() -> None:
    """Let an interrupt wait for the end of a fork, too.

    Around one, others' locks are taken and given back (of logging, of pools of threads) by hooks in which Python
    swallows what is raised: an interrupt there would leave such a lock taken for good, and other threads waiting.
    Of the hooks that are there, ours are the first before a fork and the last after it.
    """
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
    _state.forks = True


def _interrupts() -> bool:
    return threading.current_thread() is threading.main_thread()


def _before_fork() -> None:
    _state.held += _interrupts()


def _after_fork() -> None:
    if _interrupts():
        _state.held -= 1
        if _state.waiting and not _state.held:
            _come_again()  # raised here, it would be swallowed


def _in_child() -> None:
    _state.held, _state.waiting = 0, False


def heard() -> tuple[signal.Signals, ...]:
    """Return what ends a command here: a background job ignores SIGINT, and nohup SIGHUP; who started it means that."""
    return tuple(number for number in SIGNALS if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN)


@contextmanager
def held_back() -> Iterator[None]:
    """Let an interrupt wait for the end of this block: what is begun in it is finished.

    A mask of signals would not do: another thread then takes the signal, and Python interrupts the main one all the
    same.
    """
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
        if _state.waiting and not _state.held:
            _end()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    if _state.held:
        _state.waiting = True
    else:
        _end()


def _end() -> None:
    _state.waiting = False
    ignore()
    raise KeyboardInterrupt


def ignore() -> None:
    """From now on these signals do nothing."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _again(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interrupt anew that met a finaliser or one of fork()'s hooks, where Python swallows what is raised."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _come_again()
    else:
        sys.__unraisablehook__(lost)


def _come_again() -> None:
    signal.signal(signal.SIGALRM, _once_more)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _once_more(number: int, frame: FrameType | None) -> None:
    frames = [frame]
    while frames[-1] is not None:
        frames.append(frames[-1].f_back)
    if any(one is not None and one.f_code is _again.__code__ for one in frames):  # it would be swallowed there too
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        _interrupt(number, frame)
