"""Sentences that follow from the tables: the headings of the report. They describe this data and infer nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analysis.load import PAUSE_PHASES
from analysis.summary import MEAN_MS, range_coverage
from analysis.text import accel_text, ms_text, percent_text, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_NOTICEABLE_SPREAD = 1.2


def headline(per_cell: pd.DataFrame) -> str:
    """Say how long a checkpoint paused the VM."""
    low, high = (ms_text(per_cell["median_pause_ms"].agg(which)) for which in ("min", "max"))
    if low == high:
        return f"A checkpoint paused the VM for {low} ms"
    return f"A checkpoint paused the VM for {low} to {high} ms, depending on the cell"


def extremes(per_cell: pd.DataFrame) -> str:
    """Name the cells with the shortest and the longest median pause."""
    if len(per_cell) == 1:
        return f"{per_cell['cell'].iloc[0]}: median pause {ms_text(per_cell['median_pause_ms'].iloc[0])} ms"
    short, long = (per_cell.loc[per_cell["median_pause_ms"].agg(which)] for which in ("idxmin", "idxmax"))
    return (
        f"Shortest median pause: {ms_text(short['median_pause_ms'])} ms ({short['cell']}); "
        f"longest: {ms_text(long['median_pause_ms'])} ms ({long['cell']})"
    )


def spread(per_run: pd.DataFrame) -> str:
    """Say how much the pause varies within a run, by the median over runs of p90 / p10."""
    ratio = float(per_run["p90_to_p10"].median())
    if ratio < _NOTICEABLE_SPREAD:
        return f"Within a run the pause is steady: p90 is {ratio:.2f} times p10 (median of runs)"
    return f"Within a run the pause varies: p90 is {ratio:.1f} times p10 (median of runs)"


def longest_phase(per_cell: pd.DataFrame) -> str:
    """Say to which phase most of the pause goes, in how many cells."""
    columns = [MEAN_MS[phase] for phase in PAUSE_PHASES]
    counts = Counter(per_cell[columns].idxmax(axis=1))
    names = [(count, column.removeprefix("mean_").removesuffix("_ms")) for column, count in counts.most_common()]
    if len(names) == 1:
        column = next(iter(counts))
        share = per_cell[column] / per_cell["mean_pause_ms"]
        low, high = percent_text(share.min()), percent_text(share.max())
        percent = high if low == high else f"{low} to {high}"
        return f"The longest phase of the pause is {names[0][1]}: {percent} of it"
    (count, name), *others = names
    rest = ", ".join(f"in {other} it is {what}" for other, what in others)
    return f"In {count} of {len(per_cell)} cells the longest phase of the pause is {name}; {rest}"


def accel_warning(accels: Sequence[str]) -> tuple[str, str]:
    """Return a title and a sentence on how the pairs ran, so that nobody takes an emulated pause for one under KVM."""
    title = f"Every pair ran under {accel_text(accels)}"
    emulated = (
        "An emulated pause is a real pause of an emulated pair. Compare the cells of this page with one another; "
        "do not quote their times as those of KVM."
    )
    if len(accels) > 1:
        return (
            f"Some pairs ran under KVM, some under {accel_text(['tcg'])}",
            emulated + " The table says which is which.",
        )
    if "tcg" in accels:
        return title, emulated
    return title, "The virtual CPUs ran on the host's own; times are those of this host."


def interval_note(runs: Sequence[int]) -> str:
    """Say what the bracketed range of run medians is worth at this number of runs."""
    few, many = min(runs), max(runs)
    counted = plural(few, "run") if few == many else f"{few} to {plural(many, 'run')}"
    if few == 1:
        return f"{counted} per cell: with a single run there is no range, and differences between cells may be chance."
    return (
        f"{counted} per cell. The brackets hold the smallest and largest run median; a range of {plural(few, 'run')} "
        f"contains the true median run in {percent_text(range_coverage(few))} of campaigns "
        f"(from 6 runs on, {percent_text(0.95)} or more)."
    )
