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


def test_what_is_not_published_is_no_command_of_an_installation() -> None:
    # Before a release pipx finds nothing by that name: a block to copy installs the wheel that `make wheel` made.
    for name in ("install.md", "tutorial.md"):
        shown = shell(PACKAGES / "docs" / name)
        assert "install colo-bench" not in shown
        assert "pipx install dist/*.whl" in shown


@pytest.mark.parametrize("page", ["docs/guides.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_sends_people_to_is_there(page: str) -> None:
    tops = "analysis|bench|conf|docs|examples|format|tests|tools"
    named = set(re.findall(rf"`((?:{tops})/[\w./-]*)`", (PACKAGES / page).read_text()))
    assert [path for path in sorted(named) if "NAME" not in path and not (PACKAGES / path).exists()] == []


def test_the_steps_to_an_own_workload_are_on_the_site_and_in_one_place() -> None:
    steps = "`bench/workload/NAME.py`"
    assert steps in (PACKAGES / "docs" / "guides.md").read_text()
    contributing = (PACKAGES / "CONTRIBUTING.md").read_text()
    assert "docs/guides.md#add-a-workload-of-your-own" in contributing
    assert steps not in contributing
