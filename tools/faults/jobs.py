"""Several injectors side by side, each in network, mount and process namespaces of its own.

What an injection leaves behind is looked for on the whole machine: within a namespace nobody else's comings and goings
can be taken for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.system.owner import end_with_owner
from bench.system.places import PACKAGES
from tools.faults.inject import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.faults.fault import Fault

_APART = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--")


def share(faults: Sequence[Fault], part: str) -> tuple[Fault, ...]:
    """Return one job's share, ``I/N``: every N-th fault from the I-th on, counted from 0."""
    number, jobs = (int(word) for word in part.split("/"))
    return tuple(faults[number::jobs])


def loopback_up() -> None:
    """Set loopback up: in a new network namespace it is down."""
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)


def side_by_side(jobs: int, arguments: Sequence[str], parts: Path) -> list[Outcome]:
    """Run the injector as so many processes, with these arguments each, and return what they found.

    Args:
        jobs: how many.
        arguments: of each.
        parts: a new folder for what each has found so far; it stays where this process is killed.

    Raises:
        OSError: ``unshare`` is missing.
    """
    parts.mkdir()
    files = [parts / f"{number}.json" for number in range(jobs)]
    running = [
        subprocess.Popen(
            (*_APART, sys.executable, "-m", "tools.faults", *arguments, "--share", f"{number}/{jobs}", "--json", file),
            cwd=PACKAGES,
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
            preexec_fn=end_with_owner(),
        )
        for number, file in enumerate(files)
    ]
    try:
        for one in running:
            one.wait()
    except KeyboardInterrupt:  # the terminal has told them too: they end by themselves
        for one in running:
            one.wait()
    found = [outcome for file in files if file.exists() for outcome in read_outcomes(file.read_bytes())]
    shutil.rmtree(parts)
    return found


def read_outcomes(text: bytes) -> list[Outcome]:
    """Return the injections that ``--json`` wrote."""
    return [
        Outcome(**{key: value for key, value in one.items() if key != "ok"}) for one in json.loads(text)["injections"]
    ]
