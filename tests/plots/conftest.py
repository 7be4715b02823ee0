"""FAKE campaigns that several tests of figures read, and none writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fixtures.fake_campaign import DEMO, SINGLE, SWEEP, fake_results, write_campaign

if TYPE_CHECKING:
    from analysis.verdicts.results import Results


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results(write_campaign(tmp_path_factory.mktemp("sweep"), SWEEP))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results(write_campaign(tmp_path_factory.mktemp("demo"), DEMO))


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results(write_campaign(tmp_path_factory.mktemp("single"), SINGLE))
