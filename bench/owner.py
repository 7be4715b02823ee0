"""Children that end with their owner, even when the owner is killed by SIGKILL and runs no clean-up."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: a child between fork and exec must not load or lock anything.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def end_with_owner() -> Callable[[], None]:
    """Return what a child has to call between fork and exec to be killed when this process dies.

    See prctl(2), PR_SET_PDEATHSIG. The request counts from when it is made: an owner that died just before would never
    be noticed, so the child looks whose child it is afterwards. ``setpriv --pdeathsig`` leaves that gap open.
    """
    owner = os.getpid()

    def ask() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != owner:
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
