"""What lies where is named once, and nowhere else in the code."""

from __future__ import annotations

import re
from pathlib import Path

from bench.format import folder
from bench.format.folder import CampaignFolder, RunFolder

CHECKOUT = Path(__file__).parents[2]
NAMES = {
    name
    for key, name in vars(folder).items()
    if key.isupper() and isinstance(name, str) and "." in name  # a word such as "report" is other things too
}


def test_a_file_of_a_campaign_is_named_in_one_place() -> None:
    literal = re.compile("|".join(re.escape(f'"{name}"') for name in sorted(NAMES)))
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}"
        for package in ("bench", "analysis")
        for path in sorted((CHECKOUT / package).rglob("*.py"))
        if "format" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if literal.search(line)
    ]
    assert found == []


def test_a_folder_tells_where_its_files_lie() -> None:
    home = CampaignFolder(Path("c")).run("0123456789ab")
    assert str(RunFolder(home).record) == "c/runs/0123456789ab/run.json"
    assert str(RunFolder(home).trace("secondary")) == "c/runs/0123456789ab/secondary/trace.log"
    assert str(CampaignFolder(Path("c")).verdicts) == "c/report/verdicts.json"
