"""A campaign folder with arbitrary damage, as the report reads it: runs as they were measured, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.fake_campaign import Fake, write_campaign
from fuzzing import ANY, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import AnalysisError, NotACampaignError
from analysis.stored.load import load_campaign
from analysis.verdicts.declared import read_hypotheses

FAKE = Fake(mems=(512 << 20,), smps=(1,), repeats=2, count=12, failed=1)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("fake"), FAKE)


@pytest.fixture(scope="module")
def names(campaign: Path) -> list[str]:
    return sorted(str(path.relative_to(campaign)) for path in campaign.rglob("*") if path.is_file())


@given(st.data())
def test_a_damaged_campaign_is_refused_or_holds_the_runs_that_were_measured(
    campaign: Path, names: list[str], data: st.DataObject
) -> None:
    whole = load_campaign(campaign)
    known = {run.record.run_id: run for run in whole.runs}
    name = data.draw(st.sampled_from(names))
    content = (campaign / name).read_bytes()
    (campaign / name).write_bytes(data.draw(damaged(content, ANY)))
    try:
        with trial("campaign folder, report") as one:
            found = one.attempt(load_campaign, campaign, refusals=AnalysisError)
            if found is not None and name != "plan.json":
                assert len({run.record.run_id for run in found.runs}) == len(found.runs)
                for run in found.runs:
                    assert run.record.cell == known[run.record.run_id].record.cell
                    assert run.checkpoints.equals(known[run.record.run_id].checkpoints)
    finally:
        (campaign / name).write_bytes(content)


VALUES = json_values(5) | st.sampled_from(["mem", "512M", "trend", "contrast", "pause", "H1"])
KEYS = [
    "id",
    "claim",
    "kind",
    "outcome",
    "factor",
    "levels",
    "where",
    "direction",
    "family",
    "sesoi",
    "sesoi_ms",
    "low",
    "high",
]


@given(
    st.one_of(
        damaged(
            yaml.safe_dump(
                {"hypotheses": [{"id": "H1", "claim": "c", "factor": "mem", "where": {"smp": [1]}}]}
            ).encode()
        ),
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6).map(
            lambda one: yaml.safe_dump({"hypotheses": [{"id": "H1", "claim": "c"} | one]}).encode()
        ),
        st.sampled_from(
            [
                b"a: &a [*a]\nhypotheses: [*a]",
                b"hypotheses: [{id: 2020-99-99}]",
                b"hypotheses: [!!python/name:os.system ]",
            ]
        ),
    )
)
def test_a_file_of_hypotheses_is_read_or_refused_in_words(campaign: Path, content: bytes) -> None:
    path = campaign.parent / "hypotheses.yaml"
    path.write_bytes(content)
    with trial("hypotheses file") as one:
        found = one.attempt(read_hypotheses, path, refusals=AnalysisError)
        assert found is None or all(each.id and isinstance(each.where, dict) for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "hypotheses: [{id: H1, claim: c, where: [1]}]",
        "hypotheses: [{id: H1, claim: c, levels: 5}]",
        "hypotheses: [{id: 2020-99-99, claim: c}]",
        "hypotheses: &a [*a]",
        "hypotheses: " + "[" * 3000,
        "hypotheses: [{id: H1, claim: c, sesoi: .inf}]",
    ],
)
def test_hypotheses_of_the_wrong_kind_are_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "h.yaml").write_text(text)
    with pytest.raises(AnalysisError, match=r"h\.yaml") as caught:
        read_hypotheses(tmp_path / "h.yaml")
    assert "\n" not in str(caught.value)


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def unread(folder: Path) -> list[Any]:
    return [one.why for one in load_campaign(folder).unread]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"smp": 1', '"smp": 2', "another configuration"),
        ('"block": 0', '"block": 1', "another cell, block or order"),
        ('"started_at": ', '"started_at": NaN, "x": ', "not JSON"),
        ('"started_at": ', '"started_at": 1e999, "x": ', "not JSON"),
        ('"started_at": ', '"x": ' + "[" * 20_000 + ', "started_at": ', "not JSON"),
    ],
)
def test_a_record_that_contradicts_the_plan_or_json_is_not_used(tmp_path: Path, old: str, new: str, said: str) -> None:
    folder = write_campaign(tmp_path, FAKE)
    first = load_campaign(folder).runs[0].record.run_id
    replaced(folder / "runs" / first / "run.json", old, new)
    assert [said in why for why in unread(folder)] == [True]


def test_a_plan_that_names_a_run_twice_is_refused(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, FAKE)
    import json

    plan = json.loads((folder / "plan.json").read_text())
    plan["runs"].append(plan["runs"][0])
    (folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(NotACampaignError, match="two runs are the same one"):
        load_campaign(folder)


def test_a_message_may_hold_any_character_but_a_line_feed(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, FAKE)
    before = load_campaign(folder)
    path = folder / "ledger.jsonl"
    last = path.read_text(encoding="utf-8").splitlines()[-1]
    path.write_text(
        path.read_text(encoding="utf-8") + last[:-1] + ', "message": "\N{LINE SEPARATOR}\x85"}\n', encoding="utf-8"
    )
    assert load_campaign(folder).notes == before.notes == ()
