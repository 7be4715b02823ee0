"""What a campaign varied and what it held fixed: factors with their levels, workload, checkpoints, devices, as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.format.factors import Level, flatten, head_of
from analysis.format.hosts import HOSTS
from analysis.format.scenarios import BASELINES, COLO, checkpoints_asked
from analysis.stored.factors import factor_text, level_text
from analysis.stored.records import NO_NODE, under_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analysis.stored.load import Campaign

Factors = dict[str, Level]

_NOT_FACTORS = {"trace.events", "trace.optional", "checkpoint.count", "checkpoint.warmup"}
_GROUPS = {
    "guest": "Guest",
    "start": "Guest begins",
    "cpu": "CPU",
    "devices": "Devices",
    "link": "Link",
    "tcp_timestamps": "Guest's TCP",
    "client_link": "Client's link",
    "migration": "Migration",
    "compare": "colo-compare",
    "host": "Hosts",
    "tune": "Host settings",
    "cache": "Host's caches",
    "failover": "Failover",
}
_NAMES = {
    "guest": "{}",
    "start": "{}",
    "tcp_timestamps": "timestamps {}",
    "compare.timeout": "timeout {} s",
    "compare.expired_scan_cycle": "expired scan cycle {} s",
    "cpu.model": "{}",
    "cpu.features": "features {}",
    "cpu.l3_cache": "L3 cache {}",
    "devices.nic": "network card {}",
    "devices.disk": "disk {}",
    "devices.disk_size": "disk size {}",
    "devices.usb_tablet": "USB tablet {}",
    "host.kind": "{}",
    "link.transport": "{}",
    "link.quickack": "quick acknowledgements {}",
    "workload.working_set": "working set {}",
    "workload.pattern": "{}",
    "workload.threads": "threads: {}",
}
_TRIGGERED = {"checkpoint.interval": "checkpoint.trigger"}
"""It means something else by each trigger: as a setting of a workload, a factor where it differs within that one."""

_ON = frozenset({"tcp_timestamps"})
"""Switches that are on where nothing is said: they are told of when they are off, others when they are on."""

_SCALING = {"fixed": "the same at every size", "mem": "for each GiB of RAM"}


def design_facts(campaign: Campaign) -> list[tuple[str, str]]:
    """Return the factors with their levels, then what was held fixed, as name and value."""
    cells = [flatten(cell.cell) for cell in campaign.plan.cells]
    cells = cells or [flatten(run.record.cell) for run in campaign.runs]
    if any("scenario" in cell for cell in cells):
        cells = [{"scenario": COLO, **cell} for cell in cells]
    varying = factors(cells)
    return [
        *((f"Factor: {factor_text(path)}", ", ".join(_levels(path, levels))) for path, levels in varying.items()),
        ("Cells", _cells(len({cell.cell_id for cell in campaign.plan.runs}), varying)),
        *_nodes(campaign),
        *_workloads(cells, varying),
        ("Checkpoints", "; ".join(dict.fromkeys(_checkpoints(cell) for cell in cells))),
        *_fixed(cells, varying),
        ("Pairs ran under", under_text(campaign.pairs)),
    ]


def _nodes(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Yield the nodes of a cluster, a factor of blocks and of no cell, with the blocks that each holds."""
    held: dict[str, set[int]] = {}
    for run in campaign.runs:
        held.setdefault(run.record.node or NO_NODE, set()).add(run.record.block)
    if held.keys() - {NO_NODE}:
        said = (f"{node} (block {_listed(blocks)})" for node, blocks in sorted(held.items()))
        yield "Nodes, a factor of blocks", "; ".join(said)


def _listed(blocks: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(blocks)))


def factors(cells: Sequence[Factors]) -> dict[str, list[Level]]:
    """Return every path whose levels differ between cells; a parameter of a workload, within that workload."""
    found = {}
    for path in dict.fromkeys(path for cell in cells for path in cell):
        if path in _NOT_FACTORS or path == "accel":
            continue
        groups: dict[Level, list[Level]] = {}
        for cell in cells:
            if path in cell:
                head = _TRIGGERED.get(path) or head_of(path)
                groups.setdefault(cell.get(head) if head else None, []).append(cell[path])
        if any(len(set(levels)) > 1 for levels in groups.values()):
            found[path] = sorted({level for levels in groups.values() for level in levels}, key=_order)
    return found


