"""Workers of the report whose parent is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from analysis import workers

_POOL = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os
from analysis.workers import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(_POOL)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        worker = Path(f"/proc/{int(owner.stdout.readline())}")
        assert worker.exists()
        owner.kill()
    give_up = time.monotonic() + 10
    while worker.exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not worker.exists()


def test_a_process_without_a_parent_of_that_kind_goes_on() -> None:
    workers._follow()
