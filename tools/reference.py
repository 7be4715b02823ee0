"""``python -m tools.reference results/NAME...``: what campaigns gave, kept with the code without their raw logs.

Of each campaign its plan, ledger, index, and of each run its record and its tables; with the verdicts, which a test
holds later versions to. Where it was measured (``results=``) is no part of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from analysis.__main__ import main as analysis

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"
_KEPT = ("ledger.jsonl", "index.csv", "runs/*/run.json", "runs/*/*.parquet")
_PLACES = ("results=", "report=")


def main() -> int:
    """Keep each campaign; return the exit status of the first whose verdicts cannot be made, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description=__doc__)
    parser.add_argument("campaigns", nargs="+", type=Path, metavar="CAMPAIGN")
    given = parser.parse_args().campaigns
    for campaign in (one for one in given if one.is_dir()):  # results/reference/* has a README too
        kept = keep(campaign.resolve(), REFERENCE / campaign.resolve().name)
        if status := judge(kept):
            return status
    return 0


def keep(campaign: Path, folder: Path) -> Path:
    """Copy what is kept of a campaign into a folder, which it replaces unless it is the same, and return that."""
    plan = (campaign / "plan.json").read_text(encoding="utf-8")  # before what is there goes: it may be no campaign
    if campaign != folder:
        shutil.rmtree(folder, ignore_errors=True)
        for path in (path for pattern in _KEPT for path in campaign.glob(pattern)):
            copy = folder / path.relative_to(campaign)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    typed = json.loads(plan)["command"]
    said = " ".join(word for word in typed.split(" ") if not word.startswith(_PLACES))
    (folder / "plan.json").write_text(plan.replace(json.dumps(typed), json.dumps(said)), encoding="utf-8")
    return folder


def judge(folder: Path) -> int:
    """Write the verdicts of what is kept; return the exit status of the analysis."""
    with tempfile.TemporaryDirectory() as scratch:
        status = analysis([str(folder), "--only", "verdicts", "--out", scratch])
        if not status:
            shutil.copyfile(Path(scratch, "verdicts.json"), folder / "verdicts.json")
    return status


if __name__ == "__main__":
    sys.exit(main())
