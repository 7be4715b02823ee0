"""What COLO would cost a machine that was not measured: from what a page and a checkpoint cost in a campaign.

A checkpoint of ``D`` dirty pages in a guest of ``G`` GiB pauses it for ``entry + page * D + ram * G`` seconds: a plane
through run means, with its t interval for a new run. Runs with longer pauses vary more: by which power of the pause, of
:data:`_POWERS`, the runs themselves tell (the likeliest), and the plane weighs them by it. QEMU's timer counts from one
checkpoint to the next (``colo_checkpoint_notify`` in ``migration/colo.c``), and a paused guest dirties nothing, so that
at an interval ``T`` the pages of ``T - pause`` seconds have to be sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as t_distribution

from analysis.errors import AnalysisError
from analysis.format.factors import size_text
from analysis.format.hosts import KVM_TEXT
from analysis.runs.counting import counting
from analysis.text import count_text, short_text
from analysis.verdicts.effects import GIB, PAGE_BYTES, PAGES_APART, beside
from analysis.verdicts.question import column, known_level
from analysis.verdicts.sentences import level_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PAGE = 4096
FARTHEST_PAGES, FARTHEST_RAM = 1.5, 8.0
"""How many times the largest measured value a plane is followed: RAM by itself costs little, pages are the cost."""

_FEWEST_RUNS = 6
_CONFIDENCE = 0.95

_POWERS = (0.0, 0.5, 1.0)
"""Of the pause, that runs may vary by: alike at every pause, like counts, in proportion to it."""
_SHORTEST_S = 1e-6
"""No plane is followed to shorter pauses when runs are weighed: traces count microseconds."""


class NotCarriedError(AnalysisError):
    """The campaign cannot answer for this machine; the message says what it lacks."""

    fix = "measure machines like the one that is asked about, and give that campaign with --from"


@dataclass(frozen=True)
class Wanted:
    """The machine in question: bytes, bytes per second that its guest dirties, bits per second, seconds."""

    ram_bytes: int
    dirty_bytes_per_s: float
    link_bits_per_s: float
    interval_s: float


@dataclass(frozen=True)
class Costs:
    """The plane through a campaign's runs, and how far it was measured.

    Attributes:
        under: what its pairs ran under, in words: which KVM, too.
        entry_s: the pause of a checkpoint without dirty pages, at no RAM; ``page_s``: per page; ``ram_s``: per GiB.
        covariance: (3, 3) of the three; ``residual_s``: how far a run's mean lies from the plane where the pause is
            ``middle_s``, from where on it goes with the pause to the power of ``power``; ``df``: of it.
        pages: the fewest and the most dirty pages of a run's mean; ``ram_bytes``: likewise.
        transport_bytes_per_s: what the campaign's link carries.
        where: at which levels of whatever else varies in the campaign, RAM apart; empty where nothing does.
    """

    campaign: str
    accel: str
    under: str
    transport: str
    entry_s: float
    page_s: float
    ram_s: float
    covariance: Floats
    residual_s: float
    middle_s: float
    power: float
    df: int
    runs: int
    pages: tuple[float, float]
    ram_bytes: tuple[int, int]
    transport_bytes_per_s: float
    where: str = ""

    def pause(self, pages: float, ram_bytes: float) -> tuple[float, float, float]:
        """Return the mean pause of a new run in seconds, with the ends of its 95 % interval."""
        at = np.array([1.0, pages, ram_bytes / GIB])
        middle = float(at @ np.array([self.entry_s, self.page_s, self.ram_s]))
        deviation = self.residual_s * (max(middle, 0.0) / self.middle_s) ** self.power
        error = math.sqrt(float(at @ self.covariance @ at) + deviation**2)
        half = error * float(t_distribution.ppf((1 + _CONFIDENCE) / 2, self.df))
        return middle, max(middle - half, 0.0), middle + half


@dataclass(frozen=True)
class Sizing:
    """The answer.

    Attributes:
        pause_s: expected, with the ends of its interval ``low_s`` and ``high_s``.
        pages: dirty pages per checkpoint.
        paused_share: of the time; ``link_share``: of the link's capacity.
        secondary_bytes: memory that the secondary needs: its RAM, and as much again as a cache.
        shortest_s: the interval at which the guest would be paused all the time.
        half_s: the interval at which it would be paused half of it; None where none up to ``all_s`` does.
        least_share: the share of time paused that no interval up to ``all_s`` goes below.
            Neither is known, nor ``shortest_s`` (NaN), where an empty checkpoint would take no time.
        all_s: the interval in which the guest would dirty all of its RAM; a longer one has no more pages.
        words: what this rests on and reaches beyond, one sentence each.
    """

    wanted: Wanted
    costs: Costs
    pause_s: float
    low_s: float
    high_s: float
    pages: float
    paused_share: float
    link_share: float
    secondary_bytes: int
    shortest_s: float
    half_s: float | None
    least_share: float
    all_s: float
    words: tuple[str, ...]


def costs(runs: pd.DataFrame) -> Costs:
    """Return what a page and a checkpoint cost, over the transport with most runs whose page counts tell.

    Where more than that varies (vCPUs, the workload, a binary, what uses the host's caches), at those levels of it that
    have most runs: what it costs by itself must not pass for what pages do.

    Args:
        runs: :func:`analysis.runs.outcomes.run_table`.

    Raises:
        NotCarriedError: too few runs, or runs whose page counts hardly differ.
    """
    good = runs[counting(runs) & runs["dirty_pages"].notna()]
    apart = (name for name in ("smp", "workload.name") if len(set(column(good, name))) > 1)
    others = (*apart, *beside(good))
    found: list[Costs] = []
    alike: list[NotCarriedError] = []
    for (_, _, *levels), rows in good.groupby(["under", "link.transport", *others], sort=True, dropna=False):
        if len(rows) < _FEWEST_RUNS or rows["dirty_pages"].max() < PAGES_APART * max(rows["dirty_pages"].min(), 1):
            continue
        where = level_words(others, tuple(map(known_level, levels))) if others else ""
        try:
            found.append(replace(_plane(rows), where=where))
        except NotCarriedError as error:  # others may tell what these do not
            alike.append(error)
    if found:
        return max(found, key=lambda one: one.runs)
    if alike:
        raise alike[0]
    raise NotCarriedError(
        f"this campaign cannot tell what a page costs: that takes {_FEWEST_RUNS} runs that passed their check, differ "
        f"in nothing but RAM and what makes pages, and have dirty pages that differ by a factor of {PAGES_APART:g}, "
        "such as workload.working_set=16M,128M"
    )


def _plane(rows: pd.DataFrame) -> Costs:
    pages, ram = (rows[name].to_numpy(dtype=np.float64) for name in ("dirty_pages", "mem"))
    pause = rows["pause_mean"].to_numpy(dtype=np.float64)
    # One size of RAM tells nothing of what RAM costs: its column would be the first one again.
    columns = [np.ones(len(rows)), pages, ram / GIB if np.ptp(ram) else np.zeros(len(rows))]
    design = np.column_stack(columns)
    # Pages are thousands and GiB a few: unscaled, what RAM costs is lost in the rounding of what pages do.
    scales = np.maximum(np.abs(design).max(axis=0), 1.0)
    scaled = design / scales
    rank = int(np.linalg.matrix_rank(scaled))
    if rank < len(columns) - (not np.ptp(ram)):
        raise NotCarriedError(
            f"in {rows['campaign'].iloc[0]} dirty pages grow with RAM and nothing else, so that nothing tells what "
            "either costs: measure another workload.working_set beside"
        )
    df = len(rows) - rank - 1  # the power is found out, too
    alike, _, _ = _weighed(scaled, pause, np.ones(len(rows)), df)
    fitted = np.maximum(scaled @ alike, max(float(pause.min()), _SHORTEST_S))
    middle = float(np.exp(np.log(fitted).mean()))
    # Weights whose product is 1: the likeliest power is that with the least variance.
    tried = {power: _weighed(scaled, pause, (fitted / middle) ** -power, df) for power in _POWERS}
    power = min(_POWERS, key=lambda one: tried[one][1])
    found, variance, inverse = tried[power]
    found, inverse = found / scales, inverse / np.outer(scales, scales)
    first = rows.iloc[0]
    return Costs(
        campaign=str(first["campaign"]),
        accel=str(first["accel"]),
        under=str(first["under"]),
        transport=str(first["link.transport"]),
        entry_s=float(found[0]),
        page_s=float(found[1]),
        ram_s=float(found[2]),
        covariance=variance * inverse,
        residual_s=math.sqrt(variance),
        middle_s=middle,
        power=power,
        df=df,
        runs=len(rows),
        pages=(float(pages.min()), float(pages.max())),
        ram_bytes=(int(ram.min()), int(ram.max())),
        transport_bytes_per_s=float(rows["transport_bytes_per_s"].median()),
    )


def _weighed(design: Floats, pause: Floats, weights: Floats, df: int) -> tuple[Floats, float, Floats]:
    """Return what each column costs by weighted least squares, the variance of a run of weight 1, and the inverse."""
    own = design * weights[:, None]
    inverse = np.asarray(np.linalg.pinv(own.T @ own), dtype=np.float64)
    found = inverse @ own.T @ (pause * weights)
    return found, float(((pause * weights - own @ found) ** 2).sum()) / df, inverse


def sizing(known: Costs, wanted: Wanted) -> Sizing:
    """Return what COLO would cost a machine.

    Raises:
        NotCarriedError: the machine lies too far outside of what was measured, or a page costs nothing that is seen.
    """
    if known.page_s <= 0:
        raise NotCarriedError(f"{known.campaign}: a page costs nothing that its runs can tell, so nothing can be said")
    if wanted.ram_bytes > FARTHEST_RAM * known.ram_bytes[1]:
        raise NotCarriedError(
            f"{size_text(wanted.ram_bytes)} is more than {FARTHEST_RAM:g} times the largest guest of {known.campaign} "
            f"({size_text(known.ram_bytes[1])}): measure a larger one, and give that campaign with --from"
        )
    measured_s = 0.0 if math.isnan(known.transport_bytes_per_s) else 1 / known.transport_bytes_per_s
    slower = max(PAGE_BYTES * (8 / wanted.link_bits_per_s - measured_s), 0.0)
    entry = max(known.pause(0, wanted.ram_bytes)[0], 0.0)
    per_page = known.page_s + slower
    per_s = wanted.dirty_bytes_per_s / PAGE
    pages = min(per_s * max(wanted.interval_s - entry, 0) / (1 + per_page * per_s), wanted.ram_bytes / PAGE)
    if pages > FARTHEST_PAGES * known.pages[1]:
        raise NotCarriedError(
            f"{count_text(pages)} dirty pages per checkpoint are more than {FARTHEST_PAGES:g} times the most that "
            f"{known.campaign} measured ({count_text(known.pages[1])}): measure a larger workload.working_set, or ask "
            "for a shorter interval"
        )
    pause, low, high = (one + slower * pages for one in known.pause(pages, wanted.ram_bytes))
    if pause <= 0:
        raise NotCarriedError(
            f"{known.campaign} cannot be followed to {size_text(wanted.ram_bytes)}: a checkpoint would take less than "
            "no time there; measure guests of that size, and give that campaign with --from"
        )
    period = max(wanted.interval_s, pause)
    ratio, every = per_page * per_s, wanted.ram_bytes / PAGE
    all_s = entry + every * (1 + ratio) / per_s if per_s else math.inf
    half_s = 2 * entry / (1 - ratio) if ratio < 1 else math.inf
    if half_s > all_s:
        half_s = 2 * (entry + per_page * every)
    at_half = min(per_s * half_s / 2, every) if ratio < 1 else every
    return Sizing(
        wanted=wanted,
        costs=known,
        pause_s=pause,
        low_s=low,
        high_s=high,
        pages=pages,
        paused_share=pause / period,
        link_share=8 * PAGE_BYTES * pages / period / wanted.link_bits_per_s,
        secondary_bytes=2 * wanted.ram_bytes,
        shortest_s=entry or math.nan,
        half_s=half_s if ratio < 1 and entry else None,
        least_share=ratio / (1 + ratio) if entry else math.nan,
        all_s=all_s,
        words=tuple(_words(known, wanted, pages, at_half, slower)),
    )


def _words(known: Costs, wanted: Wanted, pages: float, at_half: float, slower: float) -> Iterator[str]:
    software = known.under == KVM_TEXT["software"]
    yield (
        f"from {known.runs} runs of {known.campaign} over {known.transport} under {known.under}"
        + (f", of those with {known.where}" if known.where else "")
        + ("; milliseconds of an emulated pair are not those of KVM" if known.accel == "tcg" else "")
        + ("; its guest code is emulated: milliseconds are not those of a server's KVM" if software else "")
    )
    low, high = known.ram_bytes
    if low == high:
        yield f"every run had {size_text(low)}: what RAM costs by itself was not measured, and is taken as nothing"
    elif not low <= wanted.ram_bytes <= high:
        yield (
            f"RAM is extrapolated: {size_text(wanted.ram_bytes)} from {size_text(low)} to {size_text(high)}, which the "
            "interval allows for"
        )
    if not known.pages[0] <= pages <= known.pages[1]:
        yield (
            f"dirty pages are extrapolated: {count_text(pages)} from {count_text(known.pages[0])} to "
            f"{count_text(known.pages[1])}"
        )
    if at_half > known.pages[1]:
        yield (
            "what it takes to be paused less than half of the time is extrapolated: a checkpoint would have "
            f"{count_text(at_half)} dirty pages, and the most measured are {count_text(known.pages[1])}"
        )
    rate = 8e-9 * known.transport_bytes_per_s
    if slower:
        measured = f"slower than the {short_text(rate)} Gbit/s measured"
        than = "what was measured is not known" if math.isnan(rate) else measured
        yield (
            f"the link is {short_text(1e-9 * wanted.link_bits_per_s)} Gbit/s, {than}: "
            f"{short_text(1e6 * slower)} \N{MICRO SIGN}s per page are added for it, computed and not measured"
        )
    elif wanted.link_bits_per_s > 8 * known.transport_bytes_per_s:
        saved = "what a faster link saves is not taken off"
        yield f"a page costs what it did over the {short_text(rate)} Gbit/s measured: {saved}"
    yield "the guest is taken to dirty new pages at this rate while it runs; one with a small working set dirties fewer"
