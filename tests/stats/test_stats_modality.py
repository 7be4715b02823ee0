from __future__ import annotations

import numpy as np
import pytest

from analysis.stats import modes, slow_mode_share


def _around(rng: np.random.Generator, *parts: tuple[float, int]) -> np.ndarray:
    return np.concatenate([rng.normal(centre, 0.001, count) for centre, count in parts])


def test_three_modes_are_located() -> None:
    pauses = _around(np.random.default_rng(0), (0.009, 10), (0.042, 60), (0.087, 30))
    assert modes(pauses) == pytest.approx((0.009, 0.042, 0.087), rel=0.05)


def test_one_mode_is_seen_as_one() -> None:
    rng = np.random.default_rng(1)
    seen = [len(modes(0.020 * rng.lognormal(0, 0.25, 100))) for _ in range(100)]
    assert np.mean(np.array(seen) > 1) <= 0.03


def test_a_lonely_outlier_is_no_mode_and_equal_values_are_one() -> None:
    pauses = _around(np.random.default_rng(2), (0.02, 50), (0.9, 1))
    assert len(modes(pauses)) == 1
    assert modes([0.5] * 12) == (0.5,)


def test_delayed_acknowledgements_above_the_median_are_flagged() -> None:
    rng = np.random.default_rng(3)
    pauses = 0.020 * rng.lognormal(0, 0.1, 100)
    clean = slow_mode_share(pauses)
    assert (clean.counts, clean.flagged, clean.usable) == ((0, 0), False, True)
    pauses[:10] += 0.040
    slow = slow_mode_share(pauses)
    assert slow.flagged
    assert sum(slow.counts) == pytest.approx(10, abs=1)


def test_a_run_that_always_stalls_shows_against_the_base_of_a_unix_socket() -> None:
    pauses = _around(np.random.default_rng(4), (0.042, 60), (0.087, 40))
    against_unix = slow_mode_share(pauses, base_s=0.009)
    assert against_unix.counts == (60, 40)
    assert (against_unix.share, against_unix.flagged) == (1.0, True)
    assert slow_mode_share(pauses).counts == (40, 0)


def test_the_bands_are_where_they_are_said_to_be() -> None:
    at = [0.010, 0.044, 0.046, 0.059, 0.061, 0.079, 0.081, 0.109, 0.111]
    assert slow_mode_share(at, base_s=0.010).counts == (3, 3)


def test_pauses_as_scattered_as_the_band_is_wide_cannot_be_judged() -> None:
    pauses = np.random.default_rng(5).normal(0.2, 0.03, 200)
    result = slow_mode_share(pauses)
    assert (result.usable, result.flagged) == (False, False)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="base_s must be"):
        slow_mode_share([0.1], base_s=-1)
    with pytest.raises(ValueError, match="needs at least 10"):
        modes([0.1])
    with pytest.raises(ValueError, match="must be positive"):
        modes([0.0] * 10)
