"""Why each checkpoint began: a poke over QMP (``demand``), QEMU's timer (``timer``) or differing output (``mismatch``).

What QEMU does (``migration/colo.c``, ``migration/options.c``, ``net/colo-compare.c``, 5.1 to 11.1): setting
``x-checkpoint-delay`` in COLO state, the timer, and colo-compare all call ``colo_checkpoint_notify``. It sets an event
that the checkpoint thread waits for, and re-arms the timer to now plus the delay (both in whole milliseconds). The
thread resets the event once a checkpoint, right after it has received ``vmstate-received``. Hence:

- a notification until then is swallowed by the checkpoint in progress, but still re-arms the timer;
- one after it starts the next checkpoint as soon as the thread is free: at once, or when this one ends;
- the last notification before a reset, whoever made it, decides when the timer fires next, and nothing but a poke or
  colo-compare starts a checkpoint before that.

The timer is first armed when the primary first runs under COLO. colo-compare says in a trace event that packets
differ for all protocols but TCP, and that a packet waited too long for all; so its events, where traced, can show a
mismatch but their absence shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.format.phases import COMPARED, OLD_PACKET, P
from bench.host.clock import SAME_CLOCK
from bench.measure.trace import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.host.clock import Offset
    from bench.measure.checkpoints import Assembly, Checkpoint
    from bench.measure.trace import Trace

Trigger = Literal["demand", "timer", "mismatch"]

NETWORK_EVENTS = frozenset((COMPARED, OLD_PACKET))
"""The primary's trace events that show why colo-compare asked for a checkpoint."""

DEFAULT_DELAY_US = 20_000_000
"""``x-checkpoint-delay`` when nobody set it (``DEFAULT_MIGRATE_X_CHECKPOINT_DELAY``)."""

EARLY_US = 5_000
"""The timer may seem to fire this early: its clock is cut to milliseconds, and a request is logged after its cause."""

LATE_US = 50_000
"""A request may follow so late what was perhaps swallowed: the main loop or the checkpoint thread waits for a lock."""


@dataclass(frozen=True)
class Poke:
    """A ``migrate-set-parameters`` with ``x-checkpoint-delay``, on the primary's clock.

    Attributes:
        sent_us: microseconds since the epoch just before it was sent.
        answered_us: when QEMU had answered: it took effect in between.
        delay_us: the delay that it set.
    """

    sent_us: int
    answered_us: int
    delay_us: int


@dataclass(frozen=True)
class Pacing:
    """What a run told QEMU's checkpoint timer.

    Attributes:
        initial_delay_us: the delay when COLO began.
        pokes: the settings after ``migrate``, in order.
    """

    initial_delay_us: int = DEFAULT_DELAY_US
    pokes: tuple[Poke, ...] = ()


@dataclass(frozen=True)
class _Cause:
    """What must be known of the time before a checkpoint.

    Attributes:
        armed_us: the earliest time of the notification that armed the timer.
        delay_us: the delay it was armed with.
        reset_us: notifications up to here were swallowed.
        sure_us: none after here was swallowed: each starts the checkpoint, however late the request is.
        free_us: from here on the checkpoint thread was free.
    """

    armed_us: int
    delay_us: int
    reset_us: int
    sure_us: int
    free_us: int


def read_pacing(entries: Iterable[Mapping[str, Any]], clock: Offset = SAME_CLOCK) -> Pacing:
    """Return the pacing from the entries of ``qmp.jsonl``; what was set before ``migrate`` starts no checkpoint.

    The entries are stamped by the harness's clock; ``clock`` is the primary's, by which the pacing is told.
    """
    initial_us = DEFAULT_DELAY_US
    pokes: list[Poke] = []
    for entry in entries:
        if entry.get("side") != "primary" or "error" in entry:
            continue
        if entry.get("command") == "migrate":
            initial_us, pokes = (pokes[-1].delay_us if pokes else initial_us), []
        elif entry.get("command") == "migrate-set-parameters" and "x-checkpoint-delay" in entry["arguments"]:
            seconds = entry.get("seconds", 0)
            sent, _ = clock.span(entry["t"], entry["t"])
            sent_us, unsure_us = round(sent * 1e6), round(2e6 * clock.uncertainty_s)
            pokes.append(
                Poke(
                    sent_us, sent_us + unsure_us + round(seconds * 1e6), entry["arguments"]["x-checkpoint-delay"] * 1000
                )
            )
    return Pacing(initial_us, tuple(pokes))


def read_mismatches(primary: Trace) -> tuple[int, ...]:
    """Return when colo-compare said that it asks for a checkpoint, in microseconds since the epoch."""
    return tuple(
        time_us for time_us, kind in primary if kind.event == OLD_PACKET or kind == (COMPARED, ("packet different",))
    )


