"""Times of two hosts are compared through the offset between their clocks, and through nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_traces import DATA
from test_evidence import CELL, entry

from bench.host.clock import Clocks, Offset, read_clocks
from bench.measure.journal import NAME, Journal, read_entries
from bench.measure.transfer import Sample
from bench.measure.triggers import read_pacing
from bench.scenario.evidence import gather, read_json_lines

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
