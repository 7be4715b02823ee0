"""The entry: ``python -m bench mem=1G smp=2``, or a sweep with ``-m``, from any directory."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is begun yet: Ctrl-C ends it without a traceback

# Hydra takes a sweeper from modules called hydra_plugins.* only, and looks for them when it starts.
sys.path.append(str(Path(__file__).parent / "_plugins"))

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bench.config.explain import HELP, explain_composition
from bench.config.load import Settings, load_grid
from bench.config.model import Cell
from bench.developer_log import log_to_terminal
from bench.errors import ConfigError
from bench.exits import Exit, last_door, listening
from bench.places import CONF
from bench.run.campaign import run_campaign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONG = ("help", "hydra-help", "version", "cfg", "resolve", "package", "shell-completion", "config-dir", "info")
_OPTIONS = frozenset((*(f"--{name}" for name in _LONG), "-h", "-c", "-p", "-sc", "-cd", "-i"))
"""Those of Hydra's that show something or add a folder of configuration; the others have no meaning here."""

_VERBOSE = frozenset(("-v", "--verbose"))

_REFUSALS = (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError, AttributeError, LookupError)
"""What Hydra refuses a command line with, and what it trips over where it does not expect what was typed."""

_KEYS = Cell.model_fields.keys() | Settings.model_fields.keys()


def compose(words: Sequence[str]) -> list[DictConfig]:
    """Return the configuration of every cell that the command line asks for; empty when it only asked to see something.

    Raises:
        ConfigError: the command line names something unknown, or cannot be read.
    """
    composed: list[DictConfig] = []

    def task(configs: Any) -> None:
        composed.extend([configs] if isinstance(configs, DictConfig) else configs)

    idle = [word for word in words if word.lstrip("+~").startswith(("hydra.", "hydra/"))]
    if idle:
        raise ConfigError(f"{idle[0]}: a campaign runs its pairs itself; Hydra's own settings have no effect here")
    for word in (word for word in words if word.startswith("-")):
        name = word.partition("=")[0]
        if name.lstrip("-") in _KEYS:
            raise ConfigError(f"{word}: write {word.lstrip('-')}, without dashes")
        if name not in _OPTIONS:
            raise ConfigError(f"{word}: no such option; write KEY=VALUE", hint=HELP)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors, instead of printing them and leaving with 1
    with _arguments(words):
        try:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
        except _REFUSALS as error:
            raise explain_composition(error) from error
    if not composed and not any(word.startswith("-") for word in words):
        raise ConfigError("this sweep has no cell: a glob(...) in it matches nothing", hint=HELP)
    return composed


@contextmanager
def _arguments(words: Sequence[str]) -> Iterator[None]:
    """Hydra reads ``sys.argv`` and nothing else."""
    kept = sys.argv
    sys.argv = [kept[0], *words]
    try:
        yield
    finally:
        sys.argv = kept


def _spelled(word: str) -> str:
    """Return a word as the configuration has it: ``qemu`` is one value, so that nothing can be below it."""
    return re.sub(r"^(\+*)qemu\.secondary=", r"\1qemu_secondary=", word)


def main() -> int:
    """Run the command line and return its exit status; a traceback is shown for our own bugs only."""
    # A campaign is always a sweep; without the flag Hydra's parser takes overrides on both sides of where it stood.
    words = [_spelled(word) for word in sys.argv[1:] if word not in {"-m", "--multirun", *_VERBOSE}]
    if _VERBOSE.intersection(sys.argv[1:]):
        log_to_terminal()
    # A path that is no UTF-8 is written as escapes into the plan, as it is to the terminal.
    command = shlex.join(("python", "-m", "bench", *sys.argv[1:])).encode(errors="backslashreplace").decode()

    def work() -> int:
        configs = compose(words)
        if not configs:
            return Exit.DONE
        settings, cells = load_grid(configs)
        return run_campaign(settings, cells, command)

    return last_door(command, work)


if __name__ == "__main__":
    sys.exit(listening(main))
