"""What the page says first: the verdicts in sentences, what RAM does by itself, what a dirty page costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis.format.hosts import KVM_TEXT
from analysis.format.outcomes import OUTCOMES
from analysis.plots.words import without_accel
from analysis.report import words
from analysis.report.failovers import loss
from analysis.report.first import first_screen
from analysis.report.page import Cell, Column, Table, number, numbers, text
from analysis.runs.counting import counting, left_out_text
from analysis.text import EXPLORATORY, MISSING, figures_text, listed, ms_text, plural, strata_text
from analysis.verdicts.looks import looked_at
from analysis.verdicts.question import question
from analysis.verdicts.sentences import badge, percent_change, size_of, smallest_text, why_exploratory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analysis.verdicts.claims import Effect
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.results import Results

_MOST_IN_HEADING = 2
_WITH_STALLS = frozenset(("pause_s", "total_s", "load_s"))
"""Of checkpoints, what waits for the secondary's answer to its load, which is where a delayed acknowledgement falls."""

_WORDS = {"SUPPORTED": "yes", "REFUTED": "no", "INCONCLUSIVE": "open"}


def context(results: Results) -> dict[str, Any]:
    """Return what the template needs to answer first."""
    return {
        "first": first_screen(results),
        "verdicts": [_verdict(finding, results) for finding in results.findings],
        "legend": words.legend(results.findings),
        "all_declared": words.all_declared(results.findings),
        "compares": any(finding.hypothesis.kind != "value" for finding in results.findings),
        "levels": _levels_table(results.findings),
        "splits": _splits_table(results),
        "split_heading": _split_heading(results),
        "pages": _pages_table(results),
        "pages_heading": _pages_heading(results),
        "devices": _devices_table(results),
    }


def headline(results: Results) -> str:
    """Say in one line what came out: the primary hypotheses that come first; the pause where none was asked.

    What was acknowledged and lost at a failover comes before all.
    """
    lost = loss(results.campaign)
    return f"{lost}; {_answer(results)}" if lost else _answer(results)


def _answer(results: Results) -> str:
    primary = [finding for finding in results.findings if finding.hypothesis.family == "primary"]
    if not primary:
        low, high = (ms_text(1e3 * float(results.per_cell["pause"].agg(which))) for which in ("min", "max"))
        if low == high:
            return f"The median pause is {low} ms"
        return f"The median pauses of {plural(len(results.per_cell), 'cell')} lie between {low} and {high} ms"
    if all(finding.word == "INCONCLUSIVE" for finding in primary):
        decided = any(finding.word != "INCONCLUSIVE" for finding in results.findings)
        return f"{'No primary hypothesis' if decided else 'Nothing'} could be decided: {tally(primary)}"
    return "; ".join(_said(finding) for finding in sorted(primary, key=_asked_first)[:_MOST_IN_HEADING])


def _asked_first(finding: Finding) -> tuple[bool, bool, bool]:
    """Return the place of a hypothesis in the headline: RAM at equal dirty pages, RAM as it comes, what was decided."""
    hypothesis = finding.hypothesis
    ram = hypothesis.factor == "mem" and hypothesis.kind == "trend"
    fixed = hypothesis.where.get("workload.scaling") == ("fixed",)
    return not ram, not fixed, finding.word == "INCONCLUSIVE"


def _said(finding: Finding) -> str:
    claim = finding.hypothesis.claim.strip().removesuffix(".")
    mark = "exploratory, " if finding.exploratory else ""
    return f"{mark}{badge(finding.word, finding.label)}: {claim}: {_size(finding)}"


def _size(finding: Finding) -> str:
    if math.isnan(finding.effect.estimate):
        return finding.label
    per = " per doubling" if finding.hypothesis.kind == "trend" else ""
    return words.effect_text(finding.hypothesis, finding.effect, finding.sesoi) + per


def tally(findings: Sequence[Finding]) -> str:
    """Return how many of the primary hypotheses got which word, in a sentence; empty without any."""
    primary = [finding for finding in findings if finding.hypothesis.family == "primary"]
    if not primary:
        return ""
    late = sum(finding.exploratory for finding in primary)
    mark = "exploratory " if late == len(primary) else ""
    some = f", {late} of them exploratory," if 0 < late < len(primary) else ""
    of = f"{len(primary)} {mark}primary {'hypothesis' if len(primary) == 1 else 'hypotheses'}{some}"
    counts = {word: sum(finding.word == word for finding in primary) for word in _WORDS}
    said = [f"{count} {'is' if count == 1 else 'are'} {word.lower()}" for word, count in counts.items() if count]
    return f"of {of} {listed(said)}"


