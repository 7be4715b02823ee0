"""Campaigns that never happened: pauses with known truth, to find out which analysis to believe.

A pause is lognormal. Runs differ by a factor of their own, checkpoints within a run resemble their neighbours, some
stall for a while, the host drifts, runs go missing. Every parameter can be replaced by what a real campaign showed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import lfilter

from analysis.stats.checks import as_option, as_positive

if TYPE_CHECKING:
    from numpy.random import Generator

    from analysis.stats.checks import FloatArray

    Shape = tuple[int, int, int]

_MOST_LAGS = 1_000
_FEWEST_SIZES = 2
_MOST_STALLED, _OF_THE_LONG = 0.99, 0.7


@dataclass(frozen=True, slots=True)
class Model:
    """How simulated pauses come about.

    Attributes:
        sizes: log2 of each size.
        blocks: runs per size; ``checkpoints``: per run.
        base_s: median pause of the smallest size, in seconds.
        slope: growth of the log pause per doubling; 0 for a size that does not matter.
        run_sd: standard deviation between runs, of logs; ``checkpoint_sd``: within a run.
        phi: correlation of a checkpoint with the one before.
        slow_share: share of checkpoints that stall, in runs that are not stuck; ``slow_extra_s``: for how long.
        slow_stay: chance that a stalled checkpoint is followed by another.
        slow_by_run: whether each run has a share of its own, of which ``slow_share`` is the mean (a beta distribution).
        stuck_share: share of runs of which every checkpoint stalls.
        drift: change of the log pause from the first run to the last; ``wander``: standard deviation of a random walk
            over the same span.
        block_sd: standard deviation between blocks, of logs, beside drift and wander.
        missing: share of runs that are lost.
        missing_long: share of a campaign's runs among which most are lost: the longest ones.
        order: ``blocks`` (all sizes once in random order, again and again) or ``by-size`` (smallest size first).
        combinations: of the other factors, each with all sizes in every block; a trend is judged within each of them.
    """

    sizes: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 4.0)
    blocks: int = 5
    checkpoints: int = 100
    base_s: float = 0.020
    slope: float = 0.0
    run_sd: float = 0.05
    checkpoint_sd: float = 0.25
    phi: float = 0.6
    slow_share: float = 0.0
    slow_extra_s: float = 0.040
    slow_stay: float = 0.98
    slow_by_run: bool = False
    stuck_share: float = 0.0
    block_sd: float = 0.0
    drift: float = 0.0
    wander: float = 0.0
    missing: float = 0.0
    missing_long: float = 0.0
    order: str = "blocks"
    combinations: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, with a ValueError."""
        as_option(self.order, "order", ("blocks", "by-size"))
        as_positive(self.base_s, "base_s")
        for name in ("phi", "slow_share", "slow_stay", "stuck_share", "missing", "missing_long"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie between 0 and 1 and is {getattr(self, name)}")
        for name in ("run_sd", "block_sd", "checkpoint_sd", "wander", "slow_extra_s"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} must not be negative and is {getattr(self, name)}")
        if len(self.sizes) < _FEWEST_SIZES or min(self.blocks, self.checkpoints, self.combinations) < 1:
            raise ValueError("a campaign needs two sizes, one block, one checkpoint and one combination")

    @property
    def complete(self) -> Model:
        """Return the same campaign, of which no run is lost."""
        return replace(self, missing=0.0, missing_long=0.0)

    @property
    def still(self) -> Model:
        """Return the same campaign on a host that does not drift."""
        return replace(self, drift=0.0, wander=0.0)

    def alike(self, cells: int) -> Model:
        """Return a campaign of so many cells, two at least, between which nothing differs."""
        return replace(self, sizes=(0.0,) * max(cells, _FEWEST_SIZES), slope=0.0)

    @property
    def strata(self) -> int:
        """Return in how many strata sizes are compared."""
        return self.blocks * self.combinations

    @property
    def inflation(self) -> float:
        """Return the mean of a pause without a stall over its median: blocks, runs and checkpoints are lognormal."""
        return float(np.exp((self.block_sd**2 + self.run_sd**2 + self.checkpoint_sd**2) / 2))

    @property
    def all_checkpoints(self) -> int:
        """Return how many checkpoints one such campaign has."""
        return self.blocks * len(self.sizes) * self.checkpoints

    @property
    def median_sd(self) -> float:
        """Return the standard deviation of the log of a run's median, its checkpoints included.

        The long-run variance of the median of a Gaussian series is ``sd^2 * sum over lags of arcsin(rho_lag)``.
        """
        lags = self.phi ** np.arange(1, _MOST_LAGS)
        long_run = self.checkpoint_sd**2 * (np.pi / 2 + 2 * float(np.arcsin(lags).sum()))
        return float(np.sqrt(self.run_sd**2 + long_run / self.checkpoints))


def simulate_checkpoints(model: Model, rng: Generator, studies: int = 1) -> FloatArray:
    """Return pauses in seconds, shape (studies, blocks, sizes, checkpoints); those of a missing run are NaN."""
    shape = (studies, model.blocks, len(model.sizes))
    level = _run_levels(model, rng, shape) + model.run_sd * rng.standard_normal(shape)
    noise = rng.standard_normal((*shape, model.checkpoints))
    step = np.sqrt(1 - model.phi**2)
    noise[..., 0] /= step
    series = lfilter([step], [1.0, -model.phi], noise, axis=-1)
    pauses: FloatArray = np.exp(level[..., None] + model.checkpoint_sd * series)
    stalled = _stalled(model, rng, (*shape, model.checkpoints)) | (rng.random(shape) < model.stuck_share)[..., None]
    pauses += model.slow_extra_s * stalled
    pauses[_lost(model, rng, np.log(np.median(pauses, axis=-1)))] = np.nan
    return pauses


def simulate_runs(model: Model, rng: Generator, studies: int = 1) -> FloatArray:
    """Return logs of run medians, shape (studies, blocks, sizes), without simulating checkpoints; missing ones are NaN.

    Single stalls are left out: they do not move a median.
    """
    shape = (studies, model.blocks, len(model.sizes))
    logs = _run_levels(model, rng, shape) + model.median_sd * rng.standard_normal(shape)
    stuck = rng.random(shape) < model.stuck_share
    logs[stuck] = np.log(np.exp(logs[stuck]) + model.slow_extra_s)
    logs[_lost(model, rng, logs)] = np.nan
    return logs


def simulate_strata(model: Model, rng: Generator, studies: int = 1) -> FloatArray:
    """Return logs of run medians, shape (studies, blocks, combinations, sizes), a block in random order as a whole.

    What other factors add to the pause is left out: it is the same for all runs of a stratum.
    """
    logs = simulate_runs(replace(model, sizes=model.sizes * model.combinations), rng, studies)
    return logs.reshape(studies, model.blocks, model.combinations, len(model.sizes))


def _run_levels(model: Model, rng: Generator, shape: Shape) -> FloatArray:
    """Return the log pause that size and time give each run."""
    studies, blocks, count = shape
    if model.order == "blocks":
        inside = rng.random(shape).argsort(axis=-1)
        position = np.arange(blocks)[None, :, None] * count + inside
    else:
        position = np.broadcast_to(np.arange(count)[None, None, :] * blocks + np.arange(blocks)[None, :, None], shape)
    last = blocks * count - 1
    path = model.drift * (np.arange(last + 1) / max(last, 1) - 0.5) + np.zeros((studies, 1))
    if model.wander > 0:
        path = path + model.wander / np.sqrt(last + 1) * rng.standard_normal((studies, last + 1)).cumsum(axis=1)
    sizes = np.array(model.sizes)
    host = np.take_along_axis(path, position.reshape(studies, -1), axis=1).reshape(shape)
    if model.block_sd > 0:
        host = host + model.block_sd * rng.standard_normal((studies, blocks, 1))
    levels: FloatArray = np.log(model.base_s) + model.slope * (sizes - sizes[0]) + host
    return levels


def _stalled(model: Model, rng: Generator, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which checkpoints stall: a chain of two states whose long-run share is ``slow_share``."""
    if model.slow_share == 0:
        return np.zeros(shape, dtype=np.bool_)
    share: Any = np.full(shape[:-1], model.slow_share)
    if model.slow_by_run:
        share = np.minimum(rng.beta(1.0, 1.0 / model.slow_share - 1.0, shape[:-1]), _MOST_STALLED)
    enter = np.minimum(share * (1 - model.slow_stay) / (1 - share), 1.0)
    draws = rng.random(shape)
    stalled = np.empty(shape, dtype=np.bool_)
    stalled[..., 0] = draws[..., 0] < share
    for t in range(1, shape[-1]):
        stalled[..., t] = draws[..., t] < np.where(stalled[..., t - 1], model.slow_stay, enter)
    return stalled


def _lost(model: Model, rng: Generator, logs: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    lost: np.ndarray[Any, np.dtype[np.bool_]] = rng.random(logs.shape) < model.missing
    if model.missing_long > 0:
        longest = np.quantile(logs.reshape(len(logs), -1), 1 - model.missing_long, axis=1)
        lost |= (logs > longest[:, None, None]) & (rng.random(logs.shape) < _OF_THE_LONG)
    return lost


NOISES = {
    "assumed": Model(),
    "rough": Model(
        blocks=6, run_sd=0.12, block_sd=0.06, slow_share=0.10, slow_by_run=True, drift=0.10, missing_long=0.10
    ),
}
"""Named noise: the constants that the method assumes, and a rough host: runs that differ by 12 %, blocks by 6 %,
checkpoints that resemble their neighbours, a 40 ms mode of another share in each run, drift, the longest runs lost."""
