from __future__ import annotations

from typing import Any

import pytest

from bench.format.version import upgrade, upgrade_document

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
