"""Every command refuses words as everything is refused: what is wrong on one line, what mends it on the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import COMMANDS

BENCH = ("bench.doctor", "bench.recover", "bench.restore", "bench.compress", "bench.completion", "bench.provision")


@pytest.mark.parametrize("words", [*((one,) for one in BENCH), ("analysis",), *(("analysis", one) for one in COMMANDS)])
def test_an_option_that_is_none_is_named_with_how_to_see_what_there_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", *words, "--no-such-option", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    what, mend = done.stderr.splitlines()
    assert done.returncode == 2
    assert done.stdout == ""
    assert what.startswith("colo-bench: ")
    assert mend.startswith("  fix: ")
    assert mend.endswith(" --help")
    assert not [*tmp_path.iterdir()]


def test_a_choice_that_is_none_is_named_as_it_was_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "analysis", "x", "--style", "ACM"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)
    assert "'ACM'" in done.stderr
    assert "acm" in done.stderr


def test_help_that_nobody_got_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "analysis", "--help"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    what, mend = done.stderr.splitlines()
    assert done.returncode == 3
    assert "No space left on device" in what
    assert mend.startswith("  fix: ")
