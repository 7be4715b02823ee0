"""What the tests did not check because this machine cannot: ``python -m tests.promises MARKS...`` says it.

A skipped test is a promise that nobody looked at. Each run of pytest leaves its skips in pytest's cache, by the marks
that it was started with; the last line of ``make test`` is made from those of its runs.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

_CACHE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "v"


def key(marks: str) -> str:
    """Return where pytest's cache holds the skips of a run with these marks."""
    return f"colo-bench/skipped {marks or 'all'}"


def skipped(reports: Iterable[pytest.TestReport]) -> dict[str, int]:
    """Return how many tests were skipped for each reason."""
    reasons = (report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple))
    return dict(Counter(str(reason).removeprefix("Skipped: ") for reason in reasons))


def last_line(runs: Iterable[Mapping[str, int]]) -> str:
    """Return what was not checked, in one line."""
    found: Counter[str] = Counter()
    for run in runs:
        found.update(run)
    if not found:
        return "passed: every promise was checked"
    reasons = "; ".join(f"{reason} ({count})" for reason, count in sorted(found.items()))
    return f"passed, but NOT CHECKED, since this machine cannot ({found.total()} tests): {reasons}"


if __name__ == "__main__":
    sys.stdout.write(last_line(json.loads((_CACHE / key(one)).read_text()) for one in sys.argv[1:]) + "\n")
