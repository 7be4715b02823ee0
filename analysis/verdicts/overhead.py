"""What COLO leaves of a service: the same machine with and without it, block by block, and what its pauses explain."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.format.factors import DEADLINES, flatten
from analysis.format.outcomes import OUTCOMES
from analysis.format.scenarios import BASELINES, COLO, COMPARED, SCENARIOS
from analysis.runs.cell_table import t_interval
from analysis.runs.outcomes import outcome_of, too_short_for, used_pauses
from analysis.runs.standing import stood_still_s
from analysis.text import listed, span, spans
from analysis.verdicts.claims import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.stored.campaign import Campaign, Run

_BY_GUEST_CLOCK = frozenset(("achieved_mb_s",))
"""Rates by a clock that stands still in a pause: they tell nothing of what pauses cost (docs/workloads.md)."""

THROUGHPUT = tuple(
    one.name
    for one in OUTCOMES.values()
    if one.less_is_worse and one.unit != "share" and one.name not in _BY_GUEST_CLOCK
)
"""Outcomes that are a rate of work done, by a clock outside of the guest: more is better."""


LATENCY = ("client_p50", "client_p95", "client_p99")

FEWEST_PAIRS = 3
"""Blocks for an interval: from two, Student's is so wide that it says nothing."""
_PAUSED = "paused_share"


@dataclass(frozen=True)
class Ratio:
    """One outcome of one scenario by that of another.

    Attributes:
        outcome: one of :data:`THROUGHPUT` or :data:`LATENCY`.
        ratio: geometric mean over blocks with its 95 % interval (Student's t of the logs); none from fewer than three.
        blocks: in which both were measured.
        value: the median over blocks of the first scenario's; ``base``: of the second's; as stored.
        exploratory: whether a run is too short for this quantile.
        one_sided: blocks with sound runs of both in which one of them has none of it, or 0: they are in no ratio.
    """

    outcome: str
    ratio: Effect
    blocks: int
    value: float
    base: float
    exploratory: bool = False
    one_sided: int = 0

    def row(self) -> dict[str, Any]:
        """Return it as a table's columns."""
        return {
            "outcome": self.outcome,
            "ratio": self.ratio.estimate,
            "low": self.ratio.low,
            "high": self.ratio.high,
            "blocks": self.blocks,
            "value": self.value,
            "base_value": self.base,
            "exploratory": self.exploratory,
            "one_sided": self.one_sided,
        }


@dataclass(frozen=True)
class Explained:
    """How much of what COLO costs its pauses explain, as means over runs; NaN where it is not known.

    Attributes:
        lost: share of the throughput without COLO that is gone.
        paused: share of time paused.
        of_throughput: ``paused`` by ``lost``; NaN where the interval of the ratio holds 1, as where nothing is lost no
            share of it can be told.
        added_s: by how much the mean latency of answered requests is longer.
        in_pauses_s: how much of the mean request's life lay in pauses.
        of_latency: ``in_pauses_s`` by ``added_s``; NaN where the 95 % interval of what was added over blocks reaches
            down to 0, as where there are fewer than three.
        unanswered: share of the requests that got no good answer, and are in no latency; ``base_unanswered``: of the
            other scenario's.
    """

    lost: float = math.nan
    paused: float = math.nan
    of_throughput: float = math.nan
    added_s: float = math.nan
    in_pauses_s: float = math.nan
    of_latency: float = math.nan
    unanswered: float = math.nan
    base_unanswered: float = math.nan

    def row(self) -> dict[str, float]:
        """Return it as a table's columns."""
        return {
            "lost_share": self.lost,
            "paused_share": self.paused,
            "of_throughput": self.of_throughput,
            "added_latency_s": self.added_s,
            "in_pauses_s": self.in_pauses_s,
            "of_latency": self.of_latency,
            "unanswered_share": self.unanswered,
            "base_unanswered_share": self.base_unanswered,
        }


@dataclass(frozen=True)
class Overhead:
    """One machine and workload: a scenario against another one.

    Attributes:
        cell_id: of the cell of the first scenario.
        label: the cell's, without the scenario.
        scenario: what is compared; ``base``: with what.
        ratios: of every outcome that both have.
        explained: by pauses; those that differing output makes of a pair of which none is asked for, too.
        asked_per_s: at what rate the client sent its requests, whether or not they were answered; None where it waited
            for answers, or had no such rate.
    """

    cell_id: str
    label: str
    scenario: str
    base: str
    ratios: tuple[Ratio, ...]
    explained: Explained
    asked_per_s: float | None = None

    def of(self, outcome: str) -> Ratio | None:
        """Return the ratio of an outcome, where both have it."""
        return next((one for one in self.ratios if one.outcome == outcome), None)

    @property
    def throughput(self) -> Ratio | None:
        """Return the ratio of the first throughput that there is."""
        return next((one for one in self.ratios if one.outcome in THROUGHPUT), None)

    @property
    def compared(self) -> str:
        """Return what is divided by what."""
        return _short(self.scenario, self.base)

    @property
    def blocks_text(self) -> str:
        """Return how many blocks the ratios are of: the fewest and the most."""
        return span(ratio.blocks for ratio in self.ratios)


