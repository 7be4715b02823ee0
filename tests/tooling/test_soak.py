"""The soak: what is called growth."""

from __future__ import annotations

from tools.benchmarks.soak import FIGURES, Sample, grown, summarise, table


def sample(run: int, **figures: int) -> Sample:
    return Sample(run=run, t_s=10.0 * run, **dict.fromkeys(FIGURES, 5) | figures)


def test_what_is_loaded_once_is_no_growth() -> None:
    samples = [sample(run, rss_bytes=100 + (50 if run > 2 else 0)) for run in range(1, 41)]
    assert summarise(samples)["rss_bytes"] == {
        "first_quarter": 150.0,
        "last_quarter": 150.0,
        "largest": 150.0,
        "growth_per_100_runs": 0.0,
    }


def test_a_descriptor_that_every_second_run_leaves_open_shows() -> None:
    figures = summarise([sample(run, descriptors=20 + run // 2) for run in range(1, 81)])
    assert figures["descriptors"]["growth_per_100_runs"] > 49
    assert figures["descriptors"]["last_quarter"] > figures["descriptors"]["first_quarter"] + 25
    assert figures["threads"]["growth_per_100_runs"] == 0


def test_two_samples_and_even_one_make_a_table() -> None:
    for samples in ([sample(1)], [sample(1), sample(2)]):
        assert table({"figures": summarise(samples)}).count("\n") == 1 + len(FIGURES)


def test_what_grows_is_named_and_what_is_kept_of_each_run_is_not() -> None:
    kept = summarise([sample(run, rss_bytes=10**8 + 2000 * run) for run in range(1, 81)])
    assert grown(kept) == []
    leaking = summarise(
        [sample(run, rss_bytes=10**8 + 20_000 * run, temporary_files=run // 50) for run in range(1, 81)]
    )
    assert grown(leaking) == ["rss_bytes", "temporary_files"]
