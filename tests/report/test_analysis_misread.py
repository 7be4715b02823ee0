"""What a reader could take for something else: words, counts and figures beside a verdict are those of its own runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import FIXED, IDLE, SINGLE, Fake, write_campaign
from fixtures.simulated import GIB, QUIET, RAM, Truth, cell, crossed, declared, simulate, verdicts

from analysis.__main__ import main
from analysis.commands.expect import Asked, _sees
from analysis.compare.comparison import compare, compare_levels
from analysis.compare.sides import NotComparableError, side_of
from analysis.errors import NotACampaignError
from analysis.planning.power import power
from analysis.plots import timeline
from analysis.report import render
from analysis.report.answer import _cause
from analysis.report.bundle import NoArchiveError, verify
from analysis.report.design import design_facts
from analysis.report.disclosure import readme
from analysis.report.explore import explore
from analysis.report.threats import _measured_on
from analysis.report.words import pvalue_text
from analysis.runs.outcomes import run_table
from analysis.stored.cells import name_cells
from analysis.stored.load import load_campaign
from analysis.stored.records import HostRecord, Hypothesis, RunRecord
from analysis.verdicts.claims import Claims
from analysis.verdicts.effects import GIB as ONE_GIB
from analysis.verdicts.looks import cost_of
from analysis.verdicts.results import derive
from analysis.verdicts.shape import A_STEP, NO_LINE, Shape, Step
from analysis.verdicts.sizing import costs
from analysis.verdicts.values import NOT_EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.stored.campaign import Run

PAUSE = {"id": "P", "claim": "It is short.", "kind": "value", "low": 0.0, "high": 5.0}


def test_a_shape_that_is_no_line_is_told_where_levels_differ_too() -> None:
    def bent(own: Mapping[str, Any]) -> float:
        size = {GIB // 4: 0.0, GIB: 0.5, 4 * GIB: 2.5}[own["mem"]]
        return size * (1.0 if own["smp"] == 1 else 1.4)

    cells = crossed(mem=(GIB // 4, GIB, 4 * GIB), smp=(1, 4))
    quiet = Truth(cells, bent, [declared(**RAM)], run_sd=0.01, block_sd=0.0, drift=0.0, checkpoint_sd=0.01)
    (found,) = verdicts(simulate(quiet, 1))
    assert found.levels_differ
    assert found.word == "SUPPORTED"
    assert "It is no straight line in doublings" in found.sentence


def test_a_step_by_chance_is_not_called_no_line() -> None:
    steps = (Step(1, 2, 0.001, 0.001), Step(2, 4, -0.010, -0.010), Step(4, 8, 0.056, 0.056))
    claims = Claims(supports=0.01)
    by_chance, bent = Shape(steps, 0.4, 0.4), Shape(steps, 0.001, 0.001)
    assert by_chance.withheld(claims, "none", 0.05).supports == bent.withheld(claims, "none", 0.05).supports == 1.0
    assert A_STEP not in NO_LINE.partition(",")[0]


def test_what_was_declared_and_is_a_tail_of_few_checkpoints_is_not_called_undeclared(tmp_path: Path) -> None:
    tail = {"id": "T", "claim": "Tails grow.", "factor": "mem", "outcome": "pause_p95"}
    fake = Fake(mems=(GIB, 2 * GIB), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=3, count=20)
    campaign = load_campaign(write_campaign(tmp_path, replace(fake, hypotheses=(tail,))))
    (found,) = derive(campaign).findings
    assert found.exploratory
    assert found.too_short
    (late,) = verdicts(campaign, tail)
    assert late.exploratory
    assert not late.too_short


def test_a_cell_that_never_was_measured_does_not_reach_beyond_a_range() -> None:
    cells = crossed(mem=(GIB, 2 * GIB), smp=(1, 4))
    campaign = simulate(Truth(cells, lambda _: 0.0, [declared(**PAUSE)], run_sd=0.01), 1)
    lost = [run for run in campaign.runs if run.record.cell_id == "c3"]
    planned = {run.run_id: run for run in campaign.plan.runs}
    from analysis.stored.campaign import Failure

    failures = tuple(Failure(planned[run.record.run_id], 1, "colo-start", "colo-timeout", "late") for run in lost)
    kept = tuple(run for run in campaign.runs if run not in lost)
    (found,) = verdicts(replace(campaign, runs=kept, failures=failures))
    assert (found.word, found.label) == ("INCONCLUSIVE", NOT_EVERYWHERE)


def test_a_stall_is_in_an_effect_only_where_its_own_runs_stall(tmp_path: Path) -> None:
    at = {"kind": "contrast", "factor": "link.transport", "levels": ["unix", "tcp"], "claim": "c"}
    asked = tuple({"id": f"L{mem}", "where": {"mem": [mem]}} | at for mem in (GIB, 2 * GIB))
    fake = Fake(mems=(GIB, 2 * GIB), smps=(1,), workloads=(IDLE,), links=("unix", "tcp"), repeats=6, count=20)
    campaign = load_campaign(write_campaign(tmp_path, replace(fake, hypotheses=asked)))
    results = derive(campaign)
    stalled = (results.runs["mem"] == GIB) & (results.runs["link.transport"] == "tcp")
    told = replace(results, runs=results.runs.assign(always_stalled=stalled))
    small, large = (_cause(one, told) for one in results.findings)
    assert small.startswith(" In 6 of 6 runs over TCP")
    assert large == ""
    # Runs of a block under way are in no effect.
    seen = replace(campaign, plan=campaign.plan.model_copy(update={"looks": (3, 5)}))
    assert _cause(results.findings[0], replace(told, campaign=seen)).startswith(" In 5 of 5 runs over TCP")


@pytest.mark.parametrize(
    ("outcome", "told"), [("total", True), ("load", True), ("dirty_pages", False), ("save", False)]
)
def test_a_stall_is_in_no_effect_on_what_does_not_wait_for_the_transport(
    tmp_path: Path, outcome: str, *, told: bool
) -> None:
    asked = {"id": "L", "kind": "contrast", "factor": "link.transport", "levels": ["unix", "tcp"], "claim": "c"}
    fake = Fake(mems=(GIB,), smps=(1,), workloads=(FIXED,), links=("unix", "tcp"), repeats=6, count=20)
    hypotheses = (asked | {"outcome": outcome},)
    results = derive(load_campaign(write_campaign(tmp_path, replace(fake, hypotheses=hypotheses))))
    stalled = replace(results, runs=results.runs.assign(always_stalled=results.runs["link.transport"] == "tcp"))
    (own,) = results.findings
    assert math.isfinite(own.effect.estimate)
    assert bool(_cause(own, stalled)) == told


def test_the_p_value_of_an_open_value_is_that_of_its_own_test() -> None:
    cells = crossed(mem=(GIB,), smp=(1,))
    truth = Truth(cells, lambda _: 0.0, [declared(**PAUSE | {"high": 0.2})], run_sd=0.05, block_sd=0.0, drift=0.0)
    found = next(one for seed in range(50) for one in verdicts(simulate(truth, seed)) if one.word == "INCONCLUSIVE")
    of_both = "against a median run outside of the range and against a median run inside of the range"
    assert of_both in pvalue_text(found)
    none = replace(found, hypothesis=Hypothesis.model_validate(RAM | {"direction": "none"}), sesoi=0.05)
    assert "a difference of at least 5 % either way and against a difference of at most 5 %" in pvalue_text(none)


def test_cells_that_neither_side_can_measure_are_no_hole_in_a_comparison() -> None:
    cells = (cell(GIB, 1), cell(2 * GIB, 1), cell(GIB, 1, link="tcp"))
    campaign = simulate(Truth(cells, lambda _: 0.0, [], run_sd=0.01, block_sd=0.01, drift=0.0, blocks=8), 1)
    kept = tuple(run for run in campaign.runs if run.record.cell_id != "c2")
    same = replace(campaign, runs=kept)
    found = compare(same, same, threshold=0.2)
    assert found.missing == ()
    assert found.verdict == "not regressed"
    assert any(note.startswith("1 cell without ") and note.endswith("left out") for note in found.notes)


def test_two_binaries_of_one_pair_are_two() -> None:
    def ran(**versions: str) -> RunRecord:
        return RunRecord.model_construct(versions=versions)

    alike = ran(qemu="10.0", qemu_sha256="a")
    upgraded = ran(qemu="10.0", qemu_sha256="a", qemu_secondary="10.2", qemu_secondary_sha256="b")
    assert alike.binaries == (("10.0", "a"),)
    assert upgraded.binaries == (("10.0", "a"), ("10.2", "b"))


def test_a_kvm_without_hardware_is_called_that_wherever_it_is_named() -> None:
    campaign = load_campaign(Path(__file__).parents[2] / "results" / "reference" / "card_kvm")
    cells = name_cells(run.record for run in campaign.runs)
    said = "KVM without hardware virtualization"
    assert said in explore(campaign, cells, run_table(campaign.runs, cells), ["."])
    assert ("Pairs ran under", said) in design_facts(campaign)
    assert said in readme(campaign, "card_kvm", [], 1)
    assert side_of(campaign).under == said
    assert power(campaign).under == said
    assert costs(run_table(campaign.runs, cells)).under == said
    assert timeline.sketch(campaign.runs[0]).plot.keywords["where"].endswith(said)  # type: ignore[attr-defined]


def test_an_artifact_names_every_host_and_what_measured_not_what_packs(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, replace(SINGLE, repeats=2)))
    other = {"cpu_model": "Another CPU", "cpus": 4, "memory_total_bytes": 8 << 30}
    first, second = campaign.runs
    moved = {"host": HostRecord(before=other), "versions": {**second.record.versions, "colo_bench": "0.0.9"}}
    both = (first, second.of_study(second.record.model_copy(update=moved), 0))
    text = readme(replace(campaign, runs=both), "fake", [], 1)
    assert "2.00GHz, 2 CPUs, 24.0 GiB of memory; and Another CPU, 4 CPUs, 8.0 GiB of memory." in text
    assert "with colo-bench 0.0.9, 0.1.0. Unpacked" in text


def test_guests_of_one_kernel_and_another_disk_are_two(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, replace(SINGLE, repeats=2)))
    first, second = campaign.runs
    apps = second.record.model_copy(update={"versions": {**second.record.versions, "applications_sha256": "d" * 64}})
    assert _measured_on([first, second]) == "One machine, one guest, one binary"
    assert _measured_on([first, second.of_study(apps, 0)]) == "One machine, 2 guests, one binary"


def test_campaigns_that_are_joined_are_not_said_to_be_of_one_machine(tmp_path: Path) -> None:
    first, second = load_campaign(write_campaign(tmp_path, replace(SINGLE, repeats=2))).runs
    assert _measured_on([first, second.of_study(second.record, 1)]).startswith("One kind of machine, ")


def test_another_kernel_makes_no_second_machine_and_kinds_are_not_counted_as_machines(tmp_path: Path) -> None:
    first, second = load_campaign(write_campaign(tmp_path, replace(SINGLE, repeats=2))).runs
    before = second.record.host.before

    def on(folder: int = 0, **changed: str) -> Run:
        host = HostRecord(before=before | changed)
        return second.of_study(second.record.model_copy(update={"host": host}), folder)

    newer = _measured_on([first, on(kernel="6.2.0-fake")])
    assert newer == "One kind of machine, 2 host kernels, one guest, one binary"
    assert _measured_on([first, on(cpu_model="Another CPU")]).startswith("2 machines, one guest")
    # Three folders of three machines, two of them alike.
    joined = [first, second.of_study(second.record, 1), on(2, cpu_model="Another CPU")]
    assert _measured_on(joined).startswith("2 kinds of machine, one guest")


def test_who_continues_looks_a_second_time() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, [declared(**RAM)]), 1)
    once = campaign.plan.model_copy(update={"looks": (6,)})
    assert cost_of(campaign.plan) == 1.0
    assert cost_of(once) > 1.05
    assert math.isfinite(cost_of(once.model_copy(update={"looks": (1,)})))


def test_what_a_page_costs_is_told_for_each_binary(tmp_path: Path) -> None:
    sets = tuple(FIXED | {"working_set": size << 20} for size in (16, 64))
    fake = Fake(mems=(GIB,), smps=(1,), workloads=sets, links=("unix",), repeats=4, count=20)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    (page,) = derive(campaign).effects.pages
    two = tuple(
        replace(
            run,
            record=run.record.model_copy(update={"cell": run.record.cell | {"qemu": f"10.{run.record.block % 2}"}}),
            rows=columns(run.checkpoints.assign(pause_s=(1 + run.record.block % 2) * run.checkpoints["pause_s"])),
        )
        for run in campaign.runs
    )
    pages = derive(replace(campaign, runs=two)).effects.pages
    assert len(pages) == 2
    assert all("qemu=" in one.where for one in pages)
    dear, cheap = sorted((one.across.estimate for one in pages), reverse=True)
    assert dear == pytest.approx(2 * cheap, rel=0.3)
    assert cheap == pytest.approx(page.across.estimate, rel=0.3)


def test_what_a_machine_would_cost_is_told_from_runs_that_are_alike() -> None:
    ram = np.tile(np.repeat([1.0, 2.0, 4.0], 4), 2)
    pages = 8192 * ram + 10_000 * np.tile([0.0, 1.0], 12)
    kind = np.repeat(["none", "antagonist"], 12)
    pause = 0.01 + np.where(kind == "none", 1e-6, 9e-6) * pages + 1e-5 * np.random.default_rng(3).standard_normal(24)
    runs = pd.DataFrame(
        {
            "campaign": "invented",
            "accel": "kvm",
            "under": "KVM",
            "link.transport": "tcp",
            "quality_ok": True,
            "mem": ram * ONE_GIB,
            "cache.kind": kind,
            "working_set_bytes": 0.0,
            "dirty_pages": pages,
            "pause_mean": pause,
            "transport_bytes_per_s": 2.5e9,
        }
    )
    found = costs(runs)
    own = {"cache.kind=none": 1e-6, "cache.kind=antagonist": 9e-6}
    assert found.page_s == pytest.approx(own[found.where], rel=0.05)


def test_only_trends_of_the_pause_are_promised_by_its_noise() -> None:
    cells = tuple(
        {"mem": mem, "accel": "kvm", "scenario": kind} for mem in (GIB, 2 * GIB) for kind in ("colo", "native")
    )
    hypotheses = tuple(
        Hypothesis.model_validate(RAM | more)
        for more in (
            {"id": "pause"},
            {"id": "entry", "outcome": "entry"},
            {"id": "other", "where": {"accel": ["tcg"]}},
        )
    )
    asked = Asked(cells=cells, hypotheses=hypotheses, accel="kvm", machine={}, blocks=(6,))
    assert [one["id"] for one in _sees(asked, 0.05)] == ["pause"]


def test_what_is_given_for_a_campaign_and_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name, said in {
        "file": "a file",
        "link": "a link to nowhere",
        "nothing": "no such",
        300 * "a": "File name too long",
    }.items():
        with pytest.raises(NotACampaignError, match=said):
            load_campaign(tmp_path / name)
    with pytest.raises(NoArchiveError, match="Is a directory"):
        list(verify(tmp_path))


def test_a_factor_that_is_none_is_said_to_be_that() -> None:
    campaign = simulate(Truth(crossed(mem=(GIB, 2 * GIB)), lambda _: 0.0, []), 1)
    with pytest.raises(NotComparableError, match=r"--by nosuch: no such factor; legal: .*mem"):
        compare_levels(campaign, "nosuch")


def test_a_run_that_cannot_be_read_is_told_of_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), links=("unix",), repeats=3, count=6)
    folder = write_campaign(tmp_path, fake)
    record = min(folder.glob("runs/*/run.json"))
    record.write_text("{}")
    assert main([str(folder), "--only", "verdicts"]) == 0
    shown = capsys.readouterr()
    assert f"colo-bench: run {record.parent.name} is left out: run.json" in shown.err
    assert shown.out.endswith("verdicts.json\n")


def test_a_word_stands_where_every_level_is_open_by_itself_and_the_page_says_by_which_p_values() -> None:
    cells = crossed(mem=[GIB << power for power in range(4)], smp=[1, 2])
    asked = declared(id="V", claim="It grows.", kind="contrast", factor="smp", levels=[1, 2])
    truth = Truth(cells, lambda cell: (cell["smp"] - 1) * cell["mem"] / (16 * GIB), [asked], blocks=5, **QUIET)
    (found,) = verdicts(simulate(truth, 1))
    assert found.levels_differ
    assert found.word == "SUPPORTED"
    assert {level.word for level in found.levels} == {"INCONCLUSIVE"}  # after Holm over the levels
    page = (Path(render.__file__).parent / "templates" / "report.html").read_text()
    assert "agree on the word" not in page
    assert "hold at every level by itself, before the adjustment that the words in this table are given" in page
