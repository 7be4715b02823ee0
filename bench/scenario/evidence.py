"""What a finished run left in its folder, turned into its tables and its quality: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.format.folder import RunFolder
from bench.format.phases import BEAT, DEVICES, DROPPED, PACKETS, PRIMARY, SECONDARY
from bench.host.clock import Clocks
from bench.measure.beats import Seen, read_beats, seen_by_guest
from bench.measure.checkpoints import Assembly, assemble
from bench.measure.compared import comparison_failures
from bench.measure.devices import DEVICE_EVENTS, device_figures
from bench.measure.entry import read_entry
from bench.measure.log_lines import is_qmp_entry
from bench.measure.packets import PACKET_EVENTS, Packets, read_packets
from bench.measure.parts import EVENTS
from bench.measure.pulse import HARNESS, Gap
from bench.measure.quality import Quality, assess
from bench.measure.stops import qmp_pauses_us, read_stops
from bench.measure.strike import until
from bench.measure.timing import judge_timing, stray_stops
from bench.measure.trace import Problem, Trace, Unusable, read_trace
from bench.measure.transfer import Sample, bytes_sent
from bench.measure.triggers import (
    NETWORK_EVENTS,
    count_causes,
    label_triggers,
    read_mismatches,
    read_pacing,
    uncertain_triggers,
)
from bench.record.table import checkpoint_columns, write_checkpoints, write_client
from bench.scenario.answers import client_answers, client_figures, read_json_lines, with_program
from bench.system.logs import log_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.config.model import Cell
    from bench.host.clock import Offset

_DAMAGE = frozenset(
    (Unusable.TORN, Unusable.NUL, Unusable.LONG, Unusable.FORMAT, Unusable.ARGUMENTS, Unusable.DISORDER)
)
_SAME_CLOCKS = Clocks()


@dataclass(frozen=True)
class Evidence:
    """The tables of a run and what can be said of their quality.

    Attributes:
        columns: of ``checkpoints.parquet``.
        client_columns: of ``client.parquet``, ``None`` without a client.
        client: the client's figures, ``None`` without a client.
        quality: the verdict.
        devices: what each device's state cost, where that was traced.
        entry: how long the primary stood still on entering COLO, where its trace shows it.
        triggers: how many checkpoints had which cause.
        compare: what became of the guests' packets, where that was traced.
        failover: what became of one, where the run ended in one.
        uncompared: those of the verdict's failures by which nothing was protected.
    """

    columns: dict[str, list[Any]]
    client_columns: dict[str, list[Any]] | None
    client: dict[str, Any] | None
    quality: Quality
    devices: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    triggers: dict[str, Any] = field(default_factory=dict)
    compare: dict[str, Any] = field(default_factory=dict)
    failover: dict[str, Any] = field(default_factory=dict)
    uncompared: tuple[str, ...] = ()

    @property
    def measured(self) -> int:
        """How many checkpoints the table holds without the warm-up."""
        return self.columns["warmup"].count(False)

    def write_tables(self, folder: Path) -> None:
        """Write the tables into the run's folder.

        Raises:
            StoreError: a table cannot be written.
        """
        write_checkpoints(RunFolder(folder).checkpoints, self.columns)
        if self.client_columns is not None:
            write_client(RunFolder(folder).client, self.client_columns)


def gather(
    folder: Path,
    run_id: str,
    cell: Cell,
    samples: Sequence[Sample],
    events_missing: Sequence[str],
    *,
    early: int = 0,
    remarks: Sequence[str] = (),
    failures: Sequence[str] = (),
    gaps: Sequence[Gap] = (),
    one_sided: bool = False,
    clocks: Clocks = _SAME_CLOCKS,
    measured_s: float | None = None,
    struck_at: float | None = None,
    ended_at: float | None = None,
) -> Evidence:
    """Read a finished run's traces, QMP log and client log.

    Args:
        folder: the run's.
        run_id: for the table.
        cell: what was asked for.
        samples: of the link's byte counter.
        events_missing: optional trace events that this QEMU does not have.
        early: checkpoints that ended before the measurement began; they are warm-up, and so are those asked for.
        remarks: what a reader should know of how the run was made.
        failures: what was not there of what the cell asks for.
        gaps: when the harness or a side did not run.
        clocks: of the nodes: what the harness or a client stamped is compared with the primary's trace by its clock.
        measured_s: how long the measurement took.
        one_sided: whether to make do with what an attempt left: without the secondary's trace, whose columns are null
                then, and with a trace that shows no checkpoint.
        struck_at: when (Unix s) a side was struck, if one was: what the traces tell of later is no checkpoint's.
        ended_at: when (Unix s) the measurement ended, if that is known: while the client gets its last answers
            differing output may ask for more checkpoints, which are not what was to be measured.

    Raises:
        StoreError: a trace cannot be read, or the primary's is empty, or shows none of the checkpoints that were asked
            for because it is damaged.
    """
    asked = cell.taken if cell.takes_checkpoints else None
    warmup = early + (asked.warmup if asked else 0)
    entries, torn = read_json_lines(RunFolder(folder).qmp_log, is_qmp_entry)
    primary = read_trace(RunFolder(folder).trace("primary"), EVENTS[PRIMARY] | NETWORK_EVENTS | {DROPPED})
    theirs = RunFolder(folder).trace("secondary")
    secondary = None if one_sided and not log_exists(theirs) else read_trace(theirs, EVENTS[SECONDARY])
    if struck_at is not None:
        primary = until(primary, by_clock_us(clocks, PRIMARY, struck_at))
        secondary = None if secondary is None else until(secondary, by_clock_us(clocks, SECONDARY, struck_at))
    whole = assemble(primary, secondary)
    assembly = whole if ended_at is None else whole.begun_by(by_clock_us(clocks, PRIMARY, ended_at))
    # Of a pair that is only formed nothing needs to be there but a trace.
    if not assembly.checkpoints and not one_sided and (asked or not len(primary)):
        require_sound(primary, RunFolder(folder).trace("primary"))
    clock = clocks.of("primary")
    # A survivor that is joined again is sent into COLO anew: that began none of these checkpoints.
    pacing = read_pacing((one for one in entries if struck_at is None or one["t"] <= struck_at), clock)
    stops = read_stops(entries)
    pauses_us = qmp_pauses_us(assembly.checkpoints, stops)
    there = [Sample(*clock.span(one.before, one.after), one.sent) for one in samples]
    sent = bytes_sent(whole.spans_us(), there)
    seen = _seen(folder, cell, whole)[: len(assembly.checkpoints)]
    triggers = label_triggers(assembly, pacing, read_mismatches(primary))
    packets = _packets(folder, cell, whole)
    causes = count_causes(assembly, pacing, triggers, _evidence(packets), early=early, seconds=measured_s)
    columns = checkpoint_columns(
        run_id,
        assembly.checkpoints,
        triggers,
        warmup=warmup,
        qmp_pauses_us=pauses_us,
        bytes_sent=[sent[one.number] for one in assembly.checkpoints],
        seen=seen,
    )
    log, apart_by = RunFolder(folder).client_log, clocks.between("client", "primary")
    answers, client_torn = client_answers(log)
    figures = with_program(log, client_figures(answers, whole, apart_by), whole, apart_by)
    apart = [_by(clock, gap) for gap in gaps]
    stray = stray_stops(whole, stops)
    undisturbed, remarked = ([], []) if asked else _undisturbed(stray, len(assembly.checkpoints), gaps)
    uncompared = comparison_failures(primary, cell)
    quality = assess(
        assembly,
        pauses_us,
        count=asked.count if asked else 0,
        warmup=warmup,
        problems=(
            *_side_problems(primary, secondary),
            *torn,
            *client_torn,
            *uncertain_triggers(assembly, pacing),
        ),
        failures=(*failures, *undisturbed, *_unanswered(figures), *uncompared),
        notes=[*(f"this QEMU has no trace event {glob}" for glob in events_missing), *remarks, *remarked],
        timing=judge_timing(assembly, asked, apart, stops, warmup=warmup) if asked else None,
        seen=seen,
    )
    entry = read_entry(primary, stops)
    return Evidence(
        columns,
        answers,
        figures,
        quality,
        _devices(folder, cell),
        entry.to_json() if entry else {},
        causes.to_json(),
        packets.to_json() if packets else {},
        uncompared=uncompared,
    )


def _asked(cell: Cell, names: Iterable[str]) -> bool:
    """Return whether a cell asked for any of these trace events."""
    globs = (*cell.trace.events, *cell.trace.optional)
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def _packets(folder: Path, cell: Cell, assembly: Assembly) -> Packets | None:
    """Return what became of the guests' packets, where the cell asked for their events."""
    if not _asked(cell, (event.name for event in PACKETS)):
        return None
    # Read apart, as of devices: a packet's damaged line must cost no checkpoint.
    trace = read_trace(RunFolder(folder).trace(PRIMARY), EVENTS[PRIMARY] | PACKET_EVENTS)
    return read_packets(trace, assembly.checkpoints, assembly.running_us)


