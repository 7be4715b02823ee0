"""What bears on trust: equals measured twice, a drifting host, runs that never settle, choices that could matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import stats
from analysis.runs.counting import counting
from analysis.runs.outcomes import used_pauses
from analysis.runs.stalls import TCP
from analysis.verdicts.claims import Effect
from analysis.verdicts.declared import declared
from analysis.verdicts.drift import Drift, drift, outside_block
from analysis.verdicts.equals import aa_logs, equals, noise_floor
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.looks import looked_at
from analysis.verdicts.nodes import Nodes, nodes_of, without_each
from analysis.verdicts.question import question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from analysis.stored.campaign import Campaign
    from analysis.stored.cells import Cells
    from analysis.stored.records import Hypothesis


@dataclass(frozen=True)
class Control:
    """Two cells that are the same machine: what differs between them is noise.

    Attributes:
        one: a cell's label; ``other``: its equal.
        ratio: of their run medians, over blocks (Hodges-Lehmann), with a 95 % interval where there is one.
        largest: the largest relative difference in any block.
        blocks: how many have both.
    """

    one: str
    other: str
    ratio: Effect
    largest: float
    blocks: int


@dataclass(frozen=True)
class Sensitivity:
    """A hypothesis judged in other ways than the declared one: whether the word hangs on a choice."""

    hypothesis: str
    choice: str
    effect: Effect
    word: str


@dataclass(frozen=True)
class Diagnostics:
    """Everything that bears on trust; A/A pairs, noise floor and drift are of runs that passed their quality check.

    A/A pairs, noise floor and sensitivity are of what the verdicts are of: the blocks of the last look.

    Attributes:
        controls: the A/A pairs; ``noise_floor``: what their comparison cannot tell from nothing, 0 without any.
        drift: None with too few blocks.
        steadiness: how many runs are of each class.
        warmup_cut: the largest warm-up that MSER-5 would cut in any run, None where all are too short for it;
            ``warmup``: what was cut, at least; ``warmup_untold``: runs that are too short.
        outliers: severe ones by Tukey, ``mild_outliers``, and ``modified_z``; of ``checkpoints``. None was removed.
        multimodal: runs with more than one mode.
        stalled: runs over TCP with checkpoints in the band of the 40 ms delayed acknowledgement, and of how many.
        stalled_by_own_pause: those of these whose band is above their own usual pause, since no cell is the same
            without stalls: a run that always stalls does not show in ``stalled``.
        stalls_untold: further runs over TCP, whose pauses spread as wide as that band.
        always_stalled: runs over TCP whose ``load`` phase is as long as a stall in every checkpoint.
        lag1: the median autocorrelation of neighbouring checkpoints.
        outside_block: runs that were measured when a later block had begun, see :func:`outside_block`.
        drifting_hosts: runs whose host drifted, those that are asked for no checkpoints too.
        sensitivity: the primary hypotheses under other choices.
        nodes: where the blocks were measured; None where no record names a node.
    """

    controls: tuple[Control, ...]
    noise_floor: float
    drift: Drift | None
    steadiness: dict[str, int]
    warmup_cut: int | None
    warmup: int
    warmup_untold: int
    outliers: int
    mild_outliers: int
    modified_z: int
    checkpoints: int
    multimodal: int
    stalled: tuple[int, int]
    stalled_by_own_pause: int
    stalls_untold: int
    always_stalled: int
    lag1: float
    outside_block: int
    drifting_hosts: int
    sensitivity: tuple[Sensitivity, ...]
    nodes: Nodes | None = None


def diagnose(
    campaign: Campaign,
    cells: Cells,
    runs: pd.DataFrame,
    behaviours: pd.DataFrame,
    asked: Sequence[Hypothesis] | None = None,
) -> Diagnostics:
    """Return the diagnostics of a campaign from its run table and :func:`analysis.runs.behaviour.behaviour_table`.

    ``asked`` as in :func:`judge_all`.
    """
    _, seen = looked_at(campaign, runs)
    controls = tuple(_control(cells, seen, pair) for pair in equals(seen) if aa_logs(seen, pair))
    over_tcp = runs[runs["link.transport"].isin(TCP)]
    told = over_tcp[over_tcp["slow_share"].notna()]
    return Diagnostics(
        controls=controls,
        noise_floor=noise_floor(seen),
        drift=drift(runs),
        steadiness=dict(sorted(Counter(map(str, behaviours["steadiness"])).items())),
        warmup_cut=None if behaviours["mser"].isna().all() else int(behaviours["mser"].max()),
        warmup=int(runs["warmup"].min()),
        warmup_untold=int(behaviours["mser"].isna().sum()),
        outliers=int(behaviours["outliers"].sum()),
        mild_outliers=int(behaviours["mild_outliers"].sum()),
        modified_z=int(behaviours["modified_z"].sum()),
        checkpoints=int(runs["checkpoints"].sum()),
        multimodal=int((behaviours["modes"] > 1).sum()),
        stalled=(int((told["slow_share"] > 0).sum()), len(told)),
        stalled_by_own_pause=int(told["slow_base_s"].isna().sum()),
        stalls_untold=len(over_tcp) - len(told),
        always_stalled=int(over_tcp["always_stalled"].sum()),
        lag1=float(behaviours["lag1"].median()),
        outside_block=int(outside_block(runs).sum()),
        drifting_hosts=sum(bool(run.record.host.drift) for run in (*campaign.runs, *campaign.without)),
        sensitivity=tuple(_sensitivity(campaign, runs, declared(campaign) if asked is None else asked)),
        nodes=nodes_of(runs),
    )


def _control(cells: Cells, runs: pd.DataFrame, pair: tuple[int, int]) -> Control:
    logs = np.array(aa_logs(runs, pair))
    shift = stats.hodges_lehmann(logs, np.zeros(len(logs)))
    return Control(
        cells.names[pair[0]].label,
        cells.names[pair[1]].label,
        Effect(*(float(np.exp(end)) for end in (shift.estimate, shift.low, shift.high))),
        float(np.expm1(np.abs(logs).max())),
        len(logs),
    )


AS_DECLARED = "as declared, by itself"
"""The choice that the others are held against: like them it is not adjusted for its family, nor for looks."""


_BY_WARMUP: dict[str, Callable[[Any], Any]] = {"pause": np.median, "pause_mean": np.mean}
"""Outcomes that are judged again with other warm-ups."""


def _sensitivity(campaign: Campaign, runs: pd.DataFrame, hypotheses: Sequence[Hypothesis]) -> list[Sensitivity]:
    """Judge each primary question on the pause again with other warm-ups, and with more or fewer of the runs."""
    asked = [one for one in hypotheses if one.family == "primary" and one.outcome in _BY_WARMUP]
    choices = _choices(campaign, runs) if asked else ()
    found = []
    for hypothesis, (choice, kept, table) in product(asked, choices):
        finding = judge(question(*looked_at(kept, table), hypothesis))
        found.append(Sensitivity(hypothesis.id, choice, finding.effect, finding.word))
    return found


def _choices(campaign: Campaign, runs: pd.DataFrame) -> Sequence[tuple[str, Campaign, pd.DataFrame]]:
    others = ((AS_DECLARED, 1.0), ("no warm-up left out", 0.0), ("half the warm-up", 0.5), ("twice the warm-up", 2.0))
    tables = [(name, runs.assign(**_pauses(campaign, share))) for name, share in others]
    quiet = np.array([not run.record.host.drift for run in campaign.runs])
    inside = ~outside_block(runs)
    whole = runs.assign(quality_ok=True, pauses_ok=True)
    tables += [("all runs, whatever their quality check", whole)] if not counting(runs).all() else []
    tables += [("runs whose host drifted left out", runs[quiet])] if not quiet.all() and quiet.any() else []
    tables += [] if inside.all() else [("runs measured outside their block's time left out", runs[inside])]
    return [*((name, campaign, table) for name, table in tables), *without_each(campaign, runs)]


def _pauses(campaign: Campaign, share: float) -> dict[str, list[float]]:
    """Return the medians and means of the runs with ``share`` times the declared warm-up left out."""
    found: dict[str, list[float]] = {name: [] for name in _BY_WARMUP}
    for run in campaign.runs:
        pause = run.column("pause_s", warmup=True)
        cut = min(round(share * (len(pause) - len(used_pauses(run)))), len(pause) - 1)
        for name, middle in _BY_WARMUP.items():
            found[name].append(float(middle(pause[cut:])))
    return found
