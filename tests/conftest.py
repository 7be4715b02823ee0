"""How many inputs a property test tries: some in every run, always the same ones; thousands of new ones when asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from promises import key, skipped

from bench.system.exits import find_system_programs

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)

settings.register_profile("fast", max_examples=75, derandomize=True, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: the tests interrupt themselves
    signal.signal(signal.SIGINT, signal.default_int_handler)
find_system_programs()  # as every command of ours does: `su` without a dash leaves ip and tc out

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_LONGEST = {
    "test_analysis_calibrate.py",
    "test_apps.py",
    "test_cli.py",
    "test_docs_site.py",
    "test_every_command.py",
    "test_plots_figures.py",
    "test_reference.py",
    "test_slurm_pair.py",
    "test_sweeper.py",
    "test_until_decided.py",
    "test_wheel.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest: one that is begun last keeps a processor busy and the others idle."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Thousands of small files need not reach the disk; that the ones of a campaign do is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.startswith("test_fuzz_"):
            patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make reports with few figures, where a test is not about them."""
    from fixtures.figures import draw_few

    draw_few(monkeypatch)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Leave what was skipped, for the last line of ``make test``."""
    if getattr(config, "cache", None) is not None:
        config.cache.set(key(config.option.markexpr), skipped(terminalreporter.stats.get("skipped", [])))
