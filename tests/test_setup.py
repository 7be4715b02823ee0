"""``setup.sh`` up to where it would install something, with stubs in the place of apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[1] / "setup.sh"


def said(folder: Path, target: str, **env: str) -> str:
    """Run it as somebody who may install nothing, where nothing is installed and apt knows one index target."""
    stubs = folder / "bin"
    stubs.mkdir()
    for name, line in {"apt-get": f"echo '{target}'", "id": "echo 1000"}.items():
        (stubs / name).write_text(f"#!/bin/sh\n{line}\n")
        (stubs / name).chmod(0o755)
    (stubs / "dirname").symlink_to(shutil.which("dirname") or "")
    script = shutil.copy(SETUP, folder)
    done = subprocess.run(
        ("/bin/sh", script),
        env={"PATH": os.fspath(stubs), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    return done.stderr


def test_without_a_debian_mirror_the_variable_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    text = said(tmp_path, "Ubuntu|Ubuntu|main")
    assert 0 <= text.find("export COLO_BENCH_MIRROR=") < text.find("missing system packages")


@pytest.mark.parametrize(
    ("target", "env"),
    [("Debian|Debian|main", {}), ("Ubuntu|Ubuntu|main", {"COLO_BENCH_MIRROR": "http://mirror.invalid/debian"})],
)
def test_with_a_mirror_nothing_is_said_of_it(tmp_path: Path, target: str, env: dict[str, str]) -> None:
    assert "COLO_BENCH_MIRROR" not in said(tmp_path, target, **env)
