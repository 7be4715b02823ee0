"""Whether a run's numbers can be believed: the pause by trace against the pause by QMP, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.format.phases import P

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.measure.beats import Seen
    from bench.measure.checkpoints import Assembly, Checkpoint
    from bench.measure.timing import Timing
    from bench.measure.trace import Problem

LARGEST_MEDIAN_US = 2_000
"""The median difference between trace and QMP above which a run fails its check."""

LARGEST_GUEST_SHARE = 0.1
"""The share of the median pause that the guest's own figure may differ by, where that is more."""


@dataclass(frozen=True)
class Quality:
    """The verdict on a run.

    Attributes:
        failures: why it is not ok, one line each.
        checkpoints: how many began, warm-up included.
        used: how many are in the table, warm-up included.
        problems: what could not be used, by kind.
        qmp_median_difference_s: median of abs(pause by trace - pause by QMP), ``None`` without any pair.
        qmp_max_difference_s: the largest one.
        notes: what a reader should know and what fails nothing.
        timing: what was achieved of the interval that was asked for.
    """

    failures: tuple[str, ...]
    checkpoints: int
    used: int
    problems: tuple[Problem, ...]
    qmp_median_difference_s: float | None
    qmp_max_difference_s: float | None
    notes: tuple[str, ...] = ()
    timing: Timing | None = None

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    def summary(self) -> str:
        """Return why it is not ok in one line; empty when it is."""
        return "; ".join(self.failures)

    def to_json(self) -> dict[str, Any]:
        """Return it as stored in ``run.json``."""
        return {
            "ok": self.ok,
            "failures": list(self.failures),
            "checkpoints": self.checkpoints,
            "used": self.used,
            "problems": [problem.to_json() for problem in self.problems],
            "qmp_median_difference_s": self.qmp_median_difference_s,
            "qmp_max_difference_s": self.qmp_max_difference_s,
            "notes": list(self.notes),
            **(self.timing.to_json() if self.timing else {}),
        }


def _told_pause_us(one: Checkpoint) -> int:
    """Return the longest pause that QMP can tell of, by the trace: RESUME is sent when the primary begins to resume.

    Until all of its vCPUs have been let go, which is when the pause ends, KVM can take milliseconds more; a binary that
    does not trace the run state leaves only the whole pause to compare with.
    """
    return one.pause_us if one.resumed_us is None else one.resumed_us - one.times_us[P.STOPPED]


def _differ_us(one: Checkpoint, qmp_us: int) -> int:
    """Return by how much the pause by QMP lies outside of what the trace leaves open.

    STOP is sent once the vCPUs stand still: after the change of the run state, and before QEMU says that all does.
    Where many vCPUs share a CPU the two are milliseconds apart.
    """
    longest_us = _told_pause_us(one)
    shortest_us = longest_us if one.halted_us is None else longest_us - (one.halted_us - one.times_us[P.STOPPED])
    return max(shortest_us - qmp_us, qmp_us - longest_us, 0)


def _apart_us(one: Checkpoint, standstill_us: int) -> int:
    """Return by how much a guest's standstill lies outside of what the trace leaves open.

    QEMU lets the vCPUs go between RESUME and run; the thread that says so may itself wait for a CPU by then.
    """
    return max(_told_pause_us(one) - standstill_us, standstill_us - one.pause_us, 0)


def assess(
    assembly: Assembly,
    pauses_us: Sequence[int | None],
    *,
    count: int,
    warmup: int,
    problems: Iterable[Problem] = (),
    failures: Iterable[str] = (),
    notes: Iterable[str] = (),
    timing: Timing | None = None,
    seen: Sequence[Seen] = (),
) -> Quality:
    """Judge a run.

    Args:
        assembly: its checkpoints.
        pauses_us: the pause by QMP of each complete one.
        count: how many were asked for after the warm-up.
        warmup: how many the warm-up has.
        problems: those met before, such as the parser's.
        failures: those found elsewhere, such as a client that was never answered.
        notes: remarks to keep.
        timing: whether the checkpoints began when they were asked for, where that was looked at.
        seen: what the guest saw of each complete one, where it watches itself.
    """
    pairs = [
        _differ_us(one, pause_us)
        for one, pause_us in zip(assembly.checkpoints, pauses_us, strict=True)
        if pause_us is not None
    ]
    watched = [
        _apart_us(one, saw.standstill_us)
        for one, saw in zip(assembly.checkpoints, seen, strict=False)
        if saw.standstill_us is not None
    ]
    used = len(assembly.checkpoints)
    measured = sum(one.number >= warmup for one in assembly.checkpoints)
    found = [*failures, *(timing.failures if timing else ())]
    if measured < count:
        found.append(f"{measured} usable checkpoints after the warm-up, {count} were asked for")
    if used and not pairs:
        found.append("no pause could be checked against QMP's STOP and RESUME")
    if pairs and median(pairs) > LARGEST_MEDIAN_US:
        found.append(f"trace and QMP differ by {median(pairs) / 1e3:.3f} ms in the median, 2 ms are allowed")
    # Let go by QEMU, a vCPU may still wait for a CPU of the host: the longer, the more a pause has left to do.
    pause_us = median([one.pause_us for one in assembly.checkpoints] or [0])
    allowed_us = max(LARGEST_MEDIAN_US, LARGEST_GUEST_SHARE * pause_us)
    if watched and median(watched) > allowed_us:
        differ = f"{median(watched) / 1e3:.3f} ms in the median"
        words = f"the pause and what the guest itself saw of it differ by {differ}"
        found.append(f"{words}, {allowed_us / 1e3:.3g} ms are allowed")
    partly = sum(saw.rewritten is False for saw in seen)
    if partly:
        notes = (*notes, f"the working set was not rewritten whole before {partly} of {used} checkpoints")
    if 0 < len(pairs) < used:
        notes = (*notes, f"{used - len(pairs)} of {used} checkpoints have no single STOP and RESUME to check against")
    return Quality(
        failures=tuple(found),
        checkpoints=len(assembly.attempts),
        used=used,
        problems=(*problems, *assembly.problems),
        qmp_median_difference_s=median(pairs) / 1e6 if pairs else None,
        qmp_max_difference_s=max(pairs) / 1e6 if pairs else None,
        notes=(*notes, *(timing.notes if timing else ())),
        timing=timing,
    )
