"""A cluster that is FAKE, for whoever asks for it by its fixture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm, fake_slurm
from fixtures.cluster_world import World


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what it takes is the disk's
    return fake_slurm(tmp_path, monkeypatch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: FakeSlurm) -> World:  # noqa: ARG001 - first on PATH
    return World(tmp_path / "results", monkeypatch)
