"""The one list of outcomes: every number of a run that a hypothesis, a comparison, a table or a figure may be about.

The configuration of a campaign, the analysis and the table of ``docs/hypotheses.md`` are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .phases import PARTS, PHASES

FEWEST_BEYOND = 5
"""Checkpoints that have to lie beyond a quantile of a run for it to be more than exploratory."""


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


def _service(name: str, words: str, reducer: str) -> Outcome:
    said = f"the {words} service time of a client's requests"
    meaning = "of answered requests, from when they were really sent: without the wait for a free connection"
    return Outcome(f"client_service_{name}", said, "client", "service_s", reducer, "s", meaning)


def _packets(name: str, words: str) -> Outcome:
    said = f"the packets {words} per second"
    return Outcome(f"packets_{name}", said, "run", f"compare.{name}_per_s", "value", "1/s", "under trace=network")


def _cost(side: str, what: str, words: str, unit: str) -> Outcome:
    column = {"cpus": "cpus", "memory": "rss_bytes"}[what]
    said = f"the {words} that the {side} used"
    return Outcome(f"{side}_{what}", said, "run", f"costs.{side}.{column}", "value", unit, _COSTS_MEANING[what])


_COSTS = (("cpus", "CPUs", "CPUs"), ("memory", "memory", "bytes"))
_COSTS_MEANING = {"cpus": "CPU time by time, while it was measured", "memory": "of its host, at the end"}

_PACKETS = (
    ("compared", "compared"),
    ("held", "held for too long"),
    ("dropped", "dropped as a queue was full"),
)


def _step(name: str, words: str, meaning: str) -> Outcome:
    return Outcome(name, words, "run", f"failover.{name}_s", "value", "s", meaning)


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
        "pauses over the time from each request to the next one",
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
        "mismatch_rate",
        "the rate of checkpoints that a mismatch caused",
        "checkpoints",
        "trigger",
        "rate of mismatch",
        "1/s",
        "over the time from each request to the next one",
    ),
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
        "outage",
        "the outage at a failover",
        "run",
        "failover.outage_s",
        "value",
        "s",
        "from the blow to the survivor's first answer",
    ),
    _step("detect", "the time to notice that a side is gone", "from the blow to the heartbeat that was missed"),
    _step("decide", "the time to decide on a takeover", "until the survivor has said that it lives"),
    _step("takeover", "the time that a takeover takes", "from the decision to the last step's reply"),
    _step("first_answer", "the time to the survivor's first answer", "from the last step's reply on"),
    _step(
        "redundancy",
        "the time to full redundancy after a failover",
        "from the order for a new secondary to the end of the first checkpoint with it",
    ),
    Outcome(
        "client_gap",
        "the longest time without an answer at a failover",
        "run",
        "failover.client.gap_s",
        "value",
        "s",
        "as a client outside saw it: of those that the blow or the takeover falls into",
    ),
    Outcome(
        "connections_survived",
        "the share of a client's connections that a failover left open",
        "run",
        "failover.client.survived_share",
        "value",
        "share",
        "answered before the blow and after the takeover",
        less_is_worse=True,
    ),
    Outcome(
        "writes_lost",
        "the acknowledged writes that a failover lost",
        "run",
        "failover.client.lost",
        "value",
        "writes",
        "0 is what COLO promises",
    ),
    Outcome(
        "survived",
        "the share of failovers survived",
        "run",
        "failover.success",
        "value",
        "share",
        "1 or 0 in a run; the report gives n of N with its exact interval",
        less_is_worse=True,
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
    *(_packets(name, words) for name, words in _PACKETS),
    Outcome(
        "hold_time",
        "the time that colo-compare held an old packet",
        "run",
        "compare.hold_median_s",
        "value",
        "s",
        "of packets that waited longer than compare_timeout; under trace=network",
    ),
    *(_cost(side, what, words, unit) for side in ("primary", "secondary") for what, words, unit in _COSTS),
    Outcome(
        "done_per_s",
        "the work that the guest got done per second",
        "run",
        "workload.per_second",
        "value",
        "1/s",
        "of `build`, `cpu`, `stream` and `fio`, by the harness's clock",
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
    _service("p50", "median", "median"),
    _service("p95", "p95", "p95"),
    _service("p99", "p99", "p99"),
)

OUTCOMES = {one.name: one for one in _ALL}
"""By name, in the order of the table."""

NANOSECONDS = frozenset({"reach"})
"""Outcomes that are stored in seconds and are told in nanoseconds."""

OF_REQUESTS = frozenset(one.name for one in _ALL if one.table == "client")
"""Outcomes of a client's requests: microseconds on one host, seconds where a packet waits for a checkpoint."""

NOT_WRITTEN = "the guests did not write the working sets that it is about"
"""The label of a verdict that no number of blocks decides: whoever measures need not go on for its sake."""

NO_RATIO = "of which no ratio can be told"
"""What the label of another such verdict ends with, or says first: some runs measured 0, or a yes or a no."""

PAUSES_IN_DOUBT = "its pauses are not to be relied on"
"""How a note of a run begins whose record is sound, but for its pauses: a failover's times are the harness's own."""

_BEGIN, _END = "<!-- outcomes -->", "<!-- end of outcomes -->"


def in_document(text: str) -> str:
    """Return ``docs/hypotheses.md`` with the outcomes as they are."""
    rows = [f"| `{o.name}` | {o.reducer} of `{o.column}` ({o.table}) | {o.unit} | {o.meaning} |" for o in _ALL]
    table = "\n".join(["| outcome | of a run | unit | |", "| --- | --- | --- | --- |", *rows])
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}"
