from __future__ import annotations

import pandas as pd
import pytest

from analysis import findings
from analysis.load import PHASES
from analysis.summary import MEAN_MS


def _cells(medians: list[float], longest: list[str]) -> pd.DataFrame:
    rows = []
    for place, (median, phase) in enumerate(zip(medians, longest, strict=True)):
        means = {MEAN_MS[name]: 6.0 if name == phase else 1.0 for name in PHASES}
        rows.append({"cell": f"cell {place}", "median_pause_ms": median, "mean_pause_ms": 10.0, **means})
    return pd.DataFrame(rows)


def test_the_headline_gives_the_range_of_the_cells() -> None:
    table = _cells([46.08, 9.0, 12.0], ["load_s"] * 3)
    assert findings.headline(table) == "A checkpoint paused the VM for 9.00 to 46.1 ms, depending on the cell"
    assert findings.extremes(table) == "Shortest median pause: 9.00 ms (cell 1); longest: 46.1 ms (cell 0)"


def test_one_cell_has_no_range() -> None:
    table = _cells([46.08], ["load_s"])
    assert findings.headline(table) == "A checkpoint paused the VM for 46.1 ms"
    assert findings.extremes(table) == "cell 0: median pause 46.1 ms"


def test_the_longest_phase_is_named_with_its_share() -> None:
    assert findings.longest_phase(_cells([1, 2], ["load_s"] * 2)) == (
        "The longest phase of the pause is load: 60\N{NO-BREAK SPACE}% of it"
    )


def test_cells_with_different_longest_phases_are_counted() -> None:
    said = findings.longest_phase(_cells([1, 2, 3], ["load_s", "save_s", "load_s"]))
    assert said == "In 2 of 3 cells the longest phase of the pause is load; in 1 it is save"


@pytest.mark.parametrize(
    ("ratio", "said"), [(1.05, "is steady: p90 is 1.05 times"), (1.87, "varies: p90 is 1.9 times")]
)
def test_the_spread_within_runs_is_said(ratio: float, said: str) -> None:
    assert said in findings.spread(pd.DataFrame({"p90_to_p10": [ratio]}))


def test_nobody_can_take_an_emulated_pause_for_one_under_kvm() -> None:
    title, text = findings.accel_warning(["tcg"])
    assert title == "Every pair ran under emulation (TCG)"
    assert text.startswith("An emulated pause is a real pause of an emulated pair.")
    assert findings.accel_warning(["kvm"])[0] == "Every pair ran under KVM"
    assert findings.accel_warning(["kvm", "tcg"])[0] == "Some pairs ran under KVM, some under emulation (TCG)"


def test_a_single_run_has_no_interval() -> None:
    assert "no range" in findings.interval_note([1, 6])
    assert "2 runs contains the true median run in 50\N{NO-BREAK SPACE}% of campaigns" in findings.interval_note([2, 2])
    assert findings.interval_note([5, 6]).startswith("5 to 6 runs per cell")
