from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from fixtures.fake_campaign import Fake, write_campaign
from pydantic import BaseModel

from analysis.compare.comparison import compare
from analysis.stored.factors import SECONDS, filled, level_text, part_text
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.declared import checked
from bench.config.model import Cell
from bench.system.units import Unit


def test_what_a_cell_leaves_out_is_filled_in_by_its_path() -> None:
    cell = {"mem": 1, "link": {"transport": "tcp"}}
    whole = filled(cell, {"guest": "linux", "link.tls": False, "tune.pinning.primary": None})
    assert whole == {
        "mem": 1,
        "guest": "linux",
        "link": {"transport": "tcp", "tls": False},
        "tune": {"pinning": {"primary": None}},
    }
    assert cell == {"mem": 1, "link": {"transport": "tcp"}}


def test_a_level_that_is_left_to_the_default_has_a_word() -> None:
    assert level_text("compare.timeout", None) == "not set"
    assert part_text("compare.timeout", None) == "timeout not set"


def _durations(model: type[BaseModel], at: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if str(Unit("s", "500ms")) in f"{field.annotation} {field.metadata}":
            yield f"{at}{name}"
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _durations(part, f"{at}{name}.")


def test_whatever_a_cell_has_in_seconds_is_told_with_its_unit() -> None:
    assert {path for path in _durations(Cell) if not path.startswith("deadlines.")} == SECONDS
    assert level_text("compare.timeout", 0.1) == "0.1 s"
    assert part_text("compare.timeout", 3) == "timeout 3 s"


def _with_default(folder: Path, path: str, level: str) -> Path:
    plan = json.loads((folder / "plan.json").read_text())
    for cell in plan["cells"]:
        cell["at_default"] = {path: level}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_a_default_that_is_left_out_is_a_level_like_any_other(tmp_path: Path) -> None:
    campaign = load_campaign(_with_default(write_campaign(tmp_path), "guest", "linux"))
    assert {run.record.cell["guest"] for run in campaign.runs} == {"linux"}
    asked = Hypothesis(id="H", claim="c", kind="value", low=0, high=1, where={"guest": ("linux",)})
    assert checked([asked], campaign) == (asked,)


def test_a_campaign_of_before_a_factor_is_compared_with_the_default_of_one_that_has_it(tmp_path: Path) -> None:
    old = load_campaign(write_campaign(tmp_path, Fake(name="old", repeats=6)))
    new = load_campaign(_with_default(write_campaign(tmp_path, Fake(name="new", repeats=6)), "guest", "linux"))
    found = compare(old, new)
    assert len(found.cells) == 8
    assert (found.only_in_base, found.only_in_new) == ((), ())
