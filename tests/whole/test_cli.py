"""One face: every command is the code that ``python -m`` runs, and the help fits a screen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

from bench.cli import COMMANDS, help_text
from bench.system.exits import Exit
from bench.system.places import PACKAGES

PROGRAM = Path(sys.executable).with_name("colo-bench")
STARTED = {name: command for name, command in COMMANDS.items() if name != "completion"}


def face(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (PROGRAM, *words),
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_help_names_every_command_and_fits_a_screen(tmp_path: Path) -> None:
    shown = face(tmp_path, "--help")
    assert (shown.returncode, shown.stdout) == (Exit.DONE, help_text())
    lines = shown.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "compare and track: 0, 5 or 6" in shown.stdout
    assert [name for name in COMMANDS if not re.search(rf"^  {name}  ", shown.stdout, re.MULTILINE)] == []


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    argv = (sys.executable, "-P", "-c", "import bench; print(bench.__version__)")
    installed = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    assert face(tmp_path, "--version").stdout == f"colo-bench {installed}"


def test_a_bibliography_gets_the_version_that_ran(tmp_path: Path) -> None:
    entry = face(tmp_path, "--bibtex").stdout
    version = face(tmp_path, "--version").stdout.split()[1]
    assert re.fullmatch(r"@misc\{colo-bench,\n(  \w+ = \{.+\},\n)+\}\n", entry)
    assert f"version = {{{version}}}" in entry
    assert "url" not in entry  # there is no address yet that would last


def test_the_citation_file_says_what_the_package_says(tmp_path: Path) -> None:
    cited = yaml.safe_load((PACKAGES / "CITATION.cff").read_text())
    preferred = cited["preferred-citation"]
    project = tomllib.loads((PACKAGES / "pyproject.toml").read_text())
    about = metadata("colo-bench")
    assert cited["title"] == f"colo-bench: {about['Summary'].rstrip('.')}"
    assert [one["name"] for one in cited["authors"]] == [about["Author"]]
    assert cited["license"] == about["License-Expression"]
    assert {*cited["keywords"]} == {*project["project"]["keywords"]}
    # What is built before the first tag is no later than what the tag will be.
    assert f"{cited['version']}.dev0" == project["tool"]["setuptools_scm"]["fallback_version"]
    assert {key: preferred[key] for key in preferred if key in cited} == {
        key: cited[key] for key in preferred if key in cited
    }
    entry = dict(re.findall(r"^  (\w+) = \{(.+)\},$", face(tmp_path, "--bibtex").stdout, re.MULTILINE))
    assert entry["year"] == str(preferred["year"])
    assert f"(c) {entry['year']} {about['Author']}" in (PACKAGES / "LICENSE").read_text()
    assert entry["title"].replace("{colo-bench}", "colo-bench") == cited["title"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "usage: colo-bench COMMAND"),
        (("dokter",), "dokter is no command; did you mean doctor? legal: run, plan"),
        (("mem=1G", "smp=2"), "did you mean: colo-bench run mem=1G smp=2"),
    ],
)
def test_what_is_no_command_is_refused_with_what_is(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    refused = face(tmp_path, *words)
    assert refused.returncode == Exit.USAGE
    assert said in refused.stderr


@pytest.mark.parametrize("name", STARTED)
def test_a_command_says_what_its_module_says_and_ends_as_it_does(tmp_path: Path, name: str) -> None:
    command = STARTED[name]
    argv = (sys.executable, "-P", "-m", command.module, *command.before, "--no-such-option", *command.after)
    module = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    ours = face(tmp_path, name, "--no-such-option")
    assert ours.returncode == module.returncode == Exit.USAGE
    own = " ".join(("python -m", command.module, *command.before))
    alike = [one for one, other in STARTED.items() if (other.module, other.before) == (command.module, command.before)]
    installed = f"colo-bench {alike[0]}"
    assert ours.stdout == module.stdout
    assert ours.stderr == re.sub(rf"\b{re.escape(own)}\b(?!\.)", installed, module.stderr)
    assert "python -m" not in ours.stderr
    assert ours.stderr


def test_modules_of_our_names_in_the_current_folder_and_on_the_path_are_not_ours(tmp_path: Path) -> None:
    for name in ("bench", "analysis"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('another one')")
    shown = face(tmp_path, "report", "--help", PYTHONPATH=str(tmp_path))
    assert (shown.returncode, shown.stderr) == (Exit.DONE, "")
    assert face(tmp_path, "plan", "mem=nope", PYTHONPATH=f"{tmp_path}:").returncode == Exit.USAGE


def test_conf_of_the_current_folder_adds_choices_and_changes_none_of_ours(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nrepeats: 0\n")
    (own / "demo.yaml").write_text("# @package _global_\nseed: -1\n")
    assert "repeats" in face(tmp_path, "plan", "experiment=mine").stderr
    shown = face(tmp_path, "plan", "experiment=nope").stderr
    assert {"demo", "mine"} < set(re.split("[ ,]+", shown.partition("legal:")[2]))
    assert "smp" in face(tmp_path, "plan", "experiment=demo", "smp=0").stderr


@pytest.mark.parametrize("where", [">&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_a_reader_that_is_gone_is_no_failure(tmp_path: Path, word: str, where: str) -> None:
    script = f'{{ "$0" {word}; echo $? >status; }} {where}'
    done = subprocess.run(("sh", "-c", script, PROGRAM), cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert (done.stderr, (tmp_path / "status").read_text()) == (b"", "0\n")
