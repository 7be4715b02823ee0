"""What the forge reads: the forms of issues, and that a push is tried by the script that is run everywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bench.system.places import PACKAGES

FORGE = PACKAGES / ".github"
FORMS = sorted((FORGE / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_of_an_issue_can_be_read(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form["description"]
    assert all(one["attributes"]["label"] for one in form["body"])


def test_a_push_is_tried_by_the_script_of_every_other_place() -> None:
    steps = yaml.safe_load((FORGE / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": "bash .ci/run"}
    assert (PACKAGES / ".ci" / "run").read_text().endswith("\nmake test\n")


def test_the_page_on_security_names_whatever_takes_root() -> None:
    _, _, rest = (PACKAGES / "SECURITY.md").read_text().partition("- **As root**")
    said = rest.partition("\n- ")[0]
    modes = ("host=netns", "bridged", "tune=", "cache=ways", "link.*")
    assert [mode for mode in modes if mode not in said] == []
