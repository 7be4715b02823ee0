"""What is undecided says how many more blocks would settle it, as ``power`` does; and so many do settle it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fixtures import simulated

from analysis.planning.power import power
from analysis.report import answer
from analysis.report.tables import tables
from analysis.report.verdicts import verdicts_json
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.designs import Deviation, blocks_to_decide, contrast_design
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.needed import with_needed_blocks
from analysis.verdicts.question import Question
from analysis.verdicts.results import derive
from analysis.verdicts.settling import runs_to_settle

CLAIMS = Path(__file__).parents[2] / "results" / "reference" / "procedure_claims"
CONTRAST = {"id": "H", "claim": "B is slower.", "kind": "contrast", "factor": "link", "levels": ["a", "b"]}
TREND = {"id": "H", "claim": "It grows.", "factor": "mem"}


def asked(
    declared: dict[str, Any], *, blocks: int = 6, spread: float = 0.08, seed: int = 1, others: tuple[str, ...] = ()
) -> Question:
    """Return runs of no effect, two links and three sizes in every block, those that a hypothesis asks about."""
    rng = np.random.default_rng(seed)
    hypothesis = Hypothesis.model_validate(declared)
    trend = hypothesis.kind == "trend"
    cells = [(mem, link) for mem in ((1, 4, 16) if trend or others else (1,)) for link in ("a", "b")]
    rows = [
        {"block": block, "cell": place, "mem": mem, "link": link, "pause": 0.02 * float(np.exp(rng.normal(0, spread)))}
        for block in range(blocks)
        for place, (mem, link) in enumerate(cells)
        if others or not trend or link == "a"
    ]
    return Question(hypothesis, pd.DataFrame(rows), (), (), others, 0.0)


def found(question: Question) -> tuple[str, ...]:
    """Return the notes on the hypothesis."""
    return with_needed_blocks(judge(question), question).notes


def more_and_all(question: Question) -> tuple[int, int]:
    """Return the blocks that are missing, and those needed in all."""
    (note,) = found(question)
    match = re.match(r"about ([\d,]+) more blocks? \(([\d,]+) in all\) would settle it", note)
    assert match is not None
    more, needed = (int(text.replace(",", "")) for text in match.groups())
    return more, needed


def test_as_many_blocks_as_are_said_to_settle_it_do() -> None:
    first = asked(CONTRAST)
    assert judge(first).label == "undecided"
    more, needed = more_and_all(first)
    assert needed == more + 6
    labels = [judge(asked(CONTRAST, blocks=needed, seed=seed)).label for seed in range(40)]
    assert labels.count("undecided") <= 2
    labels = [judge(asked(CONTRAST, blocks=needed // 4, seed=seed)).label for seed in range(40)]
    assert labels.count("undecided") >= 10


def test_more_combinations_of_other_factors_need_fewer_blocks() -> None:
    alone, among = (asked(TREND, spread=0.3, others=others, seed=5) for others in ((), ("link",)))
    assert more_and_all(among)[1] < more_and_all(alone)[1]


def test_a_decline_is_planned_by_the_ratio_that_it_is_judged_by() -> None:
    # Half as much is as far from none as twice as much is, and further than half as much again.
    shown = Deviation(0.3, 20)
    design = contrast_design("H")
    fall, rise = (blocks_to_decide(design, shown, 0.5, falls=falls) for falls in (True, False))
    assert fall == blocks_to_decide(design, shown, 1.0)
    assert fall is not None
    assert rise is not None
    assert fall < 0.5 * rise
    needed = []
    for direction in ("decreasing", "increasing"):
        question = asked(CONTRAST | {"direction": direction, "sesoi": 0.5}, spread=0.6)
        *_, note = with_needed_blocks(replace(judge(question), label="undecided"), question).notes
        needed += [int(in_all) for in_all in re.findall(r"([0-9]+) in all", note)]
    declines, grows = needed
    assert declines < 0.5 * grows


def test_two_sides_are_planned_by_the_ratio_that_they_are_judged_by() -> None:
    sides = [1.0, 1.3, 0.8, 1.1], [1.2, 0.9, 1.0, 1.25]
    rate, pause = (runs_to_settle(*sides, 0.5, 1, within=False, falls=falls) for falls in (True, False))
    assert rate is not None
    assert pause is not None
    assert rate < pause


def test_what_no_number_of_blocks_reaches_says_so() -> None:
    assert found(asked(CONTRAST, spread=1.5)) == ("more than 1,000 blocks would be needed to settle it",)


def test_blocks_are_not_said_to_settle_what_is_open_for_its_levels_or_its_shape() -> None:
    tells = ", so nothing tells how many more blocks would settle it"
    trend = simulated.declared(id="H", claim="It grows.", factor="mem")
    mems = [simulated.GIB << power for power in range(3)]

    def hump(cell: Any) -> float:
        return 0.25 * (cell["mem"] == mems[1])

    def opposite(cell: Any) -> float:
        return 0.2 * (1.5 - cell["smp"]) * (cell["mem"] > mems[0])

    for mem, smp, effect, why in (
        (mems, [1], hump, "the sizes lie on no line"),
        (mems[:2], [1, 2], opposite, "the effect differs between levels of another factor"),
    ):
        cells = simulated.crossed(mem=mem, smp=smp)
        (open_,) = simulated.judged(simulated.Truth(cells, effect, [trend], blocks=8, **simulated.QUIET), 1)
        assert (open_.word, open_.more_blocks, open_.notes) == ("INCONCLUSIVE", None, (why + tells,))


def test_a_claim_of_no_difference_may_lie_at_the_edge_of_what_matters() -> None:
    (note,) = found(asked(CONTRAST | {"direction": "none"}))
    assert "unless the difference lies close to what matters" in note
    enough = asked(CONTRAST | {"direction": "none", "sesoi": 0.03, "sesoi_ms": 0.0}, blocks=120, spread=0.05)
    shifted = enough.runs.assign(pause=enough.runs["pause"] * np.where(enough.runs["link"] == "b", 1.03, 1.0))
    edge = Question(enough.hypothesis, shifted, (), (), (), 0.0)
    (said,) = found(edge)
    assert said.startswith("by how runs differ 103 blocks should settle it, unless the difference lies close to what")
    assert said.endswith(", and there are 120")


def test_one_run_per_cell_tells_nothing() -> None:
    question = asked(CONTRAST, blocks=1)
    few, note = with_needed_blocks(replace(judge(question), label="undecided"), question).notes
    assert few == "5 blocks like these give an interval of 90 %"
    assert note.startswith("no cell has two runs")


def test_what_is_decided_needs_no_note() -> None:
    assert found(asked(CONTRAST, blocks=40, spread=0.02)) == ()


def test_a_real_question_that_is_undecided_says_what_power_says_and_the_report_shows_it() -> None:
    campaign = load_campaign(CLAIMS)
    results = derive(campaign)
    cache = next(one for one in results.findings if one.hypothesis.id == "C2_cache")
    row = next(one for one in power(campaign, effect=cache.sesoi).reaches if one.question.startswith("L3 cache"))
    assert row.blocks_to_decide is not None
    note, _, _ = cache.notes[0].partition(":")
    more, in_all = map(int, re.findall(r"[0-9]+", note))
    assert note == f"about {more} more blocks ({in_all} in all) would settle it"
    # Who continues looks once more, and shares the level with what else is open: more than a single look takes.
    assert in_all - more == 6
    assert row.blocks_to_decide < in_all < 2 * row.blocks_to_decide
    assert note in verdicts_json(results)
    files = tables(results)
    assert note in files["tables/verdicts.csv"].decode()
    assert f"% C2\\_cache: {note}" in files["tables/verdicts.tex"].decode()
    shown = {one["id"]: one["detail"] for one in answer.context(results)["verdicts"]}
    assert note in shown["C2_cache"]
    assert "would settle it" not in shown["C1_network"]
