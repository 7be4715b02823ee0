"""The work folder of an agent, below which nothing may be left."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tools.lab.hosts import marked_below


@pytest.fixture
def work(tmp_path: Path) -> Any:
    folder = tmp_path / "work"
    yield folder
    left = marked_below(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
