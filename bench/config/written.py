"""Where the values of a configuration are written: the file, the line, and as a person has typed them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from bench.config.misread import TAG, require_filled_in
from bench.system.files import is_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omegaconf import DictConfig

EXPERIMENT = "experiment"

TYPED = {"qemu_secondary": "qemu.secondary"}
"""Keys as they are typed: ``qemu`` is one value, so that the configuration can have nothing below it."""


def where(config: DictConfig, key: str, value: object = None) -> str:
    """Return the file and line that give a key of a composed configuration its value; empty when no file does.

    A key that was given as an override is looked for among the sweeps of the experiment.
    """
    found = _source(config, key, value)
    return f"{found[0]}:{found[1].start_mark.line + 1}" if found else ""


def as_typed(config: DictConfig, key: str, value: object) -> str:
    """Return a number or a truth value of a configuration as a person has written it: ``1e9``, ``2.10``, ``on``.

    Empty where that is not known, and for anything else, which is kept as it was written.
    """
    if value is not None and not isinstance(value, int | float):
        return ""
    words = [word.partition("=")[2].strip() for word in given(config) if word.lstrip("+~").partition("=")[0] == key]
    if words:
        return words[-1]
    found = _source(config, key, value)
    return str(found[1].value) if found and _reads_as(found[1], value) else ""


def swept_as_typed(config: DictConfig, key: str, value: float) -> str:
    """Return the one number that an experiment gives a key of its sweep, as it is written there; empty without one."""
    path = _file_of(config, EXPERIMENT, OmegaConf.select(config, f"hydra.runtime.choices.{EXPERIMENT}"))
    return next((str(node.value) for node in (_swept(path, key) if path else ()) if _reads_as(node, value)), "")


def _reads_as(node: yaml.Node, value: object) -> bool:
    """Return whether YAML takes a plain word for a value that is no text."""
    plain = isinstance(node, yaml.ScalarNode) and node.tag != f"{TAG}str"
    return plain and yaml.load(node.value, get_yaml_loader()) == value  # noqa: S506 - a safe loader


def _source(config: DictConfig, key: str, value: object) -> tuple[Path, yaml.Node] | None:
    """Return the file that gives a key its value, and what stands there."""
    choices = OmegaConf.select(config, "hydra.runtime.choices", default={}) or {}
    overridden = any(word.lstrip("+~").partition("=")[0] == key for word in given(config))
    # An experiment is the last to be read: what it says wins over a group's file.
    for group, choice in sorted(choices.items(), key=lambda item: item[0] == EXPERIMENT, reverse=True):
        path = _file_of(config, group, choice)
        if path is None:
            continue
        if overridden:
            found = _swept_in(path, key, value) if group == EXPERIMENT else None
        else:
            parts = key.split(".")
            inner = parts if group == EXPERIMENT else parts[1:] if parts[0] == group else []
            found = _node_of(path, inner) if inner else None
        if found is not None:
            return path, found
    return None


def sweeps(config: DictConfig, key: str) -> str:
    """Return the file and the line of the experiment that sweep a key; empty where none does."""
    path = _file_of(config, EXPERIMENT, OmegaConf.select(config, f"hydra.runtime.choices.{EXPERIMENT}"))
    node = _swept_in(path, key, None) if path else None
    return f"{path}:{node.start_mark.line + 1}" if node else ""


def _file_of(config: DictConfig, group: str, choice: object) -> Path | None:
    """Return the file of a group's choice, in the first folder that has it."""
    sources = OmegaConf.select(config, "hydra.runtime.config_sources", default=[])
    name = f"{str(choice).removesuffix('.yaml')}.yaml"
    return next((one for source in sources if is_file(one := Path(source.path) / group / name)), None)


def require_whole_experiment(config: DictConfig) -> None:
    """Return when the experiment of a configuration, if there is one, leaves no value open.

    Raises:
        ConfigError: it does; the message has file, line and key.
    """
    choice = OmegaConf.select(config, f"hydra.runtime.choices.{EXPERIMENT}")
    path = _file_of(config, EXPERIMENT, choice) if choice else None
    if path:
        require_filled_in(path, _tree(path), {word.lstrip("+~").partition("=")[0] for word in given(config)})


def given(config: DictConfig) -> list[str]:
    """Return the overrides that a configuration was composed with, as they were written."""
    words = OmegaConf.to_container(OmegaConf.select(config, "hydra.overrides.task", default=OmegaConf.create([])))
    return [str(word) for word in words] if isinstance(words, list) else []


def _swept_in(path: Path, key: str, value: object) -> yaml.ScalarNode | None:
    """Return what an experiment sweeps a key over, where a value is in it."""
    return next((node for node in _swept(path, key) if value is None or str(value) in node.value), None)


def _swept(path: Path, key: str) -> Iterator[yaml.ScalarNode]:
    """Yield what each set of an experiment's sweep gives a key."""
    sweeper = _child(_child(_tree(path), "hydra"), "sweeper")
    grids = _child(sweeper, "grids")
    for one in (_child(sweeper, "params"), *(grids.value if isinstance(grids, yaml.SequenceNode) else ())):
        swept = _child(one, key) or _child(one, TYPED.get(key, key))
        if isinstance(swept, yaml.ScalarNode):
            yield swept


def line_of(path: Path, parts: Sequence[str]) -> int | None:
    """Return the line of a key of a file, given by its parts; None where it is not there."""
    node = _node_of(path, parts)
    return None if node is None else int(node.start_mark.line) + 1


def _node_of(path: Path, parts: Sequence[str]) -> yaml.Node | None:
    node = _tree(path)
    for part in parts:
        node = _child(node, part)
    return node


def _tree(path: Path) -> yaml.Node | None:
    if not is_file(path):  # a pipe was read already
        return None
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), get_yaml_loader())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and key.isdecimal():
        return node.value[int(key)] if int(key) < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    own = {name.value: value for name, value in node.value if isinstance(name, yaml.ScalarNode)}
    merged = own.get("<<") if key not in own else None
    if isinstance(merged, yaml.SequenceNode):  # of several, the first that has a key gives it
        return next((found for one in merged.value if (found := _child(one, key))), None)
    return own.get(key) if merged is None else _child(merged, key)
