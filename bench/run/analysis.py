"""The analysis, which is another program: started with arguments, told what it is asked about, listened to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from bench.system.children import family
from bench.system.environment import helping
from bench.system.places import PACKAGES, same_modules

PROGRAM = (sys.executable, "-P", "-m", "analysis")


@dataclass(frozen=True)
class Said:
    """How it ended, and what it said on standard output and on standard error."""

    status: int
    out: str
    err: str


def analyse(*arguments: str, given: str = "", deadline_s: float) -> Said:
    """Run it to its end; it and all that it has started ends with this process, and when it is late.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it is late.
    """
    with family(PACKAGES, same_modules(), around=helping) as born:
        done = subprocess.run(
            (*PROGRAM, *arguments),
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=deadline_s,
            check=False,
            **born,
        )
    return Said(done.returncode, done.stdout, done.stderr)
