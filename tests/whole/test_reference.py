"""The data of real campaigns that is kept with the code: the report is rebuilt from it, without QEMU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import main

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
CAMPAIGNS = sorted(path.parent for path in REFERENCE.glob("*/plan.json"))


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=[path.name for path in CAMPAIGNS])
def test_the_verdicts_of_a_real_campaign_come_out_the_same_byte_for_byte(campaign: Path, tmp_path: Path) -> None:
    assert main([str(campaign), "--only", "verdicts", "--out", str(tmp_path / "report")]) == 0
    found = (tmp_path / "report" / "verdicts.json").read_text(encoding="utf-8")
    assert not any(one["exploratory"] for one in json.loads(found)["verdicts"])
    assert found == (campaign / "verdicts.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The report of the main command's campaign, as two processes make it."""
    home = tmp_path_factory.mktemp("rebuilt")
    made = [home / name for name in ("one", "other")]
    for seed, out in enumerate(made):
        command = [sys.executable, "-m", "analysis", str(REFERENCE / "card"), "--out", str(out)]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": str(seed)}, check=True, timeout=300)
    return made


def test_the_report_of_the_main_command_is_rebuilt(rebuilt: list[Path]) -> None:
    assert (rebuilt[0] / "report.html").stat().st_size > 100_000
    assert (rebuilt[0] / "verdicts.json").read_bytes() == (REFERENCE / "card" / "verdicts.json").read_bytes()


def test_another_process_makes_the_same_report_of_a_real_campaign_byte_for_byte(rebuilt: list[Path]) -> None:
    one, other = ({path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")} for out in rebuilt)
    assert len(one) > 50
    assert [path for path in one if one[path] != other.get(path)] == []
    assert one.keys() == other.keys()


def test_there_is_a_real_campaign_and_it_says_how_it_ran() -> None:
    assert "size_sweep" in {path.name for path in CAMPAIGNS}
    for campaign in CAMPAIGNS:
        records = [json.loads(path.read_text()) for path in campaign.glob("runs/*/run.json")]
        assert records, campaign
        assert [record["accel"] for record in records] == [record["cell"]["accel"] for record in records]
        apart = [one["quality"] for one in records if one["quality"]["qmp_median_difference_s"] >= 0.002]
        assert all(quality["failures"] for quality in apart)
