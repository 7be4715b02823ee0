"""The cache folder of a test, which starts empty, and the fetched QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.provisioned import silent

from bench.provision.qemu import Binary, find_qemu


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLO_BENCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def binary() -> Binary:
    return find_qemu("provisioned", silent)
