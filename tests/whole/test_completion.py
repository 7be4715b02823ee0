"""TAB: what is offered, in a real shell, without starting anything but the command that was asked for the code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import COMMANDS
from bench.completion import words

PROGRAM = Path(sys.executable).with_name("colo-bench")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("colo-bench ", list(COMMANDS)),
        ("colo-bench rep", ["report"]),
        ("colo-bench completion ", ["bash", "zsh", "fish"]),
        ("colo-bench run experiment=de", ["experiment=demo"]),
        ("colo-bench plan link=", ["link=nodelay", "link=tcp", "link=unix"]),
        ("colo-bench run workload=http workload.p", ["workload.path="]),
        ("colo-bench run qemu.secondary=10.0 workload=http workload.p", ["workload.path="]),
        ("colo-bench run hydra", []),
        ("colo-bench report results/", []),
        ("colo-bench nope x", []),
    ],
)
def test_what_a_line_may_become(line: str, offered: list[str]) -> None:
    assert words(line) == offered


def in_bash(folder: Path, line: str) -> list[str]:
    """Return what bash would offer for a line; the completion function is called as bash calls it."""
    script = (
        'eval "$("$1" completion bash)"; COMP_LINE=$2; COMP_POINT=${#2}; _colo_bench; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ("bash", "-c", script, "bash", str(PROGRAM), line),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_gets_what_follows_its_own_break_at_an_equals_sign(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "colo-bench doc") == ["doctor "]
    assert in_bash(tmp_path, "colo-bench run experiment=dem") == ["demo "]
    assert in_bash(tmp_path, "colo-bench run link.b") == ["link.bandwidth="]


def test_a_program_of_our_name_in_the_current_folder_is_not_started_by_a_tab(tmp_path: Path) -> None:
    other = tmp_path / "colo-bench"
    other.write_text("#!/bin/sh\ntouch started\n")
    other.chmod(0o755)
    assert in_bash(tmp_path, "./colo-bench doc") == ["doctor "]
    assert not (tmp_path / "started").exists()


def test_a_command_that_lies_apart_from_its_python_is_asked_itself(tmp_path: Path) -> None:
    apart = shutil.copy(PROGRAM, tmp_path / "colo-bench")
    code = subprocess.run((apart, "completion", "bash"), capture_output=True, text=True, timeout=60, check=True).stdout
    assert f"$({apart} completion words " in code


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_code_for_the_other_shells_is_read_by_them(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    code = subprocess.run((PROGRAM, "completion", shell), capture_output=True, text=True, timeout=60, check=True).stdout
    subprocess.run((shell, "-n"), input=code, text=True, timeout=60, check=True)
