"""Which Pythons are said to do, and that none of them is passed over unseen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from bench.system.places import PACKAGES

TRIED = r'python=\[((?:"3\.\d+",? ?)+)\]'


def test_a_python_that_is_missing_fails_and_is_no_green_run(tmp_path: Path) -> None:
    text = (PACKAGES / "noxfile.py").read_text()
    assert re.search(TRIED, text)
    (tmp_path / "noxfile.py").write_text(re.sub(TRIED, 'python=["3.99"]', text))
    # Without uv, which would look for that Python in the network.
    argv = (sys.executable, "-m", "nox", "--default-venv-backend", "venv")
    env = {key: value for key, value in os.environ.items() if not key.startswith("NOX_")}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "3.99" in done.stderr


def test_the_classifiers_name_the_pythons_that_were_seen() -> None:
    classifiers = tomllib.loads((PACKAGES / "pyproject.toml").read_text())["project"]["classifiers"]
    named = {one.rpartition(" ")[2] for one in classifiers if re.search(r":: Python :: 3\.\d+$", one)}
    page = (PACKAGES / "docs" / "install.md").read_text()
    [seen] = re.findall(r"seen with ((?:3\.\d+(?:, | and )?)+)", page)
    assert named == set(re.findall(r"3\.\d+", seen))
    tried = re.search(TRIED, (PACKAGES / "noxfile.py").read_text())
    assert tried
    assert named <= set(re.findall(r"3\.\d+", tried[1]))
