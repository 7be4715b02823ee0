"""The words of a command line: options anywhere among overrides, as people type them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.config.explain import HELP
from bench.config.load import Settings
from bench.config.model import Cell
from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT = {
    "-h": "--help",
    "-c": "--cfg",
    "-p": "--package",
    "-m": "--multirun",
    "-v": "--verbose",
    "-sc": "--shell-completion",
    "-cd": "--config-dir",
    "-i": "--info",
}
_OF_HYDRA = {
    **dict.fromkeys(("--config-name", "-cn"), "a file of experiment/ is chosen by experiment=NAME"),
    **dict.fromkeys(("--config-path", "-cp"), "a folder of your own is named by --config-dir DIR"),
    **dict.fromkeys(("--run", "-r"), "leave it out: measuring is what is done without it"),
    "--experimental-rerun": "the same command goes on with its campaign",
    "--detach": "write launcher.detach=true",
}
"""What Hydra's own programs and launchers take and we do not, with what does the same."""

_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_FLAGS = frozenset(
    {"--help", "--hydra-help", "--version", "--resolve", "--multirun", "--shell-completion", "--verbose"}
)
_LEGAL = {"--cfg": ("job", "hydra", "all"), "--info": _INFO}
_VALUED = frozenset({"--cfg", "--package", "--config-dir", "--info"})
_SWITCHES = frozenset(name for name, known in Settings.model_fields.items() if known.annotation is bool)
_KEYS = Cell.model_fields.keys() | Settings.model_fields.keys()


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        words: the overrides, in their order.
        options: the options by their long names, with their values; an empty one for an option that takes none.
    """

    words: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Return whether an option was given."""
        return name in self.options

    @property
    def folder(self) -> str | None:
        """Return the user's own folder of configuration files."""
        folder = self.options.get("--config-dir")
        return folder and os.path.expanduser(folder)  # noqa: PTH111 - as it was typed, but for what a shell left


def parse(arguments: Sequence[str]) -> Asked:
    """Return what a command line asks for; a campaign is always a sweep, so that ``-m`` says nothing new.

    Raises:
        ConfigError: an option is none, lacks its value, or has an illegal one.
    """
    words: list[str] = []
    options: dict[str, str] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            words.append(word)
        elif word != "--":
            name, equals, value = word.partition("=")
            name = _SHORT.get(name, name)
            options[name] = value if equals and value and name in _VALUED else _value(name, word, left)
            _require_legal(name, options[name])
    return Asked(tuple(words), options)


def _value(name: str, word: str, left: list[str]) -> str:
    """Return the value of an option that stands in the next word, if it takes one."""
    if name in _FLAGS and "=" not in word:
        return ""
    if name == "--info" and not (left and left[0] in _INFO):
        return "all"
    if name in _VALUED:
        if "=" in word or not left or not left[0] or left[0].startswith("-"):
            raise ConfigError(f"{word}: it wants a value{_list(name)}")
        return left.pop(0)
    key, _, given = word.lstrip("-").partition("=")
    key = key.replace("-", "_")
    if key in _KEYS:
        following = next((one for one in left[:1] if "=" not in one and not one.startswith("-")), "")
        given = given or ("true" if key in _SWITCHES else following or "VALUE")
        raise ConfigError(f"{word}: write {key}={given}, without dashes")
    raise ConfigError(f"{word}: no such option; write KEY=VALUE", hint=_OF_HYDRA.get(name, HELP))


def _require_legal(name: str, value: str) -> None:
    if name in _LEGAL and value not in _LEGAL[name]:
        raise ConfigError(f"{name}={value}: no such part{_list(name)}")


def _list(name: str) -> str:
    return f"; legal: {', '.join(_LEGAL[name])}" if name in _LEGAL else ""
