"""What is read otherwise than a person has written it: a key that is no word, a number in another base, a ``???``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from bench.errors import ConfigError
from bench.process.words import odd_base

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

TAG = "tag:yaml.org,2002:"
_READ_AS: Mapping[str, str] = {
    "bool": "true or false",
    "null": "nothing",
    "int": "a number",
    "float": "a number",
}
"""What YAML takes a plain word for, by its tag: ``on`` and ``no`` are not the words that they look like."""

_BLANK = "???"


def require_as_read(path: Path, node: yaml.Node) -> None:
    """Return when a node of a file is read as it stands there.

    Raises:
        ConfigError: a key is no word, or a number is of base 8 or 60; the message has the line.
    """
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        kind = _kind(key)
        if isinstance(key, yaml.ScalarNode) and kind in _READ_AS:
            raise ConfigError(
                f"{path}:{_line(key)}: the key {key.value or '(none)'} is read as {_READ_AS[kind]}",
                hint=f'put it into quotes, "{key.value}":, if it is meant'
                if key.value
                else "write a word before the :",
            )
    if isinstance(node, yaml.ScalarNode) and _kind(node) in ("int", "float") and (base := odd_base(str(node.value))):
        raise ConfigError(
            f"{path}:{_line(node)}: YAML reads {node.value} as a number of base {base}",
            hint=f'write it without leading zeros and colons, or in quotes, "{node.value}", if it is a name',
        )


def require_filled_in(path: Path, tree: yaml.Node | None, given: Collection[str]) -> None:
    """Return when every ``???`` of an experiment, which leaves a value to the command line, was given one there.

    Hydra takes the default instead, so that another machine would be measured than was thought.

    Raises:
        ConfigError: one was not.
    """
    for key, node in _blanks(tree):
        if key not in given and not key.startswith("hydra."):
            raise ConfigError(
                f"{path}:{_line(node)}: {key}: {_BLANK} stands for a value that is still to be given",
                hint=f"write {key}=VALUE on the command line, or the value into the file",
            )


def _blanks(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _blanks(value, (*path, str(key.value)))
    elif isinstance(node, yaml.ScalarNode) and node.value == _BLANK:
        yield ".".join(path), node


def _kind(node: Any) -> str:
    return str(node.tag).removeprefix(TAG)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
