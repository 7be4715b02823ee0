"""A file of hypotheses as a person writes it: refused by its line where it does not say what it seems to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from analysis.errors import AnalysisError
from analysis.process.words import odd_base
from analysis.stored.records import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LONGEST = 1 << 20
"""In letters: a log that was named by mistake takes hours to be parsed."""

_TAG = "tag:yaml.org,2002:"
_MENDS: Mapping[str, str] = {
    r"'\\t'": "indent with blanks, not with tabs",
    "duplicate key": "keep one of the two",
    "determine a constructor": "write a plain value, without !",
    "single document": "keep one document, without a line of ---",
}


class BadHypothesesError(AnalysisError):
    """Hypotheses of a file or a plan cannot be answered as they stand."""

    fix = "docs/hypotheses.md shows what a hypothesis is made of"


class _EachKeyOnce(yaml.SafeLoader):  # type: ignore[misc]
    """A safe loader that takes no key twice: YAML's own would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - its parent's
        """Return the mapping of a node, whose keys are all different."""
        marks: dict[Any, Any] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is one word, not a list", key.start_mark)
            if key.tag != f"{_TAG}merge" and marks.setdefault(key.value, key.start_mark) != key.start_mark:
                raise yaml.constructor.ConstructorError(None, None, f"found duplicate key {key.value}", key.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_listed(path: Path) -> list[Any]:
    """Return what stands under ``hypotheses`` in a YAML file, such as one of ``conf/experiment``; at least one.

    Raises:
        BadHypothesesError: it cannot be read, holds none, has a key that a hypothesis has not, or a number that YAML
            reads otherwise than it is written; the message has the line.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise BadHypothesesError(f"{path}: it is larger than 1 MiB, which no file of hypotheses is")
        tree = yaml.load(text, _EachKeyOnce)  # noqa: S506 - a safe loader
        listed = tree.get("hypotheses") if isinstance(tree, dict) else None
        if not isinstance(listed, list) or not listed:
            raise BadHypothesesError(
                f"{path}: no list of hypotheses in it; docs/hypotheses.md shows one",
                fix="write hypotheses: on a line of its own before the list" if isinstance(tree, list) else "",
            )
        _require_as_read(path, yaml.compose(text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"{path}:{mark.line + 1}: {error.problem}" if mark else f"{path}: {error.problem}"
        fix = next((mend for words, mend in _MENDS.items() if re.search(words, said)), "correct that line")
        raise BadHypothesesError(said, fix=fix) from error
    except UnicodeDecodeError as error:
        raise BadHypothesesError(f"{path}: it is not UTF-8", fix="store the file in UTF-8") from error
    except OSError as error:
        raise BadHypothesesError(f"{path}: {error.strerror}", fix="name a file that you may read") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadHypothesesError(f"{path}: {' '.join(str(error).split())}") from error
    return listed


def _require_as_read(path: Path, tree: yaml.Node) -> None:
    """Refuse a key that no hypothesis has, which would be passed over, and a number that is another than it seems."""
    asked = next((value for key, value in tree.value if key.value == "hypotheses"), tree)
    for one in asked.value if asked is not tree else ():
        for key, _ in one.value if isinstance(one, yaml.MappingNode) else ():
            if key.value not in Hypothesis.model_fields and key.tag != f"{_TAG}merge":
                raise BadHypothesesError(
                    f"{path}:{key.start_mark.line + 1}: unknown key {key.value}",
                    fix=f"a hypothesis has: {', '.join(Hypothesis.model_fields)}",
                )
    for node in _numbers(asked, set()):
        if base := odd_base(node.value):
            raise BadHypothesesError(
                f"{path}:{node.start_mark.line + 1}: YAML reads {node.value} as a number of base {base}",
                fix="write it without leading zeros and colons",
            )


def _numbers(node: yaml.Node, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        if node.tag in (f"{_TAG}int", f"{_TAG}float"):
            yield node
    elif id(node) not in seen:
        seen.add(id(node))
        for each in node.value:
            for part in each if isinstance(each, tuple) else (each,):
                yield from _numbers(part, seen)
