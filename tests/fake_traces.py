"""Traces of COLO pairs, made of lines as QEMU writes them."""

from __future__ import annotations

from pathlib import Path

from bench.format.phases import PRIMARY, SECONDARY
from bench.measure.parts import EVENTS
from bench.measure.trace import Line, Trace, parse_trace, read_trace

DATA = Path(__file__).parent / "data"
T0_US = 1_795_421_240_000_000

SEND, RECEIVE, CHANGE = "colo_send_message", "colo_receive_message", "colo_vm_state_change"


def line(time_us: int, event: str, rest: str = "", *, pid: int | None = None) -> str:
    return Line(time_us, pid, fraction=time_us % 1_000_000 != 0 or pid is not None, event=event, rest=rest).render()


def sent(time_us: int, message: str) -> str:
    return line(time_us, SEND, f" Send '{message}' message")


def received(time_us: int, message: str) -> str:
    return line(time_us, RECEIVE, f" Receive '{message}' message")


def changed(time_us: int, old: str, new: str) -> str:
    return line(time_us, CHANGE, f" Change '{old}' => '{new}'")


def primary_start(time_us: int = T0_US) -> list[str]:
    return [received(time_us, "checkpoint-ready"), changed(time_us + 100, "stop", "run")]


def secondary_start(time_us: int = T0_US) -> list[str]:
    return [changed(time_us - 60, "stop", "run"), sent(time_us - 50, "checkpoint-ready")]


def primary_checkpoint(time_us: int, phases_us: tuple[int, ...] = (10, 20, 30, 40, 50, 60, 70)) -> list[str]:
    """The eight lines of a checkpoint whose request was sent at a time, and whose phases take what is given."""
    times = [time_us + sum(phases_us[:n]) for n in range(8)]
    return [
        sent(times[0], "checkpoint-request"),
        received(times[1], "checkpoint-reply"),
        changed(times[2], "run", "stop"),
        sent(times[3], "vmstate-send"),
        sent(times[4], "vmstate-size"),
        received(times[5], "vmstate-received"),
        received(times[6], "vmstate-loaded"),
        changed(times[7], "stop", "run"),
    ]


def secondary_checkpoint(time_us: int, pages: int = 70, *, flush_first: bool = False) -> list[str]:
    """The secondary's lines of a checkpoint whose request left at a time; its clock is the primary's."""
    size = received(time_us + 95, "vmstate-size")
    got = sent(time_us + 97, "vmstate-received")
    begin, end = (66, 91) if flush_first else (99, 124)
    flush = [
        line(time_us + begin, "colo_flush_ram_cache_begin", f" dirty_pages {pages}"),
        line(time_us + end, "colo_flush_ram_cache_end", " "),
    ]
    middle = [*flush, size, got] if flush_first else [size, got, *flush]
    return [
        received(time_us + 1, "checkpoint-request"),
        line(time_us + 2, "runstate_set", " current_run_state 9 (running) new_state 15 (colo)"),
        changed(time_us + 5, "run", "stop"),
        sent(time_us + 6, "checkpoint-reply"),
        received(time_us + 65, "vmstate-send"),
        *middle,
        line(time_us + 190, "runstate_set", " current_run_state 15 (colo) new_state 9 (running)"),
        changed(time_us + 195, "stop", "run"),
        sent(time_us + 197, "vmstate-loaded"),
    ]


def parse(lines: list[str], wanted: frozenset[str] = EVENTS[PRIMARY] | EVENTS[SECONDARY]) -> Trace:
    return parse_trace(["".join(f"{one}\n" for one in lines).encode("latin-1")], wanted)


def real_primary() -> Trace:
    return read_trace(DATA / "primary.trace.log", EVENTS[PRIMARY])


def real_secondary() -> Trace:
    return read_trace(DATA / "secondary.trace.log", EVENTS[SECONDARY])
