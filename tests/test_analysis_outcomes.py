"""One row per run: hand-made checkpoints with outcomes that can be computed in the head."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.derived.outcomes import FINER, outcomes
from analysis.stored.factors import effective, flatten, parse_level, working_set_bytes
from analysis.stored.load import PHASES

GIB = 1 << 30


def checkpoints(pauses_ms: list[float], *, gap: int | None = None) -> pd.DataFrame:
    """Return checkpoints one second apart; ``gap`` leaves one out of the numbering."""
    count = len(pauses_ms)
    index = np.arange(count) + (np.arange(count) >= gap if gap is not None else 0)
    rows = {
        "index": index,
        "trigger": ["demand"] * (count - 1) + ["mismatch"],
        "t_request": 100.0 + index,
        "pause_s": np.array(pauses_ms) / 1e3,
        "total_s": np.array(pauses_ms) / 1e3 + 0.002,
        **dict.fromkeys(PHASES, 0.001),
        **{f"{name}_s": [np.nan] * count for name in FINER},
        "dirty_pages": pd.array([10 * (place + 1) for place in range(count)], dtype="Int64"),
        "bytes_sent": pd.array([None] * count, dtype="Int64"),
    }
    return pd.DataFrame(rows)


def test_a_run_is_reduced_to_one_number_per_outcome() -> None:
    row = outcomes(checkpoints([10, 20, 30, 40, 100]), tcp=False)
    assert row["pause"] == pytest.approx(0.030)
    assert row["pause_mean"] == pytest.approx(0.040)
    assert row["dirty_pages"] == 30
    assert row["period"] == pytest.approx(1.0)
    assert row["paused_share"] == pytest.approx(0.200 / 4.102)
    assert row["mismatch_share"] == pytest.approx(0.2)
    assert row["joined_share"] == 0
    assert not row["pause_p95_enough"]
    assert np.isnan(row["bytes_sent"])
    assert np.isnan(row["slow_share"])


def test_the_period_is_that_of_neighbours() -> None:
    assert outcomes(checkpoints([10] * 6, gap=3), tcp=False)["period"] == pytest.approx(1.0)


def test_the_arms_of_a_sweep_meet_where_their_working_sets_are_equal() -> None:
    fixed = {"mem": GIB, "workload.name": "dirty", "workload.working_set": 32 << 20, "workload.scaling": "fixed"}
    scaled = fixed | {"workload.scaling": "mem"}
    assert effective(fixed) == effective(scaled)
    assert working_set_bytes(scaled | {"mem": 4 * GIB}) == 128 << 20
    assert effective(fixed | {"mem": 4 * GIB}) != effective(scaled | {"mem": 4 * GIB})
    assert working_set_bytes({"mem": GIB}) is None


def test_factors_are_flat_and_without_deadlines() -> None:
    tree = {"mem": 1, "cpu": {"features": ["+a", "-b"], "cache": {"l3": {"size": None}}}, "deadlines": {"boot": 1}}
    assert flatten(tree) == {"mem": 1, "cpu.features": "+a,-b", "cpu.cache.l3.size": None}


@pytest.mark.parametrize(
    ("path", "level", "expected"),
    [("mem", "512M", 512 << 20), ("mem", 4, 4), ("mem", "huge", "huge"), ("link.transport", "4G", "4G")],
)
def test_a_size_in_words_is_bytes(path: str, level: str | int, expected: str | int) -> None:
    assert parse_level(path, level) == expected
