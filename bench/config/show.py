"""What a command line can ask to see instead of measuring: help, our version, the composed configuration."""

from __future__ import annotations

import argparse
import string
from typing import TYPE_CHECKING

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import bench
from bench.config.explain import explain_composition
from bench.config.sources import make_loader
from bench.config.sweep import REFUSALS, compose
from bench.config.written import given
from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.config.commandline import Asked


def shown(asked: Asked) -> str | None:
    """Return what was asked to be seen; None when that is nothing.

    Raises:
        ConfigError: the words cannot be composed, or name a part that is not there.
    """
    show = next((_SHOWS[name] for name in _SHOWS if asked.has(name)), None)
    return show(asked) if show else None


def _version(_: Asked) -> str:
    return f"colo-bench {bench.__version__}\n"


def _help(asked: Asked) -> str:
    loader, config = make_loader(asked.folder), compose(asked.words, asked.folder)[0]
    groups = [name for name in sorted(loader.list_groups("")) if name != "hydra"]
    lines = (f"{name}: {', '.join(sorted(loader.get_group_options(name)))}" for name in groups)
    return string.Template(config.hydra.help.template).safe_substitute(
        APP_CONFIG_GROUPS="\n".join(lines) + "\n", CONFIG=OmegaConf.to_yaml(_part(config, "job"))
    )


def _by_hydra(asked: Asked) -> str:
    """Have Hydra print what only it knows: its own settings, its plugins, the order in which files are read."""
    hydra = Hydra(task_name="bench", config_loader=make_loader(asked.folder))
    try:
        if asked.has("--hydra-help"):
            hydra.hydra_help(None, get_args_parser(), argparse.Namespace(overrides=[]))
        else:
            first = compose(asked.words, asked.folder)[0]
            hydra.show_info(asked.options["--info"], "config", given(first))
    except REFUSALS as error:
        raise explain_composition(error) from error
    return ""


def _cells(asked: Asked) -> str:
    """Return the configuration of every cell as YAML, one document for each."""
    configs, documents = compose(asked.words, asked.folder), []
    for number, config in enumerate(configs, start=1):
        head = f"# cell {number} of {len(configs)}: {' '.join(given(config))}\n" if configs[1:] else ""
        documents.append(head + _document(asked, config))
    return "---\n".join(documents)


def _document(asked: Asked, config: DictConfig) -> str:
    part = _part(config, asked.options["--cfg"])
    package = asked.options.get("--package", "_global_")
    try:
        if asked.has("--resolve"):
            OmegaConf.resolve(part)
        chosen = part if package == "_global_" else OmegaConf.select(part, package)
    except OmegaConfBaseException as error:
        raise explain_composition(error) from error
    if chosen is None:
        raise ConfigError(f"--package {package}: the configuration has no such part")
    if package == "_global_":
        return OmegaConf.to_yaml(chosen)
    return f"# @package {package}\n{OmegaConf.to_yaml(chosen)}" if OmegaConf.is_config(chosen) else f"{chosen}\n"


def _part(config: DictConfig, kind: str) -> DictConfig:
    """Return the job's own configuration, Hydra's, or both."""
    part = config.copy()
    OmegaConf.set_struct(part, value=False)
    OmegaConf.set_readonly(part, value=False)
    for key in list(part):
        if (kind == "job" and key == "hydra") or (kind == "hydra" and key != "hydra"):
            part.pop(key)
    return part


def _completion(_: Asked) -> str:
    raise ConfigError(
        "shells complete the installed command, not every line that begins with python",
        hint='eval "$(colo-bench completion bash)", the same with zsh; colo-bench completion fish | source',
    )


_SHOWS: Mapping[str, Callable[[Asked], str]] = {
    "--version": _version,
    "--shell-completion": _completion,
    "--hydra-help": _by_hydra,
    "--help": _help,
    "--cfg": _cells,
    "--info": _by_hydra,
}
"""Where a command line asks for several, the first of these is shown."""
