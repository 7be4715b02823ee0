"""From a stored campaign to a picture: a pure function of the data in its folder (see ``docs/data.md``).

``analysis.load("results/demo")`` gives the data as pandas frames.
"""

from __future__ import annotations

import sys

# `python -m` looks in the current folder first: a random.py or yaml.py of the user's would stand in for what we need.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] != __file__.rsplit("/", 2)[0]:
    del sys.path[0]

import os
import signal

# A command of ours is being started and has begun nothing yet: Ctrl-C ends it, without a traceback.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# What chooses how numpy computes, and in which order it sums: no record knows of it, and some values end its import.
if sys.argv[:1] == ["-m"]:
    for _name in [one for one in os.environ if one.startswith(("GOTO_", "MKL_", "NPY_", "OMP_", "OPENBLAS_"))]:
        del os.environ[_name]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.frames import Frames

__all__ = ["load"]


def load(*folders: str | os.PathLike[str]) -> Frames:
    """Return the frames of campaigns: see :func:`analysis.frames.read`."""
    from analysis.frames import read  # noqa: PLC0415 - a command that only shows its help needs no pandas

    return read(*folders)
