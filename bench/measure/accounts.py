"""What a benchmark program said of its requests, as a client's figures: it tells of them all, and of no single one."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXACT = {"min_s": min, "max_s": max}
_FIGURES = ("p50_s", "p95_s", "p99_s", "max_s")


def program_figures(accounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the program's name, its version and its totals.

    Of a program that was run in rounds, requests and errors are added up, the rate is that of all requests over the
    time that they took, the mean weighs each round by its requests; a quantile is the median of the rounds' own.

    Args:
        accounts: its lines of the client's log, at least one.
    """
    rounds = [one["totals"] for one in accounts if "totals" in one]
    figures: dict[str, Any] = {"name": accounts[0]["program"], "version": accounts[0]["version"], "rounds": len(rounds)}
    requests = sum(one["requests"] for one in rounds)
    seconds = sum(one["requests"] / one["requests_per_s"] for one in rounds if one["requests_per_s"])
    if not requests or not seconds:
        return figures
    figures |= {"requests": int(requests), "errors": int(sum(one.get("errors", 0) for one in rounds))}
    figures["requests_per_s"] = round(requests / seconds, 6)
    for name in dict.fromkeys(name for one in rounds for name in one if name.endswith("_s") and name not in figures):
        told = [one for one in rounds if name in one]
        if name == "mean_s":
            mean = sum(one[name] * one["requests"] for one in told) / sum(one["requests"] for one in told)
            figures[name] = round(mean, 9)
        else:
            figures[name] = _EXACT.get(name, median)(one[name] for one in told)
    return figures


def stretch(accounts: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """Return when (Unix s) the program began and when it ended; empty where it came to nothing."""
    times = [one[name] for one in accounts for name in ("began", "ended") if name in one]
    return (min(times), max(times)) if times else ()


def as_client(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return a program's totals under the names that a client with a row for each request has its own under."""
    told = {name: figures[name] for name in ("requests", "errors", "requests_per_s", *_FIGURES) if name in figures}
    return {"requests": 0, "errors": 0} | told
