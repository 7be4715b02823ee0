"""The environment of our children: it chooses nothing of what is measured, and carries the mark that makes them ours.

A variable that was inherited unseen would be a factor that no record knows: a preloaded library that sets TCP_NODELAY
took a pause from 43 to 8 ms, under the same run id.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bench.system.owner import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED = ("COLO_BENCH_*", "HOME", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_RUNTIME_DIR")
"""What a measured program gets of ours: who and where it is, and nothing else."""

_CHOOSING = ("GCONV_PATH", "GLIBC_TUNABLES", "LD_*", "MALLOC_*", "PYTHON*", "QEMU_*")
"""What changes what a program is or does while its command line stays the same."""

_BESIDE = (
    "*_INCLUDE_PATH",
    "BASH_ENV",
    "COMPILER_PATH",
    "CPATH",
    "DEPENDENCIES_OUTPUT",
    "E2FSPROGS_*",
    "ENV",
    "GCC_*",
    "LIBRARY_PATH",
    "MATPLOTLIBRC",
    "MKE2FS_*",
    "MPLBACKEND",
    "PERL5*",
    "POSIXLY_CORRECT",
    "SOURCE_DATE_EPOCH",
    "TAR_OPTIONS",
    "XZ_*",
)
"""What a compiler, a shell, a packer or a plot takes beside its command line; no hash knows of it."""

_LOCALE = {"LC_ALL": "C"}
"""Messages are searched for known causes."""


def measured(ours: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program that takes part in a measurement: a QEMU, a client, what they stand on."""
    return {**_matching(_PASSED), **_LOCALE, **extra, VARIABLE: ours}


def helping(ours: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program that fetches, builds or draws: all but the variables that choose for it."""
    choosing = {*choosing_names(), *_matching(_BESIDE)}
    passed = {name: value for name, value in os.environ.items() if name not in choosing}
    return {**passed, **_LOCALE, **extra, VARIABLE: ours}


def choosing_names() -> tuple[str, ...]:
    """Return the variables around us that would change what is measured if they were passed on."""
    return tuple(_matching(_CHOOSING))


def _matching(patterns: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
