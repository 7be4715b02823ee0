"""From a stored campaign to a picture: a pure function of the data in its folder (see ``docs/data.md``).

``analysis.load("results/demo")`` gives the data as pandas frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from analysis.frames import Frames

__all__ = ["load"]


def load(*folders: str | os.PathLike[str]) -> Frames:
    """Return the frames of campaigns: see :func:`analysis.frames.read`."""
    from analysis.frames import read  # noqa: PLC0415 - a command that only shows its help needs no pandas

    return read(*folders)
