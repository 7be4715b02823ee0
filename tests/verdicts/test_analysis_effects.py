"""Effects beside the hypotheses, on a FAKE campaign with two arms whose truth is built in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import Fake, write_campaign

from analysis.report.verdicts import verdicts_json
from analysis.stored.load import load_campaign
from analysis.verdicts.effects import across_runs, page_strata, splits
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from analysis.verdicts.results import Results

GIB = 1 << 30
DIRTY = {"name": "dirty", "working_set": 32 << 20, "rate": 300.0, "pattern": "sequential", "threads": 1}
TOTAL = {
    "id": "H1_total",
    "claim": "The pause grows with RAM when the dirty working set grows with it.",
    "factor": "mem",
    "where": {"workload.scaling": ["mem"]},
}
DIRECT = TOTAL | {"id": "H2_direct", "claim": "It grows by itself.", "where": {"workload.scaling": ["fixed"]}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    fake = Fake(
        mems=(GIB // 4, GIB, 4 * GIB),
        smps=(1,),
        workloads=(DIRTY | {"scaling": "fixed"}, DIRTY | {"scaling": "mem"}),
        links=("unix",),
        repeats=6,
        count=20,
        finer=True,
        transport_bytes_per_s=2e9,
        hypotheses=(TOTAL, DIRECT),
    )
    return derive(load_campaign(write_campaign(tmp_path_factory.mktemp("results"), fake)))


def test_ram_is_told_from_its_dirty_pages_by_design(results: Results) -> None:
    (split,) = results.effects.splits
    assert split.blocks == 6
    # 8192 pages per GiB at 1.3 us each, of which each doubling arm has its share.
    assert split.total.estimate == pytest.approx(10.9, rel=0.25)
    assert split.direct.low < 0.6
    assert split.explained.estimate == pytest.approx(split.total.estimate - split.direct.estimate, abs=1.0)


def test_a_page_costs_what_was_built_in_and_the_transport_bounds_it(results: Results) -> None:
    (page,) = results.effects.pages
    assert page.across.estimate == pytest.approx(1.3, rel=0.15)
    assert page.bound == pytest.approx(4104 / 2e9 * 1e6)


def test_what_a_page_costs_cannot_be_told_from_runs_with_about_as_many_pages(results: Results) -> None:
    assert results.effects.pages[0].apart
    pages, pauses = np.array([1000.0, 1200.0, 1400.0]), np.array([0.010, 0.012, 0.015])
    assert across_runs(pages, pauses, "abc") is None
    assert across_runs(pages[:2], pauses[:2], "ab") is None
    assert across_runs(np.zeros(3), pauses, "abc") is None
    found = across_runs(np.array([1000.0, 2000.0, 3000.0]), np.array([0.010, 0.012, 0.014]), "abc")
    assert found is not None
    assert found.estimate == pytest.approx(2.0)


def test_what_ram_costs_by_itself_is_no_cost_of_a_page() -> None:
    # Two pages cost 1 us each; a GiB costs 30 ms by itself, and has more pages in one of two arms.
    ram = np.repeat([1.0, 2.0, 4.0], 4)
    pages = np.tile([1000.0, 1010.0, 2000.0, 2020.0], 3) * ram
    pauses = 0.03 * ram + 1e-6 * pages
    cells = [f"{size} {arm}" for size in (1, 2, 4) for arm in "aabb"]
    biased, told = across_runs(pages, pauses, cells), across_runs(pages, pauses, cells, ram.tolist())
    assert biased is not None
    assert biased.estimate > 5
    assert told is not None
    assert told.estimate == pytest.approx(1.0)
    one_arm = np.arange(12) % 4 < 2
    assert across_runs(pages[one_arm], pauses[one_arm], [cells[i] for i in np.flatnonzero(one_arm)]) is not None
    assert across_runs(pages[one_arm], pauses[one_arm], "aabbcc", ram[one_arm].tolist()) is None


def test_runs_are_alike_where_they_differ_in_nothing_but_their_pages(results: Results) -> None:
    alike = page_strata(results.runs)
    assert alike.groupby(results.runs["mem"]).nunique().eq(1).all()
    assert alike.nunique() == results.runs["mem"].nunique()


def test_runs_without_their_working_set_do_not_split_what_ram_costs(results: Results) -> None:
    runs = results.runs.copy()
    slow = (runs["workload.scaling"] == "mem") & (runs["block"] == 0)
    runs.loc[slow, "set_written"] = 0.2
    (split,) = splits(runs)
    assert split.blocks == 5


def test_a_size_that_one_arm_lacks_is_no_effect_of_pages(results: Results) -> None:
    runs = results.runs.copy()
    largest = runs["mem"] == 4 * GIB
    runs.loc[largest, "pause"] += 1.0
    (split,) = splits(runs[~(largest & (runs["workload.scaling"] == "mem"))])
    (without,) = splits(runs[~largest])
    assert repr(split) == repr(without)


def test_runs_vary_by_cell_where_every_cell_has_several() -> None:
    pages, pauses = np.repeat([1000.0, 2000.0, 3000.0], 2), np.array([10.0, 10.1, 12.0, 12.2, 13.0, 15.0]) / 1e3
    by_cell, alike = (across_runs(pages, pauses, cells) for cells in ("aabbcc", "aabbcd"))
    assert by_cell is not None
    assert alike is not None
    assert by_cell.estimate == alike.estimate
    assert by_cell.high - by_cell.low > 1.5 * (alike.high - alike.low)


def test_arms_that_meet_are_an_aa_control(results: Results) -> None:
    (control,) = results.diagnostics.controls
    assert "1 GiB" in control.one
    assert control.blocks == 6
    assert results.diagnostics.noise_floor > 0


def test_a_run_that_failed_its_own_check_enters_nothing_that_is_estimated(results: Results) -> None:
    campaign = results.campaign
    place = next(place for place, run in enumerate(campaign.runs) if run.record.cell["mem"] == GIB)
    odd, others = campaign.runs[place], (*campaign.runs[:place], *campaign.runs[place + 1 :])
    quality = odd.record.quality.model_copy(update={"ok": False})
    odd = replace(
        odd,
        record=odd.record.model_copy(update={"quality": quality}),
        rows=columns(odd.checkpoints.assign(pause_s=50 * odd.checkpoints["pause_s"])),
    )
    kept = derive(replace(campaign, runs=(*campaign.runs[:place], odd, *campaign.runs[place + 1 :])))
    without = derive(replace(campaign, runs=others))
    assert repr(kept.effects) == repr(without.effects)
    assert repr(kept.diagnostics.controls) == repr(without.diagnostics.controls)
    assert kept.diagnostics.noise_floor == without.diagnostics.noise_floor
    assert kept.diagnostics.drift == without.diagnostics.drift
    assert [one.sesoi for one in kept.findings] == [one.sesoi for one in without.findings]


def test_the_arms_get_different_verdicts(results: Results) -> None:
    words = {finding.hypothesis.id: finding.word for finding in results.findings}
    assert words["H1_total"] == "SUPPORTED"
    assert words["H2_direct"] in {"REFUTED", "INCONCLUSIVE"}


def test_choices_that_could_matter_are_tried(results: Results) -> None:
    choices = {one.choice for one in results.diagnostics.sensitivity}
    assert {"no warm-up left out", "half the warm-up", "twice the warm-up"} <= choices


def test_verdicts_are_json_without_numbers_that_do_not_exist(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    path.write_text(verdicts_json(results))
    tree = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert tree["schema_version"] == 1
    assert [one["id"] for one in tree["verdicts"]] == ["H1_total", "H2_direct"]
    assert tree["verdicts"][0]["word"] == "SUPPORTED"
