from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.format.version import SCHEMA_VERSION, UPGRADES, upgrade, upgrade_document

STEPS = {
    ("run", 1): lambda tree: tree | {"pause": tree["stop"]},
    ("run", 3): lambda tree: tree | {"pause": 2 * tree["pause"]},
    ("plan", 2): lambda tree: tree | {"other": True},
}


@pytest.mark.parametrize(
    ("version", "tree", "pause"), [(1, {"stop": 10}, 20), (2, {"pause": 7}, 14), (4, {"pause": 7}, 7)]
)
def test_what_an_older_version_wrote_takes_every_step_up_to_the_present_one(
    version: int, tree: dict[str, Any], pause: int
) -> None:
    assert upgrade("run", tree, version, STEPS, to=4)["pause"] == pause


def test_a_step_is_for_one_kind_of_document_and_none_means_no_change() -> None:
    assert upgrade("plan", {"a": 1}, 1, STEPS, to=3) == {"a": 1, "other": True}
    assert upgrade("ledger", {"a": 1}, 1, STEPS, to=4) == {"a": 1}


@pytest.mark.parametrize("version", [0, 5, -1, True, "1", None, 1.0, [1]])
def test_what_is_of_no_known_version_is_refused_with_those_that_are_known(version: object) -> None:
    with pytest.raises(ValueError, match=r"has schema version .*; this program reads 1 to 4"):
        upgrade("run", {}, version, STEPS, to=4)


@pytest.mark.parametrize("tree", [{}, [], None, "x", {"schema_version": "1"}])
def test_a_document_without_a_version_is_refused(tree: object) -> None:
    with pytest.raises(ValueError, match="has schema version"):
        upgrade_document("run", tree)


def test_the_page_describes_the_present_version_and_no_step_leads_beyond_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    said = re.findall(r"This page describes version \*\*(\d+)\*\*|\| `schema_version` \| (\d+) \|\n", page)
    assert [int(one or other) for one, other in said] == [SCHEMA_VERSION] * 3
    assert max(version for _, version in UPGRADES) < SCHEMA_VERSION
