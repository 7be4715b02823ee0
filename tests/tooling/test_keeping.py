"""What is kept of a campaign beside the code is all that a report is made of. All data is FAKE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fixtures.fake_campaign import SERVICE, write_campaign

from analysis.stored.load import load_campaign
from tools.reference import keep

if TYPE_CHECKING:
    from pathlib import Path


def test_the_requests_of_clients_are_kept_too(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    kept = load_campaign(keep(tmp_path / SERVICE.name, tmp_path / "kept"))
    assert [len(run.requests) for run in kept.runs] == [len(run.requests) for run in campaign.runs] == [480] * 4
    assert [run.sha256 for run in kept.without] == [run.sha256 for run in campaign.without]


def test_a_folder_that_is_no_campaign_takes_nobodys_place(tmp_path: Path) -> None:
    kept = keep(write_campaign(tmp_path / "results", SERVICE), tmp_path / "kept")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError):
        keep(empty, kept)
    assert load_campaign(kept).measured == 12
