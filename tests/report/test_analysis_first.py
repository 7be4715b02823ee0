"""What page and terminal say first: the question, one sentence for each factor, what explains it, how sure."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import simulated
from fixtures.fake_campaign import IDLE, SWEEP, Fake, write_campaign
from rich.console import Console

from analysis.__main__ import main
from analysis.report.first import first_screen
from analysis.runs.parts import PARTS, growth, pause_parts
from analysis.stored.load import load_campaign
from analysis.verdicts.claims import Effect
from analysis.verdicts.families import not_after
from analysis.verdicts.finding import YES_OR_NO_TEXT, no_ratio
from analysis.verdicts.hypotheses import DISAGREE, NOTHING_TO_COMPARE
from analysis.verdicts.results import Results, derive
from analysis.verdicts.shape import A_STEP, NO_LINE
from analysis.verdicts.trend import HANGS_ON_BOTH, HANGS_ON_CHECKS, HANGS_ON_FAILURES, TOO_FEW, UNDECIDED, WITHIN_EQUALS
from analysis.verdicts.values import NOT_EVERYWHERE
from bench.plan.plan import parse_plan
from bench.record.pauses import read_pauses
from bench.run.analysis import Said
from bench.run.report import write_report
from bench.run.summary import summarise


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return derive(load_campaign(write_campaign(tmp_path_factory.mktemp("first"), SWEEP)))


def test_each_factor_has_one_sentence_with_interval_and_unit(results: Results) -> None:
    first = first_screen(results)
    assert first.question == "Does the pause grow with RAM, and does it depend on the number of vCPUs?"
    ram, vcpus, other = first.answers
    assert ram.startswith("More RAM together with the pages that a larger guest dirties lengthens the pause: +")
    assert "; by itself (the same pages dirtied) " in ram
    assert ram.count(" per doubling, ") == 2
    assert ram.count(" ms per GiB [") == 2
    assert vcpus.startswith("4 vCPUs instead of 1 vCPU ")
    assert other.startswith("C3_pause: The pause is ")  # what is asked otherwise, for all primary ones have a place


def test_answers_on_the_median_and_on_the_mean_pause_do_not_contradict_each_other(results: Results) -> None:
    own = results.findings[1]
    mean = own.hypothesis.model_copy(update={"id": "M", "outcome": "pause_mean"})
    other = replace(own, hypothesis=mean, word="INCONCLUSIVE", label=UNDECIDED)
    said = first_screen(replace(results, findings=(own, other))).answers[0]
    where = "by itself (the same pages dirtied) "
    assert f"{where}(the median of a run) " in said
    assert f"; {where}(the mean of a run) may or may not lengthen the pause: " in said
    assert "of a run" not in first_screen(replace(results, findings=(other,))).answers[0]


def test_rates_of_error_are_not_said_to_hold_for_what_is_exploratory(results: Results) -> None:
    assert "all questions together" in first_screen(results).sure
    *others, value = results.findings
    assert value.hypothesis.kind == "value"
    tail = replace(value, exploratory=True, too_short=True)
    sure = first_screen(replace(results, findings=(*others, tail))).sure
    assert "all questions but those that are exploratory together" in sure


def test_what_explains_a_pause_adds_up_to_it(results: Results) -> None:
    whole = pause_parts(results.runs)
    assert whole is not None
    assert sum(own for _, own in whole.parts) == pytest.approx(whole.whole_s)
    assert whole.whole_s == pytest.approx(results.runs.groupby("cell")["pause_mean"].mean().mean())
    assert whole.share(PARTS[0]) > 0
    runs = results.runs[results.runs["workload.scaling"] == "mem"]
    ends, grown = growth(runs, "mem", ("smp",)) or ("", whole)
    assert ends == "256 MiB to 1 GiB"
    means = runs.groupby("mem")["pause_mean"].mean()
    assert grown.whole_s == pytest.approx(means.iloc[-1] - means.iloc[0])
    assert sum(own for _, own in grown.parts) == pytest.approx(grown.whole_s)
    # Runs that do not have another factor are compared with each other all the same.
    bare = runs.assign(topology=runs["smp"].map({1: None, 4: "socket"}))
    found = growth(bare, "mem", ("topology",))
    assert found is not None
    assert found[1].whole_s == pytest.approx(grown.whole_s, rel=1e-9)


def test_without_the_finer_phases_nothing_is_explained(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, replace(SWEEP, finer=False, repeats=2)))
    found = derive(campaign)
    assert pause_parts(found.runs) is None
    assert first_screen(found).explained == ()


def test_much_waiting_for_the_transport_names_the_key_that_does_without(results: Results) -> None:
    slow = results.runs.assign(**{"link.transport": "tcp", "load": results.runs["load"] + 0.06})
    slow = slow.assign(pause_mean=slow["pause_mean"] + 0.06, always_stalled=True)
    said = " ".join(first_screen(replace(results, runs=slow)).explained)
    assert "of the pause is waiting for the transport" in said
    assert "link=nodelay shows the size alone" in said
    assert "link=nodelay" not in " ".join(first_screen(results).explained)
    spread = slow.assign(always_stalled=False)  # a transport that is slow without stalls is not told as stalls
    assert "delayed" not in " ".join(first_screen(replace(results, runs=spread)).explained)
    # As over a link of few MB/s: most of this is no acknowledgement.
    narrow = slow.assign(load=slow["load"] + 0.06, pause_mean=slow["pause_mean"] + 0.06)
    assert "delayed" not in " ".join(first_screen(replace(results, runs=narrow)).explained)
    # Nor where most cells wait as long without a stall.
    elsewhere = slow.assign(**{"link.transport": slow["link.transport"].where(slow["smp"] == 1, "unix")})
    assert "delayed" not in " ".join(first_screen(replace(results, runs=elsewhere)).explained)


def test_an_interval_that_lies_within_what_matters_and_decides_nothing_says_why(results: Results) -> None:
    findings = [
        replace(one, word="INCONCLUSIVE", label=WITHIN_EQUALS, floor=0.183) if one.hypothesis.factor == "mem" else one
        for one in results.findings
    ]
    said = first_screen(replace(results, findings=findings)).answers[0]
    assert "may or may not lengthen the pause, where equal cells differ by up to 18 % per doubling: +" in said


@pytest.mark.parametrize(
    ("label", "said"),
    [
        # Levels that all point one way do not disagree.
        (DISAGREE, "gets no verdict, as it differs between levels of another factor, and no word holds at every one: "),
        (NO_LINE, "gets no verdict, as the sizes lie on no line, and a step between two of them may matter: "),
        (A_STEP, "gets no verdict, as a step between two sizes may matter: "),
        (HANGS_ON_CHECKS, "gets no verdict, as it depends on the runs that their own check left out: "),
        (HANGS_ON_BOTH, "gets no verdict, as it depends on the runs that failed or that their own check left out: "),
        (not_after("primary"), "gets no verdict, as none is left after Holm's adjustment: "),
        ("not yet: all looks share the level, p 0.021", "gets no verdict yet, as all looks share the level, p 0.021: "),
        (UNDECIDED, "may or may not lengthen the pause: "),
        (TOO_FEW, "may or may not lengthen the pause: "),
    ],
)
def test_what_is_open_for_another_reason_than_its_interval_says_that_one(
    results: Results, label: str, said: str
) -> None:
    sure = Effect(0.12, 0.08, 0.15)
    findings = tuple(
        replace(one, word="INCONCLUSIVE", label=label, effect=sure) if one.hypothesis.factor == "mem" else one
        for one in results.findings
    )
    answer = first_screen(replace(results, findings=findings)).answers[0]
    assert answer.startswith("More RAM together with the pages that a larger guest dirties " + said + "+12.0 % [+8.0, ")
    assert ("may or may not" in answer) == (label in {UNDECIDED, TOO_FEW})


def test_a_sure_difference_of_which_it_is_open_whether_it_matters_is_not_said_to_be_none(results: Results) -> None:
    (own, *_) = results.findings
    none = own.hypothesis.model_copy(update={"direction": "none"})
    small = replace(
        own, hypothesis=none, word="INCONCLUSIVE", label=UNDECIDED, effect=Effect(0.04, 0.02, 0.06), sesoi=0.05
    )
    (answer,) = first_screen(replace(results, findings=(small,))).answers
    assert "may or may not make a difference to the pause that matters (5 % per doubling): +4.0 % [" in answer


@pytest.mark.parametrize(
    ("label", "again"), [(HANGS_ON_FAILURES, True), (HANGS_ON_BOTH, True), (HANGS_ON_CHECKS, False)]
)
def test_what_hangs_on_failed_runs_is_not_sent_for_more_blocks(results: Results, label: str, *, again: bool) -> None:
    findings = tuple(replace(one, word="INCONCLUSIVE", label=label, more_blocks=None) for one in results.findings)
    surer = " ".join(first_screen(replace(results, findings=findings)).surer)
    assert ("these measured again may decide it" in surer) == again
    assert ("More blocks may decide what is open" in surer) != again


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (5.0, "About 5 more blocks would decide {}: "),
        (math.inf, "blocks would be needed for {}."),
        (None, "More blocks may decide {}, or"),
    ],
)
def test_blocks_are_not_said_to_decide_what_none_of_them_can(results: Results, needed: float | None, said: str) -> None:
    (own, *_) = results.findings
    undecided = replace(own, word="INCONCLUSIVE", label=UNDECIDED, more_blocks=needed)
    blank = replace(own, word="INCONCLUSIVE", label=NOTHING_TO_COMPARE, more_blocks=None)
    for findings, what in (((undecided,), "what is open"), ((undecided, blank), "what else is open")):
        assert said.format(what) in " ".join(first_screen(replace(results, findings=findings)).surer)


@pytest.mark.parametrize(
    ("label", "mend"),
    [
        (no_ratio([0.0, 1.0]), "Of runs that are 0 no ratio can be told"),
        (NOTHING_TO_COMPARE, "Where nothing can be compared, "),
        (YES_OR_NO_TEXT, ""),
        (NOT_EVERYWHERE, ""),
    ],
)
def test_blocks_are_not_said_to_decide_what_is_asked_of_something_else_and_none_of_them_can(
    results: Results, label: str, mend: str
) -> None:
    (own, *_) = results.findings
    undecided = replace(own, word="INCONCLUSIVE", label=UNDECIDED, more_blocks=5.0)
    rate = own.hypothesis.model_copy(update={"outcome": "mismatch_rate"})
    other = replace(own, hypothesis=rate, word="INCONCLUSIVE", label=label, more_blocks=None)
    surer = " ".join(first_screen(replace(results, findings=(undecided, other))).surer)
    assert surer.startswith(mend or "About 5 more blocks")
    assert "About 5 more blocks would decide what else is open: " in surer


@pytest.mark.parametrize(
    ("label", "needed", "said"),
    [
        (UNDECIDED, 40.0, "About 40 more blocks would decide what is open: "),
        (UNDECIDED, math.inf, "More blocks may decide what is open, or link=nodelay "),
        ("reaches beyond the range", None, "More blocks may decide what is open, or link=nodelay "),
    ],
)
def test_blocks_that_decide_the_pause_are_not_said_to_decide_what_is_open_of_something_else(
    results: Results, label: str, needed: float | None, said: str
) -> None:
    (own, *_) = results.findings
    undecided = replace(own, word="INCONCLUSIVE", label=UNDECIDED, more_blocks=5.0)
    total = own.hypothesis.model_copy(update={"outcome": "total"})
    other = replace(own, hypothesis=total, word="INCONCLUSIVE", label=label, more_blocks=needed)
    assert said in " ".join(first_screen(replace(results, findings=(undecided, other))).surer)
    decided = replace(own, word="SUPPORTED", label="material")
    surer = " ".join(first_screen(replace(results, findings=(decided, other))).surer)
    assert "what is open" in surer
    assert "narrow the intervals" not in surer
    assert "link=nodelay" not in surer


def test_blocks_are_not_said_to_decide_what_is_open_for_its_levels_or_its_shape() -> None:
    mems = [simulated.GIB << power for power in range(3)]
    trend = simulated.declared(id="H", claim="It grows.", factor="mem")

    def hump(cell: Any) -> float:
        return 0.25 * (cell["mem"] == mems[1])

    def opposite(cell: Any) -> float:
        return 0.2 * (1.5 - cell["smp"]) * (cell["mem"] > mems[0])

    for smp, sizes, effect, said in (
        ([1], mems, hump, "can hold two of them against each other (kind: contrast)."),
        ([1, 2], mems[:2], opposite, "can ask at one of them (where)."),
    ):
        truth = simulated.Truth(simulated.crossed(mem=sizes, smp=smp), effect, [trend], blocks=8, **simulated.QUIET)
        judged = derive(simulated.simulate(truth, 1))
        assert [one.word for one in judged.findings] == ["INCONCLUSIVE"]
        surer = " ".join(first_screen(judged).surer)
        assert said in surer
        assert "More blocks may decide" not in surer


def test_how_sure_counts_blocks_and_looks(results: Results) -> None:
    assert first_screen(results).sure.startswith("How sure: 6 blocks, every cell once in each; a false yes")
    plan = results.campaign.plan.model_copy(update={"looks": (1, 2, 3, 6)})
    looked = replace(results, campaign=replace(results.campaign, plan=plan))
    assert "6 blocks, every cell once in each, looked at 4 times; " in first_screen(looked).sure
    # Six blocks of the first of two folders were planned, say, and none of the last four was begun.
    short = results.campaign.plan.model_copy(update={"looks": (6, 10)})
    joined = replace(results, campaign=replace(results.campaign, plan=short))
    assert "How sure: 6 blocks, every cell once in each, looked at 2 times; " in first_screen(joined).sure


def test_folders_that_nobody_is_known_to_have_looked_at_are_not_said_to_have_been(results: Results) -> None:
    campaign = results.campaign
    plan = campaign.plan.model_copy(update={"looks": (3, 6)})
    runs = tuple(replace(run, folder=int(run.record.block >= 3)) for run in campaign.runs)
    joined = replace(results, campaign=replace(campaign, plan=plan, runs=runs))
    assert "6 blocks, every cell once in each, looked at up to 2 times; " in first_screen(joined).sure


def test_a_campaign_that_asks_nothing_of_the_pause_has_none(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(workloads=(IDLE,), repeats=2, count=6)))
    assert first_screen(derive(campaign)).question == ""


@pytest.mark.usefixtures("few_figures")
def test_page_and_terminal_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_campaign(tmp_path, SWEEP)
    monkeypatch.setattr("bench.run.report.analyse", lambda named, **_: Said(main([named]), "", ""))
    console = Console(record=True, width=4000)
    assert write_report(folder, console)
    told = json.loads((folder / "report" / "verdicts.json").read_text())
    shown, page = console.export_text(), (folder / "report" / "report.html").read_text()
    for line in (told["question"], *told["answers"], *told["explained"], told["sure"]):
        assert line in shown
        once = re.sub(r"\[([\d.]+) ms, ([\d.]+) ms\]", r"[\1, \2]", line)  # the page says a unit once
        assert " ".join(once.split()) in " ".join(page.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "cannot be told from this campaign" not in page


def test_the_terminal_s_table_has_the_numbers_of_the_page() -> None:
    folder = Path(__file__).parents[2] / "results" / "reference" / "procedure_claims"
    page = derive(load_campaign(folder)).per_cell.set_index("cell_id")
    plan = parse_plan((folder / "plan.json").read_bytes())
    homes = {path.name: path for path in folder.glob("runs/*")}
    terminal = summarise(plan, folder, homes.__contains__, lambda run_id: read_pauses(homes[run_id]))
    for planned, row in zip(plan.cells, terminal, strict=True):
        own = page.loc[planned.cell_id]
        figures = (row.median_pause_s, row.p95_pause_s, row.p99_pause_s, row.median_dirty_pages)
        assert figures == pytest.approx(tuple(own[["pause", "p95", "p99", "dirty_pages"]]))
        assert (row.runs, row.checkpoints) == (own["runs"], own["checkpoints"])
    assert np.isfinite(terminal[0].p99_pause_s)


def test_the_verdicts_alone_carry_it_too(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SWEEP)
    assert main([str(folder), "--only", "verdicts"]) == 0
    told = json.loads((folder / "report" / "verdicts.json").read_text())
    assert told["question"]
    assert len(told["answers"]) == 3


def test_verdicts_alone_load_nothing_that_draws(tmp_path: Path) -> None:
    asked = [str(write_campaign(tmp_path, SWEEP)), "--only", "verdicts"]
    drawing = "[name for name in ('matplotlib', 'seaborn', 'analysis.plots') if name in sys.modules]"
    script = f"import sys; from analysis.__main__ import main; main({asked!r}); print({drawing})"
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=120, check=True)
    # A loop and whoever simulates campaigns ask again and again: figures take twice as long to load as all of this.
    assert done.stdout.splitlines()[-1] == "[]"