def overheads(campaign: Campaign) -> tuple[Overhead, ...]:
    """Return every machine and workload that was measured in two scenarios, in the order planned.

    Cells are compared that differ in nothing but their scenario; runs that did not pass their check are left out.
    """
    order = {cell.cell_id: place for place, cell in enumerate(campaign.plan.cells)}
    found = [one for sides in _compared(campaign) if (one := _overhead(*sides)).ratios]
    return tuple(sorted(found, key=lambda one: (order.get(one.cell_id, len(order)), one.scenario)))


def _compared(campaign: Campaign) -> Iterator[tuple[str, str, list[Run], list[Run]]]:
    """Yield two scenarios of a machine, and the sound runs of both."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in (*campaign.runs, *campaign.without):
        if run.record.quality.ok:
            groups.setdefault(_machine(run), {}).setdefault(scenario_of(run), []).append(run)
    for group in groups.values():
        for scenario, base in COMPARED:
            if scenario in group and base in group:
                yield scenario, base, group[scenario], group[base]


def untold(campaign: Campaign) -> Iterator[str]:
    """Yield a sentence for each machine and scenario of which no block tells a ratio, since one of the two has nothing.

    As where COLO answered no request at all: what is said of the other machines is not of this one.
    """
    for scenario, base, runs, others in _compared(campaign):
        pairs = _pairs(runs, others)
        for name in (*THROUGHPUT, *LATENCY):
            sides = [(outcome_of(run, name) > 0, outcome_of(other, name) > 0) for run, other in pairs]
            if any(map(any, sides)) and not any(map(all, sides)):
                which = f"{_plain(runs[0].record.label, scenario)}, {_short(scenario, base)}"
                words = OUTCOMES[name].words
                yield f"{which}: in none of {spans([len(sides)], 'block')} have both any of {words}: in no ratio."
                break


def left_out(campaign: Campaign) -> str:
    """Return what is in no ratio: machines that tell none, and by scenario runs whose own check failed, or they did."""
    planned = {cell.cell_id: str(flatten(cell.cell).get("scenario") or COLO) for cell in campaign.plan.cells}
    runs = [*campaign.runs, *campaign.without]
    counts = {
        scenario: [run.record.quality.ok for run in runs if scenario_of(run) == scenario]
        for scenario in dict.fromkeys(side for sides in zip(*COMPARED, strict=True) for side in sides)
    }
    if not any(counts[scenario] for scenario in BASELINES) and BASELINES.isdisjoint(planned.values()):
        return ""
    told = []
    if said := [f"{oks.count(False)} of {len(oks)} {scenario}" for scenario, oks in counts.items() if False in oks]:
        told.append(f"Left out, as their own check failed: {listed(said)}.")
    gone = [planned.get(one.cell_id) for one in campaign.lost]
    if lost := [f"{gone.count(scenario)} {scenario}" for scenario in counts if scenario in gone]:
        why = "In no ratio, as they failed or cannot be read"
        told.append(f"{why}: {listed(lost)}; the others may be the better ones.")
    return " ".join([*untold(campaign), *told])


def tells_neither(campaign: Campaign) -> bool:
    """Tell whether no workload has a client, were it one that was never answered, or counts its work."""
    runs = (*campaign.runs, *campaign.without)
    counted = (outcome_of(run, name) for run in runs for name in THROUGHPUT)
    return all(run.record.client is None for run in runs) and all(map(math.isnan, counted))


def _short(scenario: str, base: str) -> str:
    return f"{SCENARIOS[scenario].short} / {SCENARIOS[base].short}"


def scenario_of(run: Run) -> str:
    """Return the configuration's word for what happened in a run."""
    return str(run.record.cell.get("scenario") or COLO)


def _machine(run: Run) -> str:
    same = {key: value for key, value in run.record.cell.items() if key not in {"scenario", DEADLINES}}
    return json.dumps({**same, "accel": run.record.accel}, sort_keys=True)


