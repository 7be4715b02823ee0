"""One ``KeyboardInterrupt`` for SIGINT, SIGTERM and SIGHUP: the end that is then under way is not cut short."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command in good order."""

_AGAIN_S = 0.01


def listen() -> None:
    """From now on a signal raises ``KeyboardInterrupt``, once."""
    for number in SIGNALS:
        # A background job ignores SIGINT, and nohup SIGHUP: whoever started it means that.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _again


def ignore() -> None:
    """From now on these signals do nothing."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    ignore()
    raise KeyboardInterrupt


def _again(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interrupt anew that met a finaliser, where Python swallows what is raised."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(lost)
