from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bench.format.folder import HARNESS_LOG
from bench.host.host import HERE
from bench.system.developer_log import logging_into

if TYPE_CHECKING:
    import pytest


def test_what_is_logged_within_a_run_is_in_its_folder_and_nothing_of_what_comes_after(tmp_path: Path) -> None:
    with logging_into(tmp_path):
        assert asyncio.run(HERE.run(("echo", "a b"))) == "a b\n"
    logging.getLogger("bench.host").error("later")
    text = (tmp_path / HARNESS_LOG).read_text()
    assert "DEBUG bench.host.host: run echo 'a b'" in text
    assert "later" not in text


def test_nothing_is_shown_unless_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_into(tmp_path):
        logging.getLogger("bench.host").error("something")
    assert capsys.readouterr() == ("", "")


def test_a_log_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    with logging_into(tmp_path / "gone"):
        logging.getLogger("bench.host").error("something")
