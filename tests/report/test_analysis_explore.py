"""The explorer of a FAKE campaign in a real browser: clicks filter, a run tells its files, nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fixtures.browser import in_browser
from fixtures.fake_campaign import IDLE, SERVICE, Fake, replace_parquet, run_ids, write_campaign
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from analysis.commands import explore as command
from analysis.report import explore
from analysis.report.build import build_report
from analysis.report.explore import MOST_RUNS, QUANTILES, TooManyRunsError, page

if TYPE_CHECKING:
    from selenium import webdriver

VENDOR = Path(explore.__file__).parent / "vendor"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake = Fake(name="a<b>&c", mems=(1 << 29, 1 << 30), smps=(1, 2), workloads=(IDLE,), repeats=3, count=10, failed=1)
    folder = write_campaign(tmp_path_factory.mktemp("results"), fake)
    assert command.main([str(folder)]) == 0
    return folder / "report" / "explore.html"


def held(path: Path) -> dict[str, object]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    tree: dict[str, object] = json.loads(found[1])
    return tree


def test_the_libraries_are_what_their_hashes_say_and_small() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines() if not line.startswith("#")]
    assert {name for _, name in lines} == {one.name for one in VENDOR.iterdir()} - {"SHA256SUMS"}
    assert all(hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest for digest, name in lines)
    assert sum(one.stat().st_size for one in VENDOR.glob("*.js")) < 70_000


def test_the_page_holds_every_run_and_no_raw_checkpoint(path: Path) -> None:
    tree = held(path)
    stored = {one.name for one in (path.parents[1] / "runs").iterdir()}
    assert set(tree["run_id"]) == stored  # type: ignore[call-overload]
    assert [len(column) for column in tree["sketch"]] == [len(stored)] * len(QUANTILES)  # type: ignore[attr-defined]
    assert tree["failed"] == 1
    assert "http://" not in path.read_text().replace("http://www.w3.org", "")


@pytest.mark.parametrize(("count", "mark"), [(99, ", exploratory"), (100, "")])
def test_a_tail_of_too_few_checkpoints_is_marked_as_in_the_tables(tmp_path: Path, count: int, mark: str) -> None:
    fake = Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), repeats=1, count=count)
    folder = write_campaign(tmp_path, fake)
    assert command.main([str(folder)]) == 0
    outcomes: Any = held(folder / "report" / "explore.html")["outcomes"]
    words = {name: outcomes[name]["words"] for name in ("pause", "pause_p95", "pause_p99")}
    of = "of the pause"
    assert words == {"pause": "pause", "pause_p95": f"p95 {of}{mark}", "pause_p99": f"p99 {of}, exploratory"}


def test_runs_without_checkpoints_are_counted_though_they_are_no_rows(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    assert command.main([str(folder)]) == 0
    tree = held(folder / "report" / "explore.html")
    assert (len(tree["run_id"]), tree["without"], tree["unread"]) == (4, 8, 0)  # type: ignore[arg-type]


@in_browser
def test_a_run_that_cannot_be_read_is_counted_though_it_is_no_row(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), repeats=3, count=6))
    (folder / "runs" / run_ids(folder)[0] / "checkpoints.parquet").write_bytes(b"damaged")
    assert command.main([str(folder)]) == 0
    show(browser, folder / "report" / "explore.html")
    assert count(browser) == "2 of 2 runs, and 1 that cannot be read"


@in_browser
def test_a_pair_that_is_only_formed_has_checkpoints_and_none_was_asked_of_it(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    folder = write_campaign(tmp_path, replace(SERVICE, scenarios=("formed", "colo"), repeats=1))
    assert command.main([str(folder)]) == 0
    show(browser, folder / "report" / "explore.html")
    assert count(browser) == "1 of 1 run, and 1 not here, of which no checkpoint was asked"


def many(count: int) -> dict[str, object]:
    """Return an INVENTED payload of so many runs."""
    rng = np.random.default_rng(1)
    shown = lambda: [float(f"{one:.3g}") for one in 50 * np.exp(0.3 * rng.standard_normal(count))]  # noqa: E731 - ms
    factor = lambda name, levels: {  # noqa: E731
        "name": name,
        "levels": [f"{name} {place}" for place in range(levels)],
        "of": rng.integers(0, levels, count).tolist(),
    }
    return {
        "campaign": "invented",
        "outcomes": {one.name: {"words": one.words, "unit": "ms", "of": shown()} for one in explore.SHOWN},
        "phases": {name: shown() for name in ("request", "stop", "prepare", "save", "deliver", "load", "resume")},
        "quantiles": list(QUANTILES),
        "sketch": [shown() for _ in QUANTILES],
        "factors": [factor("cell", 48), factor("RAM", 4), factor("vCPUs", 3), factor("transport", 4)],
        "run_id": [f"{one:012x}" for one in range(count)],
        "homes": [".."],
        "home": [0] * count,
        "started_at": [1.7e9 + 30.0 * one for one in range(count)],
        "checkpoints": [50] * count,
        "failed": 0,
    }


def test_ten_thousand_runs_stay_below_3_mb() -> None:
    assert len(page(many(MOST_RUNS), "KVM").encode()) <= 3_000_000


def test_more_runs_than_a_page_holds_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explore, "MOST_RUNS", 1)
    folder = write_campaign(tmp_path, Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), count=6))
    assert command.main([str(folder)]) == TooManyRunsError.exit_code
    assert "of a single one the report has a table of every run" in capsys.readouterr().err


def show(browser: webdriver.Chrome, path: Path, fragment: str = "", width: int = 1200, scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get("about:blank")
    browser.get(path.as_uri() + fragment)


def count(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "count").text


def drawn(browser: webdriver.Chrome, place: str) -> int:
    """Return how many pixels of a plot are not its background."""
    script = """const canvas = document.querySelector(arguments[0] + ' canvas');
        const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Uint32Array(image.data.buffer).filter((pixel) => pixel !== 0).length"""
    return int(browser.execute_script(script, place))


@in_browser
def test_a_click_filters_everything_and_the_address_keeps_it(browser: webdriver.Chrome, path: Path) -> None:
    show(browser, path)
    assert count(browser) == "11 of 11 runs, and 1 that failed"
    before = [drawn(browser, place) for place in ("#strips", "#timeline")]
    box = browser.find_element(By.XPATH, "//fieldset[legend='vCPUs']//label[contains(., '2 vCPUs')]/input")
    box.click()
    assert count(browser).startswith("5 of 11 runs")
    rows = browser.find_elements(By.CSS_SELECTOR, "#rows tr")
    assert len(rows) == 5
    assert all("2 vCPUs" not in row.text for row in rows)
    after = [drawn(browser, place) for place in ("#strips", "#timeline")]
    assert all(one != other for one, other in zip(before, after, strict=True))
    fragment = "#" + browser.current_url.partition("#")[2]
    show(browser, path, fragment)
    assert count(browser).startswith("5 of 11 runs")
    browser.find_element(By.ID, "reset").click()
    assert count(browser).startswith("11 of 11 runs")


@in_browser
def test_a_click_on_a_run_shows_its_phases_quantiles_and_files(browser: webdriver.Chrome, path: Path) -> None:
    show(browser, path)
    row = browser.find_element(By.CSS_SELECTOR, "#rows tr")
    run_id = str(row.get_attribute("data-run"))
    row.click()
    text = browser.find_element(By.ID, "run").text
    assert f"../runs/{run_id}/checkpoints.parquet" in text
    assert "save" in text
    assert "95 %, exploratory" in text
    assert "50 %, exploratory" not in text
    assert f"run={run_id}" in browser.current_url


@in_browser
@pytest.mark.parametrize("fragment", ["#%E0%A4%A=0&show=toString&run=none", "#vCPUs", "#show=constructor&block=99"])
def test_an_address_that_means_nothing_shows_the_page_all_the_same(
    browser: webdriver.Chrome, path: Path, fragment: str
) -> None:
    show(browser, path, fragment)
    assert "of 11 runs" in count(browser)
    assert browser.find_element(By.ID, "outcome").get_attribute("value") == "pause"
    assert browser.get_log("browser") == []


@in_browser
def test_of_two_runs_of_one_id_the_one_that_was_chosen_is_shown(browser: webdriver.Chrome, tmp_path: Path) -> None:
    tree = many(4) | {"run_id": ["a", "b", "a", "b"], "homes": ["..", "../../other"], "home": [0, 0, 1, 1]}
    path = tmp_path / "twice.html"
    path.write_text(page(tree, "KVM"), encoding="utf-8")
    show(browser, path)
    for place, folder in ((2, "../../other/runs/a/"), (0, "../runs/a/")):
        browser.find_element(By.CSS_SELECTOR, f"#rows tr[data-place='{place}']").click()
        assert f"files, from this page's folder: {folder}run.json" in browser.find_element(By.ID, "run").text
        selected = browser.find_elements(By.CSS_SELECTOR, "#rows tr[aria-selected=true]")
        assert [row.get_attribute("data-place") for row in selected] == [str(place)]
        show(browser, path, "#" + browser.current_url.partition("#")[2])
        assert f"{folder}run.json" in browser.find_element(By.ID, "run").text


@in_browser
def test_a_click_on_a_point_finds_its_run(browser: webdriver.Chrome, path: Path) -> None:
    show(browser, path)
    script = """const over = document.querySelector('#timeline .u-over'), box = over.getBoundingClientRect();
        for (let x = 0; x < box.width; x += 20) for (let y = 0; y < box.height; y += 20) {
            const place = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
            document.querySelector('#timeline .u-over').dispatchEvent(new MouseEvent('click', place));
            if (!document.getElementById('run').hidden) return;
        }"""
    browser.execute_script(script)
    assert browser.find_element(By.ID, "run").is_displayed()


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_no_width_and_no_scheme_breaks_it(browser: webdriver.Chrome, path: Path, width: int, scheme: str) -> None:
    show(browser, path, width=width, scheme=scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 22, 22)")
    assert browser.find_element(By.TAG_NAME, "h1").text == "a<b>&c: runs to explore"
    assert browser.get_log("browser") == []


def took(browser: webdriver.Chrome) -> float:
    """Return the milliseconds from the last click to the task after the frame that shows what it left."""
    wait = WebDriverWait(browser, 20, poll_frequency=0.02)
    return float(wait.until(lambda one: one.execute_script("return document.body.dataset.took")))


@in_browser
def test_the_time_of_a_filter_ends_after_its_drawing(browser: webdriver.Chrome, path: Path) -> None:
    show(browser, path)
    took(browser)
    slowly = """const clear = CanvasRenderingContext2D.prototype.clearRect;
        CanvasRenderingContext2D.prototype.clearRect = function (...place) {
            for (const until = performance.now() + 100; performance.now() < until;);
            clear.apply(this, place);
        }"""
    browser.execute_script(slowly)
    browser.find_element(By.CSS_SELECTOR, "#filters input").click()
    assert took(browser) >= 200  # uPlot clears each of both plots before it draws it


def filtered(browser: webdriver.Chrome, path: Path, runs: int) -> float:
    """Return the median milliseconds of clicks that take one of four levels away, and bring it back."""
    path.write_text(page(many(runs), "KVM"), encoding="utf-8")
    show(browser, path)
    took(browser)
    box = browser.find_element(By.XPATH, "//fieldset[legend='RAM']//input")
    spent = []
    for fewest in (0.7 * runs, runs) * 4:
        box.click()
        spent.append(took(browser))
        assert int(count(browser).split()[0]) >= fewest
    return statistics.median(spent)


@in_browser
def test_a_table_that_nobody_sees_is_not_laid_out_and_is_there_when_it_is_scrolled_to(
    browser: webdriver.Chrome, path: Path
) -> None:
    show(browser, path)
    browser.execute_script("document.querySelector('#strips').style.marginTop = '9000px'")
    seen = """const done = arguments[0], row = document.querySelector('#rows tr');
        requestAnimationFrame(() => setTimeout(() => done(row.checkVisibility({ contentVisibilityAuto: true })), 50))"""
    assert not browser.execute_async_script(seen)
    browser.execute_script("document.querySelector('#rows tr').scrollIntoView()")
    assert browser.execute_async_script(seen)
    assert len(browser.find_element(By.ID, "rows").text.splitlines()) == 11


@in_browser
def test_a_filter_on_many_runs_takes_little_longer_than_on_few(browser: webdriver.Chrome, tmp_path: Path) -> None:
    few, many_ = (filtered(browser, tmp_path / f"{runs}.html", runs) for runs in (MOST_RUNS // 20, MOST_RUNS))
    assert many_ < 8 * few


@pytest.mark.usefixtures("few_figures")
def test_the_report_links_to_it_and_brings_it_along(tmp_path: Path) -> None:
    report = build_report([write_campaign(tmp_path, Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), count=6))])
    assert 'href="explore.html"' in report.read_text()
    assert (report.parent / "explore.html").is_file()


def test_the_files_of_a_run_are_named_as_they_are_reached_from_the_page(tmp_path: Path) -> None:
    small = Fake(mems=(1 << 30,), smps=(1,), workloads=(IDLE,), count=6)
    nights = [write_campaign(tmp_path / "elsewhere", replace(small, name=name)) for name in ("one", "other")]
    for run_id in run_ids(nights[1]):  # the same data given twice would be refused
        replace_parquet(nights[1], run_id, lambda table: table.slice(0, table.num_rows - 1))
    for out in (None, tmp_path / "pages" / "all.html"):
        more = ["--out", str(out)] if out else []
        assert command.main([*map(str, nights), *more]) == 0
        written = out or nights[0] / "report" / "explore.html"
        tree = held(written)
        homes, places = tree["homes"], tree["home"]
        [link] = re.findall(r'<a href="([^"]*report\.html)">', written.read_text())
        assert (written.parent / link).resolve() == (nights[0] / "report" / "report.html").resolve()
        assert set(places) == {0, 1}  # type: ignore[call-overload]
        for run_id, place in zip(tree["run_id"], places, strict=True):  # type: ignore[call-overload]
            assert (written.parent / homes[place] / "runs" / run_id / "run.json").is_file()  # type: ignore[index]
