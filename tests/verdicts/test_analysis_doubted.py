"""What another reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fixtures.changed import columns
from fixtures.comparable import around, made
from fixtures.failovers import fake, told
from fixtures.fake_campaign import ARMS, DIRTY, IDLE, SERVICE, Fake, change_record, of_scenario, run_ids, write_campaign
from fixtures.simulated import (
    GIB,
    QUIET,
    RAM,
    Truth,
    cell,
    crossed,
    declared,
    failure_of,
    run_table_of,
    simulate,
    verdicts,
)

from analysis.commands.compare import main as compare_command
from analysis.commands.expect import Asked, _noise, expected
from analysis.compare.comparison import compare, compare_levels
from analysis.compare.sides import NotComparableError
from analysis.format.outcomes import PAUSES_IN_DOUBT
from analysis.planning.power import power
from analysis.report import answer, checks, threats, trust
from analysis.report.describe import describe_host
from analysis.report.design import design_facts
from analysis.report.disclosure import disclosure, readme
from analysis.report.explore import payload
from analysis.report.render import render
from analysis.report.service import overhead_files
from analysis.report.tables import tables
from analysis.runs.costs import cost_table
from analysis.runs.counting import counting, counts, quality_words
from analysis.runs.outcomes import run_table, tail_note
from analysis.stored.cells import name_cells
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.declared import BadHypothesesError
from analysis.verdicts.drift import drift, residuals
from analysis.verdicts.finding import YES_OR_NO_TEXT
from analysis.verdicts.hypotheses import judge_all
from analysis.verdicts.nodes import MOST, Nodes
from analysis.verdicts.question import question
from analysis.verdicts.results import derive
from analysis.verdicts.sentences import why_exploratory
from analysis.verdicts.shape import A_STEP, NO_LINE
from analysis.verdicts.values import NOT_EVERYWHERE, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analysis.stored.campaign import Campaign

SURVIVED = {"id": "S", "claim": "Nearly all are survived.", "kind": "value", "outcome": "survived", "high": 1.0}


def lost(campaign: Campaign, which: Sequence[str]) -> Campaign:
    """Return a campaign in which all runs of some cells failed."""
    planned = {run.run_id: run for run in campaign.plan.runs}
    gone = [run for run in campaign.runs if run.record.cell_id in which]
    kept = tuple(run for run in campaign.runs if run not in gone)
    return replace(campaign, runs=kept, failures=tuple(failure_of(planned[run.record.run_id]) for run in gone))


def unsound(campaign: Campaign, which: Sequence[str]) -> Campaign:
    """Return a campaign in which all runs of some cells did not pass their own check."""
    runs = []
    for run in campaign.runs:
        quality = run.record.quality.model_copy(update={"ok": run.record.cell_id not in which})
        runs.append(replace(run, record=run.record.model_copy(update={"quality": quality})))
    return replace(campaign, runs=tuple(runs))


# A failover is survived or not: a share of runs, and of no run a size.


def test_a_few_failovers_that_were_all_survived_do_not_support_nearly_all_of_them(tmp_path: Path) -> None:
    campaign = load_campaign(fake(tmp_path, *[told()] * 12))
    nearly, most = verdicts(campaign, SURVIVED | {"low": 0.99}, SURVIVED | {"id": "M", "low": 0.75})
    assert (nearly.word, nearly.label) == ("INCONCLUSIVE", "reaches beyond the range")
    assert nearly.effect.estimate == 1.0
    assert nearly.effect.low == pytest.approx(0.05 ** (1 / 12))
    assert most.word == "SUPPORTED"
    assert most.pvalue == pytest.approx(0.75**12)


def test_a_share_of_failovers_below_the_claim_is_refuted_by_its_own_test(tmp_path: Path) -> None:
    ends = [told(), *[told(success=False, cause="survivor-silent")] * 5]
    (found,) = verdicts(load_campaign(fake(tmp_path, *ends)), SURVIVED | {"low": 0.9})
    assert found.word == "REFUTED"
    assert found.pvalue == pytest.approx(0.1**6 + 6 * 0.9 * 0.1**5)


def test_of_a_yes_or_no_no_effect_is_told_and_none_is_compared(tmp_path: Path) -> None:
    campaign = load_campaign(fake(tmp_path, *[told()] * 6))
    (found,) = verdicts(campaign, RAM | {"outcome": "survived", "direction": "none"})
    assert (found.word, found.label, found.more_blocks) == ("INCONCLUSIVE", YES_OR_NO_TEXT, math.inf)
    with pytest.raises(NotComparableError, match="survived is a yes or a no in each run"):
        compare(campaign, campaign, outcome="survived")


def test_a_failover_that_nobody_survived_is_a_failure_to_a_comparison_too(tmp_path: Path) -> None:
    good = load_campaign(fake(tmp_path / "old", *[told(outage_s=0.2 + place / 1e4) for place in range(8)]))
    ends = [told(outage_s=0.2 + place / 1e4) for place in range(4)] + [told(success=False)] * 4
    bad = load_campaign(fake(tmp_path / "new", *ends))
    found = compare(good, bad, outcome="outage")
    assert found.cells[0].failed_new == 4
    assert found.verdict != "not regressed"


def test_a_survivor_that_never_answers_a_client_is_a_failure_to_a_comparison_of_its_gap(tmp_path: Path) -> None:
    seen = {"connections": 8, "survived": 8, "survived_share": 1.0}
    gaps = [told(client={**seen, "gap_s": 0.4 + place / 1e4}) for place in range(8)]
    silent = told(success=False, client={**seen, "gap_s": None})
    good = load_campaign(fake(tmp_path / "old", *gaps))
    bad = load_campaign(fake(tmp_path / "new", *gaps[:4], *[silent] * 4))
    found = compare(good, bad, outcome="client_gap")
    assert (found.cells[0].runs_new, found.cells[0].failed_new) == (4, 4)
    assert found.verdict != "not regressed"


def test_pauses_that_are_not_to_be_relied_on_are_in_no_verdict_on_pauses(tmp_path: Path) -> None:
    folder = fake(tmp_path, *[told()] * 6)
    for run_id in run_ids(folder)[:2]:
        note = f"{PAUSES_IN_DOUBT}: pause by trace and by QMP differ by 4.00 ms (median)"
        change_record(folder, run_id, quality={"ok": True, "notes": [note]})
    campaign = load_campaign(folder)
    short = {"id": "P", "claim": "Short.", "kind": "value", "low": 0.0, "high": 1.0}
    pause, outage = verdicts(campaign, short, short | {"id": "O", "outcome": "outage"})
    assert (pause.runs, pause.excluded) == (4, 2)
    assert (outage.runs, outage.excluded) == (6, 0)
    assert compare(campaign, campaign, outcome="pause").base.runs == 4
    choices = {one.choice for one in derive(campaign, [Hypothesis.model_validate(short)]).diagnostics.sensitivity}
    assert "all runs, whatever their quality check" in choices
    # Nor in what is told beside verdicts, or planned with.
    table = run_table_of(campaign)
    assert drift(table) is None  # of four blocks
    assert drift(table.assign(pauses_ok=True)) is not None
    assert counting(table).tolist() == [counts(run) for run in campaign.runs]
    assert (sum(counting(table)), sum(counting(table, "outage"))) == (4, 6)
    planned = power(campaign)
    assert planned.cells[0].runs == 4
    assert "2 runs left out by their quality check, or as their pauses alone are in doubt" in planned.notes
    sound, failed, *_ = run_ids(folder)
    change_record(folder, sound, quality={"ok": True, "notes": []})
    change_record(folder, failed, quality={"ok": False, "notes": []})
    assert "1 run left out by its quality check" in power(load_campaign(folder)).notes


# A claim is about all that it names.


@pytest.mark.parametrize("gone", ["unsound", "unfinished"])
def test_a_value_in_every_cell_is_not_supported_where_no_run_of_a_cell_counts(gone: str) -> None:
    short = declared(id="P", claim="Short.", kind="value", low=0.0, high=5.0)
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB), smp=(1, 4)), lambda _: 0.0, [short], **QUIET), 1)
    assert [one.word for one in verdicts(campaign)] == ["SUPPORTED"]
    kept = tuple(run for run in campaign.runs if run.record.cell_id != "c3")
    (found,) = verdicts(unsound(campaign, ["c3"]) if gone == "unsound" else replace(campaign, runs=kept))
    assert (found.word, found.label) == ("INCONCLUSIVE", NOT_EVERYWHERE)
    assert any(note == f"{NOWHERE} of: 2 GiB, 4 vCPUs" for note in found.notes)
    if gone == "unsound":  # which is not to say that nothing was measured
        (none,) = verdicts(unsound(campaign, [f"c{place}" for place in range(4)]))
        assert (none.word, none.label) == ("INCONCLUSIVE", NOWHERE)


def test_a_size_of_which_no_run_counts_is_named_and_so_is_a_level_that_no_cell_has() -> None:
    link = {"id": "L", "claim": "Slower.", "kind": "contrast", "factor": "link.transport"}
    asked = [declared(**RAM), declared(**link, levels=["unix", "rdma"]), declared(**link, levels=["unix", "tcp"])]
    cells = [*crossed(mem=(GIB, 2 * GIB, 4 * GIB), smp=(1,)), cell(GIB, 1, link="tcp")]
    campaign = simulate(Truth(cells, lambda own: float(np.log2(own["mem"])), asked, **QUIET), 1)
    ram, rdma, tcp = verdicts(unsound(campaign, ["c2", "c3"]))
    assert "no run with 4 GiB has the outcome and counts: nothing is said of it" in ram.notes
    assert "no cell has rdma" in rdma.notes
    assert "no run with tcp has the outcome and counts: nothing is said of it" in tcp.notes
    assert not any("nothing is said" in note for one in verdicts(campaign)[:1] for note in one.notes)


def test_a_level_of_where_that_no_cell_has_is_named_whatever_is_asked() -> None:
    where = {"link.transport": ["unix", "rdma"]}
    short = {"id": "P", "claim": "Short.", "kind": "value", "low": 0.0, "high": 5.0}
    asked = [declared(**RAM, where=where), declared(**short, where=where), declared(**RAM | {"id": "A"})]
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda own: own["mem"] / GIB, asked, **QUIET), 1)
    *some, every = verdicts(campaign)
    assert [one.word for one in some] == ["SUPPORTED", "SUPPORTED"]
    assert ["no cell has rdma" in one.notes for one in (*some, every)] == [True, True, False]


def test_a_number_of_vcpus_that_is_no_number_is_a_level_that_no_cell_has() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, (), **QUIET), 1)
    (found,) = verdicts(campaign, RAM | {"where": {"smp": ["two"]}})
    assert found.word == "INCONCLUSIVE"
    assert "no cell has two" in found.notes


def test_levels_that_where_leaves_out_are_not_compared() -> None:
    smps = {"id": "S", "claim": "Slower.", "kind": "contrast", "factor": "smp", "levels": [1, 2]}
    both, one = (declared(**smps, where={"smp": levels}) for levels in ([1, 2], [1]))
    campaign = simulate(Truth(crossed(smp=(1, 2)), lambda own: float(own["smp"]), [both, one], **QUIET), 1)
    found, none = verdicts(campaign)
    assert (found.word, found.runs) == ("SUPPORTED", 12)
    assert (none.word, none.runs) == ("INCONCLUSIVE", 0)
    with pytest.raises(BadHypothesesError, match=r"levels: 2 is no level of any cell where it asks; legal: 1$"):
        verdicts(campaign, one)


@pytest.mark.parametrize(("gone", "count"), [(["c3"], 6), (["c1", "c3"], 12)])
def test_a_level_of_another_factor_at_which_failures_leave_nothing_to_compare_is_named(
    gone: list[str], count: int
) -> None:
    cells = crossed(mem=(GIB, 2 * GIB), link=("unix", "tcp"))
    campaign = simulate(Truth(cells, lambda own: float(np.log2(own["mem"])), [declared(**RAM)], **QUIET), 1)
    (found,) = verdicts(lost(campaign, gone))
    note = f"{count} runs with tcp failed, and what is left compares nothing: nothing is said of it"
    assert note in found.notes
    assert not any("nothing is said" in note for one in verdicts(lost(campaign, [])) for note in one.notes)


def test_a_level_of_another_factor_at_which_no_run_has_the_outcome_is_named() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB), link=("unix", "tcp")), lambda _: 0.0, [], **QUIET), 1)
    table = run_table_of(campaign)
    asked = table.assign(bytes_sent=table["pause"].where(table["link.transport"] == "tcp"))
    (found,) = judge_all(campaign, asked, [Hypothesis.model_validate(RAM | {"outcome": "bytes_sent"})])
    assert "12 runs with unix did not have it, and what is left compares nothing: nothing is said of it" in found.notes
    assert not any("with tcp" in note for note in found.notes)


def test_a_value_in_every_cell_is_not_supported_where_no_run_of_a_cell_has_the_outcome() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB), smp=(1, 4)), lambda _: 0.0, [], **QUIET), 1)
    table = run_table_of(campaign)
    short = Hypothesis(id="S", claim="Short.", kind="value", outcome="save", low=0.0, high=5.0)
    (whole,) = judge_all(campaign, table.assign(save=table["pause"]), [short])
    (some,) = judge_all(campaign, table.assign(save=table["pause"].where(table["cell_id"] != "c3")), [short])
    assert whole.word == "SUPPORTED"
    assert (some.word, some.label) == ("INCONCLUSIVE", NOT_EVERYWHERE)
    # They count; it is the outcome that they do not have.
    assert "6 runs without the save phase: left out" in some.notes
    assert f"{NOWHERE} of: 2 GiB, 4 vCPUs" in some.notes


def test_a_size_at_which_no_run_has_the_outcome_is_named() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB, 4 * GIB)), lambda _: 0.0, [], **QUIET), 1)
    table = run_table_of(campaign)
    asked = table.assign(save=table["pause"].where(table["mem"] < 4 * GIB))
    (found,) = judge_all(campaign, asked, [Hypothesis.model_validate(RAM | {"outcome": "save"})])
    assert "no run with 4 GiB has the outcome and counts: nothing is said of it" in found.notes
    assert found.runs == 12


def test_runs_that_nobody_asks_anything_do_not_hide_that_all_others_of_a_size_failed() -> None:
    cells = [cell(mem, 1, name=name) for mem in (GIB, 2 * GIB, 4 * GIB) for name in ("idle", "http")]
    campaign = lost(simulate(Truth(cells, lambda _: 0.0, [], **QUIET), 1), ["c5"])
    table = run_table_of(campaign)
    asked = table.assign(client_p50=table["pause"].where(table["workload.name"] == "http"))
    (found,) = judge_all(campaign, asked, [Hypothesis.model_validate(RAM | {"outcome": "client_p50"})])
    assert "6 of 6 runs with 4 GiB failed: outside the tested range" in found.notes


def test_failures_of_a_cell_that_was_never_measured_rank_against_those_of_its_stratum() -> None:
    cells = [{key: level for key, level in one.items() if key != "accel"} for one in crossed(mem=(GIB, 2 * GIB))]
    campaign = simulate(Truth(cells, lambda own: float(np.log2(own["mem"])), [declared(**RAM)], **QUIET), 1)
    table = run_table_of(campaign)
    assert table["accel"].nunique() == 1
    # An older plan does not name the accelerator: where all ran under one, a cell that failed would have, too.
    small = lost(campaign, ["c0"])
    asked = question(small, run_table(small.runs, name_cells(run.record for run in small.runs)), Hypothesis(**RAM))
    assert asked.others == ()
    assert {row["accel"] for row in asked.failed} == {"tcg"}


def test_without_cells_in_its_plan_a_campaign_is_judged_in_the_strata_of_its_runs() -> None:
    cells = [*crossed(mem=(GIB, 2 * GIB), smp=(1, 4))]
    campaign = simulate(Truth(cells, lambda own: float(own["smp"]), [declared(**RAM)], **QUIET), 1)
    bare = replace(campaign, plan=campaign.plan.model_copy(update={"cells": ()}))
    whole, old = (verdicts(one, RAM)[0] for one in (campaign, bare))
    assert whole.strata == old.strata == 12


def test_a_level_whose_sizes_are_on_no_line_is_not_called_equivalent() -> None:
    def hump(own: Mapping[str, Any]) -> float:
        return float(np.log(1.25)) * (own["mem"] == GIB and own["smp"] == 1)

    mems = [GIB << shift >> 2 for shift in range(5)]
    truth = Truth(crossed(mem=mems, smp=(1, 2, 4)), hump, [declared(**RAM)], blocks=8, **QUIET)
    (found,) = verdicts(simulate(truth, 1))
    of_level = {level.level: level for level in found.levels}
    assert of_level["1 vCPU"].label in {NO_LINE, A_STEP}
    assert of_level["1 vCPU"].word == "INCONCLUSIVE"
    assert {of_level[name].label for name in ("2 vCPUs", "4 vCPUs")} == {"equivalent to none"}


def test_in_one_block_too_a_step_that_matters_is_not_called_equivalent() -> None:
    mems = [GIB << shift >> 3 for shift in range(7)]
    asked = [declared(**RAM), declared(**RAM | {"id": "SAME", "direction": "none"})]
    still = QUIET | {"run_sd": 0.0, "checkpoint_sd": 0.0}
    truth = Truth(crossed(mem=mems), lambda own: float(np.log(1.15)) * (own["mem"] == GIB), asked, blocks=1, **still)
    grows, same = verdicts(simulate(truth, 1))
    # Two pairs of 21 are out of order by the hump, with 5 % per doubling put on as with 5 % taken off: p 27 / 5040.
    assert (grows.word, grows.label) == ("REFUTED", "no material growth")
    assert (same.word, same.label) == ("INCONCLUSIVE", A_STEP)
    assert grows.shape is not None
    assert math.isnan(grows.shape.pvalue)
    assert len(grows.shape.steps) == 6


# What a reader is told of runs and nodes is told of those that it was looked at.


def test_a_tail_is_exploratory_for_its_own_runs_and_in_their_words(tmp_path: Path) -> None:
    service = replace(SERVICE, scenarios=("colo",), workloads=(IDLE, {"name": "http", "rate": 40.0}))
    folder = write_campaign(tmp_path, service)
    for run_id in run_ids(folder):
        record = json.loads((folder / "runs" / run_id / "run.json").read_text())
        if record["cell"]["workload"]["name"] == "idle":
            change_record(folder, run_id, client=None)
            (folder / "runs" / run_id / "client.parquet").unlink()
    campaign = load_campaign(folder)
    tail = Hypothesis(id="T", claim="Short.", kind="value", outcome="client_p95", low=0.0, high=1.0)
    text = [tail.model_dump(mode="json")]
    sha = hashlib.sha256(json.dumps(text, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    plan = campaign.plan.model_copy(update={"hypotheses": tuple(text), "hypotheses_sha256": sha})
    runs = tuple(replace(run, record=run.record.model_copy(update={"hypotheses_sha256": sha})) for run in campaign.runs)
    whole = replace(campaign, plan=plan, runs=runs)
    (found,) = verdicts(whole)
    assert not found.exploratory
    assert tail_note(whole.runs, "client_p95") == ""
    short = replace(
        whole,
        runs=tuple(
            replace(
                run,
                requests=replace(
                    run.requests,
                    sent=run.requests.sent[:50],
                    latency_s=run.requests.latency_s[:50],
                    answered=run.requests.answered[:50],
                ),
            )
            for run in runs
        ),
    )
    (found,) = verdicts(short)
    assert why_exploratory(found) == "its runs have too few requests beyond the quantile that it is about"


def test_runs_without_colo_that_failed_their_check_are_in_what_is_said_of_trust(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    for run_id in of_scenario(folder, "native"):
        change_record(folder, run_id, quality={"ok": False, "failures": ["the VM stood still"]})
    campaign = load_campaign(folder)
    assert trust.trust_heading(campaign) == "Can it be trusted? 4 of 12 measured runs did not pass the quality check"
    context = trust.context(derive(campaign))
    assert any("the VM stood still" in str(row) for row in context["problems"].rows)


def test_a_host_that_changed_during_a_run_without_colo_is_counted_as_often_as_it_is_listed(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    for run_id in (of_scenario(folder, "native")[0], of_scenario(folder, "colo")[0]):
        change_record(folder, run_id, host={"drift": ["steal rose from 0.0 % to 2.1 %"]})
    results = derive(load_campaign(folder))
    assert len(trust.context(results)["drifts"].rows) == 2
    assert trust.trust_heading(results.campaign).endswith("; during 2 the host changed")
    assert any(said.startswith("2 runs saw the host change while measured") for said in threats.threats(results))


def test_an_interval_of_equals_that_holds_no_1_is_not_printed_as_one_that_does() -> None:
    assert trust._ratio(1.006, 1.0003, 1.012) == "1.006 [1.0003, 1.012]"
    assert trust._ratio(1.0, math.nan, math.nan) == "1.000"


@pytest.mark.parametrize("ok", [True, False])
def test_a_run_whose_pauses_alone_are_in_doubt_has_not_failed_its_check(tmp_path: Path, *, ok: bool) -> None:
    folder = fake(tmp_path, *[told()] * 3)
    notes = [f"{PAUSES_IN_DOUBT}: no event"] * ok
    change_record(folder, run_ids(folder)[0], quality={"ok": ok, "notes": notes})
    asked = Hypothesis(id="V", claim="Short.", kind="value", low=0.0, high=5.0)
    (verdict,) = answer.context(derive(load_campaign(folder), [asked]))["verdicts"]
    assert "; 1 left out by its quality check" in verdict["detail"]
    assert (", or as its pauses alone are in doubt" in verdict["detail"]) == ok
    # Of an outage no pause is asked.
    change_record(folder, run_ids(folder)[1], quality={"ok": False, "notes": []})
    outage = asked.model_copy(update={"outcome": "outage"})
    (verdict,) = answer.context(derive(load_campaign(folder), [outage]))["verdicts"]
    assert f"; {1 if ok else 2} left out by {'its' if ok else 'their'} quality check" in verdict["detail"]
    assert "pauses alone" not in verdict["detail"]


def test_a_run_whose_pauses_alone_are_in_doubt_is_not_ok_beside_them(tmp_path: Path) -> None:
    folder = fake(tmp_path, *[told()] * 3)
    doubted, bad, _ = run_ids(folder)
    change_record(folder, doubted, quality={"ok": True, "notes": [f"{PAUSES_IN_DOUBT}: no event"]})
    results = derive(load_campaign(folder))
    said = "Can it be trusted? All 3 measured runs passed the quality check, and of 1 the pauses alone are in doubt"
    assert trust.trust_heading(results.campaign) == said
    assert sorted(quality_words(results.runs)) == ["ok", "ok", "pauses in doubt"]
    told_of = "Of 1 run that passed it the pauses alone are in doubt: in no effect on pauses, and ranked worst there."
    assert told_of in disclosure(results.campaign, [])
    shown = render(results, [], [])
    assert shown.count("<td>pauses in doubt</td>") == 1
    assert "1 measured run passed the quality check with pauses that are in doubt: <a href" in shown
    change_record(folder, bad, quality={"ok": False, "failures": ["late"]})
    results = derive(load_campaign(folder))
    factors = payload(results.campaign, results.cells, results.runs)["factors"]
    assert {one["name"]: one["levels"] for one in factors}["quality"] == ["ok", "pauses in doubt", "failed"]


def test_what_is_disclosed_as_swept_and_as_taken_is_that_of_all_runs(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    swept = disclosure(campaign, []).partition("## The same")[0]
    assert "| scenario | formed, native, none |" in swept
    assert "Here 12 runs took 5 min, added up, on " in readme(campaign, "fake", [], 1)


def test_a_folder_with_a_space_in_its_name_is_one_word_of_the_command_that_reads_it(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    assert "\ncolo-bench report 'a copy'   # every table" in readme(campaign, "a copy", [], 1)
    assert "\ncolo-bench report fake   # every table" in readme(campaign, "fake", [], 1)


def test_a_size_of_which_every_run_failed_is_disclosed_as_swept(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(smps=(1,), workloads=(IDLE,), repeats=1, failed=1, count=5)))
    assert len({run.record.cell_id for run in campaign.runs}) == 1
    swept, same = disclosure(campaign, []).split("## The same in every run")
    assert "| mem | 1 GiB, 512 MiB |" in swept
    assert "| accel | emulation (TCG) |" in same


def test_what_keeps_runs_that_failed_their_check_is_disclosed_as_it_is(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    change_record(folder, of_scenario(folder, "colo")[0], quality={"ok": False, "failures": ["late"]})
    results = derive(load_campaign(folder))
    assert results.per_cell["runs"].tolist() == [4]
    costs = cost_table(results.campaign)
    assert costs.loc[costs["scenario"] == "colo", "runs"].tolist() == [3, 3]
    said = "figures of the pauses of single cells keep them, and those of failovers, costs, causes of checkpoints"
    assert said in disclosure(results.campaign, [])
    for name in ("cells", "phases"):
        assert b"\n% Kept: 1 run whose own check failed.\n" in tables(results)[f"tables/{name}.tex"]
    left = b"\n% Left out, as their own check failed: 1 of 4 colo.\n"
    assert left in overhead_files(results)["tables/overhead.tex"]


def test_checkpoints_of_a_failover_and_of_none_are_told_as_they_are(tmp_path: Path) -> None:
    facts = dict(design_facts(load_campaign(fake(tmp_path / "f", told(), told()))))
    assert facts["Checkpoints"].endswith(": 4 after 3 of warm-up, then the blow")  # checkpoint.count=6 is not looked at
    assert "victim: primary" in facts["Failover"]
    served = dict(design_facts(load_campaign(write_campaign(tmp_path / "s", SERVICE))))
    assert "none asked for where scenario is native" in served["Checkpoints"]
    assert "20 after 3 of warm-up" in served["Checkpoints"]


def test_nodes_are_said_to_hold_for_what_was_tried_on_them(tmp_path: Path) -> None:
    asked = declared(**RAM)
    results = derive(load_campaign(write_campaign(tmp_path, Fake(workloads=(IDLE,), repeats=3, hypotheses=(asked,)))))
    few, many = ({f"n{node}": (node,) for node in range(count)} for count in (3, MOST + 4))
    assert "; of RAM, no word changes when the runs on any one of them are" in checks._on_nodes(
        results, Nodes(few, 0, 0.1)
    )
    said = checks._on_nodes(results, Nodes(many, 0, 0.1))
    assert f"no word changes when the runs on any one of the {MOST} with most runs are left out" in said


def test_hypotheses_that_came_after_the_data_are_not_captioned_as_declared_before(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(workloads=ARMS, links=("unix",), repeats=2, count=10)))
    late = derive(campaign, [Hypothesis.model_validate(RAM)])
    assert b"declared before the data:" not in tables(late)["tables/verdicts.tex"]


# Two sides.


def test_a_failed_run_that_asks_for_no_checkpoint_is_no_hole_in_a_comparison_of_pauses() -> None:
    def side(name: str) -> Campaign:
        native = {"scenario": "native", "mem": GIB, "smp": 1, "accel": "tcg"}
        campaign = made(name, {1: around(20, 6)})
        planned = campaign.plan.runs[0].model_copy(update={"run_id": "n", "cell_id": "native", "order": 99})
        cells = (*campaign.plan.cells, campaign.plan.cells[0].model_copy(update={"cell_id": "native", "cell": native}))
        plan = campaign.plan.model_copy(update={"runs": (*campaign.plan.runs, planned), "cells": cells})
        return replace(campaign, plan=plan, failures=(failure_of(planned),))

    found = compare(side("old"), side("new"))
    assert found.missing == ()
    assert (found.verdict, found.base.failed) == ("not regressed", 0)


def test_what_a_client_saw_without_colo_is_compared_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (write_campaign(tmp_path / name, SERVICE) for name in ("old", "new"))
    for run_id in of_scenario(new, "native"):
        record = json.loads((new / "runs" / run_id / "run.json").read_text())
        change_record(new, run_id, client=record["client"] | {"requests_per_s": 20.0})
    found = compare(load_campaign(old), load_campaign(new), outcome="requests_per_s")
    assert len(found.cells) == 3
    assert found.base.runs == 12
    assert not any("left out" in note for note in found.notes)
    assert {cell.factors.get("scenario"): cell.verdict for cell in found.cells}["native"] == "regressed"
    both = write_campaign(tmp_path / "both", replace(SERVICE, scenarios=("native", "colo"), repeats=6))
    within = compare_levels(load_campaign(both), "scenario", outcome="requests_per_s")
    assert max(within.overall.ratio, 1 / within.overall.ratio) == pytest.approx(39.5 / 31.6)
    assert (within.base.runs, within.new.runs) == (6, 6)
    assert compare_command([str(both), "--by", "scenario"]) == 1
    assert "no cell in common has pause measured on both sides" in capsys.readouterr().err


def test_a_split_names_no_level_that_an_arm_does_not_have(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(workloads=(*ARMS, DIRTY | {"scaling": "fixed"}), links=("unix",), repeats=3))
    results = derive(load_campaign(folder))
    assert results.effects.splits
    assert not any("nan" in split.where for split in results.effects.splits)


def test_what_a_host_was_kept_from_is_told_of_each_side_s_own_host(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("colo",), repeats=1))

    def snapshots(steal: int, cpu: str) -> dict[str, Any]:
        ticks = {"user": 100, "idle": 0, "steal": 0}
        return {
            "node": cpu,
            "before": {"t": 10.0, "ticks": ticks, "cpu_model": cpu},
            "after": {"t": 20.0, "ticks": ticks | {"user": 200 - steal, "steal": steal}},
            "drift": [],
        }

    hosts = {"primary": snapshots(10, "first"), "secondary": snapshots(40, "second")}
    for run_id in run_ids(folder):
        change_record(folder, run_id, hosts=hosts)
    campaign = load_campaign(folder)
    steal = {row["side"]: row["steal_share"] for row in cost_table(campaign).to_dict("records")}
    assert steal == {"primary": pytest.approx(0.1), "secondary": pytest.approx(0.4)}
    assert dict(describe_host(campaign.runs))["CPU"] == "first; second"
    assert threats._measured_on(campaign.runs).startswith("2 machines")
    change_record(folder, run_ids(folder)[0], quality={"ok": False, "failures": ["late"]})
    assert cost_table(load_campaign(folder)).empty


def test_the_noise_of_other_guests_and_of_unsound_runs_is_none_of_a_plan_s(tmp_path: Path) -> None:
    cells = tuple(crossed(mem=(GIB, 2 * GIB)))
    asked = Asked(cells=cells, hypotheses=(Hypothesis(**RAM),), accel="tcg", machine={}, blocks=(6,))
    fake_ = Fake(mems=(GIB, 2 * GIB), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=4, count=12)
    write_campaign(tmp_path / "same", fake_)
    write_campaign(tmp_path / "bare", replace(fake_, extra_cell={"guest": "bare"}))
    unsound_ = write_campaign(tmp_path / "unsound", fake_)
    for run_id in run_ids(unsound_):
        change_record(unsound_, run_id, quality={"ok": False, "failures": ["late"]})
    assert [expected(asked, tmp_path / name)["campaigns"] for name in ("same", "bare", "unsound")] == [["fake"], [], []]


def test_runs_whose_pauses_hold_a_0_are_planned_with_no_more_than_they_are_judged() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, [], blocks=4), 1)
    runs = list(campaign.runs)
    runs[0] = replace(runs[0], rows=columns(runs[0].checkpoints.assign(pause_s=0.0)))
    found = power(replace(campaign, runs=tuple(runs)))
    assert "1 run with a pause of 0 left out, of which no ratio can be told" in found.notes
    table = run_table(runs, name_cells(run.record for run in runs))
    assert residuals(table).isna().sum() == 1
    assert _noise(runs) == _noise(runs[1:])
