"""A Hydra sweeper that composes the whole grid and hands it over at once.

Hydra's own sweepers give a launcher one job after another. A campaign needs to see every configuration before the first
VM boots: to refuse what is illegal, to put the runs into random blocks, and to continue where it stopped. A launcher
that runs jobs side by side would also ruin what they measure. There is no launcher here, and the task is called once.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper

from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="colo_bench",
    node={
        "_target_": "hydra_plugins.colo_bench_sweeper.ColoBenchSweeper",
        "params": {},  # overrides that an experiment brings; the command line wins over them
        "grids": [],  # or several such sets, when the cells are no single grid
    },
    provider="colo-bench",
)


class ColoBenchSweeper(Sweeper):
    """Calls the task once, with the list of every composed configuration, in the order of the grids."""

    def __init__(self, params: Mapping[str, Any] | None = None, grids: Sequence[Mapping[str, Any]] = ()) -> None:
        self._grids = grids or [params or {}]

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
            given = [f"{key}={value}" for key, value in params.items()] + list(arguments)
            cells |= {frozenset(cell): cell for cell in grid(parser.parse_overrides(given))}
        return self._task([loader.load_sweep_config(self.config, cell) for cell in cells.values()])


def grid(overrides: Iterable[Override]) -> list[list[str]]:
    """Return the overrides of each cell: the product of all sweeps, where the last of two overrides of one key wins.

    Raises:
        ConfigError: a sweep is continuous, so that it has no list of values.
    """
    axes: dict[str, list[str]] = {}
    for override in overrides:
        axes[override.get_key_element()] = _choices(override)
    return [list(cell) for cell in itertools.product(*axes.values())]


def _choices(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no list of values",
            hint="name the values (mem=1G,2G), or use range(), choice() or glob()",
        )
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