def _evidence(packets: Packets | None) -> dict[str, Sequence[int]]:
    return {"old_packet": packets.old_us, "different": packets.differing_us} if packets else {}


def by_clock_us(clocks: Clocks, side: str, at: float) -> int:
    """Return a time of the harness by the clock of a side, in microseconds."""
    return round(clocks.of(side).span(at, at)[1] * 1e6)


def _devices(folder: Path, cell: Cell) -> dict[str, Any]:
    """Return what single devices cost, where the cell asked for their events."""
    if not _asked(cell, (event.name for event in DEVICES)):
        return {}
    # Read apart from what checkpoints are assembled from: a damaged line of a device must cost no checkpoint.
    traces = {}
    for side, events in DEVICE_EVENTS.items():
        path = RunFolder(folder).trace(side)
        traces[side] = read_trace(path, EVENTS[side] | events) if log_exists(path) else None
    primary = traces[PRIMARY]
    return device_figures(primary, traces[SECONDARY]) if primary is not None else {}


def _seen(folder: Path, cell: Cell, assembly: Assembly) -> tuple[Seen, ...]:
    """Return what the guest saw of each checkpoint; only the bare one watches itself."""
    if cell.guest != "bare":
        return tuple(Seen() for _ in assembly.checkpoints)
    beats = read_beats(read_trace(RunFolder(folder).trace("primary"), (BEAT.name,)))
    return seen_by_guest(assembly, beats, cell.workload.shares(cell.mem))


