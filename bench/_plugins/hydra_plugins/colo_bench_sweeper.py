"""A Hydra sweeper that composes the whole grid and hands it over at once.

Hydra's own sweepers give a launcher one job after another. A campaign needs to see every configuration before the first
VM boots: to refuse what is illegal, to put the runs into random blocks, and to continue where it stopped. A launcher
that runs jobs side by side would also ruin what they measure. There is no launcher here, and the task is called once.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper

from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


Axes: TypeAlias = "Mapping[str, list[str]]"
"""The overrides that each key takes, in the order given."""

_WORKLOAD = {"workload", "workload.name"}
_SIZE = re.compile(r"mem|smp|cpu\.l3_cache|cpu\.cache\..*\.size")

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="colo_bench",
    node={
        "_target_": "hydra_plugins.colo_bench_sweeper.ColoBenchSweeper",
        "params": {},  # overrides that an experiment brings; the command line wins over them
        "grids": [],  # or several such sets, when the cells are no single grid
        "arms": {},  # where a size is swept and no workload chosen: `every` of all cells, `mem` over RAM
    },
    provider="colo-bench",
)


class ColoBenchSweeper(Sweeper):
    """Calls the task once, with the list of every composed configuration, in the order of the grids."""

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        grids: Sequence[Mapping[str, Any]] = (),
        arms: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._grids = grids or [params or {}]
        self._arms = arms or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what :meth:`sweep` needs."""
        self.hydra_context = hydra_context
        self.config = config
        self._task = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Compose every cell of the grid and call the task with all of them.

        Raises:
            ConfigError: a sweep is continuous.
            HydraException: a cell cannot be composed.
        """
        assert self.hydra_context is not None  # noqa: S101 - Hydra calls setup first
        assert self.config is not None  # noqa: S101
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        cells: dict[frozenset[str], list[str]] = {}
        for params in self._grids:
            given = axes(parser.parse_overrides([*_written(params), *arguments]))
            arms = {name: axes(parser.parse_overrides(_written(arm))) for name, arm in self._arms.items()}
            for arm in with_arms(given, arms):
                cells |= {frozenset(cell): cell for cell in grid(arm)}
        return self._task([loader.load_sweep_config(self.config, cell) for cell in cells.values()])


def _written(overrides: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in overrides.items()]


def axes(overrides: Iterable[Override]) -> Axes:
    """Return the overrides that each key takes, one after another; the last of two overrides of one key wins.

    Raises:
        ConfigError: a sweep is continuous, so that it has no list of values.
    """
    return {override.get_key_element(): _choices(override) for override in overrides}


def grid(axes_: Axes) -> list[list[str]]:
    """Return the overrides of each cell: the product of all sweeps."""
    return [list(cell) for cell in itertools.product(*axes_.values())]


def with_arms(given: Axes, arms: Mapping[str, Axes]) -> list[Axes]:
    """Return what to measure: the arms where a size is swept and no workload chosen, else what was given.

    An arm never overrides a key or a group that is chosen. That of ``mem`` is there where RAM is swept, at the first
    value of everything else.
    """
    swept = [key for key, choices in given.items() if len(choices) > 1]
    if not any(_SIZE.fullmatch(key) for key in swept) or _WORKLOAD & {key.lstrip("+~") for key in given}:
        return [given]
    first = {key: choices if key == "mem" else choices[:1] for key, choices in given.items()}
    found = {"every": given} | ({"mem": first} if "mem" in swept else {})
    return [_arm(arms[name], own) for name, own in found.items() if name in arms] or [given]


def _arm(arm: Axes, given: Axes) -> Axes:
    kept = {key: choices for key, choices in arm.items() if key.partition(".")[0] not in given}
    return kept | dict(given)


def _choices(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no list of values",
            hint="name the values (mem=1G,2G), or use range(), choice() or glob()",
        )
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