def accel_warning(accels: Sequence[str], under: str, *, by_cell: bool = True) -> tuple[str, str]:
    """Return a title and a sentence on how the pairs ran, so that nobody takes an emulated pause for one under KVM.

    Args:
        accels: in use.
        under: what the pairs ran under, in words.
        by_cell: whether all runs of a cell ran under the same; of hosts that differ they need not.
    """
    which = "The table says which." if by_cell else "The table says which cells ran under several, run.json which runs."
    kinds = under.split(" and ")
    title = f"Some pairs ran under {', some under '.join(kinds)}" if kinds[1:] else f"Every pair ran under {under}"
    emulated = (
        "An emulated pause is a real pause of an emulated pair. Signs, ratios between cells and mechanisms can be "
        "studied with it; do not quote its times as those of KVM."
    )
    without_hardware = (
        "Its ioctls, its dirty log and its devices are the real ones, but guest code is emulated, and there are no "
        "hardware page tables or exits: do not quote these times as those of a server's KVM."
    )
    nested = (
        "The host is a virtual machine itself, and exits pass through the hypervisor below it: do not quote these "
        "times as those of a server's KVM."
    )
    cautions = {KVM_TEXT["software"]: without_hardware, KVM_TEXT["nested"]: nested}
    said = [emulated] if "tcg" in accels else []
    said += [which] if kinds[1:] else []
    said += [f"{kind}: {caution}" if kinds[1:] else caution for kind, caution in cautions.items() if kind in kinds]
    if said:
        return title, " ".join(said)
    return title, "The virtual CPUs ran on the host's own; times are those of the hardware described below."


def _cause(finding: Finding, results: Results) -> str:
    """Return what makes TCP slow here, for whoever asks about transports: it is no latency of a network.

    Of pages, bytes or another phase no stall is a part.
    """
    hypothesis = finding.hypothesis
    if hypothesis.factor != "link.transport" or "tcp" not in hypothesis.levels:
        return ""
    if OUTCOMES[hypothesis.outcome].column not in _WITH_STALLS or math.isnan(finding.effect.estimate):
        return ""
    own = question(*looked_at(results.campaign, results.runs), hypothesis).runs
    over_tcp = own[own["link.transport"] == "tcp"]
    always = int(over_tcp["always_stalled"].sum())
    if not always:
        return ""
    return (
        f" In {always} of {plural(len(over_tcp), 'run')} over TCP every checkpoint waits about 40 ms for a delayed "
        "acknowledgement of a small write, which is in this effect; link=nodelay does without."
    )


def _left_out(finding: Finding, runs: pd.DataFrame) -> str:
    """Return how many runs a verdict lacks though they were measured, and why; empty where none."""
    if not finding.excluded:
        return ""
    alone = (runs["quality_ok"] & ~counting(runs, finding.hypothesis.outcome)).any()
    return f"{finding.excluded} {left_out_text(finding.excluded, alone=bool(alone))}"


def _verdict(finding: Finding, results: Results) -> dict[str, Any]:
    hypothesis = finding.hypothesis
    detail = [f"R = {plural(finding.runs, 'run')}"]
    if finding.strata:
        detail.append(f"{strata_text(finding.strata)} (block and other factors)")
    if not math.isnan(finding.effect.low):
        several = hypothesis.kind == "value" and finding.levels
        detail.append("from the lowest end of a cell's 90 % interval to the highest" if several else "90 % interval")
    detail += filter(None, [smallest_text(finding), words.pvalue_text(finding)])
    detail += filter(None, [_left_out(finding, results.runs)])
    unread = " or cannot be read" if results.campaign.unread else ""
    detail += [f"{finding.failed} failed{unread}"] if finding.failed else []
    return {
        "id": hypothesis.id,
        "claim": hypothesis.claim,
        "badge": badge(finding.word, finding.label),
        "brief": words.brief(finding),
        "label": words.named_case(finding),
        "class": _WORDS[finding.word],
        "sentence": words.answer_sentence(finding) + _cause(finding, results),
        "family": hypothesis.family,
        "exploratory": EXPLORATORY if finding.exploratory else "",
        "why_exploratory": why_exploratory(finding),
        "detail": "; ".join([*detail, *finding.notes]),
    }


