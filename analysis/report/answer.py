"""What the page says first: the verdicts in sentences, what RAM does by itself, what a dirty page costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.derived.sentences import percent_change
from analysis.report.page import Cell, Column, Table, number, text
from analysis.text import MISSING, accel_text, ms_text, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.derived.finding import Effect, Finding
    from analysis.derived.results import Results

_WORDS = {"SUPPORTED": "yes", "REFUTED": "no", "INCONCLUSIVE": "open"}


def context(results: Results) -> dict[str, Any]:
    """Return what the template needs to answer first."""
    return {
        "verdicts": [_verdict(finding) for finding in results.findings],
        "levels": _levels_table(results.findings),
        "splits": _splits_table(results),
        "split_heading": _split_heading(results),
        "pages": _pages_table(results),
        "devices": _devices_table(results),
    }


def headline(results: Results) -> str:
    """Say in one line what came out, or how long a checkpoint paused the VM where nothing was to be decided."""
    primary = [finding for finding in results.findings if finding.hypothesis.family == "primary"]
    if not primary:
        low, high = (ms_text(1e3 * float(results.per_cell["pause"].agg(which))) for which in ("min", "max"))
        if low == high:
            return f"A checkpoint paused the VM for {low} ms"
        return f"A checkpoint paused the VM for {low} to {high} ms, depending on the cell"
    counts = {word: sum(finding.word == word for finding in primary) for word in _WORDS}
    said = [f"{count} {word.lower()}" for word, count in counts.items() if count]
    of = f"{len(primary)} primary {'hypothesis' if len(primary) == 1 else 'hypotheses'}"
    return f"Of {of} {', '.join(said[:-1])}{' and ' if len(said) > 1 else ''}{said[-1]}"


def accel_warning(accels: Sequence[str]) -> tuple[str, str]:
    """Return a title and a sentence on how the pairs ran, so that nobody takes an emulated pause for one under KVM."""
    title = f"Every pair ran under {accel_text(accels)}"
    emulated = (
        "An emulated pause is a real pause of an emulated pair. Signs, ratios between cells and mechanisms can be "
        "studied with it; do not quote its times as those of KVM."
    )
    if len(accels) > 1:
        return f"Some pairs ran under KVM, some under {accel_text(['tcg'])}", emulated + " The table says which."
    if "tcg" in accels:
        return title, emulated
    return title, "The virtual CPUs ran on the host's own; times are those of this host."


def _verdict(finding: Finding) -> dict[str, Any]:
    hypothesis = finding.hypothesis
    detail = [f"R = {plural(finding.runs, 'run')}"]
    if finding.strata:
        detail.append(f"{finding.strata} strata (block and other factors)")
    if hypothesis.kind != "value" and not math.isnan(finding.effect.estimate):
        detail.append(f"90 % interval; smallest effect of interest {100 * finding.sesoi:.1f} %")
    if not math.isnan(finding.pvalue):
        adjusted = f", p {_p(finding.adjusted)} after Holm" if finding.adjusted != finding.pvalue else ""
        detail.append(f"p {_p(finding.pvalue)}{adjusted}")
    detail += [f"{finding.excluded} left out by their quality check"] if finding.excluded else []
    detail += [f"{finding.failed} failed"] if finding.failed else []
    return {
        "id": hypothesis.id,
        "claim": hypothesis.claim,
        "word": finding.word,
        "class": _WORDS[finding.word],
        "sentence": finding.sentence,
        "family": hypothesis.family,
        "exploratory": finding.exploratory,
        "detail": "; ".join([*detail, *finding.notes]),
    }


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"= {value:.2g}"  # noqa: PLR2004 - nobody needs more zeros


def _levels_table(findings: Sequence[Finding]) -> Table | None:
    rows = [
        (
            text(finding.hypothesis.id),
            text(level.level),
            number(level.effect.estimate, percent_change(level.effect)),
            text(f"{level.word} ({level.label})"),
            number(level.runs, str(level.runs)),
            number(finding.interaction_pvalue, _p(finding.interaction_pvalue)),
        )
        for finding in findings
        for level in finding.levels
        if not math.isnan(finding.interaction_pvalue)
    ]
    columns = (
        *(Column("Hypothesis"), Column("Level of the other factors"), Column("Effect [90 % CI]", numeric=True)),
        *(Column("Verdict there, unadjusted"), Column("Runs", numeric=True)),
        Column("p of equal effects", numeric=True),
    )
    return Table("Effects by level of the other factors", columns, tuple(rows)) if rows else None


def _splits_table(results: Results) -> Table | None:
    rows = [
        (
            text(split.where),
            _interval(split.total),
            _interval(split.direct),
            _interval(split.explained),
            number(split.blocks, str(split.blocks)),
        )
        for split in results.effects.splits
    ]
    columns = (
        Column("Where"),
        Column("Total: dirty set grows with RAM, ms per GiB", numeric=True),
        Column("Direct: same dirty set, ms per GiB", numeric=True),
        Column("Explained by dirty pages, ms per GiB", numeric=True),
        Column("Blocks", numeric=True),
    )
    return Table("RAM by itself and through its dirty pages", columns, tuple(rows)) if rows else None


def _split_heading(results: Results) -> str:
    splits = [split for split in results.effects.splits if split.total.estimate > 0]
    if not splits:
        return "RAM by itself and through its dirty pages"
    shares = [split.explained.estimate / split.total.estimate for split in splits]
    low, high = (f"{100 * min(max(share, 0.0), 1.0):.0f}" for share in (min(shares), max(shares)))
    span = low if low == high else f"{low} to {high}"
    return f"Dirty pages explain {span} % of what a larger RAM adds to the pause"


def _pages_table(results: Results) -> Table | None:
    rows = [
        (
            text(page.where),
            _interval(page.across),
            _interval(page.within),
            number(page.bound, MISSING if math.isnan(page.bound) else f"{page.bound:.2f}"),
            number(page.runs, str(page.runs)),
        )
        for page in results.effects.pages
    ]
    columns = (
        Column("Where"),
        Column("Between runs [95 % CI], µs per page", numeric=True),
        Column("Within runs [95 % CI], µs per page", numeric=True),
        Column("Transport alone, µs per page", numeric=True),
        Column("Runs", numeric=True),
    )
    return Table("What one more dirty page adds to the pause", columns, tuple(rows)) if rows else None


def _devices_table(results: Results) -> Table | None:
    rows = [
        (
            number(device.smp, str(device.smp)),
            number(device.bytes_median, f"{device.bytes_median:,.0f}"),
            number(device.checkpoints, str(device.checkpoints)),
        )
        for device in results.effects.devices
    ]
    columns = (
        Column("vCPUs", numeric=True),
        Column("Bytes sent without any dirty page, median", numeric=True),
        Column("Checkpoints", numeric=True),
    )
    return Table("Device state, as the network saw it", columns, tuple(rows)) if rows else None


def _interval(effect: Effect) -> Cell:
    if math.isnan(effect.estimate):
        return number(effect.estimate, MISSING)
    middle = _signed(effect.estimate)
    if math.isnan(effect.low):
        return number(effect.estimate, f"{middle} (no interval)")
    return number(effect.estimate, f"{middle} [{_signed(effect.low)}, {_signed(effect.high)}]")


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")
