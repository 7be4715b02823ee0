"""The runs that a hypothesis is about, measured and failed, in strata of typed values; a factor not there is None."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.format.factors import Level, flatten
from analysis.format.outcomes import OUTCOMES
from analysis.format.scenarios import BASELINES, redundancy_asked
from analysis.runs.counting import OF_JOINING, counting, failing
from analysis.runs.outcomes import run_table
from analysis.stored.cells import name_cells
from analysis.stored.factors import NOT_FACTORS, differing, unit
from analysis.text import plural
from analysis.verdicts.amounts import shown_in
from analysis.verdicts.equals import noise_floor
from analysis.verdicts.sentences import level_words
from analysis.verdicts.trend import Sample, hangs_on

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from analysis.stored.campaign import Campaign
    from analysis.stored.records import Hypothesis

    Factors = Mapping[str, Level]


@dataclass(frozen=True)
class Question:
    """A hypothesis and the runs that can answer it.

    Attributes:
        runs: those that count, of the run table.
        failed: block and factors of the runs that failed: never measured, not to be read, or with too few checkpoints.
        left_out: the same of those that did not pass their own quality check.
        others: factors that vary beside that of the hypothesis.
        floor: what equal cells differ by, relative.
        notes: what is known before anything is judged.
        never: factors of planned cells of which no run counts and has the outcome, and none failed: a claim on every
            cell lacks them.
    """

    hypothesis: Hypothesis
    runs: pd.DataFrame
    failed: tuple[Factors, ...]
    left_out: tuple[Factors, ...]
    others: tuple[str, ...]
    floor: float
    notes: tuple[str, ...] = ()
    never: tuple[Factors, ...] = ()

    @property
    def lost(self) -> tuple[Factors, ...]:
        """Return the runs that have no value, those that failed first."""
        return (*self.failed, *self.left_out)


def question(campaign: Campaign, runs: pd.DataFrame, hypothesis: Hypothesis) -> Question:
    """Return the runs that a hypothesis is about, those that failed, and how many are left out.

    Args:
        campaign: as it was read.
        runs: :func:`analysis.runs.outcomes.run_table` of it.
        hypothesis: one that its cells can be asked.
    """
    runs = _with_baselines(campaign, runs) if of_baselines(hypothesis) else runs
    meant = runs[_meant(hypothesis, lambda path: column(runs, path), len(runs))]
    sound, fell = counting(meant, hypothesis.outcome), failing(meant, hypothesis.outcome)
    unknown = meant[hypothesis.outcome].isna().to_numpy(dtype=bool)
    cells = _cells_of(campaign)
    paths = [path for path in dict.fromkeys(path for own in cells.values() for path in own) if path in runs]
    lacks = lacking(hypothesis.outcome, _rows(meant, _KIND), known=~unknown, counted=sound & ~fell)
    lost = [one for one in _lost(campaign, cells) if is_meant(hypothesis, one)]
    failed = tuple(one for one in (*lost, *_rows(meant[fell], paths)) if lacks(one))
    left_out = tuple(one for one in _rows(meant[~sound & ~fell], paths) if lacks(one))
    measured, counted = _rows(meant[~fell], paths), meant[sound & ~fell]
    told = counted[counted[hypothesis.outcome].notna()]
    never = tuple(_never(campaign, cells, hypothesis, told, meant[fell])) if hypothesis.kind == "value" else ()
    notes = (
        *_untested([one for one in measured if lacks(one)], failed, str(hypothesis.factor)),
        *_absent(cells, hypothesis, [*_rows(told if len(told) else counted, paths), *failed]),
        *_without(hypothesis, unknown & sound & ~fell),
    )
    return Question(
        hypothesis,
        counted,
        failed,
        left_out,
        varying([*measured, *failed, *never], hypothesis, paths),
        noise_floor(runs, hypothesis.outcome) if hypothesis.kind != "value" else 0.0,
        notes,
        never,
    )


def of_baselines(hypothesis: Hypothesis) -> bool:
    """Tell whether runs that are asked for no checkpoint count: the scenario is named, and the outcome is of none.

    Where nothing names it they would be pooled with those under COLO.
    """
    of_checkpoints = OUTCOMES[hypothesis.outcome].table == "checkpoints"
    return not of_checkpoints and "scenario" in {hypothesis.factor, *hypothesis.where}


def _with_baselines(campaign: Campaign, runs: pd.DataFrame) -> pd.DataFrame:
    if not campaign.without:
        return runs
    own = run_table(campaign.without, name_cells(run.record for run in campaign.without))
    return pd.concat([runs, own.assign(cell=-1 - own["cell"])], ignore_index=True)


_KIND = ("scenario", "workload.name")
"""What decides which outcomes a run can have: one without a client, or a failover, has nothing to lose."""


def _kind(own: Factors) -> tuple[Level, ...]:
    return tuple(map(own.get, _KIND))


def lacking(
    outcome: str, runs: Iterable[Factors], *, known: Iterable[bool], counted: Iterable[bool]
) -> Callable[[Factors], bool]:
    """Return what tells of a run that failed, by its factors, whether it lacks an outcome.

    One that was not asked for the outcome has nothing to fail at, and one of a kind of which runs count but none has
    the outcome lacks nothing.

    Args:
        outcome: one of :data:`analysis.format.outcomes.OUTCOMES`.
        runs: factors of each.
        known: whether it has the outcome, sound or not.
        counted: whether it counts for it, and did not fail at it.
    """
    told = [(_kind(own), has, counts) for own, has, counts in zip(runs, known, counted, strict=True)]
    without = {kind for kind, _, counts in told if counts} - {kind for kind, has, _ in told if has}
    return lambda own: _kind(own) not in without and _asked_for(outcome, own)


def _asked_for(outcome: str, own: Factors) -> bool:
    """Tell whether a run is to have an outcome: without checkpoints it has no pause, and not all are joined again."""
    if outcome in OF_JOINING:
        return redundancy_asked(own)
    return OUTCOMES[outcome].table != "checkpoints" or own.get("scenario") not in BASELINES


def _without(hypothesis: Hypothesis, unknown: np.ndarray) -> Iterator[str]:
    if unknown.any():
        yield f"{plural(int(unknown.sum()), 'run')} without {OUTCOMES[hypothesis.outcome].words}: left out"


def _lost(campaign: Campaign, cells: Mapping[str, Factors]) -> Iterator[Factors]:
    """Yield block and factors of every run that was never measured, or of which nothing can be read."""
    for planned in campaign.lost:
        own = cells.get(planned.cell_id)
        if own is not None:
            yield {**own, "block": planned.block}


def _cells_of(campaign: Campaign) -> dict[str, Factors]:
    """Return the factors of every cell, its accelerator as it was measured; of none that was, that of all others."""
    records = {run.record.cell_id: run.record for run in campaign.runs}
    accels: set[str] = {record.accel for record in records.values()}
    only = accels.pop() if len(accels) == 1 else None
    trees = {one.cell_id: one.cell for one in campaign.plan.cells}
    # A plan from before plans held their cells has these in its runs.
    trees |= {name: record.cell for name, record in records.items() if name not in trees}
    cells: dict[str, Factors] = {}
    for name, tree in trees.items():
        own = flatten(tree)
        cells[name] = {**own, "accel": records[name].accel if name in records else own.get("accel") or only}
    return cells


def _absent(cells: Mapping[str, Factors], hypothesis: Hypothesis, there: Sequence[Factors]) -> Iterator[str]:
    """Say which levels that are asked about no cell, or no run, has: an answer is about the others alone."""
    for path, levels in hypothesis.where.items():
        for level in levels:
            if not any(own.get(path) == level for own in cells.values()):
                yield f"no cell has {level_words((path,), level)}"
    if hypothesis.kind == "value":
        return
    factor, found = str(hypothesis.factor), {row.get(str(hypothesis.factor)) for row in there}
    asked: dict[Level, None] = dict.fromkeys(hypothesis.levels)
    if hypothesis.kind == "trend":
        asked = dict.fromkeys(own.get(factor) for own in cells.values() if is_meant(hypothesis, own))
    for level in asked:
        if level not in found:
            planned = any(own.get(factor) == level for own in cells.values())
            words = level_words((factor,), level)
            lost = f"no run with {words} has the outcome and counts: nothing is said of it"
            yield lost if planned else f"no cell has {words}"


def _never(
    campaign: Campaign,
    cells: Mapping[str, Factors],
    hypothesis: Hypothesis,
    told: pd.DataFrame,
    failed: pd.DataFrame,
) -> Iterator[Factors]:
    """Yield planned cells of which no run that counts has the outcome, where others of their kind do."""
    kinds = set(map(_kind, _rows(told, _KIND)))
    lost = {one.cell_id for one in campaign.lost}
    there = {*told["cell_id"], *failed["cell_id"], *lost} if "cell_id" in told else None
    for cell_id, own in cells.items():
        alike = _kind(own) in kinds and _asked_for(hypothesis.outcome, own)
        if there is not None and cell_id not in there and alike and is_meant(hypothesis, own):
            yield own


def is_meant(hypothesis: Hypothesis, own: Factors) -> bool:
    """Tell whether a cell, by its factors, is one that a hypothesis is about."""
    counts = of_baselines(hypothesis) or own.get("scenario") not in BASELINES
    return counts and bool(_meant(hypothesis, lambda path: [own.get(path)], 1)[0])


def meant_levels(hypothesis: Hypothesis, cells: Iterable[Factors]) -> set[Level]:
    """Return the levels of the factor that cells have where a hypothesis asks, whether or not they have the outcome."""
    return {
        own.get(str(hypothesis.factor))
        for own in cells
        if _meant(hypothesis, lambda path, own=own: [own.get(path)], 1)[0]  # type: ignore[misc]
    }


def column(runs: pd.DataFrame, path: str) -> list[Level]:
    """Return a factor of each run as a typed value; None where a cell does not have it."""
    if path not in runs:
        return [None] * len(runs)
    return list(map(known_level, runs[path].tolist()))


def known_level(value: Level) -> Level:
    """Return a level; none where a table has no number for it: a column that some cells lack is one of floats."""
    return None if value != value else value  # noqa: PLR0124 - NaN


def _rows(runs: pd.DataFrame, paths: Sequence[str]) -> list[Factors]:
    columns = {path: column(runs, path) for path in ("block", *paths)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _meant(hypothesis: Hypothesis, levels: Callable[[str], Sequence[Level]], count: int) -> np.ndarray:
    """Return which runs are where the hypothesis asks, at the levels that it compares."""
    compared = ((str(hypothesis.factor), hypothesis.levels),) if hypothesis.kind == "contrast" else ()
    keep = np.ones(count, dtype=bool)
    for path, wanted in (*hypothesis.where.items(), *compared):
        keep &= np.array([level in wanted for level in levels(path)], dtype=bool)
    if hypothesis.kind == "trend":
        keep &= np.array([level is not None for level in levels(str(hypothesis.factor))], dtype=bool)
    return keep


def varying(rows: Sequence[Factors], hypothesis: Hypothesis, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the other factors that vary; a setting of something, such as a workload, does when it varies within that.

    A ``value`` is about every cell, and cells that differ in whatever it be are told apart.
    """
    ignored: Collection[str | None] = () if hypothesis.kind == "value" else NOT_FACTORS | {hypothesis.factor}
    return tuple(differing(rows, (path for path in paths if path not in ignored)))


