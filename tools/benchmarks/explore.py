"""What the explorer of ten thousand runs takes: bytes, and milliseconds from a click to what it shows in a browser.

The campaign is SYNTHETIC, as the report's is. `python -m tools.benchmarks.explore [--runs N]` prints the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from analysis.commands import explore
from analysis.report.explore import MOST_RUNS
from tools.benchmarks.report import LABEL, write_campaign
from tools.browser import IS_HERE, opened

if TYPE_CHECKING:
    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

AIMS = {"page_bytes": 3e6, "filter_ms": 100.0}
"""The most that a page of :data:`MOST_RUNS` runs, and a filter of it, may take on a machine that is otherwise idle."""

_CHECKPOINTS, _CLICKS, _DEADLINE_S = 20, 10, 60


def benchmark(runs: int = MOST_RUNS) -> dict[str, Any]:
    """Return the figures: of each factor the median of clicks that take a level away, and bring it back.

    ``filter_ms`` is the largest of these medians by the clock, which waits for whatever else wants a CPU (``load``, on
    average); ``filter_cpu_ms`` by the CPU time of the page's own thread, which does not.
    """
    with tempfile.TemporaryDirectory(prefix="colo-bench-explore-") as name:
        folder = write_campaign(Path(name, "many"), runs, _CHECKPOINTS, 1)
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            explore.main([str(folder)])
        figures: dict[str, Any] = {"label": LABEL, "runs": runs, "seconds": time.perf_counter() - started}
        page = folder / "report" / "explore.html"
        figures["page_bytes"] = page.stat().st_size
        if IS_HERE:
            with opened(Path(name, "profile")) as browser:
                figures |= measure(browser, page)
        else:
            figures["browser"] = "no chromium and chromedriver on this machine"
    return figures | {"aims": aims(figures)}


def measure(browser: webdriver.Chrome, page: Path) -> dict[str, Any]:
    """Return the milliseconds of filters, from the click to the task after the frame that shows what it left."""
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get(page.as_uri())
    shown = _took(browser)
    clicks: dict[str, list[tuple[float, float]]] = {}
    for box in browser.find_elements(By.CSS_SELECTOR, "#filters fieldset"):
        first = box.find_element(By.TAG_NAME, "input")
        clicks[box.find_element(By.TAG_NAME, "legend").text] = [_clicked(browser, first) for _ in range(_CLICKS)]
    wall, cpu = ({name: statistics.median(one[of] for one in each) for name, each in clicks.items()} for of in (0, 1))
    return {
        "shown_ms": shown,
        "filter_ms": max(wall.values()),
        "filter_cpu_ms": max(cpu.values()),
        "filter_ms_by_factor": wall,
        "filter_cpu_ms_by_factor": cpu,
        "slowest_click_ms": max(one for each in clicks.values() for one, _ in each),
        "load": os.getloadavg()[0],
        "browser": browser.capabilities["browserVersion"],
    }


def _clicked(browser: webdriver.Chrome, box: WebElement) -> tuple[float, float]:
    """Return what a click took by the clock, and of the CPU."""
    before = _cpu_s(browser)
    browser.execute_script("arguments[0].click()", box)
    wall_ms = _took(browser)
    return wall_ms, 1e3 * (_cpu_s(browser) - before)


def _cpu_s(browser: webdriver.Chrome) -> float:
    """Return the CPU time that the page's own thread has spent in tasks."""
    told = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(one["value"]) for one in told if one["name"] == "TaskDuration")


def _took(browser: webdriver.Chrome) -> float:
    wait = WebDriverWait(browser, _DEADLINE_S, poll_frequency=0.02)
    return float(wait.until(lambda one: one.execute_script("return document.body.dataset.took")))


def aims(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each of :data:`AIMS` with what was measured and whether it is met; none for fewer runs."""
    if figures["runs"] < MOST_RUNS:
        return []
    return [
        {"what": what, "measured": figures[what], "aim": aim, "met": figures[what] <= aim}
        for what, aim in AIMS.items()
        if what in figures
    ]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=MOST_RUNS)
    print(json.dumps(benchmark(parser.parse_args().runs), indent=1))  # noqa: T201 - printing the figures is what this command is for
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
