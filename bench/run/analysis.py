"""The analysis, which is another program: started with arguments, told what it is asked about, listened to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from bench.system.environment import helping
from bench.system.family import end_family
from bench.system.owner import end_with_owner, mark
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

    Args:
        arguments: of its command line.
        given: to read from its standard input.
        deadline_s: when to give up.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it is late.
    """
    ours = mark(PACKAGES)
    try:
        done = subprocess.run(
            (*PROGRAM, *arguments),
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=helping(ours, same_modules()),
            preexec_fn=end_with_owner(),
            timeout=deadline_s,
            check=False,
        )
    finally:
        end_family(ours)
    return Said(done.returncode, done.stdout, done.stderr)
