"""Verdicts asked for after every block: false ones are as rare as after one look, not so without its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analysis.calibrate.looking import looking
from analysis.calibrate.rates import Asked
from analysis.calibrate.simulate import Model

if TYPE_CHECKING:
    from analysis.calibrate.rates import Rate


@pytest.fixture(scope="module")
def rates() -> list[Rate]:
    model = Model(sizes=(0.0, 1.0, 2.0), combinations=2, run_sd=0.06)
    return list(looking(Asked(model, 400)))


def test_false_words_are_rare_with_all_looks_also_where_the_host_drifts_and_runs_are_lost(rates: list[Rate]) -> None:
    used = [one for one in rates if one.recommended]
    assert len(used) == 4
    assert sum("drift" in one.method for one in used) == 2
    assert all(0.0 < one.rate <= 0.065 for one in used)


def test_without_a_share_for_each_look_they_are_many(rates: list[Rate]) -> None:
    naive = [one.rate for one in rates if not one.recommended]
    assert naive
    assert min(naive) > 0.12
