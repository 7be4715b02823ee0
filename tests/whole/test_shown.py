"""What a command line shows instead of measuring, and what lies in the current folder under names that we need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bench import __version__

PROGRAM = Path(sys.executable).with_name("colo-bench")
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the module, or the installed command where that is asked for."""

    def run(*words: str, installed: bool = False) -> subprocess.CompletedProcess[str]:
        argv = (PROGRAM, "run", *words) if installed else (sys.executable, "-m", "bench", *words)
        env = {**os.environ, "COLO_BENCH_CACHE": str(tmp_path.parent / "cache")}
        return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.mark.parametrize("words", [["mem=1G", "--version"], ["--version"]])
def test_the_version_is_ours(command: Command, words: list[str]) -> None:
    assert command(*words).stdout == f"colo-bench {__version__}\n"


def test_a_sweep_shows_the_configuration_of_every_cell(command: Command) -> None:
    done = command("-m", "mem=256M,512M", "--cfg", "job", "smp=1", "workload=idle")
    assert (done.returncode, done.stderr) == (0, "")
    documents = list(yaml.safe_load_all(done.stdout))
    assert [(one["mem"], one["smp"], "hydra" in one) for one in documents] == [("256M", 1, False), ("512M", 1, False)]
    assert "# cell 2 of 2: mem=512M smp=1 workload=idle" in done.stdout


def test_a_part_of_one_configuration_is_shown_as_hydra_shows_it(command: Command) -> None:
    assert command("-c", "job", "checkpoint=timer", "-p", "checkpoint.trigger").stdout == ("timer\n")
    done = command("-c", "all", "-p", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--package nope: the configuration has no such part" in done.stderr


def test_help_holds_for_the_line_that_it_is_asked_of(command: Command) -> None:
    text = command("workload=idle,dirty", "--help", "workload.rate=7").stdout
    assert "workload: build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey" in text
    assert "--config-dir DIR" in text


THEIRS = 'raise SystemExit("theirs: " + __name__)\n'


def test_modules_of_the_current_folder_stand_in_for_none_of_ours(command: Command, tmp_path: Path) -> None:
    for name in ("random", "statistics", "yaml", "rich", "hydra", "csv", "email", "secrets"):
        (tmp_path / f"{name}.py").write_text(THEIRS)
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"colo-bench {__version__}\n", "")


def test_a_folder_where_python_runs_something_else_is_noted(command: Command, tmp_path: Path) -> None:
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__main__.py").write_text(THEIRS)
    done = command("dry_run=true", f"results={tmp_path}", "mem=256M")
    assert done.returncode == 0
    assert "colo-bench: note: `python -m` would run analysis/__main__.py of this folder" in done.stderr


@pytest.mark.parametrize("words", [["install=bash"], ["query=fish"], []])
def test_completion_is_refused_where_it_would_be_that_of_every_python_program(
    command: Command, words: list[str]
) -> None:
    done = command("-sc", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "colo-bench completion bash" in done.stderr
