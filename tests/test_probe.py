"""What a failed COLO probe means."""

from __future__ import annotations

from bench.errors import ColoError, GuestError, MeasureError
from bench.run.probe import known_cause


def test_a_migration_that_completes_is_a_known_property_of_the_binary() -> None:
    error = ColoError("the migration ended `completed`", cause="colo-completed", hint="use a newer one")
    assert known_cause(error) == "the migration ended `completed`: use a newer one"


def test_a_primary_that_hangs_is_a_known_property_of_the_binary() -> None:
    assert known_cause(ColoError("the primary hangs", cause="colo-hang", hint="")) == "the primary hangs"


def test_a_slow_host_says_nothing_of_the_binary() -> None:
    assert known_cause(MeasureError("no checkpoint began within 20 s")) is None
    assert known_cause(GuestError("the guest was not ready within 90 s")) is None