def _overhead(scenario: str, base: str, runs: Sequence[Run], others: Sequence[Run]) -> Overhead:
    first = runs[0].record
    pairs = _pairs(runs, others)
    ratios = tuple(one for name in (*THROUGHPUT, *LATENCY) if (one := _ratio(name, pairs)) is not None)
    label = _plain(first.label, scenario)
    return Overhead(first.cell_id, label, scenario, base, ratios, _explained(pairs, ratios), _asked_per_s(runs[0]))


def _asked_per_s(run: Run) -> float | None:
    rate = flatten(run.record.cell).get("workload.rate")
    return float(rate) if run.record.client is not None and isinstance(rate, int | float) and rate > 0 else None


def _plain(label: str, scenario: str) -> str:
    """Return a label without what names its scenario."""
    return " · ".join(part for part in label.split(" · ") if part not in {scenario, f"scenario={scenario}"})


def _pairs(runs: Sequence[Run], others: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Return the runs of both in each block that has both; of a block measured twice the last one counts."""
    by_block = {run.record.block: run for run in others}
    own = {run.record.block: run for run in runs}
    return [(own[block], by_block[block]) for block in sorted(own.keys() & by_block.keys())]


def _ratio(name: str, pairs: Sequence[tuple[Run, Run]]) -> Ratio | None:
    values = [(outcome_of(run, name), outcome_of(other, name)) for run, other in pairs]
    known = [place for place, (value, base) in enumerate(values) if value > 0 and base > 0]
    if not known:
        return None
    one_sided = sum(value > 0 or base > 0 for value, base in values) - len(known)
    kept = np.array([values[place] for place in known])
    logs = np.log(kept[:, 0] / kept[:, 1])
    low, high = t_interval(logs) if len(logs) >= FEWEST_PAIRS else (math.nan, math.nan)
    ends = (float(np.exp(end)) for end in (logs.mean(), low, high))
    short = any(too_short_for(run, name) for place in known for run in pairs[place])
    middle = np.median(kept, axis=0)
    return Ratio(name, Effect(*ends), len(known), float(middle[0]), float(middle[1]), short, one_sided)


def _explained(pairs: Sequence[tuple[Run, Run]], ratios: Sequence[Ratio]) -> Explained:
    throughput = next((one for one in ratios if one.outcome in THROUGHPUT), None)
    lost = 1 - throughput.ratio.estimate if throughput else math.nan
    sure = throughput is not None and throughput.ratio.high < 1 and not throughput.one_sided
    paused = _mean([_paused(run) for run, _ in pairs])
    with_client = [
        (run, other) for run, other in pairs if len(run.requests.latencies) and len(other.requests.latencies)
    ]
    longer = np.array(
        [float(run.requests.latencies.mean() - other.requests.latencies.mean()) for run, other in with_client]
    )
    added, inside = (
        _mean(values)
        for values in (
            longer.tolist(),
            [float(stood_still_s(run)[run.requests.answered].mean()) for run, _ in with_client],
        )
    )
    added_for_sure = len(longer) >= FEWEST_PAIRS and t_interval(longer)[0] > 0
    return Explained(
        lost=lost,
        paused=paused,
        of_throughput=paused / lost if sure else math.nan,
        added_s=added,
        in_pauses_s=inside,
        of_latency=inside / added if added_for_sure else math.nan,
        unanswered=_mean([_unanswered(run) for run, _ in pairs]),
        base_unanswered=_mean([_unanswered(other) for _, other in pairs]),
    )


def _unanswered(run: Run) -> float:
    return float(1 - run.requests.answered.mean()) if len(run.requests) else math.nan


def _paused(run: Run) -> float:
    """Return the share of time paused; of a run that is asked for no checkpoint that of the whole measurement."""
    if run.record.takes_checkpoints:
        return outcome_of(run, _PAUSED)
    seconds = run.record.triggers.get("seconds")
    return float(used_pauses(run).sum()) / seconds if seconds else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def to_tree(found: Sequence[Overhead]) -> list[Mapping[str, object]]:
    """Return them for a program: ratios, values as stored, shares, seconds; a number that does not exist is NaN."""
    return [
        {
            "cell_id": one.cell_id,
            "label": one.label,
            "scenario": one.scenario,
            "base": one.base,
            "ratios": {
                ratio.outcome: {
                    **asdict(ratio.ratio),
                    "confidence": 0.95,
                    **{name: getattr(ratio, name) for name in ("blocks", "value", "base", "exploratory", "one_sided")},
                }
                for ratio in one.ratios
            },
            "explained": one.explained.row(),
            "asked_per_s": one.asked_per_s,
        }
        for one in found
    ]
