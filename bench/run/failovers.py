"""The failovers of a campaign at its end: one row per cell, n of N survived with the exact interval, and why not."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from bench.format.folder import CampaignFolder
from bench.record.run import quality_ok, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.plan.plan import Plan

_MS = 1000.0
_OWN, _SEPARATOR = "failover.", " · "
_PLAIN = frozenset(("victim", "how", "when"))
_TAIL = 0.025
_TIMES = (
    *(("outage", "outage_s"), ("detected", "detect_s"), ("decided", "decide_s")),
    *(("taken over", "takeover_s"), ("first answer", "first_answer_s")),
)
_JOINED = "redundancy_s"


@dataclass
class CellFailovers:
    """What became of one cell's failovers, over its measured runs.

    Attributes:
        label: the cell.
        struck: runs that came to the blow and whose record is sound.
        survived: those of them that went on.
        doubtful: runs whose own check failed; they are in nothing else here but in `writes`.
        times_s: the times of those that have them, by their name in ``run.json``.
        hits: which phases were hit, and how often.
        reasons: the causes of those not survived.
        joining: survivors that were to get a new secondary; ``redundancy_s`` of ``times_s`` are those that did.
        gaps_s: how long clients got no answer.
        connections: that clients had, and how many of them lived on.
        writes: acknowledged ones that were looked for, and how many of them were lost.
    """

    label: str
    struck: int = 0
    survived: int = 0
    doubtful: int = 0
    times_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    hits: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    joining: int = 0
    gaps_s: list[float] = field(default_factory=list)
    connections: tuple[int, int] = (0, 0)
    writes: tuple[int, int] = (0, 0)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take note of one run."""
        told = record["failover"]
        seen = told.get("client")
        if isinstance(seen, dict):
            # Of a doubtful run too: what speaks against its times gives no write back.
            self.writes = _sum(self.writes, seen, "checked", "lost")
        if quality_ok(dict(record)) is False:
            self.doubtful += 1
            return
        self.struck += 1
        self.survived += told["success"]
        self.hits[told["hit"]["phase"]] += 1
        if not told["success"]:
            self.reasons[told["cause"]] += 1
        self.joining += bool(told.get("redundancy"))
        for name in (*(name for _, name in _TIMES), _JOINED):
            if told.get(name) is not None:
                self.times_s[name].append(told[name])
        if isinstance(seen, dict):
            self._add_client(seen)

    def _add_client(self, seen: Mapping[str, Any]) -> None:
        if seen.get("gap_s") is not None:
            self.gaps_s.append(seen["gap_s"])
        self.connections = _sum(self.connections, seen, "connections", "survived")


def _sum(counts: tuple[int, int], seen: Mapping[str, Any], whole: str, part: str) -> tuple[int, int]:
    return counts[0] + (seen.get(whole) or 0), counts[1] + (seen.get(part) or 0)


def read_failovers(plan: Plan, folder: Path, done: Callable[[str], bool]) -> tuple[CellFailovers, ...]:
    """Return the failovers of each cell that has any, in the plan's order."""
    found = {one.cell_id: CellFailovers(one.label) for one in plan.cells if one.cell.failover is not None}
    for run in plan.runs:
        if run.cell_id in found and done(run.run_id):
            record = read_record(CampaignFolder(folder).run(run.run_id), run.run_id) or {}
            if isinstance(record.get("failover"), dict):
                found[run.cell_id].add(record)
    return _shortly(tuple(found.values()))


def _shortly(rows: tuple[CellFailovers, ...]) -> tuple[CellFailovers, ...]:
    """Call each cell by its failover alone, where the cells differ in nothing else."""
    parts = [row.label.split(_SEPARATOR) for row in rows]
    own = [[_said(part.removeprefix(_OWN)) for part in each if part.startswith(_OWN)] for each in parts]
    if len({tuple(part for part in each if not part.startswith(_OWN)) for each in parts}) == 1 and all(own):
        for row, each in zip(rows, own, strict=True):
            row.label = ", ".join(each)
    return rows


def _said(part: str) -> str:
    """Return what befell a side as its value alone, which says enough: ``primary``, ``kill``, ``load``."""
    key, _, value = part.partition("=")
    return value if key in _PLAIN else part


def exact_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Clopper & Pearson (1934): no share outside makes it likelier than 2.5 %.

    ``analysis.stats.clopper_pearson`` is the same; a test holds the two to each other.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - it takes its time, and few campaigns have failovers

    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, _TAIL))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - _TAIL))
    return low, high


def failover_table(campaign: str, rows: Sequence[CellFailovers]) -> Table:
    """Return the table as rich renders it."""
    caption = (
        "medians, ms; the interval is exact (Clopper-Pearson, 95 %); the outage runs from the blow to the first answer"
    )
    if any(row.doubtful for row in rows):
        caption += "\n‡ so many more runs failed their quality check and are left out, but for what they lost"
    lost = sum(row.writes[1] for row in rows)
    if lost:
        caption = f"{lost:,} ACKNOWLEDGED WRITES WERE LOST\n{caption}"
    table = Table(title=f"{campaign}: failovers", caption=caption, title_justify="left", caption_justify="left")
    table.add_column("cell")
    for heading in ("survived", "share %", *(heading for heading, _ in _TIMES)):
        table.add_column(heading, justify="right")
    seen = any(row.gaps_s or row.connections[0] or row.writes[0] for row in rows)
    for heading in ("client's gap", "connections", "writes lost") if seen else ():
        table.add_column(heading, justify="right")
    joined = any(row.joining for row in rows)
    if joined:
        table.add_column("redundant again", justify="right")
    for heading in ("blow fell", "why not"):
        table.add_column(heading)
    for row in rows:
        doubtful = f" ({row.doubtful}‡)" if row.doubtful else ""
        table.add_row(
            row.label,
            f"{row.survived} of {row.struck}{doubtful}",
            _share(row),
            *(_median(row.times_s[name]) for _, name in _TIMES),
            *((_median(row.gaps_s), _of(*row.connections), _of(*row.writes)) if seen else ()),
            *((_again(row),) if joined else ()),
            _counted(row.hits),
            _counted(row.reasons),
        )
    return table


def _share(row: CellFailovers) -> str:
    if not row.struck:
        return "-"
    low, high = exact_interval(row.survived, row.struck)
    return f"{100 * row.survived / row.struck:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _again(row: CellFailovers) -> str:
    """Return how long it took until a survivor was redundant again, and of how many that were to be."""
    times_s = row.times_s[_JOINED]
    return f"{_median(times_s)} ({_of(row.joining, len(times_s))})" if row.joining else "-"


def _of(whole: int, part: int) -> str:
    return f"{part} of {whole}" if whole else "-"


def _median(times_s: Sequence[float]) -> str:
    return f"{float(np.median(times_s)) * _MS:,.1f}" if times_s else "-"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "-"
