"""Workers of the report whose parent is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from analysis import workers
from bench.system.owner import start_ticks

if TYPE_CHECKING:
    from pathlib import Path

_OWNER = """
import os
import sys
import threading
import time

from analysis.workers import workers

if __name__ == "__main__":
    os.sched_getaffinity = lambda _: {0, 1}
    if sys.argv[1] == "spawn":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    with workers() as begin:
        print(begin(os.getpid)(), flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("way", ["fork", "spawn"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_with_its_parent_and_prints_no_traceback(tmp_path: Path, way: str, end: signal.Signals) -> None:
    script = tmp_path / "owner.py"
    script.write_text(_OWNER)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script), way], stdout=pipe, stderr=pipe, text=True) as owner:
        assert owner.stdout
        worker = int(owner.stdout.readline())
        assert worker != owner.pid
        assert start_ticks(worker) is not None
        owner.send_signal(end)
        assert "Traceback" not in owner.communicate(timeout=30)[1]  # what Python says of semaphores is not ours
    give_up = time.monotonic() + 10
    while start_ticks(worker) is not None and time.monotonic() < give_up:
        time.sleep(0.05)
    assert start_ticks(worker) is None


def test_a_process_without_a_parent_of_that_kind_goes_on() -> None:
    workers._follow()
