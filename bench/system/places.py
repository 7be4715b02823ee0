"""Where things are: the packages, the configuration they bring, and where results go unless told otherwise.

In a checkout ``bench/conf`` and ``bench/patches`` are links to folders at its top; in a wheel, those folders.
"""

from __future__ import annotations

import os
import pwd
import sys
import unicodedata
from contextlib import suppress
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


def home_folder() -> Path | None:
    """Return this user's home, by ``HOME`` where that is an absolute path, else by the system; None without any."""
    said = os.environ.get("HOME", "")
    with suppress(KeyError):
        home = Path(said if Path(said).is_absolute() else pwd.getpwuid(os.getuid()).pw_dir)
        return home if home.is_absolute() else None
    return None


def expanded(path: Path) -> Path:
    """Return an absolute path, with a ``~`` or ``~user`` that it begins with replaced.

    Raises:
        RuntimeError: there is no such user, or this one has no home.
    """
    if path.parts[:1] != ("~",):
        return path.expanduser().absolute()
    home = home_folder()
    if home is None:
        raise RuntimeError("this user has no home folder")
    return home.joinpath(*path.parts[1:])


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


def has_controls(path: Path) -> bool:
    """Return whether a path holds a line end, NUL or another control character, which no log or terminal shows."""
    return any(unicodedata.category(letter) == "Cc" for letter in str(path))