def _untested(measured: Sequence[Factors], failed: Sequence[Factors], factor: str) -> Iterator[str]:
    """Say at which levels of the factor more than half of the runs failed: a median there would be one of failures."""
    found, lost = (Counter(row.get(factor) for row in rows) for rows in (measured, failed))
    for level, count in lost.items():
        if level is not None and count > found[level]:
            runs = plural(count + found[level], "run")
            yield f"{count} of {runs} with {level_words((factor,), level)} failed: outside the tested range"


def others_of(asked: Question, row: Factors) -> tuple[Level, ...]:
    """Return the combination of the other factors that a run is at."""
    return tuple(row.get(path) for path in asked.others)


def measured_rows(asked: Question, runs: pd.DataFrame) -> list[Factors]:
    """Return block, factor and other factors of each run, as typed values."""
    return _rows(runs, [*asked.others, *([asked.hypothesis.factor] if asked.hypothesis.factor else [])])


def make_sample(asked: Question, runs: pd.DataFrame) -> Sample | None:
    """Return the sample that a trend or contrast is judged from, lost runs beside it; None where nothing compares.

    Args:
        asked: the hypothesis, its lost runs and its other factors.
        runs: those of its runs that measured the outcome.
    """
    hypothesis, rows = asked.hypothesis, measured_rows(asked, runs)
    outcome = OUTCOMES[hypothesis.outcome]
    scale, shown = shown_in(hypothesis.outcome)
    divisor, name = unit(str(hypothesis.factor)) if hypothesis.kind == "trend" else (1.0, "")
    x, lost_x = (_position(hypothesis, each) for each in (rows, asked.lost))
    sample = Sample(
        x=x,
        raw=np.exp2(x) / divisor if hypothesis.kind == "trend" else x,
        y=runs[hypothesis.outcome].to_numpy(dtype=np.float64),
        strata=_strata(asked, rows),
        lost_x=lost_x,
        lost_strata=_strata(asked, asked.lost),
        hangs=hangs_on(len(asked.failed), len(asked.left_out)),
        more_is_worse=not outcome.less_is_worse,
        scale=scale,
        unit=" per ".join(("percentage points" if shown == "%" else shown, *([name] if name else []))),
    )
    return sample if sample.compares else None


def _strata(asked: Question, rows: Sequence[Factors]) -> tuple[tuple[Level, ...], ...]:
    return tuple((row["block"], *others_of(asked, row)) for row in rows)


def _position(hypothesis: Hypothesis, rows: Sequence[Factors]) -> np.ndarray:
    levels = [row.get(str(hypothesis.factor)) for row in rows]
    if hypothesis.kind == "contrast":
        return np.array([float(level == hypothesis.levels[1]) for level in levels])
    return np.log2(np.array(levels, dtype=np.float64))
