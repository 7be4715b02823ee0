"""What COLO leaves of a service, in sentences: the ratios, how sure they are, and what the pauses explain of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.format.outcomes import OUTCOMES
from analysis.format.scenarios import SCENARIOS
from analysis.text import EXPLORATORY, figures_text, listed, percent_text, ratio_text, short_percent, spans
from analysis.verdicts.overhead import FEWEST_PAIRS, LATENCY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.verdicts.claims import Effect
    from analysis.verdicts.overhead import Overhead

_ASKED_AT_A_RATE = "requests_per_s"


def times_text(effect: Effect) -> str:
    """Return a ratio with its interval: ``0.63 [0.60, 0.66]``."""
    if math.isnan(effect.low):
        return multiple_text(effect.estimate)
    return f"{multiple_text(effect.estimate)} [{multiple_text(effect.low)}, {multiple_text(effect.high)}]"


def multiple_text(ratio: float) -> str:
    """Return a ratio in three figures, and in more where it would be read as 1: whether an interval holds 1 matters."""
    shown = figures_text(ratio)
    return ratio_text(ratio) if shown == "1.00" and ratio != 1 else shown


def sentences(found: Sequence[Overhead]) -> Iterator[str]:
    """Yield one sentence for each machine and workload, as a terminal and a page say it first."""
    for one in found:
        parts = []
        if one.throughput is not None:
            words = OUTCOMES[one.throughput.outcome].words
            parts.append(f"leaves {times_text(one.throughput.ratio)} of {words}")
        latencies = [(name.removeprefix("client_"), one.of(name)) for name in LATENCY]
        times = [
            f"{name} {times_text(ratio.ratio)}{EXPLORATORY * ratio.exploratory}"
            for name, ratio in latencies
            if ratio is not None
        ]
        if times:
            parts.append(f"multiplies the latency of a client's requests by {listed(times)}")
        said, base = SCENARIOS[one.scenario].said, SCENARIOS[one.base].said
        yield (
            f"{one.label}: {said} {' and '.join(parts)}, against {base} ({_sure(one)}){'; '.join(['', *_why(one)])}."
        )


def _sure(one: Overhead) -> str:
    """Return how many blocks the ratios of a sentence are of, and whether they have intervals."""
    counts = [ratio.blocks for ratio in one.ratios]
    if max(counts) < FEWEST_PAIRS:
        return f"{spans(counts, 'block')}, no interval"
    return f"{spans(counts, 'block')}, 95 % intervals" + (" from three on" if min(counts) < FEWEST_PAIRS else "")


def _why(one: Overhead) -> Iterator[str]:
    """Yield what the pauses explain, and what a reader could take the ratios for and they are not."""
    known, throughput = one.explained, one.throughput
    if throughput is not None and throughput.outcome == _ASKED_AT_A_RATE and one.asked_per_s:
        were = "was" if one.asked_per_s == 1 else "were"
        yield f"{one.asked_per_s:g} a second {were} asked for, and no more can be answered"
    if math.isfinite(known.of_throughput):
        share, lost = percent_text(known.paused), percent_text(known.lost)
        yield f"{share} of the time is paused, {lost} of the throughput lost"
    if math.isfinite(known.of_latency):
        ms = [figures_text(1e3 * value) for value in (known.in_pauses_s, known.added_s)]
        if known.of_latency <= 1:
            yield f"of {ms[1]} ms that a mean request takes longer, {ms[0]} ms lie in pauses"
        else:
            yield f"a mean request takes {ms[1]} ms longer, and {ms[0]} ms of its life lie in pauses"
    if known.unanswered > known.base_unanswered:
        shares = [short_percent(share, 2) for share in (known.unanswered, known.base_unanswered)]
        base = SCENARIOS[one.base].said
        yield f"{shares[0]} of its requests got no good answer ({base} {shares[1]}), and are in no latency"
    yield from _one_sided(one)
    if any(ratio.exploratory for ratio in one.ratios):
        yield f"{EXPLORATORY} exploratory: a run has too few requests for it"


def one_sided(found: Sequence[Overhead]) -> Iterator[str]:
    """Yield a sentence for what is in no ratio though both ran, as a caption has to: the worst blocks may be these."""
    return (f"{one.label}, {one.compared}: {said}." for one in found for said in _one_sided(one))


def _one_sided(one: Overhead) -> Iterator[str]:
    for ratio in one.ratios:
        if ratio.one_sided:
            both = ratio.blocks + ratio.one_sided
            words = OUTCOMES[ratio.outcome].words
            yield f"in {ratio.one_sided} of {both} blocks one of the two has none of {words}: in no ratio"
