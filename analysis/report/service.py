"""What a service feels and what a pair costs: against the same machine without COLO, by cause, by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.report.latex import Column as TexColumn
from analysis.report.latex import escape, tabular
from analysis.report.page import Cell, Column, Table, number, numbers, text
from analysis.runs.costs import GROUPS, cost_table
from analysis.text import EXPLORATORY, MISSING, count_text, figures_text, percent_number, percent_text, tenths_text
from analysis.verdicts.digits import csv
from analysis.verdicts.overhead import LATENCY, left_out
from analysis.verdicts.overhead_words import one_sided, sentences, times_text

if TYPE_CHECKING:
    from analysis.stored.campaign import Campaign
    from analysis.verdicts.overhead import Overhead, Ratio
    from analysis.verdicts.results import Results

_MS = 1e3


def context(results: Results) -> dict[str, Any]:
    """Return what the page says of it; no table where no machine was measured with and without COLO."""
    found = results.overheads
    return {
        "overhead_lines": [*sentences(found), *filter(None, [left_out(results.campaign)])],
        "overhead": overhead_table(found) if found else None,
        "causes": causes_table(results),
        "costs": costs_table(results),
    }


def overhead_table(found: tuple[Overhead, ...]) -> Table:
    """Return ratios with intervals per machine and workload, and what share of them the pauses explain."""
    columns = (
        Column("Cell"),
        Column("Compared"),
        Column("Throughput", numeric=True),
        *(Column(f"{name.removeprefix('client_')} latency", numeric=True) for name in LATENCY),
        *numbers(
            "Throughput lost", "Time paused", "Paused / lost", "Mean latency added, ms", "Of it in pauses", "Blocks"
        ),
    )
    return Table("With COLO by without", columns, tuple(_row(one) for one in found))


def _row(one: Overhead) -> tuple[Cell, ...]:
    known = one.explained
    blocks = min(ratio.blocks for ratio in one.ratios)
    return (
        text(one.label),
        text(one.compared),
        _ratio(one.throughput),
        *(_ratio(one.of(name)) for name in LATENCY),
        _share(known.lost),
        _share(known.paused),
        _share(known.of_throughput),
        number(known.added_s, MISSING if math.isnan(known.added_s) else figures_text(_MS * known.added_s)),
        _part(known.of_latency),
        number(blocks, one.blocks_text),
    )


def _ratio(ratio: Ratio | None) -> Cell:
    if ratio is None:
        return number(math.nan, MISSING)
    return number(ratio.ratio.estimate, times_text(ratio.ratio) + EXPLORATORY * ratio.exploratory)


def _share(share: float) -> Cell:
    return number(share, MISSING if math.isnan(share) else percent_text(share))


def _part(share: float) -> Cell:
    """Return a part of what was added; more of a request's life may lie in pauses than it takes longer."""
    return number(share, "all that was added, and more") if share > 1 else _share(share)


def overhead_files(results: Results) -> dict[str, bytes]:
    """Return ``tables/overhead.csv`` and ``.tex``; nothing where no machine was measured with and without COLO."""
    found = results.overheads
    if not found:
        return {}
    rows = [
        {
            "cell_id": one.cell_id,
            "cell": one.label,
            "scenario": one.scenario,
            "base": one.base,
            **ratio.row(),
            **one.explained.row(),
        }
        for one in found
        for ratio in one.ratios
    ]
    tex = _tex(found, results.campaign)
    return {"tables/overhead.csv": csv(pd.DataFrame(rows)), "tables/overhead.tex": tex.encode("ascii")}


def _tex(found: tuple[Overhead, ...], campaign: Campaign) -> str:
    columns = (
        TexColumn("cell", align="p{4cm}"),
        TexColumn("compared", align="l"),
        TexColumn("throughput"),
        *(TexColumn(name.removeprefix("client_")) for name in LATENCY),
        TexColumn("lost", "%"),
        TexColumn("paused", "%"),
        TexColumn("R"),
    )
    rows = [
        (
            one.label,
            one.compared,
            *(_tex_ratio(ratio) for ratio in (one.throughput, *(one.of(name) for name in LATENCY))),
            *(
                MISSING if math.isnan(share) else percent_number(share, 1)
                for share in (one.explained.lost, one.explained.paused)
            ),
            one.blocks_text,
        )
        for one in found
    ]
    remarks = (
        "Caption: Throughput and latency by those of the same machine without COLO, in the same block.",
        "Geometric mean over R blocks with its 95 % interval (Student's t of the logs); none below three.",
        "A dagger: runs too short for this quantile, exploratory.",
        *map(escape, filter(None, (*one_sided(found), left_out(campaign)))),
    )
    return tabular(columns, rows, remarks)


