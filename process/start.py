"""What comes before everything else, while nothing is begun yet."""

from __future__ import annotations

import os
import signal

_COMPUTES = ("ARROW_", "GOTO_", "MKL_", "NPY_", "OMP_", "OPENBLAS_")


def prepare() -> None:
    """Let Ctrl-C end the command without a traceback, and nobody's environment choose how numpy and pyarrow compute.

    That is in which order it sums, of which no record knows; some values end an import besides.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in [one for one in os.environ if one.startswith(_COMPUTES)]:
        del os.environ[name]
