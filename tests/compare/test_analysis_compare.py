"""``compare``: two campaigns made by hand, so that the right verdict is known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fixtures.comparable import GIB, around, made
from fixtures.fake_campaign import Fake, write_campaign

from analysis.__main__ import main
from analysis.commands.compare import settles, show, to_json
from analysis.commands.terminal import console
from analysis.compare.comparison import compare
from analysis.compare.judging import Rule, judge_all, judge_cells
from analysis.compare.sides import NotComparableError, side_cells, side_of
from analysis.errors import NothingMeasuredError
from analysis.format.table import PHASES
from analysis.stored.campaign import Campaign, Run, Unread
from analysis.verdicts.trend import HANGS_ON_BOTH, HANGS_ON_CHECKS, HANGS_ON_FAILURES, TOO_FEW

if TYPE_CHECKING:
    from pathlib import Path


def test_a_slower_cell_has_regressed() -> None:
    found = compare(made("old", {1: around(20, 6)}), made("new", {1: around(22, 6)}))
    assert (found.verdict, found.exit_code) == ("regressed", 5)
    (cell,) = found.cells
    assert cell.ratio == pytest.approx(1.1, rel=1e-3)
    assert 1.05 < cell.low < cell.ratio < cell.high
    assert cell.label == "by the threshold or more"
    assert cell.pvalue == pytest.approx(1 / 924)


def test_equal_cells_have_not() -> None:
    found = compare(
        made("old", {1: around(20, 6), 2: around(30, 6)}), made("new", {1: around(20.01, 6), 2: around(29, 6)})
    )
    assert (found.verdict, found.exit_code) == ("not regressed", 0)
    assert [cell.label for cell in found.cells] == ["no difference that matters", "better"]
    assert [cell.needed_runs for cell in found.cells] == [None, None]


def test_two_campaigns_are_not_said_to_have_been_measured_at_different_times() -> None:
    same_hour = compare(made("old", {1: around(20, 6)}), made("new", {1: around(20.01, 6)}))
    assert same_hour.notes[-1].startswith("two campaigns share no block: ")


def test_wide_spread_is_inconclusive_and_says_what_would_settle_it() -> None:
    found = compare(
        made("old", {1: around(20, 6, spread=0.4)}), made("new", {1: around(20.1, 6, spread=0.4)}), threshold=0.05
    )
    assert (found.verdict, found.exit_code) == ("inconclusive", 6)
    (cell,) = found.cells
    assert cell.low < 1
    assert cell.high > 1.05
    assert cell.needed_runs is not None
    assert cell.needed_runs > 50
    assert f"{cell.needed_runs} in all" in settles(found)


def test_two_runs_have_no_interval() -> None:
    found = compare(made("old", {1: around(20, 2)}), made("new", {1: around(40, 2)}))
    assert found.verdict == "inconclusive"
    assert found.cells[0].label == "three runs a side are the least, and there are 2 and 2"
    assert compare(made("old", {1: around(20, 6)}), made("new", {1: around(40, 2)})).exit_code == 6
    assert found.cells[0].needed_runs is not None


def test_twice_the_pause_in_blocks_too_few_for_an_interval_is_not_said_to_be_near_the_threshold() -> None:
    before, after = (
        next(iter(side_cells(made(name, {1: around(centre, 3)}), "pause").values()))
        for name, centre in (("old", 20), ("new", 40))
    )
    (cell,) = judge_cells([(before, after)], Rule(0.05, within=True))
    assert (cell.verdict, cell.label) == ("inconclusive", TOO_FEW)
    assert cell.ratio == pytest.approx(2.0)
    wide = compare(made("old", {1: around(20, 6, spread=0.4)}), made("new", {1: around(22, 6, spread=0.4)}))
    (cell,) = wide.cells
    assert cell.low < 1
    assert 1.05 < cell.ratio < cell.high
    assert wide.label == cell.label == "the interval holds both no change and the threshold"


def test_the_threshold_decides() -> None:
    old, new = made("old", {1: around(20, 6)}), made("new", {1: around(20.6, 6)})
    assert compare(old, new, threshold=0.05).verdict == "not regressed"
    assert compare(old, new, threshold=0.02).verdict == "regressed"


def test_many_cells_ask_for_more_than_one_of_them_would() -> None:
    cells = {mem: around(20, 4) for mem in range(1, 9)}
    slower = compare(made("old", cells), made("new", {**cells, 1: around(30, 4)}), each_cell=True)
    assert slower.cells[0].pvalue == pytest.approx(1 / 70)
    assert slower.cells[0].adjusted == pytest.approx(8 / 70)
    assert (slower.verdict, slower.cells[0].verdict) == ("inconclusive", "inconclusive")
    assert slower.cells[0].label == "not after Holm's adjustment over 8 cells"
    assert slower.cells[0].needed_runs == 5  # 1 / C(10, 5) is the first below 0.05 / 8


def test_a_word_does_not_hang_on_leaving_failed_runs_out() -> None:
    old = made("old", {1: around(20, 6)})
    found = compare(old, made("new", {1: around(20.01, 6)}, failed=5))
    assert (found.verdict, found.cells[0].label) == ("inconclusive", "depends on the failed runs")
    # As many runs as it takes are there on both sides: no more of them are asked for.
    assert found.cells[0].needed_runs is None
    assert settles(found) == "Measure the failed runs of 1 cell again."
    assert any("0 in BASE, 5 in NEW" in note for note in found.notes)
    assert compare(old, made("new", {1: around(24, 6)}, failed=5)).verdict == "regressed"


def test_more_runs_are_not_offered_where_a_word_hangs_on_the_lost_ones() -> None:
    # Runs of the new side differ by more than six a side are planned with.
    found = compare(made("old", {1: around(20, 6)}), made("new", {1: around(20.01, 6, spread=0.08)}, failed=4))
    assert (found.label, found.cells[0].label) == (HANGS_ON_FAILURES, HANGS_ON_FAILURES)
    assert found.cells[0].needed_runs is None
    assert settles(found) == "Measure the failed runs of 1 cell again."
    # The word is that of all cells as one: what a cell by itself would take is beside the point.
    (cell,) = found.cells
    alone = replace(found, cells=(replace(cell, label="undecided", needed_runs=50),))
    assert settles(alone) == "Measure the failed runs of 1 cell again."
    each = replace(alone, each_cell=True)
    assert "44 more runs of each undecided cell" in settles(each)
    both = replace(found, overall=replace(found.overall, label=HANGS_ON_BOTH))
    passing = "What would settle it: more blocks on both sides, of runs that pass their own check."
    assert settles(both) == f"Measure the failed runs of 1 cell again. {passing}"


def test_a_run_that_cannot_be_read_is_a_failed_one_of_its_cell_and_of_its_side() -> None:
    old = made("old", {1: around(20, 6)}, failed=1)
    damaged = replace(old, failures=(), unread=tuple(Unread(one.planned, "torn") for one in old.failures))
    for base in (old, damaged):
        found = compare(base, made("new", {1: around(20.01, 6)}))
        assert (found.base.failed, found.cells[0].failed_base) == (1, 1)


def test_a_cell_that_only_fails_is_not_passed_over() -> None:
    old = made("old", {1: around(20, 6), 2: around(30, 6)})
    found = compare(old, made("new", {1: around(20.01, 6), 2: []}, failed=3))
    assert (found.exit_code, found.by_cell[0]) == (6, "inconclusive")
    assert found.verdict == "inconclusive"
    assert found.cells[1].label == "no run counts in NEW (3 runs failed)"


def test_a_planned_cell_that_neither_side_has_measured_yet_is_not_passed_over() -> None:
    def begun(name: str) -> Campaign:
        campaign = made(name, {1: around(20, 6), 2: around(20, 6)})
        return replace(campaign, runs=campaign.runs[:6], unfinished=campaign.plan.runs[6:])

    found = compare(begun("old"), begun("new"))
    assert (found.verdict, found.exit_code, found.missing) == ("inconclusive", 6, ("2 GiB",))
    assert found.cells[1].label == "no run counts in BASE (none was measured) and NEW (none was measured)"
    assert compare(begun("old"), begun("new"), each_cell=True).exit_code == 6
    whole = made("whole", {1: around(20, 6), 2: around(20, 6)})
    assert compare(whole, begun("new")).cells[1].label == "no run counts in NEW (none was measured)"


def test_runs_that_failed_their_own_check_do_not_count() -> None:
    old, new = made("old", {1: around(20, 6)}), made("new", {1: [*around(20.01, 6), 900.0]})
    bad = new.runs[-1].record.model_copy(
        update={"quality": new.runs[-1].record.quality.model_copy(update={"ok": False})}
    )
    new = Campaign(new.plan, "", (*new.runs[:-1], Run(bad, new.runs[-1].rows, "")), (), (), (), ())
    found = compare(old, new)
    assert found.cells[0].runs_new == 6
    assert found.new.excluded == 1


def unchecked(campaign: Campaign, *places: int) -> Campaign:
    """Return a campaign some runs of which did not pass their own check."""
    runs = list(campaign.runs)
    for place in places:
        record = runs[place].record
        quality = record.quality.model_copy(update={"ok": False})
        runs[place] = replace(runs[place], record=record.model_copy(update={"quality": quality}))
    return replace(campaign, runs=tuple(runs))


def test_no_side_passes_by_runs_that_its_own_check_left_out() -> None:
    # As with four of nine runs over SSH, which were among the slowest (findings 22).
    old, whole = made("old", {1: around(20, 9)}), made("new", {1: [*around(20.01, 5), *around(30, 4)]})
    for each_cell in (False, True):
        found = compare(old, unchecked(whole, 5, 6, 7, 8), each_cell=each_cell)
        assert (found.verdict, found.exit_code) == ("inconclusive", 6)
        assert found.label == HANGS_ON_CHECKS or each_cell
        assert (found.cells[0].label, found.cells[0].runs_new, found.new.excluded) == (HANGS_ON_CHECKS, 5, 4)
        assert found.cells[0].needed_runs is None
        assert settles(found) == "What would settle it: more blocks on both sides, of runs that pass their own check."
        # Whatever equals pass: runs that are ranked worst lie beyond any threshold.
        assert "a larger threshold" not in settles(replace(found, passes_at=0.5))
    both = compare(old, unchecked(made("new", {1: around(20.01, 9)}, failed=1), 5, 6, 7, 8))
    assert both.label == HANGS_ON_BOTH
    # One of many changes no word, and neither do as many on both sides.
    assert compare(old, unchecked(made("new", {1: around(20.01, 9)}), 8)).verdict == "not regressed"
    assert compare(unchecked(old, 0), unchecked(made("new", {1: around(20.01, 9)}), 8)).verdict == "not regressed"


def test_a_cell_whose_runs_all_did_not_pass_their_own_check_is_not_passed_over() -> None:
    cells = {1: around(20, 6), 2: around(30, 6)}
    old, new = (unchecked(made(name, cells), *range(6, 12)) for name in ("old", "new"))
    for base in (old, made("old", cells)):
        found = compare(base, new)
        assert (found.verdict, found.by_cell[0], found.missing) == ("inconclusive", "inconclusive", ("2 GiB",))
    assert found.label == "1 cell of 2 of which a side has no run that counts"
    assert found.cells[1].label == "no run counts in NEW (0 runs failed, 6 did not pass their own check)"
    assert not any("no word hangs" in note for note in found.notes)
    assert any(note.startswith("NEW: 6 runs that did not pass their own check left out") for note in found.notes)


@pytest.mark.parametrize("count", [2, 3])
def test_a_run_of_a_kind_that_has_no_such_outcome_neither_failed_at_it_nor_is_left_out(count: int) -> None:
    cells = {1: around(20, 3), 2: around(30, 3)}
    campaign = unchecked(made("old", cells, checkpoint={"count": count, "warmup": 1}), 5)
    cell = campaign.runs[0].record.cell | {"workload": {"name": "http"}}
    serving = {"cell": cell, "client": {"requests_per_s": 40.0}}
    served = (replace(run, record=run.record.model_copy(update=serving)) for run in campaign.runs[:3])
    campaign = replace(campaign, runs=(*served, *campaign.runs[3:]))
    side = side_of(campaign, "requests_per_s")
    assert (side.failed, side.excluded) == (0, 0)
    assert [len(cell.values) for cell in side_cells(campaign, "requests_per_s").values()] == [3, 0]
    assert not any(cell.lost for cell in side_cells(campaign, "requests_per_s").values())
    # Of the pause, which it was to have, it is lost: short of checkpoints, or left out.
    pause = side_of(campaign, "pause")
    assert (pause.failed, pause.excluded) == (int(count > 2), int(count == 2))


def test_a_cell_that_has_no_such_outcome_is_no_hole_for_the_runs_that_it_lost() -> None:
    def side(name: str) -> Campaign:
        campaign = made(name, {1: around(20, 6), 2: around(30, 6)}, failed=1)
        entry = {"entry": {"standstill_s": 0.1}}
        seen = (replace(run, record=run.record.model_copy(update=entry)) for run in campaign.runs[:6])
        return unchecked(replace(campaign, runs=(*seen, *campaign.runs[6:]), failures=campaign.failures[1:]), 11)

    found = compare(side("old"), side("new"), outcome="entry")
    assert (found.verdict, found.missing) == ("not regressed", ())
    # Nor is it counted, or said that a word has to hold with it.
    assert (found.new.failed, found.new.excluded) == (0, 0)
    assert not any("their own check" in note or "its own check" in note for note in found.notes)
    assert any(note.startswith("1 cell without ") for note in found.notes)


def test_cells_that_do_not_have_an_outcome_are_in_common_all_the_same() -> None:
    old, new = (made(name, {1: around(20, 6)}) for name in ("old", "new"))
    with pytest.raises(NothingMeasuredError, match="no cell in common has entry measured on both sides") as told:
        compare(old, new, outcome="entry")
    assert "another --outcome" in told.value.fix


def test_a_cell_whose_runs_of_one_side_do_not_have_the_outcome_is_not_said_to_have_failed_runs() -> None:
    def side(name: str, having: int) -> Campaign:
        campaign = made(name, {1: around(20, 6), 2: around(30, 6)})
        entry = {"entry": {"standstill_s": 0.1}}
        seen = (replace(run, record=run.record.model_copy(update=entry)) for run in campaign.runs[:having])
        return replace(campaign, runs=(*seen, *campaign.runs[having:]))

    found = compare(side("old", 12), side("new", 6), outcome="entry")
    assert (found.verdict, found.missing) == ("inconclusive", ("2 GiB",))
    assert found.cells[1].label == "no run counts in NEW (its runs do not have this outcome)"


def test_levels_within_one_campaign_do_not_pass_by_runs_left_out_either() -> None:
    old, new = (made(name, {1: around(20, 9)}) for name in ("old", "new"))
    pairs = [(next(iter(side_cells(one, "pause").values()))) for one in (old, unchecked(new, 5, 6, 7, 8))]
    word = judge_all([(pairs[0], pairs[1])], Rule(0.05, within=True))
    assert (word.verdict, word.label) == ("inconclusive", HANGS_ON_CHECKS)


def test_a_cell_with_runs_that_measured_0_is_inconclusive_and_says_so() -> None:
    old = made("old", {1: around(20, 6), 2: around(20, 6)})
    found = compare(old, made("new", {1: around(20.01, 6), 2: [0.0, 0.0, *around(30, 4)]}), each_cell=True)
    assert (found.verdict, found.exit_code) == ("inconclusive", 6)
    assert found.cells[0].verdict == "not regressed"
    assert found.cells[1].label == "2 of 12 runs are 0, of which no ratio can be told"
    assert (found.cells[1].runs_new, found.cells[1].needed_runs) == (6, None)
    assert settles(found).startswith("No number of runs would settle it")
    nothing = {1: [0.0] * 6}
    assert compare(made("old", nothing), made("new", nothing)).exit_code == 6


def test_cells_match_whatever_the_qemu_is_called() -> None:
    old = made("old", {1: around(20, 6), 2: around(30, 6)}, qemu="system")
    new = made("new", {1: around(20.01, 6), 4: around(30, 6)}, qemu="/opt/qemu")
    found = compare(old, new)
    assert [cell.cell for cell in found.cells] == ["1 GiB"]
    assert (found.only_in_base, found.only_in_new) == (("2 GiB",), ("4 GiB",))
    assert not any("same QEMU" in note for note in found.notes)


def test_the_number_of_checkpoints_is_no_factor_but_is_said() -> None:
    old = made("old", {1: around(20, 6)}, checkpoint={"count": 20, "warmup": 3})
    new = made("new", {1: around(20.01, 6)}, checkpoint={"count": 40, "warmup": 3})
    assert "the number of checkpoints differs too: 20 against 40" in compare(old, new).notes


def test_emulation_is_not_compared_with_kvm() -> None:
    with pytest.raises(NotComparableError, match=r"emulation.*KVM"):
        compare(made("old", {1: around(20, 6)}), made("new", {1: around(20, 6)}, accel="kvm"))


def test_nothing_in_common_says_what_differs() -> None:
    with pytest.raises(NothingMeasuredError, match="RAM: 1 GiB against 2 GiB"):
        compare(made("old", {1: around(20, 6)}), made("new", {2: around(20, 6)}))
    with pytest.raises(NothingMeasuredError, match="measured on both sides"):
        compare(made("old", {1: around(20, 6)}), made("new", {1: []}, failed=2))


def test_two_binaries_in_one_campaign_are_refused() -> None:
    both = made("both", {1: around(20, 6)}, qemu="a")
    other = made("both", {1: around(20, 6)}, qemu="b")
    joined = Campaign(
        both.plan.model_copy(update={"cells": (*both.plan.cells, *other.plan.cells)}), "", both.runs, (), (), (), ()
    )
    with pytest.raises(NotComparableError, match="differ in qemu only"):
        compare(joined, made("new", {1: around(20, 6)}))


def test_another_outcome_can_be_compared() -> None:
    found = compare(made("old", {1: around(20, 6)}), made("new", {1: around(40, 6)}), outcome="colo_start")
    assert found.cells[0].ratio == 1
    assert found.verdict == "not regressed"


def test_the_json_is_complete_and_the_same_again() -> None:
    old, new = made("old", {1: around(20, 6), 2: around(20, 2)}), made("new", {1: around(22, 6), 2: around(20, 2)})
    text = to_json(compare(old, new))
    assert text == to_json(compare(old, new))
    document = json.loads(text)
    assert document["schema_version"] == 1
    assert (document["verdict"], document["exit_code"], document["unit"]) == ("regressed", 5, "s")
    assert document["base"]["qemu"] == [{"version": "QEMU old", "sha256": "oldoldoldold"}]
    first, second = document["cells"]
    assert first["base"] == pytest.approx(0.020)
    assert second["low"] is None
    assert first["factors"]["mem"] == GIB


def test_the_terminal_shows_each_cell_and_how_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(made("old", {1: around(20, 6)}), made("new", {1: around(22, 6)}))
    show(found, console())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "BASE old: emulation (TCG), 6 runs, QEMU old (oldoldoldold)"
    assert any("20.0 ms" in line or "20 ms" in line for line in lines if line.startswith("1 GiB"))
    assert lines[-1].startswith("REGRESSED at a threshold of 5 %: by the threshold or more")


def test_a_ratio_beside_two_medians_that_is_not_theirs_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(made("old", {1: [20, 21, 30, 31]}), made("new", {1: [18, 28, 29, 33]}))
    (cell,) = found.cells
    assert cell.new > cell.base
    assert cell.ratio != pytest.approx(cell.new / cell.base, rel=0.01)
    show(found, console())
    said = " ".join(capsys.readouterr().out.split())
    assert "the median ratio of a run of NEW to one of BASE, which need not be that of the two medians" in said
    assert "Cells are called as in BASE." in said
    show(replace(found, within="qemu", levels=("a", "b")), console())
    assert "to one of BASE of the same block, which" in " ".join(capsys.readouterr().out.split())


def test_the_threshold_that_equals_pass_is_said_to_be_of_all_cells_as_one_where_each_has_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = {mem: around(20, 6) for mem in (1, 2)}
    for each_cell in (False, True):
        show(compare(made("old", cells), made("new", cells), each_cell=each_cell), console())
        assert ("comparisons of equals, all cells as one, pass" in capsys.readouterr().out) == each_cell


@pytest.mark.parametrize(("repeats", "code"), [(6, (0, 6)), (1, (6,))])
def test_the_command_ends_with_the_verdict(tmp_path: Path, repeats: int, code: tuple[int, ...]) -> None:
    base = write_campaign(tmp_path, Fake(name="base", links=("unix",), repeats=repeats))
    new = write_campaign(tmp_path, Fake(name="new", links=("unix",), repeats=repeats))
    written = tmp_path / "answer.json"
    ended = main(["compare", str(base), str(new), "--threshold", "20%", "--json", str(written)])
    assert ended in code
    assert json.loads(written.read_text())["exit_code"] == ended


def test_a_dash_prints_the_document_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [str(write_campaign(tmp_path, Fake(name=name, links=("unix",), repeats=2))) for name in ("base", "new")]
    written = tmp_path / "answer.json"
    assert main(["compare", *sides, "--json", str(written)]) == 6
    capsys.readouterr()
    assert main(["compare", *sides, "--json", "-"]) == 6
    assert json.loads(capsys.readouterr().out) == json.loads(written.read_text())


def test_pauses_twice_as_long_end_the_command_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = write_campaign(tmp_path, Fake(name="base", links=("unix",), repeats=6))
    new = write_campaign(tmp_path, Fake(name="new", links=("unix",), repeats=6))
    for path in new.glob("runs/*/checkpoints.parquet"):
        table = pq.read_table(path)
        for name in ("pause_s", "total_s", *PHASES):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), pc.multiply(table[name], 2.0))
        pq.write_table(table, path)
    assert main(["compare", str(base), str(new)]) == 5
    assert capsys.readouterr().out.splitlines()[-1].startswith("REGRESSED at a threshold of 5 %")


def test_an_answer_that_cannot_be_written_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = (write_campaign(tmp_path, Fake(name=name, links=("unix",), repeats=2)) for name in ("base", "new"))
    nowhere = str(base / "plan.json" / "answer")
    assert main(["compare", str(base), str(new), "--json", nowhere]) == 3
    assert main(["calibrate", "--from", str(base), "--studies", "50", "--csv", nowhere]) == 3
    assert capsys.readouterr().err.count("a file cannot be written") == 2


def test_wrong_usage_is_2_and_nothing_measured_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = write_campaign(tmp_path, Fake(name="base", repeats=2))
    empty = write_campaign(tmp_path, Fake(name="empty", repeats=2, failed=16))
    assert main(["compare", str(base), str(tmp_path / "none")]) == 2
    assert main(["compare", str(base), str(empty)]) == 1
    assert "nothing was measured" in capsys.readouterr().err
    for wrong in (["compare", str(base)], ["compare", str(base), str(base), "--threshold", "5"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2


@pytest.mark.parametrize("command", ["compare", "track"])
def test_a_campaign_is_not_set_against_itself_or_a_copy_of_it(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_campaign(tmp_path, Fake(name="base", links=("unix",), repeats=2))
    other = write_campaign(tmp_path, Fake(name="other", links=("unix",), repeats=2))
    copied = shutil.copytree(base, tmp_path / "renamed")
    assert main([command, str(base), str(other)]) == 6
    for twice in (base, copied):
        capsys.readouterr()
        assert main([command, str(base), str(twice)]) == 2
        what, fix = capsys.readouterr().err.splitlines()
        assert "two of these campaigns hold the same runs (base)" in what
        assert "campaign=NAME" in fix
    shutil.rmtree(next((copied / "runs").iterdir()))
    assert main([command, str(base), str(copied)]) == 2
    assert "runs in common (base)" in capsys.readouterr().err


def test_a_folder_named_like_a_command_is_given_with_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["./compare"]) == 2


def test_a_pause_that_version_1_measured_from_a_later_moment_is_said_to_be_so() -> None:
    old, new = made("old", {1: around(20, 6)}), made("new", {1: around(20.01, 6)})
    for run in new.runs:
        object.__setattr__(run.record, "schema_version", 2)
    (note,) = (note for note in compare(old, new).notes if note.startswith("where a pause begins"))
    assert "drained too (version 1; some 0.6 ms later under emulation) against when the run state changes" in note
