"""Times of two hosts are compared through the offset between their clocks, and through nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_traces import DATA, real_primary, real_secondary
from test_evidence import CELL, entry

from bench.host.clock import Clocks, Offset, read_clocks, settled
from bench.measure.checkpoints import assemble
from bench.measure.journal import NAME, Journal, read_entries
from bench.measure.transfer import Sample
from bench.measure.triggers import read_pacing
from bench.scenario.answers import read_json_lines
from bench.scenario.evidence import gather

OFFSETS = [0.05, -0.05, 5.0, -5.0, 86400.0]


def poked(t: float) -> dict[str, Any]:
    arguments = {"x-checkpoint-delay": 3_600_000}
    return {"t": t, "side": "primary", "command": "migrate-set-parameters", "arguments": arguments, "seconds": 0.002}


@pytest.mark.parametrize("offset_s", OFFSETS)
def test_pokes_are_told_by_the_primary_s_clock(offset_s: float) -> None:
    times = [1_795_421_240.25, 1_795_421_241.5]
    here = read_pacing([poked(t) for t in times])
    there = read_pacing([poked(t - offset_s) for t in times], Offset(offset_s))
    for one, other in zip(here.pokes, there.pokes, strict=True):
        assert abs(one.sent_us - other.sent_us) <= 1
        assert abs(one.answered_us - other.answered_us) <= 1


def test_an_offset_that_is_not_sure_makes_the_poke_s_time_as_unsure() -> None:
    (sure,), (unsure,) = (read_pacing([poked(100.0)], Offset(0.0, unsure_s)).pokes for unsure_s in (0.0, 0.003))
    assert (unsure.sent_us, unsure.answered_us) == (sure.sent_us - 3000, sure.answered_us + 3000)


@pytest.mark.parametrize("offset_s", OFFSETS)
def test_readings_of_the_byte_counter_find_their_checkpoint_by_the_primary_s_clock(
    tmp_path: Path, offset_s: float
) -> None:
    folder = tmp_path
    for side in ("primary", "secondary"):
        (folder / side).mkdir()
        (folder / side / "trace.log").write_bytes((DATA / f"{side}.trace.log").read_bytes())
    (folder / "qmp.jsonl").write_text(entry(0, command="migrate", arguments={}, reply={}) + "\n")
    times = gather(folder, "abc", CELL, (), ()).columns["t_request"]
    samples = [Sample(times[0] - 0.02, times[0] - 0.01, 1000), Sample(times[1] - 0.02, times[1] - 0.01, 5000)]
    shifted = [Sample(one.before - offset_s, one.after - offset_s, one.sent) for one in samples]
    clocks = Clocks({"primary": Offset(offset_s)})
    expected = gather(folder, "abc", CELL, samples, ()).columns["bytes_sent"]
    assert gather(folder, "abc", CELL, shifted, (), clocks=clocks).columns["bytes_sent"] == expected
    assert expected[0] == 4000


def test_clocks_are_kept_and_read_back(tmp_path: Path) -> None:
    clocks = Clocks({"primary": Offset(0.05, 0.0002), "client": Offset(-5.0, 0.001)})
    with Journal(tmp_path) as journal:
        journal.clocks(clocks)
    assert read_entries(read_json_lines(tmp_path / NAME)[0]).clocks == clocks
    between = clocks.between("client", "primary")
    assert (between.seconds, between.uncertainty_s) == (pytest.approx(5.05), pytest.approx(0.0012))


@pytest.mark.parametrize("damage", [None, [], {"primary": 1}, {"primary": [1.0]}, {"primary": [True, 0.0]}])
def test_what_is_no_offset_is_left_out(damage: object) -> None:
    assert read_clocks(damage) == Clocks()


STAMP = re.compile(r"^(\S+)Z ", re.MULTILINE)


def shifted(text: str, by_s: float, rate: float = 0.0) -> str:
    """Return a trace by a clock that is off by so much, and runs faster by so much of the time that has passed."""
    first = datetime.fromisoformat(STAMP.search(text)[1])  # type: ignore[index]

    def moved(match: re.Match[str]) -> str:
        t = datetime.fromisoformat(match[1])
        late = t + timedelta(seconds=by_s + rate * (t - first).total_seconds())
        return f"{late.isoformat(timespec='microseconds')}Z "

    return STAMP.sub(moved, text)


def run_folder(folder: Path, primary_s: float, secondary_s: float, rate: float = 0.0) -> Path:
    """Make the folder of a recorded run whose hosts have clocks of their own; the harness's is that of the record."""
    for side, by_s in (("primary", primary_s), ("secondary", secondary_s)):
        (folder / side).mkdir(parents=True)
        text = (DATA / f"{side}.trace.log").read_text()
        (folder / side / "trace.log").write_text(shifted(text, by_s, rate if side == "secondary" else 0.0))
    asked = gather_times()
    arguments = {"x-checkpoint-delay": 3_600_000}
    lines = [entry(0, command="migrate", arguments={}, reply={})]
    lines += [
        entry(t - 0.001, command="migrate-set-parameters", arguments=arguments, reply={}, seconds=0.0005) for t in asked
    ]
    (folder / "qmp.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def gather_times() -> list[float]:
    """Return when the recorded checkpoints were asked for, by the clock that the harness had then."""
    return [one.request_us / 1e6 for one in assemble(real_primary(), real_secondary()).checkpoints]


PHASES = ("trigger", "request_s", "stop_s", "prepare_s", "save_s", "deliver_s", "load_s", "resume_s", "pause_s")


@pytest.mark.parametrize(
    ("primary_s", "secondary_s"), [(0.05, 0.0), (0.0, 5.0), (5.0, -5.0), (-0.05, 0.05), (5.0, 5.0)]
)
def test_whatever_the_hosts_clocks_show_labels_and_phases_are_the_same(
    tmp_path: Path, primary_s: float, secondary_s: float
) -> None:
    clocks = Clocks({"primary": Offset(primary_s, 0.0001), "secondary": Offset(secondary_s, 0.0001)})
    here = gather(run_folder(tmp_path / "here", 0.0, 0.0), "abc", CELL, (), ()).columns
    there = gather(run_folder(tmp_path / "there", primary_s, secondary_s), "abc", CELL, (), (), clocks=clocks).columns
    assert {"demand"} == set(here["trigger"])
    for name in PHASES:
        assert there[name] == here[name], name


def test_a_secondary_whose_clock_drifts_has_the_same_labels_and_the_primary_s_phases(tmp_path: Path) -> None:
    here = gather(run_folder(tmp_path / "here", 0.0, 0.0), "abc", CELL, (), ()).columns
    folder = run_folder(tmp_path / "there", 0.05, 5.0, 0.0002)
    there = gather(folder, "abc", CELL, (), (), clocks=Clocks({"primary": Offset(0.05)})).columns
    for name in PHASES:
        assert there[name] == here[name], name


def test_without_the_offset_no_label_would_be_right(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "there", 5.0, 5.0)
    assert set(gather(folder, "abc", CELL, (), ()).columns["trigger"]) != {"demand"}


def test_a_clock_that_drifts_makes_its_offset_as_unsure_and_one_that_was_set_fails_the_run() -> None:
    before = Clocks({"primary": Offset(5.0, 0.0001), "secondary": Offset(0.05, 0.0001)})
    drifted = Clocks({"primary": Offset(5.004, 0.0002), "secondary": Offset(0.05, 0.0001)})
    clocks, wrong = settled(before, drifted, 60.0)
    assert wrong == ()
    assert clocks.of("primary").seconds == pytest.approx(5.002)
    assert clocks.of("primary").uncertainty_s == pytest.approx(0.0022)
    assert clocks.of("secondary") == Offset(0.05, 0.0001)
    _, wrong = settled(before, Clocks({"primary": Offset(5.05, 0.0001), "secondary": Offset(0.05, 0.0001)}), 60.0)
    assert len(wrong) == 1
    assert "primary's host moved by +0.050000 s" in wrong[0]


def test_one_and_the_same_clock_is_settled_as_it_is() -> None:
    clocks = Clocks({"primary": Offset(), "secondary": Offset(), "client": Offset()})
    assert settled(clocks, clocks, 100.0) == (clocks, ())