def gather_undisturbed(
    folder: Path, run_id: str, *, remarks: Sequence[str] = (), failures: Sequence[str] = (), gaps: Sequence[Gap] = ()
) -> Evidence:
    """Read what a run without checkpoints left: its client's answers, and whether its VM stood still.

    Raises:
        StoreError: a log cannot be read.
    """
    entries, torn = read_json_lines(RunFolder(folder).qmp_log, is_qmp_entry)
    answers, client_torn = client_answers(RunFolder(folder).client_log)
    none = Assembly((), (), None, ())
    figures = with_program(RunFolder(folder).client_log, client_figures(answers, none), none)
    stops = sum(one.name == "STOP" for one in read_stops(entries))
    found = [f"the VM was stopped {stops} times"] if stops else []
    found += [*failures, *_unanswered(figures)]
    late, noted = _late(gaps)
    found += late
    notes = ("no checkpoints: no COLO", *noted, *remarks)
    quality = Quality(tuple(found), 0, 0, (*torn, *client_torn), None, None, notes)
    return Evidence(checkpoint_columns(run_id, (), (), warmup=0), answers, figures, quality)


def _undisturbed(stray: int, made: int, gaps: Sequence[Gap]) -> tuple[list[str], list[str]]:
    """Return why a formed pair of which no checkpoint was asked for is no baseline, and what its reader should know."""
    late, noted = _late(gaps)
    if stray:
        late.append(f"the primary's guest was stopped {stray} times by no checkpoint")
    noted.append(f"no checkpoint was asked for; differing output made {made}")
    return late, noted


def _late(gaps: Sequence[Gap]) -> tuple[list[str], list[str]]:
    """Return who stood still: a machine or a client that did is no baseline; the harness only waits, and is noted."""
    said = [(gap.who, f"the {gap.who} did not run for {gap.seconds:.2f} s") for gap in gaps]
    return [words for who, words in said if who != HARNESS], [words for who, words in said if who == HARNESS]


def _unanswered(figures: Mapping[str, Any] | None) -> tuple[str, ...]:
    return ("no request of the client was answered",) if figures and "max_s" not in figures else ()


def require_sound(trace: Trace, path: Path) -> None:
    """Return when a trace without a whole checkpoint is neither empty nor damaged.

    Raises:
        StoreError: it is.
    """
    damage = [one for one in trace.problems if one.what in _DAMAGE]
    if damage:
        evidence = tuple(f"{one.what} ({one.count}): {one.example}" for one in damage)
        words = "the primary's trace log is damaged, and no checkpoint can be read from it"
        raise StoreError(words, cause="trace-torn", evidence=evidence, logs=(path,))
    if not len(trace):
        words = f"the primary's trace log holds no event of a checkpoint ({trace.lines} lines)"
        raise StoreError(words, cause="trace-empty", logs=(path,))


def _side_problems(primary: Trace, secondary: Trace | None) -> Iterable[Problem]:
    for side, trace in (("primary", primary), ("secondary", secondary)):
        for problem in trace.problems if trace is not None else ():
            yield Problem(f"{side}: {problem.what}", problem.count, problem.example)


def _by(clock: Offset, gap: Gap) -> Gap:
    begin, end = clock.span(gap.begin, gap.end)
    return Gap(gap.who, begin, end)