def _order(level: Level) -> tuple[bool, float, str]:
    number = float(level) if isinstance(level, int | float) else math.inf
    return (level is not None, number, str(level))


def _levels(path: str, levels: Iterable[Level]) -> Iterator[str]:
    for level in levels:
        if level is None:
            yield "not set"
        elif path == "workload.scaling":
            yield _SCALING.get(str(level), str(level))
        elif path == "smp":
            yield str(level)
        else:
            yield level_text(path, level)


def _cells(count: int, varying: Mapping[str, Sequence[Level]]) -> str:
    combinations = math.prod(len(levels) for levels in varying.values())
    return f"{count}" if combinations <= count else f"{count} of the {combinations} combinations of these levels"


def _workloads(cells: Sequence[Factors], varying: Mapping[str, Sequence[Level]]) -> Iterator[tuple[str, str]]:
    said: dict[str, None] = {}
    for cell in cells:
        own = {path: level for path, level in cell.items() if path.startswith("workload.") and path not in varying}
        parts = [
            _rate(str(cell.get("workload.name")), level) if path == "workload.rate" else _part(path, level)
            for path, level in own.items()
            if path not in {"workload.name", "workload.scaling"}
        ]
        if "workload.working_set" in own and "workload.scaling" in own:
            parts.append(f"the working set {_SCALING.get(str(own['workload.scaling']), own['workload.scaling'])}")
        said[": ".join(filter(None, [str(cell.get("workload.name", "")), ", ".join(filter(None, parts))]))] = None
    if said:
        yield ("Workload" if len(said) == 1 else "Workloads"), "; ".join(said)


def _rate(workload: str, level: Level) -> str:
    """Return at what rate memory is dirtied, or requests are sent; 0 is no rate, but as many as can be."""
    if level is None:
        return ""
    if workload == "dirty":
        return f"at {level_text('workload.rate', level)} MB/s" if level else "as fast as it can"
    what = "transaction" if workload == "postgres" else "request"
    return f"at {level_text('workload.rate', level)} {what}s/s" if level else f"each {what} after an answer"


def _part(path: str, level: Level) -> str:
    """Return a setting in words, empty where it is not set."""
    if level is None or level == "" or level is (path in _ON):
        return ""
    hosts = HOSTS.get(str(level)) if path == "host.kind" else None
    plain = hosts.words if hosts else level_text(path, level)
    name = path.partition(".")[2].replace(".", " ").replace("_", " ")
    return _NAMES.get(path, f"{name}: {{}}").format(plain)


def _checkpoints(cell: Factors) -> str:
    scenario = cell.get("scenario")
    if scenario in BASELINES:
        return f"none asked for where {factor_text('scenario')} is {scenario}"
    trigger, every = cell.get("checkpoint.trigger"), cell.get("checkpoint.interval")
    seconds = f"{every:g} s" if isinstance(every, int | float) else str(every)
    began = {
        "demand": f"on demand, {seconds} after the last one finished",
        "timer": f"by QEMU's timer, every {seconds} from request to request",
    }.get(str(trigger), str(trigger))
    count, warmup = (int(number or 0) for number in (checkpoints_asked(cell), cell.get("checkpoint.warmup")))
    then = ", then the blow" if "failover.after" in cell else ""
    return f"{began}: {count} after {f'{warmup} of warm-up' if warmup else 'no warm-up'}{then}"


def _fixed(cells: Sequence[Factors], varying: Mapping[str, Sequence[Level]]) -> Iterator[tuple[str, str]]:
    for group, name in _GROUPS.items():
        said: dict[str, None] = {}
        for cell in cells:
            own = {path: level for path, level in cell.items() if path.partition(".")[0] == group}
            told = (_part(path, level) for path, level in own.items() if path not in varying)
            said[", ".join(filter(None, told))] = None
        text = "; ".join(filter(None, said))
        if text:
            yield name, text
