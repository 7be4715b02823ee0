"""What a campaign varied, what it held fixed, and in which versions and on what it ran: as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.format.factors import Level, flatten, head_of
from analysis.format.hosts import HOSTS
from analysis.format.scenarios import BASELINES, COLO, checkpoints_asked
from analysis.report.describe import describe_host, of_some
from analysis.stored.factors import factor_text, level_text
from analysis.stored.records import NO_NODE, under_text
from analysis.text import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analysis.stored.campaign import Campaign
    from analysis.verdicts.results import Results

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
    "compare.timeout": "timeout {}",
    "compare.expired_scan_cycle": "expired scan cycle {}",
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
    for run in (*campaign.runs, *campaign.without):
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


def design_rows(results: Results, seeds: Sequence[int | None] = ()) -> list[tuple[str, str]]:
    """Return the design and the versions as name and value, in the order to be read; several values by semicolons."""
    campaign, plan, failed = results.campaign, results.campaign.plan, len(results.campaign.attempts)
    measured = (*campaign.runs, *campaign.without)
    records = [run.record for run in measured]
    versions = [record.versions for record in records]
    before = [machine for record in records for machine in record.machines]
    return [
        ("campaign", plan.campaign),
        ("experiment", plan.experiment or MISSING),
        ("command", plan.command or MISSING),
        ("seed of the order", ", ".join(str(seed) for seed in seeds or (plan.seed,) if seed is not None) or MISSING),
        ("blocks", str(len({run.block for run in plan.runs}))),
        ("runs", f"{campaign.measured} measured of {len(plan.runs)}, {len(campaign.failures)} failed for good"),
        ("attempts", f"{campaign.measured + len(campaign.unread) + failed}, {failed} failed"),
        ("checkpoints", f"{results.runs['checkpoints'].sum():,}, and {results.runs['warmup'].sum():,} of warm-up"),
        *((_lower(name), said) for name, said in design_facts(campaign)),
        *((text, _version(versions, key)) for text, key in _VERSIONS if _is_told(versions, key)),
        *((text, _version(versions, key, 12)) for text, key in _HASHES if _is_told(versions, key)),
        ("host CPU", _each(before, "cpu_model")),
        ("host CPUs", _each(before, "cpus")),
        *((f"host {name.lower()}", said) for name, said in describe_host(measured) if name == "Memory"),
        ("host kernel", _each(before, "kernel")),
        ("clock source", _each(before, "clock_source")),
        ("huge pages", _each(before, "thp")),
        ("plan SHA-256", campaign.plan_sha256),
        ("hypotheses SHA-256", plan.hypotheses_sha256 if plan.hypotheses else MISSING),
    ]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


_VERSIONS = (
    ("QEMU", "qemu"),
    ("QEMU of the secondary", "qemu_secondary"),
    ("guest kernel", "kernel"),
    ("colo-bench", "colo_bench"),
    ("Python", "python"),
)


_HASHES = (
    ("QEMU SHA-256", "qemu_sha256"),
    ("QEMU of the secondary, SHA-256", "qemu_secondary_sha256"),
    ("guest kernel SHA-256", "kernel_sha256"),
    ("guest initramfs SHA-256", "initramfs_sha256"),
)


def _is_told(records: Sequence[dict[str, Any]], key: str) -> bool:
    """Tell whether a row is there: that of a secondary's own binary is only where one ran."""
    return "secondary" not in key or any(record.get(key) for record in records)


def _version(records: Sequence[dict[str, Any]], key: str, longest: int | None = None) -> str:
    said = _each(records, key, longest)
    return said if said == MISSING else said + of_some(records, key)


def _each(records: Sequence[dict[str, Any]], key: str, longest: int | None = None) -> str:
    values = sorted({str(record[key])[:longest] for record in records if record.get(key) is not None})
    return "; ".join(values) or MISSING
