"""What the bare guest saw of a checkpoint, from its beats in the primary's trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_traces import T0_US, line, parse, primary_checkpoint, primary_start
from hypothesis import given
from hypothesis import strategies as st

from bench.format.phases import BEAT, P
from bench.measure.beats import Beat, Seen, read_beats, seen_by_guest
from bench.measure.checkpoints import Assembly, assemble
from bench.workload.dirty import Dirty

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BEAT_US = 10_000
PHASES = (10, 20, 0, 1_000, 1_000, 1_000, 1_000)
STARTS_US = [T0_US + 100_000 * n + 5_000 for n in range(1, 5)]


def tell(time_us: int, at: int, value: int, device: str = "i440FX 00:00.0") -> str:
    return line(time_us, BEAT.name, f" {device} @0x{at:x} <- 0x{value % (1 << 32):x}")


def told(beat: Beat) -> list[str]:
    progress = [tell(beat.time_us - 1, 0x2C, pages) for pages in beat.written]
    hole = [tell(beat.time_us - 3, 0x00, beat.hole_us), tell(beat.time_us - 2, 0x28, beat.ended_us)]
    return [*hole, *progress, tell(beat.time_us, 0x08, beat.clock_us)]


def campaign(phases: Sequence[int] = PHASES) -> Assembly:
    lines = primary_start() + [text for at in STARTS_US for text in primary_checkpoint(at, tuple(phases))]
    return assemble(parse(lines), None)


def beating(assembly: Assembly, *, stands: bool, pages_per_ms: int = 0, lag_us: int = 0) -> Iterator[Beat]:
    """A guest that beats every 10 ms, and at the end of a hole; its clock stands still in a pause, or not."""
    pauses = [(one.times_us[P.STOPPED], one.times_us[P.RUNNING] + lag_us) for one in assembly.checkpoints]
    moments = [(T0_US + BEAT_US * n, 0) for n in range(60)]
    moments = [one for one in moments if not any(begin <= one[0] <= end for begin, end in pauses)]
    moments += [(end + 5, 0 if stands else end - begin) for begin, end in pauses]
    for time_us, hole_us in sorted(moments):
        stood_us = sum(min(end, time_us) - begin for begin, end in pauses if begin < time_us)
        clock_us = time_us - (stood_us if stands else 0) - T0_US + 123
        yield Beat(time_us, clock_us, hole_us, clock_us - 5, ((time_us - T0_US - stood_us) * pages_per_ms // 1000,))


def test_beats_are_read_from_qemu_s_lines_and_firmware_s_are_passed_over() -> None:
    beat = Beat(T0_US + 50, (1 << 32) - 10, 700, (1 << 32) - 400, (5, 6))
    other = tell(T0_US, 0x08, 7, "PIIX3 00:01.0")
    older = [text.replace("00:00.0", "00:0") for text in told(Beat(T0_US + 90, 30, 0, -20, ()))]
    lines = [tell(T0_US, 0x08, 7), other, *told(beat), *older]
    assert read_beats(parse(lines, frozenset((BEAT.name,)))) == (
        beat,
        Beat(T0_US + 90, (1 << 32) + 30, 0, (1 << 32) - 20, ()),  # the guest's clock has wrapped
    )


@pytest.mark.parametrize("stands", [True, False])
def test_a_standstill_is_seen_whether_or_not_the_guest_s_clock_stands_still_too(*, stands: bool) -> None:
    assembly = campaign()
    seen = seen_by_guest(assembly, tuple(beating(assembly, stands=stands)), ())
    assert [one.pause_us for one in assembly.checkpoints] == [4_000] * 4
    assert [one.standstill_us for one in seen] == [4_000] * 4


@given(st.integers(600, 80_000), st.booleans(), st.integers(0, 9_000))
def test_a_standstill_that_lasts_longer_than_the_traced_pause_is_told(pause_us: int, stands: bool, lag_us: int) -> None:  # noqa: FBT001
    assembly = campaign((10, 20, 0, pause_us, 0, 0, 0))
    seen = seen_by_guest(assembly, tuple(beating(assembly, stands=stands, lag_us=lag_us)), ())
    assert [one.standstill_us for one in seen] == [pause_us + lag_us] * 4


def test_a_hole_elsewhere_is_none_of_the_pause() -> None:
    assembly = campaign()
    beats = list(beating(assembly, stands=True))
    spoilt = next(n for n, one in enumerate(beats) if one.time_us > STARTS_US[2])
    before = beats[spoilt]
    late_us = 5_500  # the guest ran for 2.5 ms after the pause, then lost its CPU for 3
    ended_us = before.clock_us + late_us
    beats[spoilt] = Beat(before.time_us + late_us, ended_us, 3_000, ended_us, before.written)
    assert seen_by_guest(assembly, beats, ())[2].standstill_us == 4_000


def test_without_beats_nothing_is_told() -> None:
    assembly = campaign()
    assert seen_by_guest(assembly, (), (100,)) == (Seen(),) * 4


@pytest.mark.parametrize(("share", "rewritten"), [(700, True), (1200, False), (960, None)])
def test_a_set_is_whole_only_where_the_guest_surely_wrote_it(share: int, rewritten: bool | None) -> None:  # noqa: FBT001
    assembly = campaign()  # 96 ms of running between pauses, 10 pages a ms: 960 pages
    seen = seen_by_guest(assembly, tuple(beating(assembly, stands=False, pages_per_ms=10)), (share,))
    assert [one.rewritten for one in seen] == [None, rewritten, rewritten, rewritten]


def test_the_shares_of_the_threads_are_all_of_the_set() -> None:
    shares = Dirty(working_set=4096 * 103, threads=4).shares(1 << 30)
    assert sum(shares) == 103
    assert sorted(set(shares)) == [25, 26]
