"""A green run says what it did not look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from promises import key, last_line

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1].joinpath("conftest.py").read_text()


def test_a_run_leaves_its_skips_by_reason_also_with_several_workers(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest
        needs_kvm = pytest.mark.skipif(True, reason="no KVM here")
        @needs_kvm
        def test_one(): pass
        @needs_kvm
        def test_two(): pass
        def test_three(): pytest.skip("no netem")
        def test_four(): pass
        """
    )
    for options in ((), ("-n", "2")):
        pytester.runpytest_subprocess("-m", "not pair", *options).assert_outcomes(passed=1, skipped=3)
        left = json.loads((pytester.path / ".pytest_cache" / "v" / key("not pair")).read_text())
        assert left == {"no KVM here": 2, "no netem": 1}


def test_the_last_line_counts_what_was_not_checked() -> None:
    line = last_line([{"no KVM here": 2}, {"no netem": 1, "no KVM here": 1}])
    assert line == "passed, but NOT CHECKED, since this machine cannot (4 tests): no KVM here (3); no netem (1)"
    assert last_line([{}, {}]) == "passed: every promise was checked"
