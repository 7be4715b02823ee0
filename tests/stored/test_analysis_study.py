"""Campaigns of one plan are one study; different plans are refused with the difference. All data is FAKE."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.fake_campaign import IDLE, Fake, replace_parquet, run_ids, write_campaign

from analysis.errors import DifferentPlansError
from analysis.stored.load import load_campaign
from analysis.stored.study import join, load_study

SMALL = {"mems": (512 << 20,), "workloads": (IDLE,), "repeats": 2, "count": 6}


def _again(parent: Path, name: str) -> Path:
    """Write the same plan with other measurements."""
    folder = write_campaign(parent, Fake(name=name, **SMALL))
    for run_id in run_ids(folder):
        replace_parquet(folder, run_id, lambda table: table.slice(0, table.num_rows - 1))
    return folder


def test_campaigns_of_one_plan_are_more_blocks_of_one_study(tmp_path: Path) -> None:
    study = load_study([write_campaign(tmp_path, Fake(name="first", **SMALL)), _again(tmp_path, "second")])
    assert study.plan.campaign == "first + second"
    assert sorted({run.record.block for run in study.runs}) == [0, 1, 2, 3]
    assert sorted(run.record.order for run in study.runs) == list(range(8))
    assert len(study.plan.runs) == 8


def test_a_study_is_not_said_to_be_of_the_experiment_of_its_first_campaign_alone(tmp_path: Path) -> None:
    one = load_campaign(write_campaign(tmp_path, Fake(name="first", **SMALL)))
    other = load_campaign(_again(tmp_path, "second"))
    of_demo = replace(one, plan=one.plan.model_copy(update={"experiment": "demo"}))
    assert join(of_demo, other).plan.experiment == "demo + none"
    assert join(one, other).plan.experiment is None


def test_the_same_data_given_twice_is_refused(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(**SMALL))
    with pytest.raises(DifferentPlansError, match="the same data"):
        load_study([folder, folder])


def test_different_plans_are_refused_with_every_difference(tmp_path: Path) -> None:
    one = write_campaign(tmp_path, Fake(name="one", **SMALL))
    changed = SMALL | {"mems": (1 << 30,), "links": ("unix",)}
    other = write_campaign(tmp_path, Fake(name="other", **changed))
    with pytest.raises(DifferentPlansError) as refused:
        load_study([one, other])
    assert "mem: 536870912 against 1073741824" in str(refused.value)
    assert "link.transport: tcp against unix" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("bare_sha256", "bare guest"),
        ("apps_sha256", "guest with applications"),
        ("nodelay_sha256", "nodelay library"),
    ],
)
def test_another_guest_or_library_makes_another_plan(tmp_path: Path, key: str, words: str) -> None:
    folders = [write_campaign(tmp_path, Fake(name=name, **SMALL)) for name in ("one", "other")]
    for folder, digit in zip(folders, "ab", strict=True):
        path = folder / "plan.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: digit * 64}))
    with pytest.raises(DifferentPlansError, match=f"{words}: {'a' * 12} against {'b' * 12}$"):
        load_study(folders)


def test_other_hypotheses_make_another_plan(tmp_path: Path) -> None:
    asked = ({"id": "H", "claim": "It grows.", "factor": "smp"},)
    one = load_campaign(write_campaign(tmp_path, Fake(name="one", **SMALL)))
    other = load_campaign(write_campaign(tmp_path, Fake(name="other", hypotheses=asked, **SMALL)))
    with pytest.raises(DifferentPlansError, match="the hypotheses"):
        join(one, other)
