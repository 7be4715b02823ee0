"""The report that a campaign has written at its end, by a process of its own: what may end that."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from rich.console import Console

from analysis import __main__ as analysis
from bench.errors import StoreError
from bench.run import report
from bench.run.analysis import Said
from bench.run.report import write_report


@pytest.mark.parametrize("how", ["killed", "late"])
def test_a_report_that_the_system_ends_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    script = "import os, signal, time; " + (
        "os.kill(os.getpid(), signal.SIGKILL)" if how == "killed" else "time.sleep(9)"
    )
    monkeypatch.setattr("bench.run.analysis.PROGRAM", (sys.executable, "-c", script))
    monkeypatch.setattr(report, "_REPORT_DEADLINE_S", 1)
    with pytest.raises(StoreError) as caught:
        write_report(tmp_path, Console())
    assert caught.value.cause == "report-unfinished"
    assert f"python -m analysis {tmp_path}" in caught.value.hint


def test_a_report_that_cannot_be_written_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("analysis.report.build.build_report", full)
    status = analysis.main([str(tmp_path)])
    said = Said(status, "", "colo-bench: the report cannot be written\n")
    monkeypatch.setattr(report, "analyse", lambda *_, **__: said)
    with pytest.raises(StoreError, match=r"^the report cannot be written"):
        write_report(tmp_path, Console())
