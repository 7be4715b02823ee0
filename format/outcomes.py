"""The one list of outcomes: every number of a run that a hypothesis, a comparison, a table or a figure may be about.

The configuration of a campaign, the analysis and the table of ``docs/hypotheses.md`` are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .phases import PARTS, PHASES


@dataclass(frozen=True)
class Outcome:
    """One number of a run.

    Attributes:
        name: what a hypothesis calls it.
        words: it for people, as in ``the pause``.
        table: where it comes from: ``checkpoints`` and ``client``, the parquet files, or ``run``: ``run.json``.
        column: of that table, or the dotted path in ``run.json``.
        reducer: what makes one number of the column, of checkpoints after the warm-up and of answered requests.
        unit: in which it is stored: ``s``, ``pages``, ``bytes``, ``share``, or a rate.
        meaning: what a reader should know beside that.
        less_is_worse: whether a run that failed is ranked below all others, not above.
    """

    name: str
    words: str
    table: str
    column: str
    reducer: str
    unit: str
    meaning: str = ""
    less_is_worse: bool = False


def _phase(name: str, meaning: str) -> Outcome:
    return Outcome(name, f"the {name.replace('_', ' ')} phase", "checkpoints", f"{name}_s", "mean", "s", meaning)


def _share(trigger: str, words: str) -> Outcome:
    said = f"the share of checkpoints {words}"
    return Outcome(f"{trigger}_share", said, "checkpoints", "trigger", f"share of {trigger}", "share")


def _latency(name: str, words: str, reducer: str) -> Outcome:
    said = f"the {words} latency of a client's requests"
    return Outcome(f"client_{name}", said, "client", "latency_s", reducer, "s", "of answered requests")


TRIGGERS = ("demand", "timer", "mismatch")

_ALL = (
    Outcome("pause", "the pause", "checkpoints", "pause_s", "median", "s", "the primary outcome"),
    Outcome("pause_mean", "the mean pause", "checkpoints", "pause_s", "mean", "s"),
    Outcome("pause_p95", "the p95 of the pause", "checkpoints", "pause_s", "p95", "s", "needs 100 checkpoints"),
    Outcome("pause_p99", "the p99 of the pause", "checkpoints", "pause_s", "p99", "s", "needs 500 checkpoints"),
    Outcome("total", "the whole checkpoint", "checkpoints", "total_s", "median", "s", "from request to running again"),
    *(_phase(name, "means of phases add up, medians do not") for name in PHASES),
    *(_phase(part.name, "part of a phase, where it was traced") for part in PARTS),
    Outcome(
        "dirty_pages", "the number of dirty pages", "checkpoints", "dirty_pages", "median", "pages", "of either side"
    ),
    Outcome(
        "bytes_sent", "the bytes sent", "checkpoints", "bytes_sent", "median", "bytes", "over TCP, if the kernel tells"
    ),
    Outcome(
        "period", "the time between checkpoints", "checkpoints", "t_request", "period", "s", "median, of neighbours"
    ),
    Outcome(
        "paused_share",
        "the share of time paused",
        "checkpoints",
        "pause_s",
        "paused",
        "share",
        "pauses over the time from the first request to the last end",
    ),
    Outcome(
        "slow_share",
        "the share of stalled checkpoints",
        "checkpoints",
        "pause_s",
        "slow",
        "share",
        "in the band of one or two 40 ms delayed acknowledgements, over TCP",
    ),
    _share("demand", "that were asked for"),
    _share("timer", "that the timer caused"),
    _share("mismatch", "that a mismatch caused"),
    Outcome(
        "joined_share",
        "the share of checkpoints that the secondary took part in",
        "checkpoints",
        "ram_receive_s",
        "known",
        "share",
        "whose counterpart on the secondary is known",
        less_is_worse=True,
    ),
    Outcome("colo_start", "the way into COLO", "run", "timings.colo_start_s", "value", "s", "to the COLO state"),
    Outcome(
        "entry",
        "the standstill on entering COLO",
        "run",
        "entry.standstill_s",
        "value",
        "s",
        "of the primary, after the live copy",
    ),
    Outcome(
        "reach",
        "the time to reach a line of the host's caches",
        "run",
        "cache.reach_s",
        "value",
        "s",
        "under the cache antagonist or its control",
    ),
    Outcome(
        "achieved_mb_s",
        "the rate at which the guest dirtied memory",
        "run",
        "workload.achieved_mb_s",
        "value",
        "MB/s",
        "as the workload reports it",
        less_is_worse=True,
    ),
    Outcome(
        "requests_per_s",
        "the requests answered per second",
        "run",
        "client.requests_per_s",
        "value",
        "1/s",
        less_is_worse=True,
    ),
    _latency("p50", "median", "median"),
    _latency("p95", "p95", "p95"),
    _latency("p99", "p99", "p99"),
    _latency("max", "largest", "max"),
)

OUTCOMES = {one.name: one for one in _ALL}
"""By name, in the order of the table."""

NOT_WRITTEN = "the guests did not write the working sets that it is about"
"""The label of a verdict that no number of blocks decides: whoever measures need not go on for its sake."""

_BEGIN, _END = "<!-- outcomes -->", "<!-- end of outcomes -->"


def in_document(text: str) -> str:
    """Return ``docs/hypotheses.md`` with the outcomes as they are."""
    rows = [f"| `{o.name}` | {o.reducer} of `{o.column}` ({o.table}) | {o.unit} | {o.meaning} |" for o in _ALL]
    table = "\n".join(["| outcome | of a run | unit | |", "| --- | --- | --- | --- |", *rows])
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}"
