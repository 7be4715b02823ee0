"""A real browser without a screen, as tests and benchmarks start it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selenium import webdriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}

IS_HERE = all(_PROGRAMS.values())
"""Whether this machine has the programs."""


@contextmanager
def opened(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start one with a profile of its own, and end it."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(_PROGRAMS["chromium"])
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=str(_PROGRAMS["chromedriver"]))
    )
    try:
        yield driver
    finally:
        driver.quit()
