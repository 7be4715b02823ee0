"""What a finished run left in its folder, turned into its tables and its quality: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import StoreError
from bench.format.folder import RunFolder
from bench.format.phases import BEAT, DEVICES, PRIMARY, SECONDARY
from bench.host.clock import SAME_CLOCK, Clocks
from bench.measure.beats import Seen, read_beats, seen_by_guest
from bench.measure.checkpoints import Assembly, assemble
from bench.measure.devices import DEVICE_EVENTS, device_figures
from bench.measure.entry import read_entry
from bench.measure.log_lines import ANSWER, is_answer, is_qmp_entry
from bench.measure.parts import EVENTS
from bench.measure.pulse import HARNESS, Gap
from bench.measure.quality import Quality, assess, qmp_pauses_us, read_stops
from bench.measure.timing import judge_timing
from bench.measure.trace import Problem, Trace, Unusable, read_trace
from bench.measure.transfer import Sample, bytes_sent
from bench.measure.triggers import NETWORK_EVENTS, label_triggers, read_mismatches, read_pacing, uncertain_triggers
from bench.record.table import checkpoint_columns, write_checkpoints, write_client
from bench.system.documents import lines_of, parse_json
from bench.system.logs import log_exists, read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.config.model import Cell
    from bench.host.clock import Offset

HTTP_ERROR = 400
"""The lowest HTTP status that is no good answer."""

_DAMAGE = frozenset(
    (Unusable.TORN, Unusable.NUL, Unusable.LONG, Unusable.FORMAT, Unusable.ARGUMENTS, Unusable.DISORDER)
)
_SAME_CLOCKS = Clocks()
_QUANTILES = (("p50_s", 0.5), ("p95_s", 0.95), ("p99_s", 0.99))


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
    """

    columns: dict[str, list[Any]]
    client_columns: dict[str, list[Any]] | None
    client: dict[str, Any] | None
    quality: Quality
    devices: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)

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
        one_sided: whether to make do with what an attempt left: without the secondary's trace, whose columns are null
                then, and with a trace that shows no checkpoint.

    Raises:
        StoreError: a trace cannot be read, or the primary's shows no checkpoint because it is empty or damaged.
    """
    warmup = early + cell.checkpoint.warmup
    entries, torn = read_json_lines(RunFolder(folder).qmp_log, is_qmp_entry)
    primary = read_trace(RunFolder(folder).trace("primary"), EVENTS[PRIMARY] | NETWORK_EVENTS)
    theirs = RunFolder(folder).trace("secondary")
    secondary = None if one_sided and not log_exists(theirs) else read_trace(theirs, EVENTS[SECONDARY])
    assembly = assemble(primary, secondary)
    if not assembly.checkpoints and not one_sided:
        require_sound(primary, RunFolder(folder).trace("primary"))
    clock = clocks.of("primary")
    pacing = read_pacing(entries, clock)
    stops = read_stops(entries)
    pauses_us = qmp_pauses_us(assembly.checkpoints, stops)
    there = [Sample(*clock.span(one.before, one.after), one.sent) for one in samples]
    sent = bytes_sent(assembly.spans_us(), there)
    seen = _seen(folder, cell, assembly)
    columns = checkpoint_columns(
        run_id,
        assembly.checkpoints,
        label_triggers(assembly, pacing, read_mismatches(primary)),
        warmup=warmup,
        qmp_pauses_us=pauses_us,
        bytes_sent=[sent[one.number] for one in assembly.checkpoints],
        seen=seen,
    )
    answers, client_torn = client_answers(RunFolder(folder).client_log)
    figures = client_figures(answers, assembly, clocks.between("client", "primary"))
    quality = assess(
        assembly,
        pauses_us,
        count=cell.checkpoint.count,
        warmup=warmup,
        problems=(
            *_side_problems(primary, secondary),
            *torn,
            *client_torn,
            *uncertain_triggers(assembly, pacing),
        ),
        failures=(*failures, *_unanswered(figures)),
        notes=[*(f"this QEMU has no trace event {glob}" for glob in events_missing), *remarks],
        timing=judge_timing(assembly, cell.checkpoint, [_by(clock, gap) for gap in gaps], stops, warmup=warmup),
        seen=seen,
    )
    entry = read_entry(primary, stops)
    return Evidence(columns, answers, figures, quality, _devices(folder, cell), entry.to_json() if entry else {})


def _devices(folder: Path, cell: Cell) -> dict[str, Any]:
    """Return what single devices cost, where the cell asked for their events."""
    globs = (*cell.trace.events, *cell.trace.optional)
    if not any(fnmatchcase(event.name, glob) for event in DEVICES for glob in globs):
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
    figures = client_figures(answers, Assembly((), (), None, ()))
    stops = sum(one.name == "STOP" for one in read_stops(entries))
    found = [f"the VM was stopped {stops} times"] if stops else []
    found += [*failures, *_unanswered(figures)]
    # The harness only waits here; a machine or a client that stood still is no baseline.
    late = [(gap.who, f"the {gap.who} did not run for {gap.seconds:.2f} s") for gap in gaps]
    found += [words for who, words in late if who != HARNESS]
    notes = ("no checkpoints: no COLO", *(words for who, words in late if who == HARNESS), *remarks)
    quality = Quality(tuple(found), 0, 0, (*torn, *client_torn), None, None, notes)
    return Evidence(checkpoint_columns(run_id, (), (), warmup=0), answers, figures, quality)


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


def read_json_lines(
    path: Path, is_sound: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return the sound objects of a file of JSON lines, compressed or not, and an account of the lines that are none.

    Raises:
        StoreError: the file is there and cannot be read.
    """
    entries, torn = [], []
    for line in lines_of(_content(path)):
        try:
            entry = parse_json(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and is_sound(entry):
            entries.append(entry)
        else:
            torn.append(line.decode(errors="replace")[:200])
    return entries, [Problem(f"{path.name}: torn line", len(torn), torn[0])] if torn else []


def _content(path: Path) -> bytes:
    try:
        return read_log(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", logs=(path,)) from error


def client_answers(path: Path) -> tuple[dict[str, list[Any]] | None, list[Problem]]:
    """Return the client's answers as columns, in the order of sending, and torn lines; ``None`` where no client ran."""
    if not path.exists():
        return None, []
    entries, torn = read_json_lines(path, is_answer)
    entries.sort(key=lambda one: one["t_send"])
    return {name: [entry[name] for entry in entries] for name in ANSWER}, torn


def _by(clock: Offset, gap: Gap) -> Gap:
    begin, end = clock.span(gap.begin, gap.end)
    return Gap(gap.who, begin, end)


def client_figures(
    answers: dict[str, list[Any]] | None, assembly: Assembly, clock: Offset = SAME_CLOCK
) -> dict[str, Any] | None:
    """Return a client's figures: requests, errors, rate, and quantiles of the answered requests' latency in seconds.

    ``clock`` is the primary's by the client's.
    """
    if answers is None:
        return None
    times, latencies = np.array(answers["t_send"]), np.array(answers["latency_s"])
    outcomes = zip(answers["error"], answers["status"], strict=True)
    answered = np.array([error is None and status < HTTP_ERROR for error, status in outcomes], dtype=bool)
    figures: dict[str, Any] = {
        "requests": len(times),
        "errors": int((~answered).sum()) if len(times) else 0,
        "checkpoints_during": _checkpoints_during(times, assembly, clock),
    }
    if not len(times) or not answered.any():
        return figures
    span_s = float((times + latencies).max() - times.min())
    good = latencies[answered]
    figures["requests_per_s"] = round(int(answered.sum()) / span_s, 6) if span_s > 0 else None
    figures |= {name: float(np.quantile(good, share)) for name, share in _QUANTILES}
    return figures | {"max_s": float(good.max())}


def _checkpoints_during(times: np.ndarray[Any, np.dtype[np.float64]], assembly: Assembly, clock: Offset) -> int:
    if not len(times):
        return 0
    first, last = (t * 1e6 for t in clock.span(times.min(), times.max()))
    return sum(bool(first <= one.request_us <= last) for one in assembly.checkpoints)
