from __future__ import annotations

import numpy as np
import pytest

from analysis.stats import per_page_cost

PER_PAGE_S = 2e-6


def _runs(seed: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return runs in which dirty pages grow with size and the host delays both pages and pauses."""
    rng = np.random.default_rng(seed)
    size = np.repeat([1.0, 2.0, 4.0, 8.0], 6)
    pages, pauses = [], []
    for gib in size:
        host = rng.normal()
        pages.append(2000 + 500 * gib + 300 * host + rng.normal(0, 400, 60))
        pauses.append(0.005 + PER_PAGE_S * pages[-1] + 0.001 * host + rng.normal(0, 0.0005, 60))
    return size, pages, pauses


def test_the_cost_of_a_page_is_recovered_although_the_host_confounds_runs() -> None:
    size, pages, pauses = _runs(0)
    result = per_page_cost(pages, pauses, size.tolist())
    assert result.low <= PER_PAGE_S <= result.high
    assert result.estimate == pytest.approx(PER_PAGE_S, rel=0.05)
    means = [np.array([part.mean() for part in parts]) for parts in (pages, pauses)]
    assert np.polyfit(means[0] - 500 * size, means[1], 1)[0] > 1.5 * PER_PAGE_S


def test_the_estimate_is_the_slope_within_runs() -> None:
    _, pages, pauses = _runs(1)
    d, y = (np.concatenate([part - part.mean() for part in parts]) for parts in (pages, pauses))
    assert per_page_cost(pages, pauses).estimate == pytest.approx(float(d @ y / (d @ d)))


def test_a_cost_per_page_is_covered_where_one_size_outweighs_the_others_and_varies_more() -> None:
    size, hits = np.repeat([1.0, 2.0, 4.0, 8.0], 6), []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        pages = [2000 * (gib + 0.2 * rng.normal(size=40)) for gib in size]
        pauses = [PER_PAGE_S * part * (1 + 0.2 * rng.normal()) for part in pages]
        result = per_page_cost(pages, pauses, size.tolist())
        hits.append(result.low <= PER_PAGE_S <= result.high)
    assert 0.93 <= np.mean(hits) <= 0.98


def test_runs_without_the_needed_variation_are_refused() -> None:
    _, pages, pauses = _runs(3)
    with pytest.raises(ValueError, match="never varies"):
        per_page_cost([[5, 5], [5, 5]], [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="run 0 has 2 page counts and 3 pauses"):
        per_page_cost([[5, 6], [5, 6]], [[1, 2, 3], [3, 4]])
    with pytest.raises(ValueError, match="two runs to see how they vary"):
        per_page_cost(pages, pauses, range(24))
    with pytest.raises(ValueError, match="lengths differ"):
        per_page_cost(pages[:5], pauses)