def _tex_ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return MISSING
    return f"{EXPLORATORY if ratio.exploratory else ''}{times_text(ratio.ratio)}"


def causes_table(results: Results) -> Table | None:
    """Return why checkpoints began and what became of packets; None where all were asked for, and no packet traced."""
    found = results.causes
    if found.empty:
        return None
    others = (found[["timer_per_s", "mismatch_per_s"]].to_numpy() > 0).any()
    if not others and found["compared_per_s"].isna().all():
        return None
    columns = (
        Column("Cell"),
        Column("Network card"),
        *(Column(f"{name}, per min", numeric=True) for name in ("Asked for", "Timer", "Mismatch")),
        *(Column(f"of these {name}", numeric=True) for name in ("old packet", "seen to differ", "by exclusion")),
        *(Column(f"Packets {name}, per s", numeric=True) for name in ("compared", "released", "held", "dropped")),
        *numbers("Held, median (longest), ms", "Runs"),
    )
    return Table("Checkpoints by cause, packets compared", columns, tuple(map(_cause_row, found.to_dict("records"))))


def _cause_row(row: dict[str, Any]) -> tuple[Cell, ...]:
    mismatch = _figures(60 * row["mismatch_per_s"])
    if not math.isnan(row["mismatch_low"]):
        low, high = (figures_text(60 * max(row[end], 0.0)) for end in ("mismatch_low", "mismatch_high"))
        mismatch = number(60 * row["mismatch_per_s"], f"{mismatch.shown} [{low}, {high}]")
    held = row["hold_median_s"]
    hold = MISSING if math.isnan(held) else f"{figures_text(_MS * held)} ({figures_text(_MS * row['hold_max_s'])})"
    return (
        text(row["cell"]),
        text(row["nic"] or MISSING),
        *(_figures(60 * row[f"{name}_per_s"]) for name in ("demand", "timer")),
        mismatch,
        *(_figures(60 * row[f"{name}_per_s"]) for name in ("old_packet", "different", "unseen")),
        *(_figures(row[f"{name}_per_s"]) for name in ("compared", "released", "held", "dropped")),
        number(held, hold),
        number(row["runs"], str(row["runs"])),
    )


def costs_table(results: Results) -> Table | None:
    """Return what each side of a cell cost its host; None where no run has it on record."""
    found = cost_table(results.campaign)
    if found.empty:
        return None
    columns = (
        *(Column("Cell"), Column("Side")),
        Column("CPUs", numeric=True),
        *(Column(f"of these {name}", numeric=True) for name in ("vCPUs", "main loop", "iothreads", "others")),
        *numbers("Memory, MiB", "at most, MiB"),
        *(Column(f"{name}, MB/s", numeric=True) for name in ("Sent", "Received", "Migration")),
        *(
            Column(name, numeric=True)
            for name in ("Steal", "Waited for a CPU", "Waited for memory", "Waited for a disk")
        ),
        Column("Runs", numeric=True),
    )
    return Table("What a pair costs its hosts", columns, tuple(map(_cost_row, found.to_dict("records"))))


def _cost_row(row: dict[str, Any]) -> tuple[Cell, ...]:
    pressures = (f"{what}_pressure_share" for what in ("cpu", "memory", "io"))
    return (
        text(row["cell"]),
        text(row["side"]),
        _figures(row["cpus"]),
        *(_figures(row[f"{group}_cpus"]) for group in GROUPS),
        *(number(row[name], count_text(row[name] / (1 << 20))) for name in ("rss_bytes", "peak_rss_bytes")),
        *(_figures(row[f"{name}_bytes_per_s"] / 1e6) for name in ("sent", "received", "migration")),
        *(number(row[name], tenths_text(row[name])) for name in ("steal_share", *pressures)),
        number(row["runs"], str(row["runs"])),
    )


def _figures(value: float) -> Cell:
    return number(value, MISSING if math.isnan(value) else figures_text(value) if value else "0")


def service_files(results: Results) -> dict[str, bytes]:
    """Return ``tables/overhead.csv`` and ``.tex``, ``triggers.csv`` and ``costs.csv``: those that hold rows."""
    made = {"triggers": results.causes, "costs": cost_table(results.campaign)}
    tables = {f"tables/{name}.csv": csv(table) for name, table in made.items() if not table.empty}
    return overhead_files(results) | tables
