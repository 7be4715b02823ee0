"""What RAM costs by itself and through its dirty pages, what a page costs, how large the device state is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import stats
from analysis.runs.counting import counting
from analysis.runs.outcomes import used_pauses
from analysis.verdicts.applied import WHOLE
from analysis.verdicts.claims import Effect
from analysis.verdicts.question import column, known_level
from analysis.verdicts.sentences import level_words

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.stored.campaign import Run

GIB = 1 << 30
PAGE_BYTES = 4096 + 8
"""What a dirty page is on the wire: its content and its header (``ram_save_page`` in QEMU's ``migration/ram.c``)."""

PAGES_APART = 1.5
"""Runs differ in pages by design when their means differ by this factor; below it is chance, and its slope noise."""

_FEWEST_FOR_LINE = 3
_NONE = Effect(float("nan"), float("nan"), float("nan"))
_FEWEST_RUNS = 2
_SPLIT_BY = ("accel", "link.transport", "smp")
_OF_PAGES = {
    *("workload.working_set", "workload.scaling", "workload.rate", "workload.pattern", "workload.threads"),
    *("checkpoint.interval", "checkpoint.count", "checkpoint.warmup", "replica", "workload.name"),
}
"""What makes runs differ in their pages; whatever else they differ in may cost something by itself."""

_ALWAYS_APART = {"accel", "link.transport", "mem", "smp"}

_ARMS = ("mem", "fixed")
"""Whose set grows with RAM, and whose does not."""

_OF_THE_ARMS = {"mem", "workload.scaling", "workload.working_set", "replica", *_SPLIT_BY}


@dataclass(frozen=True)
class Split:
    """The effect of RAM on the pause, split by design; each in ms per GiB, with a 90 % interval over blocks.

    Attributes:
        where: under which levels of the other factors.
        total: with a dirty working set that grows with RAM.
        direct: with the same dirty working set at every size; both over the sizes that both arms have in a block.
        explained: the difference, block by block: what the dirty pages explain.
        blocks: how many blocks have both arms.
    """

    where: str
    total: Effect
    direct: Effect
    explained: Effect
    blocks: int


@dataclass(frozen=True)
class PageRow:
    """What one more dirty page adds to the pause, in microseconds.

    Attributes:
        where: over which transport, under KVM or emulation, with which workload where there are several, and at which
            level of whatever else varies, but for RAM and vCPUs.
        within: from the variation within runs, 95 % interval over runs; NaN where page counts hardly vary.
        across: from run means against each other, 95 % interval; NaN where it cannot be told, see ``apart``.
        apart: whether run means of the page count differ by ``PAGES_APART`` or more, in three runs or more that differ
            in nothing but what makes pages.
        bound: what the transport alone takes for a page; NaN where it was not measured.
        runs: how many entered.
    """

    where: str
    within: Effect
    across: Effect
    apart: bool
    bound: float
    runs: int


@dataclass(frozen=True)
class DeviceRow:
    """Bytes sent by checkpoints without any dirty page: the device state and COLO's own messages.

    ``where``: under which accelerator and at which level of whatever else varies but RAM; empty where nothing does.
    """

    smp: int
    bytes_median: float
    checkpoints: int
    where: str = ""


@dataclass(frozen=True)
class Effects:
    """Everything that is estimated beside the hypotheses."""

    splits: tuple[Split, ...]
    pages: tuple[PageRow, ...]
    devices: tuple[DeviceRow, ...]


def effects(runs: pd.DataFrame, records: tuple[Run, ...]) -> Effects:
    """Return the effects that this design can tell; an empty tuple where it cannot.

    Args:
        runs: :func:`analysis.runs.outcomes.run_table`; those that failed their own quality check are left out.
        records: the runs themselves, in the same order.
    """
    runs = runs[counting(runs)]
    return Effects(tuple(splits(runs)), tuple(_pages(runs, records)), tuple(_devices(runs, records)))


def splits(runs: pd.DataFrame) -> list[Split]:
    """Return the effect of RAM split by design, at each combination of the other factors where both arms share blocks.

    Args:
        runs: with the columns ``workload.scaling``, ``accel``, ``link.transport``, ``smp``, ``mem`` (bytes), ``block``
            and ``pause`` (s) of :func:`analysis.runs.outcomes.run_table`; where ``set_written`` tells that a guest did
            not write its working set, the run is left out.
    """
    if "workload.scaling" not in runs:
        return []
    arms = runs[runs["workload.scaling"].isin(_ARMS)]
    if "set_written" in arms:  # a guest too slow for its set has the same few dirty pages at every size
        arms = arms[~(arms["set_written"] < WHOLE)]
    found = []
    by = (*_SPLIT_BY, *_others(arms), *_sets(arms))
    for levels, own in arms.groupby(list(by), sort=True, dropna=False):
        rows = _at_sizes_of_both(own)
        total, direct = (_block_slopes(rows[rows["workload.scaling"] == arm]) for arm in _ARMS)
        both = sorted(total.keys() & direct.keys())
        if both:
            columns = np.array([[total[block], direct[block]] for block in both]).T
            where = level_words(by, tuple(map(known_level, levels)))
            arms_ = (_over_blocks(columns[0]), _over_blocks(columns[1]), _over_blocks(columns[0] - columns[1]))
            found.append(Split(where, *arms_, blocks=len(both)))
    return found


def _at_sizes_of_both(arms: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at sizes that both arms have in their block: slopes over other sizes differ by these, too."""
    return arms[arms.groupby(["block", "mem"])["workload.scaling"].transform("nunique") == len(_ARMS)]


def _others(arms: pd.DataFrame) -> tuple[str, ...]:
    """Return the other factors that vary between these runs: what they do must not pass for what RAM does."""
    factors = _factors(arms)
    return tuple(name for name in factors if name not in _OF_THE_ARMS and len(set(map(repr, arms[name]))) > 1)


def _factors(runs: pd.DataFrame) -> tuple[str, ...]:
    columns = list(runs.columns)
    if not {"quality_ok", "working_set_bytes"} <= set(columns):
        return ()
    return tuple(columns[columns.index("quality_ok") + 1 : columns.index("working_set_bytes")])


def _sets(arms: pd.DataFrame) -> tuple[str, ...]:
    """Return the working set as a factor where an arm has several: only equal ones of both arms are compared then."""
    name = "workload.working_set"
    several = name in arms and arms.groupby("workload.scaling")[name].nunique().max() > 1
    return (name,) if several else ()


def _block_slopes(rows: pd.DataFrame) -> dict[int, float]:
    """Return the least-squares slope of the pause on RAM in ms per GiB, for each block with two sizes or more."""
    slopes = {}
    for block, mine in rows.groupby("block"):
        size = mine["mem"].to_numpy(dtype=float) / GIB
        if len(set(size)) >= _FEWEST_RUNS:
            slopes[int(str(block))] = 1e3 * float(np.polyfit(size, mine["pause"].to_numpy(dtype=float), 1)[0])
    return slopes


def _over_blocks(values: NDArray[np.float64]) -> Effect:
    interval = stats.median_interval(values, confidence=0.90)
    return Effect(interval.estimate, interval.low, interval.high)


def _pages(runs: pd.DataFrame, records: tuple[Run, ...]) -> list[PageRow]:
    found, alike = [], page_strata(runs)
    names, others = ("accel", "link.transport", "workload.name"), beside(runs)
    for (accel, transport, workload, *levels), rows in runs.groupby([*names, *others], sort=True, dropna=False):
        means = [(place, *_means(records[place])) for place in rows.index]
        kept = [one for one in means if one[1] >= _FEWEST_RUNS]
        if len(kept) < _FEWEST_RUNS:
            continue
        places = [place for place, *_ in kept]
        cells = [str(rows.loc[place, "cell"]) for place in places]
        page_means, pause_means = (np.array([one[at] for one in kept]) for at in (2, 3))
        across = across_runs(page_means, pause_means, cells, [alike[place] for place in places])
        several = len(set(runs["workload.name"])) > 1
        found.append(
            PageRow(
                where=level_words((*names[:2], *others), (accel, transport, *map(known_level, levels)))
                + (f", {workload}" if several else ""),
                within=within_runs(*in_step([records[place] for place in places]), cells),
                across=across or _NONE,
                apart=across is not None,
                bound=1e6 * PAGE_BYTES / float(rows["transport_bytes_per_s"].median()),
                runs=len(kept),
            )
        )
    return found


def beside(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return what varies between runs and is neither of their pages nor a size: a page may cost another thing at each.

    Args:
        runs: :func:`analysis.runs.outcomes.run_table`.
    """
    names = (name for name in _factors(runs) if name not in _OF_PAGES | _ALWAYS_APART)
    return tuple(name for name in names if len(set(map(repr, column(runs, name)))) > 1)


def page_strata(runs: pd.DataFrame) -> pd.Series[str]:
    """Return for each run what it is beside its pages: RAM, vCPUs, devices; only equals tell what a page costs.

    Args:
        runs: :func:`analysis.runs.outcomes.run_table`.
    """
    return levels_of(runs, [name for name in _factors(runs) if name not in _OF_PAGES])


def levels_of(runs: pd.DataFrame, names: Sequence[str]) -> pd.Series[str]:
    """Return for each run the combination of its levels of some factors, as text."""
    return pd.Series([repr(row) for row in runs[list(names)].to_numpy(dtype=object).tolist()], index=runs.index)


def across_runs(
    pages: NDArray[np.float64],
    pauses: NDArray[np.float64],
    cells: Sequence[Hashable],
    strata: Sequence[Hashable] | None = None,
) -> Effect | None:
    """Return what a page costs in microseconds from runs against each other, with a 95 % interval.

    Args:
        pages: (n,) mean dirty pages of each run.
        pauses: (n,) mean pause of each run, in seconds.
        cells: of each run.
        strata: of each run, what it is beside its pages (:func:`page_strata`); None where all are alike.

    Returns:
        None where it cannot be told: no stratum with page counts :data:`PAGES_APART`, or fewer than three runs of them.
    """
    of = np.array([str(one) for one in strata]) if strata is not None else np.full(len(pages), "")
    apart = np.isin(of, [one for one in set(of) if pages_apart(pages[of == one])])
    if apart.sum() < _FEWEST_FOR_LINE + len(set(of[apart])) - 1:
        return None
    kept = [cell for cell, counts in zip(cells, apart, strict=True) if counts]
    line = stats.least_squares(pages[apart], pauses[apart], _groups(kept), of[apart])
    return Effect(1e6 * line.estimate, 1e6 * line.low, 1e6 * line.high)


def pages_apart(pages: NDArray[np.float64]) -> bool:
    """Tell whether page counts differ enough for a slope to say something; none at all do not."""
    return bool(np.ptp(pages) > 0 and pages.max() >= PAGES_APART * pages.min())


def _groups(cells: Sequence[Hashable]) -> Sequence[Hashable] | None:
    """Return the groups within which runs vary alike: longer pauses vary more; None where a cell has a single run."""
    return cells if min(Counter(cells).values()) >= _FEWEST_RUNS else None


def counted(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return dirty pages and pauses, after the warm-up, of the checkpoints whose pages were counted."""
    pages = run.column("dirty_pages")
    known = np.isfinite(pages)
    return pages[known], used_pauses(run)[known]


def in_step(runs: Sequence[Run]) -> tuple[Iterable[NDArray[np.float64]], Iterable[NDArray[np.float64]]]:
    """Return the pages and the pauses of the runs, each read when it is its turn."""
    return (counted(run)[0] for run in runs), (counted(run)[1] for run in runs)


def _means(run: Run) -> tuple[int, float, float]:
    """Return how many checkpoints of a run have their pages counted, and the means of their pages and pauses."""
    pages, pauses = counted(run)
    return (len(pages), float(pages.mean()), float(pauses.mean())) if len(pages) else (0, np.nan, np.nan)


def within_runs(
    pages: Iterable[NDArray[np.float64]], pauses: Iterable[NDArray[np.float64]], cells: Sequence[Hashable]
) -> Effect:
    """Return what a page costs in microseconds from the variation within runs, with a 95 % interval over runs.

    Args:
        pages: of each run, dirty pages per checkpoint.
        pauses: of each run, in seconds.
        cells: of each run.

    Returns:
        NaN where it cannot be told: fewer than two runs, or page counts that never vary.
    """
    try:
        cost = stats.per_page_cost(pages, pauses, _groups(cells))
    except ValueError:
        return _NONE
    return Effect(1e6 * cost.estimate, 1e6 * cost.low, 1e6 * cost.high)


def _devices(runs: pd.DataFrame, records: tuple[Run, ...]) -> list[DeviceRow]:
    found = []
    names = (*(name for name in ("accel", "link.transport") if len(set(runs[name])) > 1), *beside(runs))
    for (smp, *levels), rows in runs.groupby(["smp", *names], sort=True, dropna=False):
        bare = np.concatenate([_bare_bytes(records[place]) for place in rows.index])
        if len(bare):
            where = level_words(names, tuple(map(known_level, levels))) if names else ""
            found.append(DeviceRow(int(str(smp)), float(np.median(bare)), len(bare), where))
    return found


def _bare_bytes(run: Run) -> NDArray[np.float64]:
    clean = run.column("dirty_pages", warmup=True) == 0
    sent = run.column("bytes_sent", warmup=True)[clean] if clean.any() else np.empty(0)
    return sent[np.isfinite(sent)]
