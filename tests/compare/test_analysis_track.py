"""A series of campaigns: changes that were put into FAKE campaigns are found where they were put, and no others."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import IDLE, Fake, write_campaign

from analysis.commands import track as command
from analysis.commands.terminal import console
from analysis.compare.comparison import compare
from analysis.compare.judging import INCONCLUSIVE, NOT_REGRESSED, REGRESSED
from analysis.compare.tracking import FIRST, IMPROVED, UNMEASURED, Point, Series, TooFewError, Track, track
from analysis.errors import NothingMeasuredError
from analysis.plots.track import figure_of
from analysis.stored.load import load_campaign
from analysis.stored.records import KvmRecord

if TYPE_CHECKING:
    from analysis.stored.campaign import Campaign, Run

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    fake = Fake(mems=(1 << 30,), smps=(1, 2), workloads=(IDLE,), links=("unix",), repeats=8, count=20)
    return load_campaign(write_campaign(tmp_path_factory.mktemp("results"), fake))


def scaled(campaign: Campaign, *factors: float) -> Campaign:
    """Return the campaign with the pauses of each cell, by its number of vCPUs, longer by a factor."""
    by_smp = dict(zip((1, 2), factors, strict=True))
    runs = tuple(
        replace(
            run,
            rows=columns(run.checkpoints.assign(pause_s=run.checkpoints["pause_s"] * by_smp[run.record.cell["smp"]])),
        )
        for run in campaign.runs
    )
    return replace(campaign, runs=runs)


def words(campaign: Campaign, *steps: tuple[float, float]) -> list[list[str]]:
    series = [scaled(campaign, *step) for step in steps]
    found = track(series, [str(place) for place in range(len(series))], threshold=0.2, outcome="pause")
    return [[point.word for point in one.points] for one in sorted(found.cells, key=lambda one: one.cell)]


def test_a_step_up_and_a_step_down_are_found_where_they_are(campaign: Campaign) -> None:
    one, two = words(campaign, (1, 1), (1, 1), (1.5, 1), (1.5, 1), (1, 1))
    assert one == [FIRST, NOT_REGRESSED, REGRESSED, NOT_REGRESSED, IMPROVED]
    assert REGRESSED not in two
    assert IMPROVED not in two


def test_after_a_change_the_stretch_before_it_counts_no_more(campaign: Campaign) -> None:
    one, _ = words(campaign, (1, 1), (1.5, 1), (1.5, 1), (1.5, 1))
    assert one[2:] == [NOT_REGRESSED, NOT_REGRESSED]


def test_the_word_on_the_whole_is_the_worst_of_the_last_campaign(campaign: Campaign) -> None:
    worse, same = scaled(campaign, 1.5, 1), scaled(campaign, 1, 1)
    assert track([same, worse], ["a", "b"], threshold=0.2, outcome="pause").word == REGRESSED
    few = replace(same, runs=same.runs[:4])
    assert track([few, few], ["a", "b"], threshold=0.2, outcome="pause").word == INCONCLUSIVE


def test_nights_that_differ_by_themselves_make_no_regression_of_one_more(campaign: Campaign) -> None:
    def first(*steps: float) -> list[str]:
        series = [scaled(campaign, step, 1) for step in steps]
        found = track(series, [str(place) for place in range(len(series))], threshold=0.05, outcome="pause")
        return [point.word for point in min(found.cells, key=lambda one: one.cell).points]

    nights = (1.0, 1.3, 0.8, 1.28, 0.85, 1.25, 0.9, 1.3)
    assert not {REGRESSED, IMPROVED} & set(first(*nights, 0.9, 1.25, 0.85)[8:])
    assert first(*nights, 0.05)[-1] == IMPROVED
    quiet = (1, 1, 2, 1, 1, 1, 1, 1)  # a spike is no noise
    assert first(*quiet, 1.28)[-1] == REGRESSED


def test_a_cell_that_a_campaign_lacks_is_a_gap(campaign: Campaign) -> None:
    gap = replace(campaign, runs=tuple(run for run in campaign.runs if run.record.cell["smp"] == 1))
    found = track([campaign, gap, campaign], ["a", "b", "c"], threshold=0.2, outcome="pause")
    by_cell = [[point.word == UNMEASURED for point in one.points] for one in found.cells]
    assert sorted(by_cell) == [[False, False, False], [False, True, False]]


def test_a_cell_whose_runs_all_failed_their_check_is_not_said_to_be_unmeasured(campaign: Campaign) -> None:
    def checked(run: Run) -> Run:
        quality = run.record.quality.model_copy(update={"ok": run.record.cell["smp"] == 1})
        return replace(run, record=run.record.model_copy(update={"quality": quality}))

    unsound = replace(campaign, runs=tuple(map(checked, campaign.runs)))
    found = track([campaign, unsound], ["a", "b"], threshold=0.2, outcome="pause")
    assert sorted(one.word for one in found.cells) == ["no run counts", NOT_REGRESSED]
    assert found.word == INCONCLUSIVE


def test_a_quantile_of_a_few_checkpoints_is_said_to_be_exploratory(campaign: Campaign) -> None:
    series, runs = [campaign, campaign], 2 * len(campaign.runs)
    found = track(series, ["a", "b"], threshold=0.2, outcome="pause_p99")
    assert found.note.startswith(f"exploratory: {runs} of {runs} runs are too short for pause_p99")
    assert track(series, ["a", "b"], threshold=0.2, outcome="pause").note == ""
    note = compare(campaign, campaign, outcome="pause_p95").notes[0]
    assert note == f"exploratory: {runs} of {runs} runs are too short for pause_p95, which takes five or more beyond it"


def test_a_series_takes_two_campaigns_with_a_cell_in_common(campaign: Campaign) -> None:
    with pytest.raises(TooFewError):
        track([campaign], ["a"], threshold=0.2, outcome="pause")
    halves = [replace(campaign, runs=tuple(r for r in campaign.runs if r.record.cell["smp"] == smp)) for smp in (1, 2)]
    with pytest.raises(NothingMeasuredError):
        track(halves, ["a", "b"], threshold=0.2, outcome="pause")
    with pytest.raises(NothingMeasuredError, match="no cell has client_p50 measured in two") as told:
        track([campaign, campaign], ["a", "b"], threshold=0.2, outcome="client_p50")
    assert "--outcome" in told.value.fix


def test_equal_campaigns_are_seldom_called_changed(campaign: Campaign) -> None:
    """Both cells in random halves of the same runs: no step is in them."""
    even, odd = (
        replace(campaign, runs=tuple(run for run in campaign.runs if run.record.block % 2 == side)) for side in (0, 1)
    )
    found = track([even, odd, even, odd], list("abcd"), threshold=0.2, outcome="pause")
    assert not any(point.change for one in found.cells for point in one.points)


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_figure_is_drawn_and_the_same_each_time(campaign: Campaign, kind: str, start: bytes) -> None:
    found = track([campaign, scaled(campaign, 1.5, 1)], ["before", "after"], threshold=0.2, outcome="pause")
    drawn = figure_of(found, kind)
    assert drawn.startswith(start)
    if kind == "svg":
        assert b"regressed" in drawn
        assert drawn == figure_of(found, kind)


def test_a_small_change_is_not_printed_as_none() -> None:
    changed = Point(0.02, (0.02, 0.02), REGRESSED, 1.0038, 1.002, 1.005, change=True)
    found = Track("pause", 0.002, (), ("a", "b"), (Series("a cell", "tcg", "emulation (TCG)", (changed, changed)),))
    assert command._said(changed, "pause") == "20 ms regressed x1.004"
    assert "regressed \N{MULTIPLICATION SIGN}1.004".encode() in figure_of(found, "svg")


def test_a_series_of_nothing_but_zeros_is_drawn_without_a_warning() -> None:
    points = (Point(0.0, (0.0, 0.0), FIRST), Point(0.0, (0.0, 0.0), INCONCLUSIVE))
    found = Track("writes_lost", 0.05, (), ("before", "after"), (Series("a cell", "tcg", "emulation (TCG)", points),))
    assert b"writes_lost (writes)" in figure_of(found, "svg", unit="writes", scale=1.0)


def test_a_series_says_which_kvm_its_pairs_ran_under(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    def under(kind: str) -> Campaign:
        how = {"accel": "kvm", "kvm": KvmRecord(kind=kind)}
        return replace(
            campaign,
            runs=tuple(replace(run, record=run.record.model_copy(update=how)) for run in campaign.runs),
        )

    found = track([under("software"), under("software")], ["a", "b"], threshold=0.2, outcome="pause")
    said = "KVM without hardware virtualization"
    assert {one.under for one in found.cells} == {said}
    assert {one["under"] for one in command.to_tree(found)["cells"]} == {said}
    assert said.encode() in figure_of(found, "svg")
    command.show(found, console())
    assert said in " ".join(capsys.readouterr().out.split())
    both = track([under("hardware"), under("nested")], ["a", "b"], threshold=0.2, outcome="pause")
    assert {one.under for one in both.cells} == {"KVM and KVM, nested"}


def test_the_command_on_the_reference_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = shutil.copytree(REFERENCE / "procedure_claims", tmp_path / "again")
    for path in again.glob("runs/*/run.json"):  # the same figures a day later
        record = json.loads(path.read_text())
        later = {key: record[key] + 86_400 for key in ("started_at", "finished_at")}
        path.write_text(json.dumps(record | later))
    twice = [str(REFERENCE / "procedure_claims"), str(again)]
    picture = tmp_path / "series.svg"
    status = command.main([*twice, "--json", "--figure", str(picture)])
    tree = json.loads(capsys.readouterr().out)
    assert {"not regressed": 0, "inconclusive": 6}[tree["verdict"]] == status
    ratios = [[point["ratio"] for point in one["points"]] for one in tree["cells"]]
    assert ratios == [[None, pytest.approx(1)]] * 6
    [row] = re.findall(r"^\| `track` .*", (REFERENCE.parents[1] / "docs" / "guides.md").read_text(), re.MULTILINE)
    keys = {*tree, *tree["campaigns"][0], *tree["cells"][0], *tree["cells"][0]["points"][0]}
    assert keys - set(re.findall(r"`(\w+)`", row)) == set()
    assert picture.read_bytes().startswith(b"<?xml")
    assert command.main(twice) == status
    shown = " ".join(capsys.readouterr().out.split())
    assert "5 % or more" in shown
    assert "some 5 % are called changed by chance, and of those right after such a one" in shown  # 5.4 to 6.1 are
