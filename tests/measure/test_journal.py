"""What the harness learns while it measures is kept as it comes, and read back as it was."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.measure.journal import NAME, Journal, Kept, read_entries
from bench.measure.transfer import Sample
from bench.scenario.answers import read_json_lines

TIMES = st.floats(0, 4e9, allow_nan=False)
SAMPLES = st.lists(st.builds(Sample, TIMES, TIMES, st.integers(0, 1 << 60)), max_size=9)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), SAMPLES)
def test_what_was_written_is_read_back_to_the_last_bit(tmp_path: Path, early: int, samples: list[Sample]) -> None:
    (tmp_path / NAME).unlink(missing_ok=True)
    with Journal(tmp_path) as journal:
        journal.begin(early)
        for sample in samples:
            journal.sample(sample)
    entries, problems = read_json_lines(tmp_path / NAME)
    assert read_entries(entries) == Kept(early, tuple(samples))
    assert problems == []


def test_when_the_measurement_ended_is_read_back(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.begin(1)
        journal.ended(1796045973.25)
    entries, _ = read_json_lines(tmp_path / NAME)
    assert read_entries(entries) == Kept(1, (), ended=1796045973.25)


def test_each_line_is_in_the_file_before_the_next_one_comes(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.begin(2)
        assert json.loads((tmp_path / NAME).read_text()) == {"early_checkpoints": 2}


def test_what_is_not_ours_is_left_alone() -> None:
    odd = [
        {"early_checkpoints": -1},
        {"early_checkpoints": True},
        {"sent": 5},
        {"before": 1.0, "after": "x", "sent": 1},
    ]
    assert read_entries(odd) == Kept(None, ())