def label_triggers(assembly: Assembly, pacing: Pacing, mismatches_us: Sequence[int] = ()) -> tuple[Trigger, ...]:
    """Return the trigger of each complete checkpoint.

    1. A poke or an event of colo-compare before the request explains a checkpoint when it was not swallowed: however
       late the request is, since nothing else would have had to be waited for. Where it may have been swallowed, the
       request has to follow as soon as the thread was free, within :data:`LATE_US`. Of two the earlier is the cause.
    2. Else it is ``timer`` when the request does not come before the timer fired: the delay after the notification that
       armed it, less :data:`EARLY_US`. On a busy host it may come much later; had anything else begun the checkpoint
       after that, the timer would have before. That notification is the previous checkpoint's cause, or a poke. (One
       of colo-compare's that was swallowed has re-armed the timer unseen: until the delay after the reset a mismatch
       without evidence of its own is then taken for the timer.)
    3. Else only colo-compare is left: ``mismatch``, by exclusion and without evidence of its own. So is a checkpoint of
       which :func:`uncertain_triggers` tells.
    """
    return tuple(_label(one, _before(one, assembly, pacing), pacing, mismatches_us) for one in assembly.checkpoints)


def uncertain_triggers(assembly: Assembly, pacing: Pacing) -> tuple[Problem, ...]:
    """Return an account of the checkpoints whose label is a guess: what led up to them is not in the trace."""
    unknown = [one for one in assembly.checkpoints if _before(one, assembly, pacing) is None]
    if not unknown:
        return ()
    example = f"checkpoint {unknown[0].number}: the trace does not reach back to when COLO began; labelled mismatch"
    return (Problem("trigger not certain", len(unknown), example),)


def _label(one: Checkpoint, cause: _Cause | None, pacing: Pacing, mismatches_us: Sequence[int]) -> Trigger:
    if cause is None:
        return "mismatch"
    pokes = [poke.sent_us for poke in pacing.pokes if _explains(poke.sent_us, poke.answered_us, cause, one.request_us)]
    differing = [time_us for time_us in mismatches_us if _explains(time_us, time_us, cause, one.request_us)]
    if pokes and (not differing or pokes[0] <= differing[0]):
        return "demand"
    if differing:
        return "mismatch"
    fired_us = max(cause.armed_us + cause.delay_us, cause.free_us)
    return "timer" if one.request_us >= fired_us - EARLY_US else "mismatch"


def _explains(first_us: int, last_us: int, cause: _Cause, request_us: int) -> bool:
    """Whether a notification somewhere in first..last was not swallowed and led to the request."""
    if first_us > request_us or last_us <= cause.reset_us:
        return False
    return first_us > cause.sure_us or request_us <= max(last_us, cause.free_us) + LATE_US


def _before(one: Checkpoint, assembly: Assembly, pacing: Pacing) -> _Cause | None:
    """Gather what led up to a checkpoint; ``None`` when the trace does not reach back to it."""
    if one.number > 0:
        times = assembly.attempts[one.number - 1].times_us
        complete = assembly.attempts[one.number - 1].complete
        # Of a checkpoint that is not complete nothing is known but that it began: it swallowed nothing for sure.
        armed_us, free_us = times[0], times[-1]
        reset_us, sure_us = (times[P.RECEIVED],) * 2 if complete else (armed_us, free_us)
    elif assembly.running_us is not None:
        armed_us = sure_us = free_us = assembly.running_us
        reset_us = 0
    else:
        return None
    delay_us = pacing.initial_delay_us
    for poke in pacing.pokes:
        if poke.sent_us > one.request_us:
            break
        armed_us, delay_us = max(armed_us, poke.sent_us), poke.delay_us
    return _Cause(armed_us, delay_us, reset_us, sure_us, free_us)


@dataclass(frozen=True)
class Causes:
    """Of how many checkpoints of a measurement what was the cause, over how many seconds.

    Attributes:
        seconds: of the measurement; ``None`` where it was not told.
        counts: by trigger, and of those that a mismatch made by evidence: ``old_packet`` (one waited too long),
            ``different`` (a comparison found that output differs), ``unseen`` (neither was traced).
    """

    seconds: float | None
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``."""
        return {"seconds": self.seconds, **self.counts}


def count_causes(
    assembly: Assembly,
    pacing: Pacing,
    triggers: Sequence[Trigger],
    evidence: Mapping[str, Sequence[int]],
    *,
    early: int = 0,
    seconds: float | None = None,
) -> Causes:
    """Count the checkpoints of a measurement by their cause.

    Args:
        assembly: the run's checkpoints.
        pacing: what the run told QEMU's timer.
        triggers: the label of each complete one, as :func:`label_triggers` gives them.
        evidence: when colo-compare was seen asking for a checkpoint, in microseconds since the epoch, by why.
        early: how many checkpoints, counted from the start of COLO, came before the measurement.
        seconds: how long it took.
    """
    counts = dict.fromkeys(("demand", "timer", "mismatch", *evidence, "unseen"), 0)
    for one, trigger in zip(assembly.checkpoints, triggers, strict=True):
        if one.number < early:
            continue
        counts[trigger] += 1
        if trigger == "mismatch":
            counts[_evidence_of(one, _before(one, assembly, pacing), evidence)] += 1
    return Causes(seconds, counts)


def _evidence_of(one: Checkpoint, cause: _Cause | None, evidence: Mapping[str, Sequence[int]]) -> str:
    """Return by what a mismatch was seen, of several the earliest; ``unseen`` by nothing."""
    if cause is None:
        return "unseen"
    seen = [
        (time_us, why)
        for why, times_us in evidence.items()
        for time_us in times_us
        if _explains(time_us, time_us, cause, one.request_us)
    ]
    return min(seen)[1] if seen else "unseen"