def _levels_table(findings: Sequence[Finding]) -> Table | None:
    rows = [
        (
            text(finding.hypothesis.id),
            text(level.level),
            number(level.effect.estimate, percent_change(level.effect, level.sesoi)),
            number(level.sesoi, size_of(level.sesoi)),
            text(words.case(level.word, level.label)),
            number(level.runs, str(level.runs)),
            number(finding.interaction_pvalue, words.p_text(finding.interaction_pvalue)),
            text("yes" if finding.levels_differ else "no"),
        )
        for finding in findings
        for level in finding.levels
        if not math.isnan(finding.interaction_pvalue)
    ]
    columns = (
        *(Column("Hypothesis"), Column("Level of the other factors"), Column("Effect [90 % CI]", numeric=True)),
        Column("Smallest effect of interest there", numeric=True),
        *(Column("Verdict there, Holm over the levels"), Column("Runs", numeric=True)),
        *(
            Column("p, against the same effect at all levels", numeric=True),
            Column("By more than matters, and p below 5 %?"),
        ),
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
        *numbers(
            "Total: dirty set grows with RAM, ms per GiB",
            "Direct: same dirty set, ms per GiB",
            "Explained by dirty pages, ms per GiB",
            "Blocks",
        ),
    )
    return Table("RAM by itself and through its dirty pages", columns, tuple(rows)) if rows else None


def _split_heading(results: Results) -> str:
    splits = results.effects.splits
    if not splits:
        return ""
    (first, *more) = splits
    if more:  # the one that stands out among several would be no finding
        return "What RAM adds to the pause by itself, and through its dirty pages"
    if not (first.explained.low > 0 or first.explained.high < 0):
        return "What RAM adds to the pause through its dirty pages cannot be told from this campaign"
    return f"Through its dirty pages, RAM adds {_interval(first.explained).shown} ms per GiB to the pause"


def _pages_table(results: Results) -> Table | None:
    rows = [
        (
            text(page.where),
            _slope(page.across),
            _slope(page.within),
            number(page.bound, MISSING if math.isnan(page.bound) else f"{page.bound:.2f}"),
            number(page.runs, str(page.runs)),
        )
        for page in results.effects.pages
    ]
    columns = (
        Column("Where"),
        *numbers(
            "Between runs [95 % CI], µs per page",
            "Within runs [95 % CI], µs per page",
            "Transport alone, µs per page",
            "Runs",
        ),
    )
    return Table("What one more dirty page adds to the pause", columns, tuple(rows)) if rows else None


def _slope(effect: Effect) -> Cell:
    """Return a slope; one that is not there, or whose interval holds 0, is none to be read off."""
    if math.isnan(effect.estimate):
        return number(effect.estimate, "cannot be told")
    shown = _interval(effect)
    return number(effect.estimate, f"cannot be told: {shown.shown}") if effect.low <= 0 <= effect.high else shown


def _pages_heading(results: Results) -> str:
    said = [(page.across, without_accel(results.cells, page.where)) for page in results.effects.pages]
    told = [
        f"{_signed(cost.estimate)} µs [{_signed(cost.low)}, {_signed(cost.high)}] ({where})"
        for cost, where in said
        if cost.low > 0
    ]
    if told:
        return f"One more dirty page adds {listed(told)} to the pause, from run to run"
    return ""


def _devices_table(results: Results) -> Table | None:
    where = any(device.where for device in results.effects.devices)
    rows = [
        (
            *([text(device.where)] if where else []),
            number(device.smp, str(device.smp)),
            number(device.bytes_median, f"{device.bytes_median:,.0f}"),
            number(device.checkpoints, str(device.checkpoints)),
        )
        for device in results.effects.devices
    ]
    columns = (
        *([Column("Where")] if where else []),
        *numbers("vCPUs", "Bytes sent without any dirty page, median", "Checkpoints"),
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
    return figures_text(value, signed=True)
