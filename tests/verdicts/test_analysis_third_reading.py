"""What a third reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that shows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns, with_parts
from fixtures.fake_campaign import (
    ARMS,
    DIRTY,
    IDLE,
    SERVICE,
    SINGLE,
    SWEEP,
    Fake,
    fake_results,
    replace_parquet,
    write_campaign,
)
from fixtures.simulated import GIB, QUIET, RAM, Truth, cell, crossed, declared, failure_of, simulate

from analysis.commands.compare import show
from analysis.commands.power import show as show_power
from analysis.commands.terminal import console
from analysis.compare.comparison import compare, compare_levels
from analysis.format.outcomes import PAUSES_IN_DOUBT
from analysis.planning.power import power
from analysis.plots import forest
from analysis.plots.words import design_text
from analysis.report import answer, checks, threats, trust
from analysis.report.design import design_facts
from analysis.report.first import _listed_parts, first_screen
from analysis.report.render import cells_table, render
from analysis.report.service import _part
from analysis.report.tables import _verdict_row, tables
from analysis.runs.parts import Parts
from analysis.stored.load import load_campaign
from analysis.stored.records import KvmRecord
from analysis.stored.study import load_study
from analysis.verdicts.effects import _devices
from analysis.verdicts.results import Results, derive
from analysis.verdicts.sentences import level_words
from analysis.verdicts.trend import HANGS_ON_FAILURES, UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analysis.report.first import FirstScreen
    from analysis.stored.campaign import Campaign
    from analysis.verdicts.finding import Finding

MORE = RAM | {"id": "MORE", "claim": "It grows with more RAM."}


def small(*asked: dict[str, Any], blocks: int = 6, **levels: Any) -> Campaign:
    cells = crossed(**({"mem": (GIB, 2 * GIB)} | levels))
    return simulate(Truth(cells, lambda own: float(np.log2(own["mem"])), asked, blocks=blocks, **QUIET), 1)


def told(campaign: Campaign) -> FirstScreen:
    return first_screen(derive(campaign))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results(write_campaign(tmp_path_factory.mktemp("results"), SWEEP))


# What nothing can be said of, and why.


def test_runs_of_0_are_why_nothing_is_said_and_no_number_of_blocks_helps() -> None:
    campaign = small(declared(**RAM))
    first, *others = campaign.runs
    zero = replace(first, rows=columns(first.checkpoints.assign(pause_s=0.0)))
    screen = told(replace(campaign, runs=(zero, *others)))
    assert "may or may not lengthen the pause: 1 of 12 runs is 0, of which no ratio can be told" in screen.answers[0]
    assert any("a range can be declared" in one for one in screen.surer)
    assert not any("More blocks" in one for one in screen.surer)
    (found,) = derive(replace(campaign, runs=(zero, *others))).findings
    assert answer._said(found).endswith(": It grows with RAM: 1 of 12 runs is 0, of which no ratio can be told")


def test_one_exploratory_hypothesis_does_not_make_all_of_them_so() -> None:
    both = [replace(one, exploratory=False) for one in derive(small(declared(**RAM), declared(**MORE))).findings]
    late = [replace(one, exploratory=True) for one in both]
    assert answer.tally(both).startswith("of 2 primary hypotheses 2 are ")
    assert answer.tally(late).startswith("of 2 exploratory primary hypotheses 2 are ")
    assert answer.tally([both[0], late[1]]).startswith("of 2 primary hypotheses, 1 of them exploratory, 2 are ")


def test_what_was_not_judged_was_judged_by_no_smallest_effect() -> None:
    campaign = small(declared(**RAM))
    first, *others = campaign.runs
    zero = replace(first, rows=columns(first.checkpoints.assign(pause_s=0.0)))
    studies = (campaign, replace(campaign, runs=(zero, *others)))
    assert [_verdict_row(derive(one).findings[0])[7] for one in studies] == ["5.0", "\N{EN DASH}"]


def test_less_than_0_has_no_ratio_either() -> None:
    start = {"outcome": "colo_start", "id": "S"}
    campaign = small(declared(**RAM | start))
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"timings": {"colo_start_s": 1.0 - 2.0 * (place == 3)}}))
        for place, run in enumerate(campaign.runs)
    )
    (found,) = derive(replace(campaign, runs=runs)).findings
    assert (found.word, found.label) == ("INCONCLUSIVE", "1 of 12 runs is 0 or less, of which no ratio can be told")
    side = replace(campaign, runs=runs)
    both = compare(side, side, outcome="colo_start")
    assert "2 of 12 runs are 0 or less, of which no ratio can be told" in {one.label for one in both.cells}
    assert both.verdict == "inconclusive"


def test_more_than_can_be_told_is_said_where_no_reasonable_number_of_blocks_decides() -> None:
    noisy = Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, [declared(**RAM | {"sesoi": 0.001})], run_sd=0.5)
    screen = told(simulate(noisy, 1))
    assert any(one.startswith("More than 1,000 blocks would be needed") for one in screen.surer)


# Where a claim holds, and over what.


def test_more_vcpus_bring_no_pages_of_a_larger_guest() -> None:
    asked = {"id": "V", "claim": "It grows.", "factor": "smp", "where": {"workload.scaling": ["mem"]}}
    cells = [cell(GIB, smp, name="dirty", working_set=32 << 20, scaling="mem") for smp in (1, 2)]
    campaign = simulate(Truth(cells, lambda own: float(own["smp"]), [declared(**asked)], **QUIET), 1)
    (said,) = told(campaign).answers
    assert "a larger guest" not in said
    assert said.startswith("A larger number of vCPUs (dirty working set growing with RAM) lengthens the pause")


def test_a_claim_of_decline_or_of_no_difference_does_not_ask_for_growth() -> None:
    shrinks, same = declared(**RAM, direction="decreasing"), declared(**RAM | {"id": "N"}, direction="none")
    link = {"id": "L", "claim": "Slower.", "kind": "contrast", "factor": "link.transport", "levels": ["unix", "tcp"]}
    assert told(small(shrinks)).question == "Does the pause shrink with RAM?"
    assert told(small(same, declared(**link), link=("unix", "tcp"))).question == (
        "Does the pause depend on RAM and the transport?"
    )


def test_a_mean_over_some_cells_is_not_one_over_all(tmp_path: Path) -> None:
    asked = {"id": "H1", "claim": "It grows.", "factor": "mem"}
    fake = Fake(mems=(GIB, 2 * GIB), smps=(1,), workloads=(IDLE,), links=("unix", "tcp"), repeats=2, finer=True)
    campaign = load_campaign(write_campaign(tmp_path, replace(fake, hypotheses=(asked,))))
    assert "(mean over all cells)" in told(campaign).explained[0]
    gone = campaign.runs[0].record.cell_id
    fewer = replace(campaign, runs=tuple(run for run in campaign.runs if run.record.cell_id != gone))
    assert "(mean over 3 of 4 cells)" in told(fewer).explained[0]


def test_a_part_that_others_take_back_is_no_share() -> None:
    parts = (("dirty pages", 0.013), ("device state", 0.0), ("the transport", -0.004), ("the rest", 0.001))
    assert "%" not in _listed_parts(Parts(0.010, parts))
    assert _listed_parts(Parts(0.010, parts)).startswith("+13.0 ms dirty pages, ")
    whole = (("dirty pages", 0.0097), ("device state", 0.0004), ("the transport", -0.0002), ("the rest", 0.0001))
    assert _listed_parts(Parts(0.010, whole)).startswith("97\N{NO-BREAK SPACE}% dirty pages (9.70 ms), ")


def test_more_of_a_request_in_pauses_than_was_added_is_no_part_of_it() -> None:
    assert _part(1.7).shown == "all that was added, and more"
    assert _part(0.25).shown == "25\N{NO-BREAK SPACE}%"
    assert _part(float("nan")).shown == "\N{EN DASH}"


def test_pairs_on_two_hosts_are_not_said_to_have_shared_one(sweep: Results) -> None:
    first, *others = sweep.campaign.runs
    cell_of = {**first.record.cell, "host": {"kind": "ssh"}}
    far = replace(first, record=first.record.model_copy(update={"cell": cell_of}))
    mixed = replace(sweep, campaign=replace(sweep.campaign, runs=(far, *others)))
    told = [next(one for one in threats.threats(each) if "on one host" in one) for each in (sweep, mixed)]
    assert [one.partition(" ran ")[0] for one in told] == [
        "Both virtual machines",
        "In some pairs both virtual machines",
    ]


def test_the_interval_of_a_value_over_cells_is_not_called_one_of_90_percent(sweep: Results) -> None:
    details = {one["id"]: one["detail"] for one in answer.context(sweep)["verdicts"]}
    assert "; from the lowest end of a cell's 90 % interval to the highest;" in details["C3_pause"]
    assert "; 90 % interval;" in details["H1_total"]


def test_a_comparison_of_some_cells_does_not_say_all(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = small(mem=(GIB, 2 * GIB, 4 * GIB))
    show(compare(campaign, campaign), console())
    assert "Over all cells: " in capsys.readouterr().out
    first, *others = campaign.runs
    zero = replace(campaign, runs=(replace(first, rows=columns(first.checkpoints.assign(pause_s=0.0))), *others))
    show(compare(campaign, zero), console())
    shown = capsys.readouterr().out
    assert "Over the 2 cells that can be compared: " in shown
    assert "Over all cells" not in shown


def test_device_state_is_told_for_each_accelerator() -> None:
    clean = pd.DataFrame(
        {
            "warmup": [False] * 3,
            "dirty_pages": pd.array([0, 0, 7], "Int64"),
            "bytes_sent": pd.array([10, 12, 900], "Int64"),
        }
    )
    (run,) = small(mem=(GIB,), blocks=1).runs
    records = tuple(
        replace(run, rows=columns(clean.assign(bytes_sent=clean["bytes_sent"] + more))) for more in (0, 100)
    )
    runs = pd.DataFrame({"smp": [1, 1], "accel": ["tcg", "kvm"], "link.transport": ["tcp", "tcp"]})
    found = {one.where: one.bytes_median for one in _devices(runs, records)}
    assert found == {"KVM": 111.0, "emulation (TCG)": 11.0}
    same = _devices(runs.assign(accel="tcg"), records)
    assert [(one.where, one.checkpoints) for one in same] == [("", 4)]


def test_a_run_that_failed_where_nobody_asks_anything_takes_no_word_about_requests() -> None:
    asked = declared(id="R", claim="Some 40.", kind="value", outcome="requests_per_s", low=30.0, high=50.0)
    cells = [cell(GIB, 1), cell(GIB, 1, name="http")]
    campaign = simulate(Truth(cells, lambda _: 0.0, [asked], **QUIET), 1)
    served = {"requests": 100, "requests_per_s": 40.0}
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"client": served})) if run.record.cell_id == "c1" else run
        for run in campaign.runs
    )
    planned = {run.run_id: run for run in campaign.plan.runs}

    def found(cell_id: str) -> Finding:
        lost = next(run for run in runs if run.record.cell_id == cell_id)
        kept = tuple(run for run in runs if run is not lost)
        failures = (failure_of(planned[lost.record.run_id]),)
        return derive(replace(campaign, runs=kept, failures=failures)).findings[0]

    assert (found("c0").word, found("c0").failed) == ("SUPPORTED", 0)
    assert "5 runs without the requests answered per second: left out" in found("c0").notes
    assert (found("c1").label, found("c1").failed) == (HANGS_ON_FAILURES, 1)


def test_two_factors_of_one_name_are_told_apart() -> None:
    paths, levels = ("smp", "link.delay", "client_link.delay", "workload.rate"), (2, 1, 5, 300)
    assert level_words(paths, levels) == "2 vCPUs, link.delay=1 s, client_link.delay=5 s, rate=300"
    assert level_words(paths[:2], levels[:2]) == "2 vCPUs, delay=1 s"


# How sure, and by what.


def test_a_block_that_was_lost_whole_takes_no_cell_from_the_others() -> None:
    campaign = small(declared(**RAM))
    planned = {run.run_id: run for run in campaign.plan.runs}
    lost = [run for run in campaign.runs if run.record.block == 2]
    kept = tuple(run for run in campaign.runs if run not in lost)
    failures = tuple(failure_of(planned[run.record.run_id]) for run in lost)
    assert told(replace(campaign, runs=kept, failures=failures)).sure.startswith(
        "How sure: 5 blocks, every cell once in each, 1 more lost whole;"
    )
    assert "not every cell in each" in told(replace(campaign, runs=kept[1:])).sure


def test_who_gave_a_number_of_blocks_twice_is_not_told_of_a_budget() -> None:
    campaign = small(declared(**RAM), blocks=12)

    def continues(*, exploratory: bool = False, **changes: Any) -> str:
        judged = derive(replace(campaign, plan=campaign.plan.model_copy(update=changes)))
        (own,) = judged.findings
        undecided = replace(own, word="INCONCLUSIVE", label=UNDECIDED, more_blocks=3.0, exploratory=exploratory)
        return " ".join(first_screen(replace(judged, findings=(undecided,))).surer)

    assert "a larger repeats=N continues" in continues(looks=(6, 12))
    grows = "a larger budget, or max_blocks where that is reached, continues"
    assert grows in continues(looks=(6, 12), until_known=True)
    assert grows in continues(looks=tuple(range(1, 13)))
    # Nothing that is asked afterwards keeps a campaign going.
    assert "a larger repeats=N continues" in continues(exploratory=True, looks=(6, 12), until_known=True)


def test_a_budget_is_not_said_to_continue_what_is_decided() -> None:
    campaign = small(declared(**RAM), blocks=12)
    known = replace(campaign, plan=campaign.plan.model_copy(update={"looks": (6, 12), "until_known": True}))
    assert "More blocks would narrow the intervals: a larger repeats=N continues this campaign." in told(known).surer


def test_equals_that_share_no_block_were_still_measured_twice(tmp_path: Path) -> None:
    fake = Fake(mems=(GIB,), smps=(1,), workloads=ARMS, links=("unix",), repeats=4, count=12)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    apart = tuple(
        run for run in campaign.runs if (run.record.cell["workload"]["scaling"] == "mem") == bool(run.record.block % 2)
    )
    results = derive(replace(campaign, runs=apart))
    assert results.diagnostics.controls == ()
    said = dict(checks.checks(results))["Equals (A/A)"]
    assert said.startswith("the cells that are the same machine have no block in which both count")
    assert any("no block in which both count" in one for one in trust.context(results)["threats"])
    whole = dict(checks.checks(derive(campaign)))["Equals (A/A)"]
    assert whole.endswith("is called an effect, and none is ruled out where that is more than what matters")


@pytest.mark.parametrize(("kind", "shared"), [("local", True), ("bridged", True), ("of-later", True), ("ssh", False)])
def test_whatever_hosts_are_not_far_apart_are_one_that_both_machines_competed_for(
    tmp_path: Path,
    kind: str,
    shared: bool,  # noqa: FBT001
) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SINGLE))
    (run,) = campaign.runs
    record = run.record.model_copy(update={"cell": run.record.cell | {"host": {"kind": kind}}})
    moved = derive(replace(campaign, runs=(run.of_study(record, 0),)))
    assert any("ran on one host and competed" in one for one in threats.threats(moved)) == shared


def test_one_run_is_not_all_of_several(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SINGLE))
    assert trust.trust_heading(campaign) == "Can it be trusted? The one measured run passed the quality check"


def test_a_kvm_without_hardware_is_called_that_beside_emulation_and_in_the_table_of_cells(tmp_path: Path) -> None:
    under = "KVM without hardware virtualization and emulation (TCG)"
    title, said = answer.accel_warning(("kvm", "tcg"), under)
    assert title == "Some pairs ran under KVM without hardware virtualization, some under emulation (TCG)"
    assert "do not quote these times as those of a server's KVM" in said
    assert answer.accel_warning(("kvm", "tcg"), "KVM and emulation (TCG)")[0].startswith("Some pairs ran under KVM, ")
    title, said = answer.accel_warning(("kvm",), "KVM, nested and KVM without hardware virtualization")
    assert title == "Some pairs ran under KVM, nested, some under KVM without hardware virtualization"
    assert said.startswith("The table says which. KVM without hardware virtualization: Its ioctls, ")
    assert "KVM, nested: The host is a virtual machine itself" in said
    title, said = answer.accel_warning(("kvm",), "KVM, nested")
    assert title == "Every pair ran under KVM, nested"
    assert said.startswith("The host is a virtual machine itself")
    assert "times are those of the hardware" not in said
    campaign = load_campaign(write_campaign(tmp_path, replace(SINGLE, accel="kvm")))
    (run,) = campaign.runs
    record = run.record.model_copy(update={"kvm": KvmRecord(kind="software")})
    results = derive(replace(campaign, runs=(run.of_study(record, 0),)))
    assert "KVM without hardware virtualization" in [one.shown for one in cells_table(results).rows[0]]
    assert b"% Pairs ran under KVM without hardware virtualization." in tables(results)["tables/cells.tex"]


def test_no_table_of_cells_is_said_to_tell_runs_of_one_cell_apart(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, replace(SINGLE, accel="kvm", repeats=2)))
    runs = tuple(  # of two hosts, as of campaigns that are joined
        run.of_study(run.record.model_copy(update={"kvm": KvmRecord(kind=kind)}), 0)
        for run, kind in zip(campaign.runs, ("nested", "software"), strict=True)
    )
    page = render(derive(replace(campaign, runs=runs)), [], [])
    assert "The table says which cells ran under several, run.json which runs." in page
    assert "The table says which." not in page


def test_pairs_of_which_no_pause_was_measured_are_among_all_that_ran_under_something(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, replace(SERVICE, repeats=2)))
    emulated = "Every pair ran under emulation (TCG)."
    assert emulated in render(derive(campaign), [], [])

    def under_kvm(scenario: str) -> Campaign:
        without = tuple(
            run.of_study(run.record.model_copy(update={"accel": "kvm"}), 0)
            if run.record.cell["scenario"] == scenario
            else run
            for run in campaign.without
        )
        return replace(campaign, without=without)

    some = under_kvm("formed")
    page = render(derive(some), [], [])
    assert "Some pairs ran under KVM, some under emulation (TCG)." in page
    assert "The table says which." not in page
    assert ("Pairs ran under", "KVM and emulation (TCG)") in design_facts(some)
    assert emulated in render(derive(under_kvm("native")), [], [])  # a machine without COLO is no pair


def test_what_seldom_began_a_checkpoint_is_not_said_to_be_nothing(tmp_path: Path) -> None:
    results = derive(load_campaign(write_campaign(tmp_path, SINGLE)))
    seldom = results.per_cell.assign(demand_share=0.0, timer_share=0.996, mismatch_share=0.004)
    assert cells_table(with_parts(results, per_cell=seldom)).rows[0][-1].shown == "99.6 % timer, 0.4 % mismatch"


@pytest.mark.parametrize(
    ("late", "heading"),
    [
        ({0, 1, 2, 3}, "Of 4 exploratory hypotheses "),
        ({1}, "Of 4 hypotheses, 1 of them exploratory, "),
        (set(), "Of 4 hypotheses "),
    ],
)
def test_a_heading_says_what_of_it_is_exploratory(sweep: Results, late: set[int], heading: str) -> None:
    findings = tuple(replace(one, exploratory=place in late) for place, one in enumerate(sweep.findings))
    assert forest.sketch(replace(sweep, findings=findings)).words.heading.startswith(heading)


def test_factors_that_were_swept_together_are_compared_by_neither() -> None:
    def both(own: Mapping[str, Any]) -> float:
        return float(np.log2(own["smp"]))

    asked = [declared(**RAM), declared(id="V", claim="It grows.", factor="smp")]
    cells = [cell(GIB, 1), cell(2 * GIB, 2), cell(4 * GIB, 4)]
    screen = told(simulate(Truth(cells, both, asked, **QUIET), 1))
    assert screen.answers
    assert all(": nothing can be compared (" in one for one in screen.answers)
    assert any("do not cross" in one for one in screen.surer)


def test_a_block_that_is_not_over_is_no_fault_of_the_design() -> None:
    campaign = small(declared(**RAM), blocks=1)
    begun = replace(campaign, runs=campaign.runs[:1], unfinished=campaign.plan.runs[1:])
    assert any("runs are not yet measured, or the cells do not cross" in one for one in told(begun).surer)


def test_a_run_whose_pauses_are_in_doubt_is_none_that_its_block_has() -> None:
    campaign = small(declared(**RAM))
    first, *others = campaign.runs
    quality = first.record.quality.model_copy(update={"notes": (f"{PAUSES_IN_DOUBT}: no event",)})
    doubted = replace(first, record=first.record.model_copy(update={"quality": quality}))
    assert "every cell once in each" in told(campaign).sure
    assert "not every cell in each" in told(replace(campaign, runs=(doubted, *others))).sure


def test_a_run_that_failed_is_not_retried_by_that_of_its_id_in_another_folder(tmp_path: Path) -> None:
    fake = Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=3, count=12)
    early = write_campaign(tmp_path / "early", fake)
    late = write_campaign(tmp_path / "late", replace(fake, failed=1))
    for home in (late / "runs").iterdir():  # other data than that of the first
        replace_parquet(late, home.name, lambda table: table.slice(0, table.num_rows - 1))
    said = [one for one in threats.threats(derive(load_study([early, late]))) if "attempt" in one]
    assert said == ["1 attempt failed; where a verdict hangs on lost runs it says so."]


def test_the_factor_that_is_compared_does_not_differ_too() -> None:
    short = cell()
    cells = (short, {**short, "checkpoint": {**short["checkpoint"], "count": 6}})
    found = compare_levels(simulate(Truth(cells, lambda _: 0.0, [], **QUIET), 1), "checkpoint.count")
    assert found.within == "checkpoint.count"
    assert not any("differs too" in note for note in found.notes)


def test_two_sources_that_differ_by_little_do_differ() -> None:
    first, *_ = small().runs
    differences = {"qmp_median_difference_s": 2e-6, "qmp_max_difference_s": 0.0123}
    quality = first.record.quality.model_copy(update=differences)
    run = replace(first, record=first.record.model_copy(update={"quality": quality}))
    assert checks.agreement([run]).endswith("0.0020 ms in the median of a run, 12.3 ms at the worst checkpoint")


def test_runs_that_have_one_source_of_the_pause_are_not_said_to_agree_with_the_other() -> None:
    first, *_ = small().runs
    same, none = ({"qmp_median_difference_s": apart, "qmp_max_difference_s": apart} for apart in (0.0, None))
    both, alone = (
        replace(first, record=first.record.model_copy(update={"quality": first.record.quality.model_copy(update=own)}))
        for own in (same, none)
    )
    assert checks.agreement([both]).endswith(", at every checkpoint that has both")
    assert checks.agreement([both, alone, alone]).endswith("(2 of 3 runs hold no such comparison)")
    assert checks.agreement([alone]).startswith("no run holds a comparison")


@pytest.mark.parametrize("judged", [True, False])
def test_no_table_is_named_that_a_page_does_not_have(*, judged: bool) -> None:
    found: Any = SimpleNamespace(warmup=3, warmup_cut=5, warmup_untold=0, sensitivity=("RAM",) * judged)
    # That table has the primary hypotheses on the pause alone.
    assert ("primary verdicts on the pause is in the table of other choices" in checks._warmup(found)) == judged


def test_a_plan_names_what_it_promises_nothing_of(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"id": "V", "claim": "Short.", "kind": "value", "low": 0.0, "high": 5.0}
    found = power(small(declared(**RAM | {"outcome": "pause_mean"}), declared(**value)))
    assert any(one.startswith("not planned: V: a range is judged by the sign test") for one in found.notes)
    show_power(replace(found, checkpoint_s=0.004), console())
    shown = " ".join(capsys.readouterr().out.split())
    assert "0.004 s per checkpoint" in shown
    assert "Each of these hypotheses as it is judged" in shown
    assert "Not planned: that what is ruled out has to be so of the mean over the levels of other factors" in shown
    assert "RAM, 1 stratum a block" in shown
    assert not any("not planned" in one for one in power(small(declared(**RAM))).notes)


def test_what_is_asked_for_is_told_in_its_unit_and_no_more_cells_than_combinations(tmp_path: Path) -> None:
    fake = replace(SERVICE, scenarios=("native", "colo"), repeats=1)
    facts = dict(design_facts(load_campaign(write_campaign(tmp_path / "a", fake))))
    assert facts["Workload"] == "http: at 40 requests/s"
    assert (facts["Factor: scenario"], facts["Cells"]) == ("colo, native", "2")
    closed = replace(fake, workloads=({"name": "http", "rate": 0.0}, DIRTY | {"rate": 0.0}), service=False)
    facts = dict(design_facts(load_campaign(write_campaign(tmp_path / "b", closed))))
    assert "http: each request after an answer" in facts["Workloads"]
    assert "dirty: working set 64 MiB, as fast as it can, " in facts["Workloads"]
    assert facts["Cells"] == "4"


def test_one_is_not_several(tmp_path: Path) -> None:
    results = derive(load_campaign(write_campaign(tmp_path, SINGLE)))
    assert design_text(results, "None.").startswith("R = 1 run per cell, N = 6 checkpoints per run.")
    made = tables(results)
    assert b"R = 1 run per cell" in made["tables/cells.tex"]
    assert b"R = 0 runs per hypothesis" in made["tables/verdicts.tex"]
    asked = {"id": "H1", "claim": "It grows.", "factor": "mem"}
    two = replace(SINGLE, name="two", mems=(GIB, 2 * GIB), hypotheses=(asked,))
    (said,) = answer.context(fake_results(write_campaign(tmp_path, two)))["verdicts"]
    assert "; 1 stratum (block and other factors)" in said["detail"]


def test_a_cell_that_nobody_asks_anything_is_no_hole_in_a_comparison_of_requests() -> None:
    cells = [cell(GIB, 1), cell(GIB, 1, name="http")]
    campaign = simulate(Truth(cells, lambda _: 0.0, [], **QUIET), 1)
    planned = {run.run_id: run for run in campaign.plan.runs}
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"client": {"requests_per_s": 40.0 + run.record.block / 100}}))
        for run in campaign.runs
        if run.record.cell_id == "c1"
    )
    idle, *rest = [run for run in campaign.runs if run.record.cell_id == "c0"]
    side = replace(campaign, runs=(*rest, *runs), failures=(failure_of(planned[idle.record.run_id]),))
    found = compare(side, side, outcome="requests_per_s")
    assert (found.missing, found.base.failed, len(found.cells)) == ((), 0, 1)
    assert found.verdict == "not regressed"
