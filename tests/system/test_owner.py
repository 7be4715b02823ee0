"""Real processes: a child must not outlive its owner, not even one that died before the child could ask for that."""

from __future__ import annotations

import subprocess
import sys

ORPHAN_BEFORE_IT_ASKS = """
import os, sys, time
from bench.system.owner import end_with_owner
ask = end_with_owner()
owner = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == owner:
    time.sleep(0.001)
ask()
print("outlived")
"""


def test_a_child_whose_owner_died_before_it_could_ask_ends_at_once() -> None:
    # The pipe ends when every process that holds it has ended.
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN_BEFORE_IT_ASKS], stdout=subprocess.PIPE, text=True, timeout=30, check=True
    )
    assert done.stdout == ""


def test_a_child_of_a_living_owner_goes_on() -> None:
    script = "import subprocess, sys; from bench.system.owner import end_with_owner; "
    script += "subprocess.run(['echo', 'alive'], preexec_fn=end_with_owner(), check=True)"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    assert done.stdout == "alive\n"
