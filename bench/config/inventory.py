"""The hosts of ``host=ssh``: from a file of the user's, from the keys beside it, or from both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from bench.config.quantities import absolute_path
from bench.config.sources import read_plain
from bench.config.written import given, line_of
from bench.errors import ConfigError
from bench.format.hosts import FAR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omegaconf import DictConfig

_NODES = ("primary", "secondary", "client")
_FORM = "write primary: {ssh: ALIAS, address: ADDRESS} and secondary: likewise; docs/hosts.md has an example"


def with_inventory(host: object, *, of_a_job: bool = False) -> object:
    """Return the tree of ``host`` with the hosts of its inventory filled in; a key that was given wins over the file.

    Args:
        host: as it was composed.
        of_a_job: whether a job's own nodes are its hosts, which are not known before the job has begun.

    Raises:
        ConfigError: the file cannot be read or is no inventory, or a host is missing.
    """
    if not isinstance(host, dict) or host.get("kind") not in FAR:
        return host
    name = host.get("inventory")
    known = _read(_path(name)) if name else {}
    if of_a_job and not name and not any(_filled(None, host.get(node)) for node in _NODES):
        return host
    filled = host | {node: _filled(known.get(node), host.get(node)) for node in _NODES}
    missing = [node for node in _NODES[:2] if not filled[node]]
    if missing:
        where = f"{name} names" if name else "host=ssh has"
        raise ConfigError(
            f"{where} no {' and no '.join(missing)}",
            hint=f"host.inventory=FILE, or host.{missing[0]}.ssh=ALIAS host.{missing[0]}.address=ADDRESS; {_FORM}",
            cause="inventory-missing",
        )
    return filled


def place_in(config: DictConfig, key: str) -> str:
    """Return file and line of the inventory that give a key its value; empty where something else does."""
    group, _, inner = key.partition(".")
    node = inner.partition(".")[0]
    typed = any(word.lstrip("+~").partition("=")[0].startswith(f"{group}.{node}") for word in given(config))
    name = OmegaConf.select(config, "host.inventory", default=None)
    if group != "host" or node not in _NODES or typed or not isinstance(name, str):
        return ""
    path = absolute_path(name)
    line = line_of(path, inner.split(".")) or line_of(path, (node,))
    return f"{path}:{line}" if line else ""


def _filled(known: Mapping[str, Any] | None, given_: object) -> object:
    if given_ is not None and not isinstance(given_, dict):
        return given_
    own = {key: value for key, value in (given_ or {}).items() if value is not None}
    return {**(known or {}), **own} or None


def _path(name: object) -> Path:
    if not isinstance(name, str):
        raise _refused(f"{name}: legal: the path of a file", "put a name that looks like something else into quotes")
    try:
        return absolute_path(name)
    except ValueError as error:
        raise _refused(f"{name}: {error}", _FORM) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = read_plain(path)
    except ConfigError as error:
        raise _refused(error.message, f"{error.hint}; {_FORM}") from error
    unknown = sorted(map(str, tree.keys() - set(_NODES))) if isinstance(tree, dict) else []
    if not isinstance(tree, dict) or unknown or not all(isinstance(one, dict) for one in tree.values()):
        line = line_of(path, unknown[:1]) if unknown else None
        what = f"knows no {unknown[0]}" if unknown else "is no table of hosts"
        raise _refused(f"{path}{f':{line}' if line else ''} {what}", _FORM)
    return {str(node): one for node, one in tree.items()}


def _refused(what: str, hint: str) -> ConfigError:
    return ConfigError(f"host.inventory={what}", hint=hint, cause="inventory-missing")
