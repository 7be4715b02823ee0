"""From a stored campaign to a picture: a pure function of the data in its folder (see ``docs/data.md``).

``analysis.load("results/demo")`` gives the data as pandas frames.
"""

from __future__ import annotations

import sys

# `python -m` looks in the current folder first: a random.py or yaml.py of the user's would stand in for what we need.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] != __file__.rsplit("/", 2)[0]:
    del sys.path[0]

from analysis.process.start import prepare

if sys.argv[:1] == ["-m"]:
    prepare()

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from analysis.frames import Frames

__all__ = ["load"]


def load(*folders: str | os.PathLike[str]) -> Frames:
    """Return the frames of campaigns: see :func:`analysis.frames.read`."""
    from analysis.frames import read  # noqa: PLC0415 - a command that only shows its help needs no pandas

    return read(*folders)
