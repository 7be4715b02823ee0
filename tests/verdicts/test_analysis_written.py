"""A file of hypotheses as a person writes it: what would be passed over or read otherwise is refused by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.verdicts.declared import read_hypotheses
from analysis.verdicts.written import BadHypothesesError

ONE = "hypotheses:\n- id: E1\n  claim: It grows.\n  factor: mem\n"


@pytest.mark.parametrize(
    ("content", "said", "fix"),
    [
        (f"{ONE}  sesio: 0.5\n", ":5: unknown key sesio", "a hypothesis has: id, claim,"),
        (f"{ONE}  on: x\n", ":5: unknown key on", "a hypothesis has: id, claim,"),
        (f"{ONE}  sesoi_ms: 010\n", ":5: YAML reads 010 as a number of base 8", "leading zeros"),
        (f"{ONE}  sesoi_ms: 1:30\n", ":5: YAML reads 1:30 as a number of base 60", "leading zeros"),
        (f"{ONE}  where: {{smp: [1, 012]}}\n", ":5: YAML reads 012 as a number of base 8", "leading zeros"),
        (f"{ONE}\tsesoi: 1\n", r":5: found character '\t' that cannot start any token", "blanks, not with tabs"),
        (f"{ONE}  factor: smp\n", ":5: found duplicate key factor", "keep one of the two"),
        (f"{ONE}  sesoi: !!python/name:x 1\n", ":5: could not determine a constructor", "without !"),
        ("- id: E1\n", ": no list of hypotheses in it", "write hypotheses: on a line of its own"),
        (f"{ONE}- {{id: E1, claim: It falls., factor: smp}}\n", ": two hypotheses have the id E1", "each its own"),
        (f"{ONE}  # Gr\xf6\xdfe\n".encode("latin-1"), ": it is not UTF-8", "UTF-8"),
    ],
)
def test_a_slip_is_refused_by_file_and_line_with_what_mends_it(
    tmp_path: Path, content: str | bytes, said: str, fix: str
) -> None:
    path = tmp_path / "more.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadHypothesesError) as caught:
        read_hypotheses(path)
    assert str(caught.value).startswith(f"{path}{said}")
    assert "\n" not in str(caught.value)
    assert fix in caught.value.fix


def test_what_is_no_file_is_named_once_and_without_numbers(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "none.yaml", "No such file or directory")):
        with pytest.raises(BadHypothesesError) as caught:
            read_hypotheses(path)
        assert str(caught.value) == f"{path}: {why}"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_anchors_merges_and_any_line_ends_are_read(tmp_path: Path, end: str) -> None:
    path = tmp_path / "more.yaml"
    text = "\N{ZERO WIDTH NO-BREAK SPACE}hypotheses:\n- &a {id: E1, claim: x, factor: mem}\n- <<: *a\n  id: E2\n"
    path.write_bytes(text.replace("\n", end).encode())
    assert [(one.id, one.factor) for one in read_hypotheses(path)] == [("E1", "mem"), ("E2", "mem")]


def test_hypotheses_that_come_from_elsewhere_are_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    path.write_text("a: &a {hypotheses: [{id: E1, claim: x, factor: mem}]}\n<<: *a\n")
    assert [one.id for one in read_hypotheses(path)] == ["E1"]
