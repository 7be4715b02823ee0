"""What a client saw of a failover, out of its rows alone."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measure.gap import client_course

STRUCK, TAKEN = 100.0, 100.4


def course(*ends: tuple[float, Any] | float, kept: dict[str, Any] | None = None, taken: float | None = TAKEN) -> Any:
    """Return it of requests that took 10 ms each and whose good answers came then, over these connections."""
    rows = [one if isinstance(one, tuple) else (one, None) for one in ends]
    answers = {
        "t_send": [end - 0.01 for end, _ in rows],
        "latency_s": [0.01] * len(rows),
        "status": [200] * len(rows),
        "error": [None] * len(rows),
        "connection": [place for _, place in rows],
    }
    return client_course(answers, STRUCK, taken, kept)


def test_the_gap_is_from_the_last_answer_before_the_blow_to_the_first_after_it() -> None:
    assert course(99.8, 99.9, 100.5, 100.6)["gap_s"] == pytest.approx(0.6)


def test_an_answer_that_was_under_way_at_the_blow_ends_no_gap() -> None:
    # What the primary had sent still arrives; the longest time without an answer is what counts.
    assert course(99.9, 100.01, 100.9, 101.0)["gap_s"] == pytest.approx(0.89)


def test_a_stall_long_before_or_after_is_none_of_the_failover_s() -> None:
    assert course(90.0, 95.0, 99.9, 100.5, 100.6, 109.0)["gap_s"] == pytest.approx(0.6)


@pytest.mark.parametrize("ends", [(), (99.0, 99.9), (100.5, 100.6), (99.9, 100.2)])
def test_without_an_answer_on_both_sides_of_the_takeover_there_is_no_gap(ends: tuple[float, ...]) -> None:
    assert course(*ends)["gap_s"] is None


def test_a_takeover_that_never_was_has_no_gap_and_no_connection_that_lived_on() -> None:
    seen = course((99.9, 0), (100.5, 0), taken=None)
    assert (seen["gap_s"], seen["connections"], seen["survived"]) == (None, 1, 0)


def test_a_connection_lives_on_when_it_is_answered_before_and_after() -> None:
    seen = course((99.5, 0), (99.6, 1), (100.5, 1), (100.6, 2))
    assert (seen["connections"], seen["survived"], seen["survived_share"]) == (2, 1, 0.5)


def test_requests_with_connections_of_their_own_say_nothing_of_any() -> None:
    assert "connections" not in course(99.5, 100.5)


def test_what_could_not_be_checked_is_no_loss_and_none_found_is_zero() -> None:
    unchecked = course(99.5, 100.5, kept={"checked": 0, "lost": 0, "examples": [], "error": "OSError: gone"})
    assert (unchecked["checked"], unchecked["lost"], unchecked["error"]) == (0, None, "OSError: gone")
    checked = course(99.5, 100.5, kept={"checked": 7, "lost": 0, "examples": [], "error": ""})
    assert (checked["checked"], checked["lost"], "examples" in checked) == (7, 0, False)
