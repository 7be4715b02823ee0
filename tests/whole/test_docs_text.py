"""The documents as text: what they tell people to type is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.system.places import PACKAGES

PAGES = (*sorted((PACKAGES / "docs").rglob("*.md")), PACKAGES / "README.md", PACKAGES / "CONTRIBUTING.md")


def shell(page: Path) -> str:
    """Return what a page shows to be typed, without the words around it."""
    return "".join(re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL))


def test_every_make_target_that_a_page_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PACKAGES / "Makefile").read_text(), re.MULTILINE))
    named = {
        (page.name, target)
        for page in PAGES
        for target in (
            *re.findall(r"^make ([a-z-]+)", shell(page), re.MULTILINE),
            *re.findall(r"`make ([a-z-]+)", page.read_text()),
        )
    }
    assert {(page, target) for page, target in named if target not in targets} == set()
    assert ("install.md", "wheel") in named


def test_every_choice_that_a_page_names_is_one() -> None:
    groups = {path.name for path in (PACKAGES / "conf").iterdir() if path.is_dir()}
    named = rf"\b({'|'.join(sorted(groups))})=([\w,]+(?::\w+)?)"
    found = {
        (page.name, group, choice)
        for page in PAGES
        for group, choices in re.findall(named, page.read_text())
        for choice in choices.split(",")
        if choice not in {"", "mine", "NAME"}
    }
    assert ("findings.md", "cache", "ways") in found
    assert {one for one in found if not (PACKAGES / "conf" / one[1] / f"{one[2]}.yaml").is_file()} == set()


def test_what_is_not_published_is_no_command_of_an_installation() -> None:
    # Before a release pipx finds nothing by that name: a block to copy installs the wheel that `make wheel` made.
    for name in ("install.md", "tutorial.md"):
        shown = shell(PACKAGES / "docs" / name)
        assert "install colo-bench" not in shown
        assert "pipx install dist/*.whl" in shown


def paths(text: str) -> set[str]:
    return set(re.findall(r"`((?:analysis|bench|conf|docs|examples|format|tests|tools)/[\w./-]*)`", text))


@pytest.mark.parametrize("page", ["docs/guides.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_sends_people_to_is_there(page: str) -> None:
    named = paths((PACKAGES / page).read_text())
    assert [path for path in sorted(named) if not re.search("NAME|mine", path) and not (PACKAGES / path).exists()] == []


def test_the_steps_to_an_own_workload_are_on_the_site_and_in_one_place() -> None:
    steps = "`bench/workload/NAME.py`"
    assert steps in (PACKAGES / "docs" / "guides.md").read_text()
    contributing = (PACKAGES / "CONTRIBUTING.md").read_text()
    assert "docs/guides.md#add-a-workload-of-your-own" in contributing
    assert steps not in contributing


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("format/version.py", ("SCHEMA_VERSION", "UPGRADES")),
        ("format/phases.py", ("PHASES", "PARTS")),
        ("bench/config/model.py", ("scenario:", "LATER")),
        ("bench/config/machine.py", ("_known_qemu",)),
        ("format/hosts.py", ("HostKind", "HOSTS")),
        ("bench/failures/cause.py", ("class Trait",)),
        ("bench/host/far_programs.py", ("class FarPrograms",)),
        ("format/scenarios.py", ("ScenarioName", "SCENARIOS")),
        ("bench/provision/guest.py", ("workload.c",)),
        ("bench/guest/protocol.py", ("BARE_WORKLOADS",)),
    ],
)
def test_where_something_new_goes_is_where_its_like_is_now(path: str, names: tuple[str, ...]) -> None:
    _, _, table = (PACKAGES / "docs" / "architecture.md").read_text().partition("## Where do I put it")
    assert f"`{path}`" in table
    text = (PACKAGES / path).read_text()
    assert [name for name in names if name not in text] == []


def test_nothing_new_goes_into_more_than_three_files() -> None:
    _, _, table = (PACKAGES / "docs" / "architecture.md").read_text().partition("## Where do I put it")
    rows = [row for row in table.splitlines() if re.match(r"\| [a-z]", row)]
    assert len(rows) > 15
    many = [row.split(" | ")[0].removeprefix("| ") for row in rows if len(paths(row)) > 3]
    assert many == []


def test_slurm_is_spoken_in_one_room() -> None:
    sources = [path for path in (PACKAGES / "bench").rglob("*.py") if path.parent.name != "cluster"]
    spoken = r"\bSLURM|\bPENDING\b|\"(sbatch|scancel|scontrol|sinfo|squeue|srun)\""
    assert [path.name for path in sources if re.search(spoken, path.read_text())] == []


@pytest.mark.parametrize("words", ["native", "netns|bridged"])
def test_no_scenario_and_no_kind_of_hosts_is_told_apart_by_a_word_of_its_own(words: str) -> None:
    sources = [path for top in ("bench", "analysis") for path in (PACKAGES / top).rglob("*.py")]
    assert [path.name for path in sources if re.search(f'[=!]= "({words})"', path.read_text())] == []


CITED = r"([A-Z][A-Za-z'-]+)(?:(?:, [A-Z][a-z]+)* (?:&|and) ([A-Z][A-Za-z]+)| et al\.)?,? \(?((?:19|20)\d\d)\b"
"""``Clopper & Pearson (1934)``, ``Jackson et al. 2005``, ``Schuirmann (1987)``."""


def statistics() -> list[str]:
    places = [PACKAGES / "analysis" / name for name in ("stats", "verdicts")]
    return [path.read_text() for place in places for path in place.glob("*.py")]


def test_every_doi_of_the_statistics_is_a_link_of_the_bibliography() -> None:
    page = (PACKAGES / "docs" / "bibliography.md").read_text()
    cited = {one.rstrip(".") for text in statistics() for one in re.findall(r"\b10\.\d{4,}/[^\s),;]+", text)}
    assert len(cited) >= 2
    assert [doi for doi in sorted(cited) if f"<https://doi.org/{doi}>" not in page] == []
    assert "doi:" not in page


def test_every_work_that_the_statistics_cite_by_its_year_is_in_the_bibliography() -> None:
    page = (PACKAGES / "docs" / "bibliography.md").read_text()
    entries = [re.sub(r"\s+", " ", one) for one in page.split("\n- ")[1:]]
    cited = {found for text in statistics() for found in re.findall(CITED, text)}
    assert {("Clopper", "Pearson", "1934"), ("Schuirmann", "", "1987"), ("Jackson", "", "2005")} <= cited
    missing = [
        (first, other, year)
        for first, other, year in sorted(cited)
        if not any(first in entry and other in entry and year in entry for entry in entries)
    ]
    assert missing == []


def prose(page: Path) -> list[str]:
    """Return the lines of a page that are no table and no code."""
    kept, inside = [], False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and not line.lstrip().startswith("|"):
            kept.append(line)
    return kept


def test_no_line_of_prose_is_too_long_to_be_read_as_it_is() -> None:
    patterns = ("*.md", "docs/**/*.md", "examples/*.md", "patches/*.md")
    pages = {path for pattern in patterns for path in PACKAGES.glob(pattern)}
    assert len(pages) > 20
    assert [(page.name, line[:60]) for page in sorted(pages) for line in prose(page) if len(line) > 200] == []


def test_no_cell_of_the_data_contract_is_a_paragraph() -> None:
    cells = [cell for line in (PACKAGES / "docs" / "data.md").read_text().splitlines() for cell in line.split(" | ")]
    assert [cell[:60] for cell in cells if len(cell) > 400] == []


def test_the_data_contract_tells_of_every_kind_of_failure_of_a_run() -> None:
    _, _, rest = (PACKAGES / "docs" / "data.md").read_text().partition("### What fails a run\n")
    said = rest.partition("\n### ")[0]
    told = ("usable checkpoints", "QMP", "client", "colo-compare", "clock was set", "antagonist", "failover")
    assert [words for words in told if words not in said] == []


def test_the_readme_is_no_longer_than_a_few_screens() -> None:
    assert len((PACKAGES / "README.md").read_text().splitlines()) <= 120
