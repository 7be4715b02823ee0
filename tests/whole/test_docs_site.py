"""The site of the documentation: whole, without a dead link, and every command of the tutorial works as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from analysis import stats
from bench.cli import COMMANDS
from bench.config.load import CAMPAIGN_KEYS
from bench.system.places import CONF, PACKAGES
from bench.workload.base import registry

DOCS = PACKAGES / "docs"
PROGRAM = Path(sys.executable).with_name("colo-bench")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    argv = (sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(out))
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(argv, cwd=PACKAGES, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return out


class _Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"a": "href", "img": "src", "script": "src", "link": "href"}.get(tag)
        self.found += [value for name, value in attrs if name == wanted and value]


def test_every_link_of_every_page_leads_to_a_file_of_the_site_and_nothing_is_fetched(site: Path) -> None:
    dead = []
    for page in site.rglob("*.html"):
        for link in _Links(page).found:
            path = link.partition("#")[0]
            if path.startswith(("http:", "https:")):
                assert path.startswith(("https://squidfunk.github.io", "https://doi.org")), (page, link)
            elif path and page.name != "404.html" and not (page.parent / path).exists():
                dead.append((page.name, link))
    assert dead == []


def test_every_page_is_reached_from_the_navigation(site: Path) -> None:
    front = set(_Links(site / "index.html").found)
    written = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    made = {"commands.html", "reference/configuration.html", "reference/statistics.html"}
    assert {page for page in written | made if page not in front} == set()


def test_no_two_entries_of_the_navigation_have_one_name(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    entries = re.findall(
        r'<a href="([^"#]+\.html)" class="md-nav__link[^>]*>\s*<span class="md-ellipsis">(.*?)</span>', page, re.DOTALL
    )
    names = {href: re.sub(r"<.*?>", "", name).strip() for href, name in entries}
    assert len(names) > len(list(DOCS.glob("*.md")))
    assert sorted(set(names.values())) == sorted(names.values())


def test_no_list_ends_in_a_paragraph_and_no_picture_stands_as_its_source(site: Path) -> None:
    run_in, undrawn = [], []
    for page in site.rglob("*.html"):
        text = re.sub(r"<pre.*?</pre>", "", page.read_text(), flags=re.DOTALL)
        told = (one for _, one in re.findall(r"<(p|li)>(.*?)</\1>", text, re.DOTALL))
        run_in += [(page.name, item) for one in told for item in re.findall(r"\n\s*(?:\d\.|[-*]) .{,20}", one)]
        undrawn += [page.name] * ("graph TD" in page.read_text())
    assert (run_in, undrawn) == ([], [])


def rows(page: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return legal values, unit and default of each key; one that several workloads have has several."""
    cells = r"<tr>\s*<td><code>([\w.]+)</code></td>" + 3 * r"\s*<td>(.*?)</td>" + r"\s*</tr>"
    found: dict[str, list[tuple[str, str, str]]] = {}
    for key, *rest in re.findall(cells, page, re.DOTALL):
        legal, unit, default = (re.sub("<.*?>", "", one) for one in rest)
        found.setdefault(key, []).append((legal, unit, default))
    return found


def leaves(tree: object, prefix: str) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix


def test_every_key_has_a_row_with_what_is_legal_and_its_unit(site: Path) -> None:
    shown = rows((site / "reference" / "configuration.html").read_text())
    groups = {path for path in CONF.glob("*/*.yaml") if path.parent.name != "experiment"}
    keys = {key for path in groups for key in leaves(yaml.safe_load(path.read_text()), path.parent.name)}
    keys |= {key for key in leaves(yaml.safe_load((CONF / "config.yaml").read_text()), "") if "hydra" not in key}
    keys |= CAMPAIGN_KEYS - {"launcher"}  # the keys of its group are among those of the files
    assert keys - {"defaults"} - set(shown) == set()
    assert [key for key, each in shown.items() if not all(legal for legal, _, _ in each)] == []
    assert sorted(registry()) == sorted(legal for legal, _, _ in shown["workload.name"])
    units = {key: sorted({unit for _, unit, _ in each}) for key, each in shown.items()}
    assert units["mem"] == units["devices.disk_size"] == units["cpu.cache.l1d.size"] == ["bytes (512M)"]
    assert units["budget"] == units["checkpoint.interval"] == units["deadlines.boot"] == ["s (500ms)"]
    assert (units["link.bandwidth"], units["link.loss_percent"]) == (["bit/s (100mbit)"], ["%"])
    assert units["tune.pinning.primary"] == units["cache.cpus"] == ["CPU numbers (0-3,6)"]
    assert units["workload.rate"] == ["MB/s", "requests/s", "transactions/s"]
    assert units["smp"] == [""]


def test_what_people_type_and_the_default_they_get_are_told(site: Path) -> None:
    shown = rows((site / "reference" / "configuration.html").read_text())
    assert shown["repeats"] == [("auto or integer from 1 to 10000", "", "auto")]
    assert shown["on_error"] == [("continue, stop or retry:N", "", "retry:2")]
    assert shown["accel"] == [("auto, kvm, tcg", "", "auto")]
    assert shown["mem"][0][2] == "1G"
    assert {"by_size", "experiment", "on_error.stop"} & set(shown) == set()


def test_every_command_is_on_its_page(site: Path) -> None:
    commands = (site / "commands.html").read_text()
    assert [name for name in COMMANDS if name not in commands] == []


def test_the_python_page_shows_a_constant_by_its_value(site: Path) -> None:
    python = (site / "reference" / "statistics.html").read_text()
    assert f"DELAYED_ACK_S = {stats.DELAYED_ACK_S}" in python
    assert "Built-in immutable sequence" not in python


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL)


def test_the_commands_of_the_pages_are_commands() -> None:
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"(?:^|`)colo-bench ([a-z]+)", page.read_text(), re.MULTILINE):
            assert name in COMMANDS or page.name == "failures.md", (page.name, name)


@pytest.mark.pair
@pytest.mark.shares
@pytest.mark.timeout(1800)
def test_the_tutorial_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    # A checkout keeps its results in itself: what an installed command has in the current folder is linked here.
    [experiment] = blocks("yaml")
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(experiment)
    env = os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    shown = []
    lines = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("colo-bench ")]
    for line in lines:
        words = line.split() + ([f"results={tmp_path / 'results'}"] if line.split()[1] in {"run", "plan"} else [])
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1500, check=False)
        assert done.returncode == 0, line + done.stdout + done.stderr
        shown.append(done.stdout)
    assert any(re.search(r"H1: .*(SUPPORTED|REFUTED|INCONCLUSIVE)", text, re.DOTALL) for text in shown)
    assert "all the same" in shown[-1]
    shutil.rmtree(tmp_path / "results")
