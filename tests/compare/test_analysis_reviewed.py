"""What a reviewer made the pages say falsely: each fault with the smallest data, INVENTED, that brought it out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.comparable import around, made
from fixtures.fake_campaign import DIRTY, IDLE, SWEEP, Fake, write_campaign
from fixtures.simulated import GIB, RAM, Truth, crossed, run_table_of, simulate, verdicts

from analysis.commands.compare import settles
from analysis.compare.comparison import compare, compare_levels
from analysis.compare.judging import INCONCLUSIVE
from analysis.compare.tracking import UNMEASURED, track
from analysis.report.bundle import bundle
from analysis.report.disclosure import disclosure
from analysis.report.explore import payload
from analysis.report.first import first_screen
from analysis.runs.stalls import stalls
from analysis.stored.cells import name_cells
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.text import ratio_text
from analysis.verdicts.amounts import amount, figures_apart
from analysis.verdicts.declared import BadHypothesesError, checked
from analysis.verdicts.equals import floor_of
from analysis.verdicts.results import Results, derive
from analysis.verdicts.sizing import NotCarriedError, costs
from analysis.verdicts.trend import HANGS_ON_FAILURES, Edges, Sample, claims

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Run


def sample(x: list[float], y: list[float], strata: list[int]) -> Sample:
    levels = np.array(x)
    return Sample(levels, levels, np.array(y), tuple((one,) for one in strata), np.empty(0))


def test_what_is_compared_with_nothing_sets_no_edge() -> None:
    # A lone cell of 1 ms at another size: it neither halves what matters nor stretches the span of the factor.
    lone = sample([0, 1, 0, 1, 9], [0.1, 0.11, 0.1, 0.11, 0.001], [1, 1, 2, 2, 3])
    without = sample([0, 1, 0, 1], [0.1, 0.11, 0.1, 0.11], [1, 1, 2, 2])
    asked = Hypothesis.model_validate({**RAM, "sesoi_ms": 0.5})
    edges = [Edges.of(asked, one, 0.1, in_ms=True) for one in (lone, without)]
    assert edges[0] == edges[1]
    assert edges[0].floor == pytest.approx(0.1)


def test_pairs_of_equals_that_differ_the_opposite_way_do_not_cancel() -> None:
    up, down = np.full(6, np.log(1.1)), np.full(6, -np.log(1.1))
    assert floor_of([up, down]) == pytest.approx(0.1)
    assert floor_of([]) == 0.0


def test_a_fall_of_less_than_a_half_is_no_fall_of_a_half() -> None:
    x, strata = [float(place % 2) for place in range(40)], [place // 2 for place in range(40)]
    falls = sample(x, [1.0 if place % 2 == 0 else 0.62 for place in range(40)], strata)
    by_half = claims(falls, Edges(0.5, "sesoi", 0.0), "decreasing", lost=False)
    assert by_half.refutes < 0.05
    assert by_half.material > 0.9


def test_a_cell_that_the_last_campaign_lost_is_no_pass(tmp_path: Path) -> None:
    fake = Fake(mems=(GIB,), smps=(1, 2), workloads=(IDLE,), links=("unix",), repeats=8, count=20)
    whole = load_campaign(write_campaign(tmp_path, fake))
    lost = replace(whole, runs=tuple(run for run in whole.runs if run.record.cell["smp"] == 1))
    found = track([whole, lost], ["a", "b"], threshold=0.2, outcome="pause")
    assert found.word == INCONCLUSIVE
    assert UNMEASURED in [one.word for one in found.cells]


def test_failed_runs_of_the_base_make_no_new_campaign_look_better() -> None:
    slower = {1: around(23, 8), 2: around(23.1, 8), 3: around(23.2, 8)}
    steady = {1: around(20, 8), 2: around(20.1, 8), 3: around(20.2, 8)}
    base, failing = made("old", steady), made("old", steady, failed=6).failures
    # Six of the base's blocks have failed runs beside those that were measured.
    same = tuple(
        replace(one, planned=one.planned.model_copy(update={"block": one.planned.block - 8})) for one in failing
    )
    found = compare(replace(base, failures=same), made("new", slower))
    assert found.overall.ratio == pytest.approx(1.15, rel=0.01)
    assert found.verdict != "not regressed"
    assert found.label in {HANGS_ON_FAILURES, "by the threshold or more"} or "failed" in found.label


def test_no_ratio_is_printed_as_no_change_or_as_the_threshold_where_it_is_not() -> None:
    shown = [ratio_text(ratio, (0.0, 1.0, 1.05)) for ratio in (1.02, 1.0003, 1.0497, 1.05, 1.0, 0.0004, float("nan"))]
    assert shown == ["1.020", "1.0003", "1.0497", "1.050", "1.000", "0.0004", "\N{EN DASH}"]


def test_a_larger_threshold_is_offered_only_where_it_is_larger() -> None:
    found = compare(
        made("old", {1: around(20, 6, spread=0.4)}), made("new", {1: around(20.1, 6, spread=0.4)}), threshold=0.05
    )
    needed = 100 * (found.overall.high - 1)
    (offered,) = re.findall(r"a larger threshold of ([0-9.]+) %", settles(replace(found, passes_at=0.01)))
    assert needed <= float(offered) < 1.01 * needed
    assert "a larger threshold of 90 %" in settles(replace(found, passes_at=0.9))
    low = replace(found.overall, high=1.01)
    assert "a larger threshold" not in settles(replace(found, passes_at=0.01, overall=low))


def test_a_threshold_that_settles_every_cell_is_offered_where_the_word_is_theirs() -> None:
    old, new = ({1: around(20 + more, 6), 2: around(30 + more, 6, spread=0.8)} for more in (0.0, 0.01))
    found = compare(made("old", old), made("new", new), each_cell=True)
    wide = found.cells[1]
    assert (found.cells[0].verdict, wide.verdict, found.verdict) == ("not regressed", INCONCLUSIVE, INCONCLUSIVE)
    (offered,) = re.findall(r"a larger threshold of ([0-9.]+) %", settles(found))
    assert float(offered) >= 100 * (wide.high - 1) > 100 * (found.overall.high - 1)


def test_what_takes_seconds_is_not_said_to_take_no_time() -> None:
    old, new = ({1: around(20 + more, 6), 2: around(30 + more, 6, spread=0.8)} for more in (0.0, 0.01))
    found = compare(made("old", old), made("new", new), each_cell=True)
    cells = (found.cells[0], replace(found.cells[1], needed_runs=8))
    assert ", 8 s of measuring per side" in settles(replace(found, cells=cells, seconds_per_run=4.0))


def test_no_threshold_is_offered_where_too_few_runs_give_no_interval() -> None:
    few = compare(made("old", {1: around(20, 2)}), made("new", {1: around(20.1, 2)}))
    assert np.isnan(few.overall.high)
    assert "threshold" not in settles(few)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return derive(load_campaign(write_campaign(tmp_path_factory.mktemp("reviewed"), SWEEP)))


def test_a_cell_that_never_was_measured_is_missing_from_every_block(results: Results) -> None:
    plan = results.campaign.plan
    more = plan.model_copy(update={"cells": (*plan.cells, plan.cells[0].model_copy(update={"cell_id": "lost"}))})
    wanting = replace(results, campaign=replace(results.campaign, plan=more))
    assert "every cell once in each" in first_screen(results).sure
    assert "not every cell in each" in first_screen(wanting).sure


def test_what_is_shown_to_make_no_difference_is_not_explained_as_growth(results: Results) -> None:
    grown = [line for line in first_screen(results).explained if line.startswith("From ")]
    as_none = tuple(
        replace(one, hypothesis=one.hypothesis.model_copy(update={"direction": "none"})) for one in results.findings
    )
    assert grown
    assert not [line for line in first_screen(replace(results, findings=as_none)).explained if line.startswith("From ")]


def test_a_size_whose_runs_all_failed_is_no_fault_of_the_design(results: Results) -> None:
    blank = tuple(replace(one, word="INCONCLUSIVE", label="nothing to compare", failed=6) for one in results.findings)
    assert "runs failed or were left out" in " ".join(first_screen(replace(results, findings=blank)).surer)
    crossed_badly = tuple(replace(one, failed=0, excluded=0) for one in blank)
    assert "do not cross" in " ".join(first_screen(replace(results, findings=crossed_badly)).surer)


def test_other_warm_ups_are_tried_on_the_mean_pause_too(tmp_path: Path) -> None:
    mean = tuple({**one, "outcome": "pause_mean"} for one in SWEEP.hypotheses if one.get("kind") != "value")
    found = derive(load_campaign(write_campaign(tmp_path, replace(SWEEP, hypotheses=mean))))
    assert {one.hypothesis for one in found.diagnostics.sensitivity} == {str(one["id"]) for one in mean}


def test_a_number_is_not_printed_as_the_bound_that_it_lies_beyond() -> None:
    figures = figures_apart([0.1004], [0.1], "pause")
    assert amount(0.1004, "pause") == amount(0.1, "pause") == "100 ms"
    assert (amount(0.1004, "pause", figures), amount(0.1, "pause", figures)) == ("100.4 ms", "100 ms")
    assert figures_apart([0.1, 0.15], [0.1], "pause") == 3
    assert amount(0.99949, "joined_share", figures_apart([0.99949], [0.9994], "joined_share")) == "99.95 %"


def test_pages_that_grow_with_ram_alone_tell_the_cost_of_neither() -> None:
    rng = np.random.default_rng(1)
    ram = np.repeat([1.0, 2.0, 4.0], 8)

    def invented(pages: Any) -> pd.DataFrame:
        noise = 1e-4 * rng.standard_normal(len(ram))
        rows = {"campaign": "invented", "accel": "kvm", "under": "KVM", "link.transport": "tcp", "mem": ram * GIB}
        rows |= {"quality_ok": True}
        pause = 0.01 + 2e-6 * pages + 0.005 * ram + noise
        return pd.DataFrame({**rows, "dirty_pages": pages, "pause_mean": pause, "transport_bytes_per_s": 2.5e9})

    found = costs(invented(8192 * ram * rng.uniform(0.98, 1.02, len(ram)) + 10_000 * np.tile([0.0, 1.0], 12)))
    assert found.ram_s == pytest.approx(0.005, rel=0.1)
    alone = invented(8192 * ram)
    with pytest.raises(NotCarriedError, match="dirty pages grow with RAM and nothing else"):
        costs(alone)
    # What one transport cannot tell is no reason to say nothing of another that can.
    crossed = invented(8192 * ram + 10_000 * np.tile([0.0, 1.0], 12)).assign(**{"link.transport": "unix"})
    both = costs(pd.concat([alone, crossed], ignore_index=True))
    assert (both.transport, both.runs) == ("unix", 24)


def test_pauses_that_spread_are_no_stalls_and_a_long_flush_is_none() -> None:
    rng = np.random.default_rng(2)
    spread = 0.2 * rng.uniform(0.6, 1.4, 200)
    assert np.isnan(stalls(spread, np.full(200, 0.004)).share)
    load = np.full(50, 0.120)
    assert stalls(np.full(50, 0.15), load).always
    assert not stalls(np.full(50, 0.15), load, work=np.full(50, 0.115)).always
    assert stalls(np.full(50, 0.15), load, work=np.full(50, 0.005)).always


def test_a_contrast_with_a_level_that_no_cell_has_is_refused(results: Results) -> None:
    asked = Hypothesis.model_validate({"id": "H", "claim": "c", "kind": "contrast", "factor": "smp", "levels": [1, 8]})
    twice = asked.model_copy(update={"levels": (4, 4)})
    with pytest.raises(BadHypothesesError, match=r"levels: 4 is not compared with itself; legal: 1, 4"):
        checked([twice], results.campaign)
    with pytest.raises(BadHypothesesError, match=r"levels: 8 is no level of any cell; legal: 1, 4"):
        checked([asked], results.campaign)


def test_a_factor_that_some_cells_lack_is_told_as_such(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(workloads=(IDLE, DIRTY), links=("unix",), count=6)))
    found = derive(campaign)
    tree = payload(campaign, name_cells(run.record for run in campaign.runs), found.runs)
    levels = {one["name"]: one["levels"] for one in tree["factors"]}
    assert levels["working set"] == ["64 MiB", "none"]
    swept, _, same = disclosure(campaign, []).partition("## The same in every run")
    assert "workload.working_set" in swept
    assert "workload.working_set" not in same


@pytest.mark.usefixtures("few_figures")
def test_a_report_that_is_older_than_its_verdicts_is_not_packed(tmp_path: Path) -> None:
    from analysis.report.build import build_report

    folder = write_campaign(tmp_path, replace(SWEEP, repeats=2))
    page = build_report([folder])
    page.write_text("what an earlier version said")
    os.utime(page, ns=(1, 1))
    assert b"what an earlier version said" not in _unpacked(bundle(folder))


def _unpacked(archive: bytes) -> bytes:
    import gzip

    return gzip.decompress(archive)


def test_what_would_settle_it_counts_the_blocks_that_compare() -> None:
    asked = [Hypothesis.model_validate({**RAM, "sesoi_ms": 0.0}).model_dump(mode="json")]
    quiet = {"run_sd": 0.01, "block_sd": 0.0, "drift": 0.0, "checkpoint_sd": 0.01}
    campaign = simulate(Truth(crossed(mem=(GIB, 4 * GIB), smp=(1,)), lambda _: 0.0, asked, blocks=12, **quiet), 3)

    def swung(run: Run) -> Run:
        """The larger machine pauses longer in one block and shorter in the next: no number of these blocks decides."""
        factor = 1.2 ** ((-1) ** run.record.block) if run.record.cell["mem"] > GIB else 1.0
        return replace(run, rows=columns(run.checkpoints.assign(pause_s=factor * run.checkpoints["pause_s"])))

    runs = tuple(map(swung, campaign.runs))
    few = tuple(run for run in runs if run.record.block < 6 or run.record.cell["mem"] == GIB)
    for kept, blocks in ((runs, 12), (few, 6)):
        (found,) = verdicts(replace(campaign, runs=kept))
        assert (found.word, found.strata) == ("INCONCLUSIVE", blocks)
        [(more, in_all)] = re.findall(r"about (\d+) more blocks \((\d+) in all\)", " ".join(found.notes))
        assert int(in_all) - int(more) == blocks
        assert found.more_blocks == int(more)


def test_stalls_of_a_level_are_counted_from_the_other_level_without_them(tmp_path: Path) -> None:
    fake = Fake(mems=(GIB,), smps=(1,), workloads=(IDLE,), links=("tcp", "nodelay"), repeats=3, count=12)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    reported = run_table_of(campaign).groupby("link.transport")["slow_share"].median()
    found = compare_levels(campaign, "link.transport", outcome="slow_share")
    assert found.levels is not None
    shown = dict(zip(found.levels, (found.cells[0].base, found.cells[0].new), strict=True))
    assert shown == {level: pytest.approx(reported[level]) for level in ("tcp", "nodelay")}
    assert shown["tcp"] > 0.9
