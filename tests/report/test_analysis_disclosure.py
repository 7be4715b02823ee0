"""What an artifact discloses: every leaf of the configuration, or it is listed here as no choice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
from fixtures.fake_campaign import SINGLE, write_campaign
from pydantic import BaseModel

from analysis.report.disclosure import disclosure
from analysis.stored.load import load_campaign
from bench.config.hypotheses import Hypothesis
from bench.config.load import CAMPAIGN_KEYS
from bench.config.model import Cell
from bench.workload.base import Workload, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analysis.stored.campaign import Campaign

PLACE = "a place, or how to reach one: the machines themselves are told"
NO_CHOICE = {
    "campaign": "a name, which the page bears",
    "results": PLACE,
    "dry_run": "nothing is measured",
    "report": "when it is built",
    "launcher": PLACE,
    "host.inventory": PLACE,
    "host.primary": PLACE,
    "host.secondary": PLACE,
    "host.client": PLACE,
}
ELSEWHERE = {"hypotheses": "## Asked", "watch": "Screens open: "}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every leaf that a document of a model can hold."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        kinds = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        inner = next((one for one in kinds if issubclass(one, BaseModel)), None)
        if path in NO_CHOICE:
            assert field.exclude, f"{path} is in the documents, and so in what is disclosed"
        elif inner is Workload:
            for kind in registry().values():
                yield from leaves(kind, f"{path}.")
        elif inner:
            yield from leaves(inner, f"{path}.")
        else:
            assert not field.exclude, f"{path} is in no document: it cannot be disclosed"
            yield path


def nested(paths: list[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in paths:
        *groups, last = path.split(".")
        inner = tree
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = 7
    return tree


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return load_campaign(write_campaign(tmp_path, SINGLE))


def test_every_key_of_a_cell_is_disclosed(campaign: Campaign) -> None:
    paths = list(leaves(Cell))
    assert {"deadlines.boot", "workload.pattern", "compare.timeout", "tune.pinning.primary"} < set(paths)
    run = campaign.runs[0]
    told = replace(run, record=run.record.model_copy(update={"cell": nested(paths)}))
    same = disclosure(replace(campaign, runs=(told,)), []).partition("## The same in every run")[2]
    assert [path for path in paths if f"\n| {path} | " not in same] == []
    assert "\n| deadlines.boot | 7 s |" in same


def test_every_key_of_a_campaign_is_disclosed(campaign: Campaign) -> None:
    page = disclosure(campaign, [])
    assert [key for key in CAMPAIGN_KEYS - NO_CHOICE.keys() if ELSEWHERE.get(key, f"\n| {key} | ") not in page] == []


def test_every_part_of_a_hypothesis_is_disclosed(campaign: Campaign) -> None:
    declared = dict.fromkeys(Hypothesis.model_fields, 7)
    plan = campaign.plan.model_copy(update={"hypotheses": (declared,)})
    said = disclosure(replace(campaign, plan=plan), []).partition("## Asked")[2]
    assert "\n| 7 | " in said
    assert [name for name in declared.keys() - {"id"} if f"{name}: 7" not in said] == []


def test_the_rules_of_later_commands_are_told_after_those_of_earlier_ones(campaign: Campaign) -> None:
    first = {"repeats": 3, "budget_s": 3600.0, "max_blocks": 24, "on_error": "retry:2"}
    update = {"rules": (first, first | {"repeats": None, "budget_s": 60.5}), "seed": 5, "looks": (3, 4)}
    page = disclosure(replace(campaign, plan=campaign.plan.model_copy(update=update)), [])
    for row in (
        "seed | 5",
        "repeats | 3, then auto",
        "budget | 3600 s, then 60.5 s",
        "max_blocks | 24",
        "on_error | retry:2",
    ):
        assert f"\n| {row} |" in page
    assert "| verdicts asked for after so many blocks | 3, 4 |" in page


def test_what_an_older_plan_does_not_say_is_not_made_up(campaign: Campaign) -> None:
    assert "\n| budget | not on record |" in disclosure(campaign, [])
