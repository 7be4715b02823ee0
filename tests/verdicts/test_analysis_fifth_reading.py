"""What a fifth reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fixtures.fake_campaign import SWEEP, write_campaign
from fixtures.simulated import RAM, declared

from analysis.report.first import first_screen
from analysis.stored.load import load_campaign
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_that_do_not_have_what_is_asked_about_are_no_fault_of_the_design(tmp_path: Path) -> None:
    # Of a single checkpoint there is no period.
    period = declared(id="P", claim="They come apart.", factor="mem", outcome="period")
    fake = replace(SWEEP, count=1, warmup=0, repeats=2, hypotheses=(declared(**RAM), period))
    surer = first_screen(derive(load_campaign(write_campaign(tmp_path, fake)))).surer
    assert "Where nothing can be compared, runs do not have what is asked about." in surer
