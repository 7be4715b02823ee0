"""What is said of the cost to a service: of what, of how many, and of nothing that was not measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures.fake_campaign import SERVICE, change_record, of_scenario, run_ids, write_campaign

from analysis.runs.standing import overlap_s
from analysis.stored.load import load_campaign
from analysis.verdicts.overhead import left_out, overheads
from analysis.verdicts.overhead_words import sentences

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.verdicts.overhead import Overhead


def one_of(folder: Path, scenario: str = "colo") -> tuple[Overhead, str]:
    found = next(one for one in overheads(load_campaign(folder)) if one.scenario == scenario)
    return found, next(iter(sentences([found])))


def test_a_rate_by_the_guest_s_own_clock_is_no_throughput(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo")))
    for run_id in run_ids(folder):
        change_record(folder, run_id, workload={"achieved_mb_s": 20.0}, client=None)
        (folder / "runs" / run_id / "client.parquet").unlink()
    assert overheads(load_campaign(folder)) == ()


def test_blocks_in_which_nothing_was_answered_are_not_dropped_in_silence(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    first = of_scenario(folder, "colo")[0]
    record = json.loads((folder / "runs" / first / "run.json").read_text())
    change_record(folder, first, client=record["client"] | {"requests_per_s": None})
    found, said = one_of(folder)
    assert found.throughput is not None
    assert (found.throughput.blocks, found.throughput.one_sided) == (3, 1)
    assert "in 1 of 4 blocks one of the two has none of the requests answered per second: in no ratio" in said
    assert "(3 to 4 blocks, 95 % intervals)" in said
    assert math.isnan(found.explained.of_throughput)  # what is lost is more than the ratio of the others says


def test_runs_that_failed_under_colo_are_named_beside_what_it_leaves(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    gone = of_scenario(folder, "colo")[0]
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    ends = [json.loads(line) for line in lines]
    for line in ends:
        if line["run_id"] == gone and line["state"] == "measured":
            line |= {"state": "failed", "phase": "workload", "cause": "client-refused", "message": "none answered"}
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ends))
    assert left_out(load_campaign(folder)) == (
        "In no ratio, as they failed or cannot be read: 1 colo; the others may be the better ones."
    )


def test_a_latency_that_was_not_surely_added_is_explained_by_nothing(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    runs = []
    for place, run in enumerate(campaign.runs):
        # The mean request takes as much longer in one block as it is faster in the next.
        shift = (0.2 if place % 2 else -0.2) - 0.02
        requests = replace(run.requests, latency_s=np.maximum(run.requests.latency_s + shift, 1e-4))
        runs.append(replace(run, requests=requests))
    found = next(one for one in overheads(replace(campaign, runs=tuple(runs))) if one.scenario == "colo")
    assert math.isnan(found.explained.of_latency)
    assert "lie in pauses" not in next(iter(sentences([found])))


def test_more_time_in_pauses_than_was_added_is_not_told_as_a_part_of_it(tmp_path: Path) -> None:
    found, _ = one_of(write_campaign(tmp_path, SERVICE))
    known = replace(found.explained, added_s=0.004, in_pauses_s=0.008, of_latency=2.0)
    said = next(iter(sentences([replace(found, explained=known)])))
    assert "a mean request takes 4.00 ms longer, and 8.00 ms of its life lie in pauses" in said


def test_requests_without_an_answer_are_told_of_where_their_latency_is_missing(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SERVICE))
    assert all("got no good answer" not in one for one in sentences(overheads(campaign)))
    runs = tuple(
        replace(run, requests=replace(run.requests, answered=run.requests.answered & (np.arange(480) % 10 > 0)))
        for run in campaign.runs
    )
    found = next(one for one in overheads(replace(campaign, runs=runs)) if one.scenario == "colo")
    assert "of its requests got no good answer (native 0.83 %), and are in no latency" in next(iter(sentences([found])))


def test_a_service_that_is_asked_at_a_rate_is_said_to_be(tmp_path: Path) -> None:
    found, said = one_of(write_campaign(tmp_path, SERVICE))
    assert found.asked_per_s == 40.0
    assert "40 a second were asked for, and no more can be answered" in said


def test_a_tail_of_too_few_requests_is_marked_wherever_it_is_said(tmp_path: Path) -> None:
    found, said = one_of(write_campaign(tmp_path, SERVICE))
    tail = found.of("client_p99")
    assert tail is not None
    assert tail.exploratory  # 480 requests are not 500
    assert "† exploratory: a run has too few requests for it" in said


def test_time_in_pauses_that_overlap_counts_once() -> None:
    sent, ended = np.array([0.0]), np.array([10.0])
    assert overlap_s(sent, ended, np.array([4.0, 1.0]), np.array([6.0, 5.0])) == pytest.approx([5.0])
    assert overlap_s(sent, ended, np.array([1.0, 2.0]), np.array([8.0, 3.0])) == pytest.approx([7.0])
