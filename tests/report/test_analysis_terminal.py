"""What commands print: one line that changes on a terminal and nothing of it in a log, and JSON that all can read."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.commands.terminal import print_json, progress
from analysis.errors import mends


class Screen(io.StringIO):
    """A terminal, as far as programs ask."""

    def isatty(self) -> bool:
        return True


def before(monkeypatch: pytest.MonkeyPatch, term: str = "xterm") -> Screen:
    """Return the terminal that standard error is from now on."""
    found = Screen()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", term)
    return found


def test_a_terminal_shows_what_is_done_and_is_left_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = before(monkeypatch)
    with progress() as say:
        say("drawing [one] of 2")
    shown = screen.getvalue()
    assert "drawing [one] of 2" in shown
    assert shown.rstrip("\r").endswith("\x1b[2K")  # the line is erased
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("quiet", "term"), [(True, "xterm"), (False, "dumb")])
def test_quiet_and_a_terminal_that_changes_no_line_see_nothing(
    monkeypatch: pytest.MonkeyPatch,
    quiet: bool,  # noqa: FBT001 - a column of the table above
    term: str,
) -> None:
    screen = before(monkeypatch, term)
    with progress(quiet=quiet) as say:
        say("drawing")
    assert screen.getvalue() == ""


def test_a_log_has_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as say:
        say("drawing")
    assert capsys.readouterr() == ("", "")


def test_a_report_shows_what_it_does_unless_it_is_to_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def built(folders: list[Path], *, say: Callable[[str], None], **_: object) -> Path:
        say("drawing")
        return folders[0] / "page"

    monkeypatch.setattr("analysis.report.build.build_report", built)
    screen = before(monkeypatch)
    assert main(["results/made_up", "-q"]) == 0
    assert screen.getvalue() == ""
    assert main(["results/made_up"]) == 0
    assert "drawing" in screen.getvalue()


def test_what_mends_a_file_that_cannot_be_had_is_told_by_why() -> None:
    assert mends(OSError(24, "Too many open files")) == "ulimit -n 1024"
    assert "the disk has room" in mends(OSError(28, "No space left on device"))
    assert "--out DIR" in mends(OSError(30, "Read-only file system"))


def test_json_is_ascii_and_knows_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": (1 / 3, np.int64(2), np.True_), "c": [{"d": -math.inf}], "e": "\N{MIDDLE DOT}"})
    said = capsys.readouterr().out
    assert said.isascii()
    tree = {"a": None, "b": [0.333333333, 2, True], "c": [{"d": None}], "e": "\N{MIDDLE DOT}"}
    assert json.loads(said, parse_constant=pytest.fail) == tree
