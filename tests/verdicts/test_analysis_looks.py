"""Verdicts of a campaign that was looked at again and again: whole blocks, and a level for each look."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.fake_campaign import IDLE, Fake, replace_parquet, run_ids, write_campaign

from analysis.__main__ import main
from analysis.errors import NotACampaignError
from analysis.stats.sequential import cost_in_blocks, look_level
from analysis.stored.load import load_campaign
from analysis.stored.study import load_study
from analysis.verdicts.declared import declared
from analysis.verdicts.hypotheses import judge_all
from analysis.verdicts.looks import cost_of, level_of, planning_level, shared_among
from analysis.verdicts.promises import promises
from analysis.verdicts.results import derive

GROWS = {"id": "H1", "claim": "It grows.", "factor": "mem"}
FAKE = Fake(
    mems=(1 << 29, 1 << 30, 1 << 31), workloads=(IDLE,), links=("unix",), repeats=6, count=6, hypotheses=(GROWS,)
)


def looked(folder: Path, *looks: int) -> Path:
    """Write looks into a plan as the campaign does; its hash stands in no run."""
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"looks": list(looks)}))
    return folder


def test_a_look_is_at_whole_blocks(tmp_path: Path) -> None:
    campaign = load_campaign(looked(write_campaign(tmp_path, FAKE), 3))
    results = derive(campaign)
    [finding] = results.findings
    [first] = judge_all(replace(campaign, plan=campaign.plan.model_copy(update={"looks": ()})), results.runs)
    assert finding.runs < first.runs
    assert finding.runs * 2 == first.runs


def test_the_level_is_that_of_the_looks_on_record(tmp_path: Path) -> None:
    plan = load_campaign(write_campaign(tmp_path, FAKE)).plan
    assert level_of(plan) == 0.05
    assert level_of(plan.model_copy(update={"looks": (6,)})) == 0.05
    level = level_of(plan.model_copy(update={"looks": (1, 6)}))
    assert level == look_level([1, 6], tests=shared_among([("primary", "trend")], len(plan.cells)))


def test_who_looks_at_the_same_blocks_again_has_looked_twice(tmp_path: Path) -> None:
    once, twice, further = (
        load_campaign(looked(write_campaign(tmp_path / name, FAKE), *looks))
        for name, looks in (("a", (6,)), ("b", (6, 6)), ("c", (3, 6)))
    )
    assert 0 < level_of(twice.plan) < level_of(further.plan) < level_of(once.plan)
    assert derive(twice).findings[0].runs == derive(once).findings[0].runs
    assert math.isfinite(cost_of(twice.plan))


def test_further_blocks_are_planned_for_the_last_look_and_for_one_more_where_none_was_to_follow(tmp_path: Path) -> None:
    plan = load_campaign(write_campaign(tmp_path, FAKE)).plan.model_copy(update={"looks": (3, 6)})
    tests = shared_among([("primary", "trend")], len(plan.cells))
    series = plan.model_copy(update={"until_known": True})
    assert cost_of(series) == cost_in_blocks((3, 6), series=True, tests=tests)
    assert cost_of(plan) == cost_in_blocks((3, 6, 12), tests=tests)


def test_a_level_is_shared_by_all_that_have_to_be_right_together(tmp_path: Path) -> None:
    trend, value, other = ("primary", "trend"), ("primary", "value"), ("secondary", "contrast")
    assert shared_among([], 12) == 1
    assert shared_among([trend] * 3, 4) == 6  # either way
    assert shared_among([trend] * 3 + [other] * 7, 4) == 14
    assert shared_among([trend, value], 9) == 36  # each cell of a value besides
    assert shared_among([trend], 40) == 40  # at twenty levels of other factors
    plan = load_campaign(write_campaign(tmp_path, FAKE)).plan
    nine = tuple({**GROWS, "id": f"H{number}"} for number in range(9))
    one, many = (
        level_of(plan.model_copy(update={"looks": (1, 6, 12, 24), "hypotheses": asked})) for asked in ((GROWS,), nine)
    )
    assert many < one


def test_the_first_look_of_a_series_decides_nothing_however_many_sizes_a_block_has(tmp_path: Path) -> None:
    sizes = tuple(1 << power for power in range(28, 33))  # one block of five sizes in order has p 1/120
    folder = looked(write_campaign(tmp_path, replace(FAKE, mems=sizes, repeats=1, hypotheses=({**GROWS},))), 1)
    alone = load_campaign(folder)
    series = replace(alone, plan=alone.plan.model_copy(update={"until_known": True}))
    assert (level_of(alone.plan), level_of(series.plan)) == (0.05, 0.0)
    assert 0 < planning_level(series.plan) <= planning_level(alone.plan)
    (finding,) = derive(series).findings
    assert finding.word == "INCONCLUSIVE"
    assert promises(series, series.plan.hypotheses and declared(series), 0.1) == []  # one run a cell tells of no noise


def test_what_a_single_look_decides_may_be_open_after_many(tmp_path: Path) -> None:
    once = derive(load_campaign(looked(write_campaign(tmp_path / "a", FAKE), 6))).findings[0]
    early = derive(load_campaign(looked(write_campaign(tmp_path / "b", FAKE), 1, 2))).findings[0]
    assert early.word == "INCONCLUSIVE"
    assert once.word != "INCONCLUSIVE"


def test_campaigns_that_are_joined_were_looked_at_one_after_the_other(tmp_path: Path) -> None:
    one = looked(write_campaign(tmp_path / "a", FAKE), 6)
    other = write_campaign(tmp_path / "b", replace(FAKE, name="other"))
    for run_id in run_ids(other):
        replace_parquet(other, run_id, lambda table: table.slice(0, table.num_rows - 1))  # other measurements
    assert load_study([one, other]).plan.looks == (6, 12)
    assert load_study([looked(one), other]).plan.looks == ()  # side by side, as far as their times tell


def test_who_measured_again_when_the_first_campaign_was_over_has_looked_twice(tmp_path: Path) -> None:
    one, other = (write_campaign(tmp_path, replace(FAKE, name=name)) for name in ("one", "other"))
    for run_id in run_ids(other):
        replace_parquet(other, run_id, lambda table: table.slice(0, table.num_rows - 1))
        path = other / "runs" / run_id / "run.json"
        record = json.loads(path.read_text())
        later = {name: record[name] + 1e6 for name in ("started_at", "finished_at")}
        path.write_text(json.dumps(record | later))
    study = load_study([one, other])
    assert study.plan.looks == (6, 12)
    assert load_study([other, one]).plan.looks == (6, 12)
    assert 0 < level_of(study.plan) < 0.05


@pytest.mark.parametrize("looks", [[2, 1], [0], ["x"]])
def test_looks_that_are_none_are_refused(tmp_path: Path, looks: list[Any]) -> None:
    folder = looked(write_campaign(tmp_path, FAKE), *looks)
    assert main([str(folder), "--only", "verdicts"]) == NotACampaignError.exit_code


@pytest.mark.usefixtures("few_figures")
def test_verdicts_alone_are_those_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = looked(write_campaign(tmp_path, FAKE), 1, 6)
    assert main([str(folder), "--only", "verdicts"]) == 0
    path = folder / "report" / "verdicts.json"
    assert capsys.readouterr().out.strip() == str(path)
    assert [one.name for one in path.parent.iterdir()] == ["verdicts.json"]
    alone = path.read_bytes()
    assert main([str(folder)]) == 0
    assert path.read_bytes() == alone
    tree = json.loads(alone)
    assert (tree["looks"], tree["level"]) == ([1, 6], pytest.approx(level_of(load_campaign(folder).plan)))
    assert 0 < tree["level"] < 0.05
    assert "more_blocks" in tree["verdicts"][0]
