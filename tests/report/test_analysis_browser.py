"""The page of a FAKE campaign in a real browser: a click sorts, nothing is fetched, a phone scrolls one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixtures.browser import in_browser
from fixtures.fake_campaign import IDLE, Fake, write_campaign
from selenium.webdriver.common.by import By

from analysis.report.build import build_report

if TYPE_CHECKING:
    from selenium import webdriver

GROWS = {"id": "H1", "claim": "The pause grows with vCPUs.", "factor": "smp"}
pytestmark = in_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake = Fake(workloads=(IDLE,), links=("tcp", "unix"), repeats=6, count=10, hypotheses=(GROWS,))
    return build_report([write_campaign(tmp_path_factory.mktemp("results"), fake)])


def _open(browser: webdriver.Chrome, page: Path, width: int, height: int = 900) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page.as_uri())


def _column(browser: webdriver.Chrome, place: int) -> list[float]:
    rows = browser.find_elements(By.CSS_SELECTOR, f"#cells tbody tr > :nth-child({place})")
    return [float(row.get_attribute("data-key") or "nan") for row in rows]


def test_a_click_on_a_heading_sorts_up_and_down(browser: webdriver.Chrome, page: Path) -> None:
    _open(browser, page, 1200)
    button = browser.find_element(By.CSS_SELECTOR, "#cells thead th:nth-child(2) button")
    button.click()
    upwards = _column(browser, 2)
    assert upwards == sorted(upwards)
    assert len(set(upwards)) > 1
    button.click()
    assert _column(browser, 2) == upwards[::-1]
    head = browser.find_element(By.CSS_SELECTOR, "#cells thead th:nth-child(2)")
    assert head.get_attribute("aria-sort") == "descending"


def test_cells_are_sorted_by_their_size_and_not_by_its_letters(browser: webdriver.Chrome, page: Path) -> None:
    _open(browser, page, 1200)
    browser.find_element(By.CSS_SELECTOR, "#cells thead th:nth-child(1) button").click()
    shown = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#cells tbody tr > :nth-child(1)")]
    small, large = (
        [place for place, text in enumerate(shown) if text.startswith(size)] for size in ("512 MiB", "1 GiB")
    )
    assert small
    assert large
    assert max(small) < min(large)


def test_the_console_stays_empty(browser: webdriver.Chrome, page: Path) -> None:
    _open(browser, page, 1200)
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [390, 768, 1200])
def test_no_width_needs_a_sideways_scroll(browser: webdriver.Chrome, page: Path, width: int) -> None:
    _open(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_a_phone_gets_the_narrow_picture(browser: webdriver.Chrome, page: Path) -> None:
    script = "return document.querySelector('figure img').currentSrc"
    _open(browser, page, 390)
    narrow = browser.execute_script(script)
    _open(browser, page, 1200)
    assert narrow != browser.execute_script(script)


def test_every_picture_is_shown(browser: webdriver.Chrome, page: Path) -> None:
    _open(browser, page, 1200)
    sizes = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert sizes
    assert all(size > 0 for size in sizes)
