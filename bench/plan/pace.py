"""How long the rest of a campaign takes, kept up run by run: 10,000 runs must not be added up after each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Pace:
    """The estimates of the runs ahead, scaled by how those of the measured runs turned out."""

    def __init__(self, estimates_s: Iterable[float]) -> None:
        self._ahead_s = sum(estimates_s)
        self._expected_s = 0.0
        self._took_s = 0.0

    @property
    def left_s(self) -> float:
        """The seconds still to go."""
        return self.scaled(max(self._ahead_s, 0.0))

    def scaled(self, estimate_s: float) -> float:
        """Return how long a run of this estimate will take, by how those before it turned out."""
        return estimate_s * (self._took_s / self._expected_s if self._expected_s else 1.0)

    def more(self, estimates_s: Iterable[float]) -> None:
        """Put further runs ahead."""
        self._ahead_s += sum(estimates_s)

    def over(self, estimate_s: float, took_s: float | None) -> None:
        """Take a run off what is ahead; one that failed took ``None``, and tells nothing of those to come."""
        self._ahead_s -= estimate_s
        if took_s is not None:
            self._expected_s += estimate_s
            self._took_s += took_s
