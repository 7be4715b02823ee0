"""The site of the documentation: whole, without a dead link, and every command of the tutorial works as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bench.cli import COMMANDS
from bench.config.model import Cell
from bench.system.places import CONF, PACKAGES

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


def test_every_key_and_command_is_in_the_reference(site: Path) -> None:
    reference = (site / "reference" / "configuration.html").read_text()
    keys = {*Cell.model_fields, *OmegaConf.load(CONF / "config.yaml")} - {"hydra"}
    assert [key for key in keys if str(key) not in reference] == []
    commands = (site / "commands.html").read_text()
    assert [name for name in COMMANDS if name not in commands] == []


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL)


def test_the_commands_of_the_pages_are_commands() -> None:
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"(?:^|`)colo-bench ([a-z]+)", page.read_text(), re.MULTILINE):
            assert name in COMMANDS or page.name == "failures.md", (page.name, name)


@pytest.mark.pair
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
