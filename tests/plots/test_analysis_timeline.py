"""One run on one time axis, on a FAKE campaign: requests and pauses on one clock, and the command that draws them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import ANSWER_S, REQUEST_EVERY_S, SERVICE, SINGLE, fake_results, write_campaign
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection

from analysis.commands.timeline import main, run_folder
from analysis.errors import NotACampaignError
from analysis.format.table import PAUSE_PHASES
from analysis.plots import timeline, timeline_rows, timelines
from analysis.plots.style import look
from analysis.runs.standing import overlap_s, pause_spans, stood_still_s
from analysis.stored.load import load_run
from analysis.stored.requests import Requests
from analysis.text import EXPLORATORY

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.stored.campaign import Run


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("service"), SERVICE)


def of_scenario(campaign: Path, scenario: str) -> Run:
    plan = json.loads((campaign / "plan.json").read_text())
    cells = {one["cell_id"]: one["cell"].get("scenario", "colo") for one in plan["cells"]}
    run_id = next(run["run_id"] for run in plan["runs"] if cells[run["cell_id"]] == scenario)
    return load_run(campaign / "runs" / run_id)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=5),
    st.lists(st.floats(0.01, 9), max_size=5),
)
def test_the_overlap_is_what_adding_up_each_span_gives(asked: list[tuple[float, float]], lengths: list[float]) -> None:
    begin = 10.0 + 10.0 * np.arange(len(lengths))
    end = begin + np.array(lengths)
    sent = np.array([min(pair) for pair in asked])
    ended = np.array([max(pair) for pair in asked])
    each = [
        sum(max(0.0, min(b, last) - max(a, first)) for first, last in zip(begin, end, strict=True))
        for a, b in zip(sent, ended, strict=True)
    ]
    assert overlap_s(sent, ended, begin, end) == pytest.approx(each, abs=1e-9)


def test_a_request_that_meets_a_pause_lies_in_it_for_as_long_as_it_waited(campaign: Path) -> None:
    run = of_scenario(campaign, "colo")
    waited = run.requests.latency_s - 2 * ANSWER_S
    still = stood_still_s(run)
    assert (still > 0).sum() > 5
    assert still == pytest.approx(waited, abs=1e-6)


def test_requests_are_on_the_clock_of_the_primary(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    home = of_scenario(folder, "colo")
    path = folder / "runs" / home.record.run_id / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"clocks": {"client": [0.25, 0.001], "primary": [1.5, 0.002]}}))
    moved = load_run(path.parent)
    assert moved.requests.sent - home.requests.sent == pytest.approx(1.25)
    assert timeline.sketch(moved).words.caption.count("shifted by +1250.000 ms") == 1
    assert "known to 3.000 ms" in timeline.sketch(moved).words.caption


def test_a_client_on_the_primary_s_own_host_goes_by_its_clock_however_unsure_that_is(campaign: Path) -> None:
    run = of_scenario(campaign, "colo")
    clocks = dict.fromkeys(("client", "primary"), (1.5, 0.002))
    shared = run.of_study(run.record.model_copy(update={"clocks": clocks}), 0)
    assert "Requests and pauses go by one clock." in timeline.sketch(shared).words.caption


def test_the_rows_of_a_run_add_up(campaign: Path) -> None:
    run = of_scenario(campaign, "colo")
    data = timeline_rows.frame(run)
    pauses, inside = data[data["of"] == timeline_rows.PAUSE], data[data["of"] == timeline_rows.PHASE]
    assert len(pauses) == len(run.checkpoints)
    assert list(inside.groupby("index")["value"].sum()) == pytest.approx(list(pauses["value"]))
    assert set(inside["part"]) == {name.removesuffix("_s") for name in PAUSE_PHASES}
    begin, _ = pause_spans(run.checkpoints)
    zero = min(run.requests.sent[0], run.checkpoints["t_request"].iloc[0])
    assert list(pauses["from_s"]) == pytest.approx(list(begin - zero))
    asked = data[data["of"] == timeline_rows.REQUEST]
    assert asked["part"].value_counts().to_dict() == {timeline_rows.ANSWERED: 476, timeline_rows.FAILED: 4}
    assert np.diff(asked["from_s"]) == pytest.approx(REQUEST_EVERY_S, abs=1e-6)


def test_throughput_counts_each_answer_where_it_came(campaign: Path) -> None:
    run = of_scenario(campaign, "native")
    rates = timeline_rows.frame(run)
    rates = rates[rates["of"] == timeline_rows.RATE]
    pieces = (rates["to_s"] - rates["from_s"]).to_numpy()
    assert pieces == pytest.approx(pieces[0])
    counted = float((rates["value"] * pieces).sum())
    ended = run.requests.ended[run.requests.answered] - run.requests.sent[0]
    assert counted == pytest.approx((ended <= rates["to_s"].iloc[-1]).sum())


def test_of_many_requests_the_slowest_and_those_that_failed_are_drawn() -> None:
    latency = np.full(20_000, 0.001)
    latency[12_345] = 3.0
    answered = np.ones(20_000, dtype=bool)
    answered[777] = False
    shown = timeline_rows._shown(latency, answered)
    assert {12_345, 777} <= set(shown)
    assert len(shown) <= timeline_rows.MOST_REQUESTS + 1
    assert list(shown) == sorted(set(shown))


@pytest.mark.parametrize("scenario", ["native", "formed", "colo"])
@pytest.mark.parametrize("width_in", [3.33, 7.0])
def test_every_kind_of_run_can_be_drawn(campaign: Path, scenario: str, width_in: float) -> None:
    sketch = timeline.sketch(of_scenario(campaign, scenario))
    with look():
        figure = sketch.plot(sketch.data, width_in)
        figure.draw_without_rendering()
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == (2 if scenario == "native" else 5)
    assert figure.get_size_inches()[1] < 9.0
    assert len({ax.get_xlim() for ax in shown[: 2 if scenario == "native" else 4]}) == 1  # one axis of time


def test_a_run_without_a_client_has_its_pauses(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    (home,) = (folder / "runs").iterdir()
    data = timeline_rows.frame(load_run(home))
    assert set(data["of"]) == {timeline_rows.PAUSE, timeline_rows.PHASE, timeline_rows.PAGES}


def test_a_warm_up_that_dwarfs_all_others_is_told_of_where_it_is_cut_off(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    (home,) = (folder / "runs").iterdir()
    run = load_run(home)
    rows = run.checkpoints.copy()
    rows.loc[0, ["save_s", "pause_s", "total_s"]] += 30.0  # as under KVM, where the first checkpoint carries all of RAM
    sketch = timeline.sketch(replace(run, rows=columns(rows)))
    assert "the longest 30,0" in sketch.words.heading
    assert " Beyond its axis, of the warm-up: up to 30,0" in sketch.words.caption
    pauses = sketch.data[sketch.data["of"] == timeline_rows.PAUSE]
    assert timeline._zoom_title(pauses, 3.4).startswith("the longest pause after the warm-up: ")
    assert timeline._zoom_title(pauses[~pauses["warmup"].astype(bool)], 3.4).startswith("the longest pause: ")
    assert "Beyond its axis" not in timeline.sketch(run).words.caption


def test_of_a_pair_whose_output_made_checkpoints_before_the_measurement_alone_the_longest_is_of_them(
    campaign: Path,
) -> None:
    formed = of_scenario(campaign, "formed")
    assert "below, the longest one after the warm-up with" in timeline.sketch(formed).words.caption
    early = replace(formed, rows=columns(formed.checkpoints.assign(warmup=True)))
    assert "below, the longest one with" in timeline.sketch(early).words.caption


def test_not_each_of_hundreds_of_requests_beside_the_longest_pause_is_said_to_be_drawn(campaign: Path) -> None:
    run = of_scenario(campaign, "colo")
    pause = timeline.longest(timeline_rows.frame(run).query("of == 'pause'"))
    begin = pause["from_s"] + run.checkpoints["t_request"].min()
    due = begin - np.linspace(30.0, 0.0, 300)  # a service that does not follow: all are under way, few are due there
    asked = Requests(due, np.full(300, 31.0), np.ones(300, dtype=bool))
    sketch = timeline.sketch(replace(run, requests=asked))
    with look():
        zoom = sketch.plot(sketch.data, 7.0).axes[-1]
    assert max(len(lines.get_segments()) for lines in zoom.collections if isinstance(lines, LineCollection)) < 300
    assert ", the longest one after the warm-up with its phases, requests as lines from" in sketch.words.caption


def test_the_report_shows_the_worst_run_of_each_cell(campaign: Path) -> None:
    results = fake_results(campaign)
    data = timelines.frame(results)
    worst = max(results.campaign.runs, key=lambda run: np.quantile(run.requests.latencies, 0.99))
    assert set(data["run_id"]) == {worst.record.run_id}
    assert set(data["of"]) == {timeline_rows.REQUEST, timeline_rows.PAUSE}


def test_of_many_requests_of_the_worst_run_not_all_are_said_to_be_drawn(campaign: Path) -> None:
    results, count = fake_results(campaign), timeline_rows.MOST_REQUESTS + 1000

    def busy(run: Run) -> Run:
        sent = run.requests.sent[0] + 0.002 * np.arange(count)
        return replace(run, requests=Requests(sent, np.full(count, ANSWER_S), np.ones(count, dtype=bool)))

    many = replace(results.campaign, runs=tuple(map(busy, results.campaign.runs)))
    said = " Of a run with more than 4,000 requests the slowest are drawn, all that failed, and every n-th of the "
    assert said in timelines.sketch(replace(results, campaign=many)).words.caption
    assert said not in timelines.sketch(results).words.caption


def test_the_run_of_that_id_in_another_campaign_of_its_seed_is_not_counted(tmp_path: Path) -> None:
    results = fake_results(write_campaign(tmp_path, replace(SINGLE, repeats=2)))
    worst, other = sorted(results.campaign.runs, key=timelines.badness, reverse=True)
    record = other.record.model_copy(update={"run_id": worst.record.run_id})
    again = replace(other, record=record, rows=columns(other.checkpoints.iloc[:5]), folder=1)
    table = results.runs.assign(run_id=worst.record.run_id, folder=[0, 1], checkpoints=[6, 2])
    joined = replace(results, campaign=replace(results.campaign, runs=(worst, again)), runs=table)
    assert ", N = 9 checkpoints, warm-up included." in timelines.sketch(joined).words.caption


def test_where_nothing_was_answered_the_longest_pause_is_called_no_latency(campaign: Path) -> None:
    results = fake_results(campaign)
    runs = tuple(
        replace(run, requests=replace(run.requests, answered=np.zeros(len(run.requests), dtype=bool)))
        for run in results.campaign.runs
    )
    silent = timelines.sketch(replace(results, campaign=replace(results.campaign, runs=runs)))
    assert ", the p99 latency is " in timelines.sketch(results).words.heading
    assert ", the longest pause " in silent.words.heading
    assert EXPLORATORY not in silent.words.heading + silent.words.caption


def test_a_benchmark_program_that_tells_of_no_single_request_is_not_said_to_be_no_client(campaign: Path) -> None:
    results = fake_results(campaign)
    runs = tuple(replace(run, requests=Requests()) for run in results.campaign.runs)
    assert all(run.record.client for run in runs)
    sketch = timelines.sketch(replace(results, campaign=replace(results.campaign, runs=runs)))
    assert "(where no answer is on record: with the longest pause after the warm-up)" in sketch.words.caption
    beside = pd.concat([timelines.frame(results), sketch.data.assign(cell="another")], ignore_index=True)
    for data, label in ((sketch.data, "pause [ms]"), (beside, "latency or\npause [ms]")):
        with look():
            figure = timelines.plot(data, 7.0)
        assert "length of a pause, without requests" in [text.get_text() for text in figure.legends[0].get_texts()]
        assert figure.axes[0].get_ylabel().startswith(label)


def test_a_p99_of_fewer_than_500_answers_is_marked_as_in_every_table(campaign: Path) -> None:
    one = timeline.sketch(of_scenario(campaign, "colo")).words  # of 476
    assert f" ms{EXPLORATORY}; " in one.heading
    worst = timelines.sketch(fake_results(campaign)).words
    assert worst.heading.endswith(f" ms{EXPLORATORY}")
    assert all(f"{EXPLORATORY} exploratory: a p99 takes 500 answered requests." in own.caption for own in (one, worst))
    formed = of_scenario(campaign, "formed")
    silent = replace(formed, requests=replace(formed.requests, answered=np.zeros(480, dtype=bool)))
    assert EXPLORATORY not in timeline.sketch(silent).words.heading


def test_a_pause_of_the_warm_up_that_is_drawn_and_longer_is_not_passed_off_as_none(tmp_path: Path) -> None:
    results = fake_results(write_campaign(tmp_path, SINGLE))
    (run,) = results.campaign.runs
    rows = run.checkpoints.copy()
    rows.loc[rows["warmup"], "pause_s"] = 30.0  # as under KVM, where the first checkpoint carries all of RAM
    late = replace(results, campaign=replace(results.campaign, runs=(replace(run, rows=columns(rows)),)))
    assert ", the longest pause after the warm-up is " in timelines.sketch(late).words.heading
    rows.loc[rows["warmup"], "pause_s"] = 0.0
    late = replace(results, campaign=replace(results.campaign, runs=(replace(run, rows=columns(rows.copy())),)))
    assert ", the longest pause is " in timelines.sketch(late).words.heading


def test_very_many_pauses_are_no_objects_of_their_own_in_a_vector_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = timelines.frame(fake_results(write_campaign(tmp_path, SINGLE)))
    pixels = []
    for most in (timelines.MOST_DOTS, 2):
        monkeypatch.setattr(timelines, "MOST_DOTS", most)
        with look():
            (ax,) = timelines.plot(data, 7.0).axes
        pixels.append(sum(bool(one.get_rasterized()) for one in ax.get_children()))
    assert pixels == [0, 3]  # bands, stems and dots


def test_a_logarithmic_axis_of_latencies_says_so(campaign: Path) -> None:
    run = of_scenario(campaign, "colo")
    due = run.requests.sent[0] + REQUEST_EVERY_S * np.arange(600)  # until after the last pause

    def said(latency_s: np.ndarray) -> list[str]:
        sketch = timeline.sketch(replace(run, requests=Requests(due, latency_s, np.ones(len(due), dtype=bool))))
        with look():
            figure = sketch.plot(sketch.data, 7.0)
        return [figure.axes[0].get_title(loc="left"), figure.axes[-1].get_ylabel()]

    slow = np.where(np.arange(len(due)) % 2 == 0, 0.002, 2.0)
    assert said(slow) == ["latency of requests [ms], log scale", "latency [ms],\nlog scale"]
    assert said(np.full(len(due), 0.002)) == ["latency of requests [ms]", "latency [ms]"]
    data = timelines.frame(fake_results(campaign))
    for most, label in ((1.0, "latency [ms]"), (1e3, "latency [ms],\nlog scale")):
        first = data.index == data.index[data["of"] == timeline_rows.REQUEST][0]
        with look():
            (ax,) = timelines.plot(data.assign(value=np.where(first, most, 1.0)), 7.0).axes
        assert ax.get_ylabel() == label


def test_the_command_writes_every_kind_and_says_where(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = of_scenario(campaign, "colo").record.run_id
    assert main([str(campaign), run_id[:9], "--out", str(tmp_path), "--style", "acm"]) == 0
    heading, *paths = capsys.readouterr().out.splitlines()
    assert heading.startswith(f"Run {run_id}: 23 pauses, the longest ")
    names = {f"timeline-{run_id}{wide}.{kind}" for wide in ("", "-column") for kind in ("svg", "pdf", "png")}
    assert {path.rpartition("/")[2] for path in paths} == names | {f"timeline-{run_id}.csv"}
    assert len(pd.read_csv(tmp_path / f"timeline-{run_id}.csv")) == len(
        timeline_rows.frame(of_scenario(campaign, "colo"))
    )


def test_by_default_it_is_written_into_the_report_of_its_campaign(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = campaign / "runs" / of_scenario(campaign, "native").record.run_id
    assert main([str(home), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pauses"], told["requests"], told["longest_ms"]) == (0, 480, None)
    assert (campaign / "report" / "timelines" / f"timeline-{home.name}.svg").is_file()
    assert len(told["files"]) == 5  # for a screen the one in a column is for a phone: of one kind


def test_a_run_without_requests_and_checkpoints_is_said_to_have_nothing_to_draw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    home = folder / "runs" / of_scenario(folder, "native").record.run_id
    (home / "client.parquet").unlink()  # as of a workload inside, or of a benchmark program
    assert main([str(home)]) == 1
    assert "there is nothing to draw" in capsys.readouterr().err


def test_what_is_no_run_is_told_with_runs_that_there_are(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotACampaignError, match=r"is a campaign: name one of its runs behind it; it has .* and others"):
        run_folder(campaign)
    with pytest.raises(NotACampaignError, match="no measured run is called nope; it has "):
        run_folder(campaign, "nope")
    assert main([str(tmp_path)]) == 2
    assert "not the folder of a measured run, it holds no run.json" in capsys.readouterr().err
    assert main([str(tmp_path / ("a" * 300))]) == 3
    assert "File name too long" in capsys.readouterr().err


def test_a_run_that_was_killed_is_none_to_draw_and_hides_no_other(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    (home,) = (folder / "runs").iterdir()
    (folder / "runs" / f"{home.name[:4]}killed").mkdir()
    assert run_folder(folder, home.name[:4]) == home
    with pytest.raises(NotACampaignError, match=f"no measured run is called {home.name[:4]}killed; it has {home.name}"):
        run_folder(folder, f"{home.name[:4]}killed")
