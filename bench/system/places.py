"""Where things are: the packages, the configuration they bring, and where results go unless told otherwise.

In a checkout ``bench/conf`` and ``bench/patches`` are links to folders at its top; in a wheel, those folders.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds ``bench`` and ``analysis``: a checkout, or ``site-packages``."""

CONF = (PACKAGES / "bench" / "conf").resolve()
"""The configuration that comes with the program."""

PATCHES = (PACKAGES / "bench" / "patches").resolve()
"""The patches of QEMU that come with it, each with what it shows (``README.md`` among them)."""

OWN_CONF = Path("conf")
"""A folder of the current one whose choices are offered beside ours."""


def results_folder() -> Path:
    """Return where campaigns are kept: ``results/`` of the checkout, else of the current folder."""
    return (PACKAGES if CONF.parent == PACKAGES else Path.cwd()) / "results"


def same_modules() -> dict[str, str]:
    """Return the environment in which ``python -P -m`` finds modules where this process does, whatever lies nearer."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def shadows() -> list[str]:
    """Return what the current folder holds that ``python -m`` would run there in the place of a command of ours."""
    names = (
        name for one in ("bench", "analysis") for name in (f"{one}.py", f"{one}/__main__.py", f"{one}/__init__.py")
    )
    try:
        here = Path.cwd()
        return [] if here == PACKAGES else [name for name in names if (here / name).is_file()]
    except OSError:  # a current folder that is gone, or closed to us
        return []
