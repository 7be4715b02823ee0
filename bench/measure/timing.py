"""Did each checkpoint begin when it was asked for, and did everybody run until it ended?

What a checkpoint has to carry over is what was dirtied since the last one: one that comes late is another experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.format.phases import P
from bench.measure.pulse import HARNESS
from bench.measure.stops import WINDOW_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.config.procedure import Checkpoint as Asked
    from bench.measure.checkpoints import Assembly, Checkpoint
    from bench.measure.pulse import Gap
    from bench.measure.stops import StopResume

LATE_S = 0.1
LATE_SHARE = 0.1
"""A checkpoint is marked that begins later than asked for by both, seconds and share of the interval."""

GROSS_S = 1.0
"""One marked checkpoint that is later than this, or during which the harness stood still for as long, fails the run."""

LARGEST_MARKED_SHARE = 0.1
"""More marked checkpoints than this fail the run; a single one never does by its number."""


@dataclass(frozen=True)
class Mark:
    """Why a checkpoint is not what was asked for.

    Attributes:
        index: the checkpoint's number.
        why: in words.
        gross: whether it alone spoils the run.
    """

    index: int
    why: str
    gross: bool


@dataclass(frozen=True)
class Timing:
    """What a run achieved of the interval that was asked for, in seconds, and the checkpoints that stand out.

    Attributes:
        asked_s: the interval.
        median_s: the achieved one's median over the measured checkpoints, ``None`` without any.
        largest_s: the largest one.
        marks: of all checkpoints, warm-up included.
        failures: why the run is not what was asked for.
        notes: what a reader should know though it fails nothing.
    """

    asked_s: float
    median_s: float | None
    largest_s: float | None
    marks: tuple[Mark, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what ``run.json`` keeps under ``quality``."""
        return {
            "interval": {"asked_s": self.asked_s, "median_s": self.median_s, "largest_s": self.largest_s},
            "marked": [{"index": one.index, "why": one.why} for one in self.marks],
        }


def judge_timing(
    assembly: Assembly, asked: Asked, gaps: Sequence[Gap], stops: Sequence[StopResume], *, warmup: int
) -> Timing:
    """Hold each checkpoint to the interval that was asked for, and to who stood still until it ended.

    On demand the interval runs from the end of one checkpoint to the request of the next, by QEMU's timer from request
    to request. A checkpoint that comes early is none of this: differing output may ask for one at any time. Those
    of the warm-up, counted from the start of COLO, are marked and fail nothing.
    """
    pairs = [(before, one) for before, one in pairwise(assembly.checkpoints) if one.number == before.number + 1]
    marks = [mark for before, one in pairs for mark in _late(before, one, asked)]
    marks += _still(assembly, gaps)
    marks += _stopped_between(assembly, stops)
    marks.sort(key=lambda mark: mark.index)
    achieved = [_interval_us(before, one, asked) / 1e6 for before, one in pairs if one.number >= warmup]
    measured = [one for one in assembly.checkpoints if one.number >= warmup]
    failures, notes = _verdict([mark for mark in marks if mark.index >= warmup], len(measured))
    return Timing(
        asked.interval,
        median(achieved) if achieved else None,
        max(achieved, default=None),
        tuple(marks),
        failures,
        notes,
    )


def _interval_us(before: Checkpoint, one: Checkpoint, asked: Asked) -> int:
    return one.request_us - (before.running_us if asked.trigger == "demand" else before.request_us)


def _late(before: Checkpoint, one: Checkpoint, asked: Asked) -> Iterator[Mark]:
    # Until vmstate-received differing output may have re-armed the timer, unseen.
    armed_us = before.running_us if asked.trigger == "demand" else before.times_us[P.RECEIVED]
    late_s = (one.request_us - max(armed_us + asked.interval * 1e6, before.running_us)) / 1e6
    if late_s > max(LATE_S, LATE_SHARE * asked.interval):
        words = f"it began {late_s:.3f} s later than the {asked.interval:g} s that were asked for"
        yield Mark(one.number, words, gross=late_s > max(GROSS_S, LATE_SHARE * asked.interval))


def _still(assembly: Assembly, gaps: Sequence[Gap]) -> Iterator[Mark]:
    before_us = assembly.running_us or 0  # who stood still while the guest booted spoils no checkpoint
    for one in assembly.checkpoints:
        for gap in gaps:
            # A short gap of the harness has made the checkpoint late, or has changed nothing.
            if gap.who == HARNESS and gap.seconds <= GROSS_S:
                continue
            if gap.end * 1e6 > before_us and gap.begin * 1e6 < one.running_us:
                words = f"the {gap.who} did not run for {gap.seconds:.3f} s before it ended"
                yield Mark(one.number, words, gross=True)
        before_us = one.running_us


def stray_stops(assembly: Assembly, stops: Sequence[StopResume]) -> int:
    """Return how many STOP events since COLO began belong to no checkpoint."""
    return sum(1 for _ in _stray(assembly, stops))


def _stray(assembly: Assembly, stops: Sequence[StopResume]) -> Iterator[StopResume]:
    """Find the STOP events of no checkpoint: somebody, or QEMU itself after an error, stopped the guest."""
    if assembly.running_us is None:
        return
    spans = [(begin - WINDOW_US, end + WINDOW_US) for begin, end in assembly.spans_us()]
    for stop in stops:
        if stop.name != "STOP" or stop.time_us <= assembly.running_us + WINDOW_US:
            continue
        if not any(begin <= stop.time_us <= end for begin, end in spans):
            yield stop


def _stopped_between(assembly: Assembly, stops: Sequence[StopResume]) -> Iterator[Mark]:
    for stop in _stray(assembly, stops):
        later = [one.number for one in assembly.checkpoints if one.request_us > stop.time_us]
        if later:
            yield Mark(later[0], "the primary's guest was stopped before it, by no checkpoint", gross=True)


def _verdict(marks: Sequence[Mark], measured: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not marks:
        return (), ()
    indices = sorted({mark.index for mark in marks})
    worst = next((mark for mark in marks if mark.gross), marks[0])
    words = f"checkpoint {worst.index}: {worst.why}"
    if len(indices) > 1:
        words = f"{len(indices)} of {measured} checkpoints are not as asked for; {words}"
    if worst.gross or len(indices) > max(1, LARGEST_MARKED_SHARE * measured):
        return (words,), ()
    return (), (words,)
