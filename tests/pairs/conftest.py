"""Each test of a real pair ends with nothing of it running."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.pairs import kill_all, running_below


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Iterator[None]:
    yield
    give_up = time.monotonic() + 15
    while running_below(tmp_path) and time.monotonic() < give_up:
        time.sleep(0.1)
    left = running_below(tmp_path)
    kill_all(left, signal.SIGKILL)
    assert not left
