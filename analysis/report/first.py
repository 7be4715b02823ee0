"""The first screen: the question in words, one sentence for each factor, what explains it, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.format.factors import flatten
from analysis.format.outcomes import NO_RATIO, NOT_WRITTEN, OUTCOMES
from analysis.format.scenarios import BASELINES
from analysis.runs.counting import counting, counts
from analysis.runs.parts import PARTS, growth, pause_parts
from analysis.stats import DELAYED_ACK_S
from analysis.stored.factors import factor_text, level_text
from analysis.text import figures_text, listed, ms_text, percent_text, plural, short_text
from analysis.verdicts.blank import why_blank
from analysis.verdicts.claims import INCONCLUSIVE, NOT_YET
from analysis.verdicts.designs import MANY_BLOCKS
from analysis.verdicts.families import not_after
from analysis.verdicts.finding import YES_OR_NO_TEXT
from analysis.verdicts.hypotheses import DISAGREE, MEAN_OPEN, NOTHING_TO_COMPARE
from analysis.verdicts.looks import level_of, looked_at
from analysis.verdicts.needed import BENT, LEVELS_DIFFER, no_matter_of_number
from analysis.verdicts.question import question
from analysis.verdicts.sentences import percent_change, where_text, why_exploratory
from analysis.verdicts.shape import A_STEP, NO_LINE
from analysis.verdicts.trend import HANGING, ON_FAILURES, UNDECIDED, WITHIN_EQUALS
from analysis.verdicts.values import NOT_EVERY_RUN, NOT_EVERYWHERE, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.runs.parts import Parts
    from analysis.verdicts.finding import Finding
    from analysis.verdicts.results import Results

_PAUSES = {"pause", "pause_mean"}
_TRANSPORT = PARTS[-1]
_WHOLE = 1.005
"""Beyond it a share is printed as more than 100 %."""

_MUCH, _MOSTLY = 0.25, 0.5
"""Share of the pause from which on waiting for the transport is said to be much of it."""

_TWICE_S = sum(DELAYED_ACK_S)
"""Twice a delayed acknowledgement: who waits longer for the transport than for each stall this may wait mostly for
something else."""

_NAMES = {"smp": "the number of vCPUs", "cpu.l3_cache": "the L3 cache", "link.transport": "the transport"}
_ASKED = {"increasing": "grow with", "decreasing": "shrink with", "none": "depend on"}
_SUBJECTS = {"mem": "More RAM", "smp": "A larger number of vCPUs"}
_SAME_PAGES = "by itself (the same pages dirtied)"
_WITH_PAGES = "together with the pages that a larger guest dirties"
_VERBS = {
    ("increasing", "SUPPORTED"): "lengthens the pause",
    ("increasing", "REFUTED"): "does not lengthen the pause by as much as matters{matters}",
    ("increasing", "INCONCLUSIVE"): "may or may not lengthen the pause",
    ("decreasing", "SUPPORTED"): "shortens the pause",
    ("decreasing", "REFUTED"): "does not shorten the pause by as much as matters{matters}",
    ("decreasing", "INCONCLUSIVE"): "may or may not shorten the pause",
    ("none", "SUPPORTED"): "makes no difference to the pause that matters{matters}",
    ("none", "REFUTED"): "makes a difference to the pause that matters{matters}",
    ("none", "INCONCLUSIVE"): "may or may not make a difference to the pause that matters{matters}",
}
_OPEN = {
    DISAGREE: "it differs between levels of another factor, and no word holds at every one",
    MEAN_OPEN: MEAN_OPEN,
    NO_LINE: "the sizes lie on no line, and a step between two of them may matter",
    A_STEP: "a step between two sizes may matter",
    **{label: f"it {label}" for label in HANGING},
    not_after("primary"): f"none is left {not_after('primary').removeprefix('not ')}",
}
"""Why there is no verdict though the runs by themselves would give one: their effect may be certain all the same."""

_MEASURED_OTHERWISE = {
    LEVELS_DIFFER: "ask at one of them (where)",
    BENT: "hold two of them against each other (kind: contrast)",
}
"""What a further campaign can do where more blocks may find again what leaves a question open."""

_OF_ONE_NUMBER = frozenset((UNDECIDED, WITHIN_EQUALS, DISAGREE, NO_LINE))
_BEYOND_BLOCKS = frozenset((NOTHING_TO_COMPARE, NOT_WRITTEN, NOT_EVERYWHERE, NOT_EVERY_RUN, NOWHERE, *ON_FAILURES))


@dataclass(frozen=True)
class FirstScreen:
    """What a person reads first; every field is whole sentences, empty where there is nothing to say.

    Attributes:
        question: what was asked.
        answers: one for each factor.
        explained: what the pause, and its growth, is made of.
        sure: how far the answers can be trusted.
        surer: what would make them surer.
    """

    question: str = ""
    answers: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    sure: str = ""
    surer: tuple[str, ...] = ()


def first_screen(judged: Results) -> FirstScreen:
    """Return the first screen of a campaign that asks what a factor does to the pause; an empty one of any other."""
    by_factor: dict[str, list[Finding]] = {}
    for finding in judged.findings:
        hypothesis = finding.hypothesis
        if _is_primary(finding) and hypothesis.kind != "value" and hypothesis.outcome in _PAUSES:
            by_factor.setdefault(str(hypothesis.factor), []).append(finding)
    if not by_factor:
        return FirstScreen()
    asked = [one for found in by_factor.values() for one in found]
    said = set(map(id, asked))
    others = [one for one in judged.findings if _is_primary(one) and id(one) not in said]
    return FirstScreen(
        question=_question(asked),
        answers=(
            *(one for factor, found in by_factor.items() for one in _answers(factor, found, _reducers(asked))),
            *(f"{one.hypothesis.id}: {one.sentence}" for one in others),
        ),
        explained=tuple(_explained(judged, asked)),
        sure=_sure(judged, asked),
        surer=tuple(_surer(judged, asked)),
    )


def _is_primary(finding: Finding) -> bool:
    return finding.hypothesis.family == "primary"


def _question(asked: Sequence[Finding]) -> str:
    parts: dict[str, dict[str, None]] = {}
    for one in sorted((finding.hypothesis for finding in asked), key=lambda each: each.kind != "trend"):
        verb = _ASKED[one.direction if one.kind == "trend" else "none"]
        parts.setdefault(verb, {})[_named(str(one.factor))] = None
    said = [f"{verb} {listed(list(names))}" for verb, names in parts.items()]
    return f"Does the pause {', and does it '.join(said)}?"


def _named(factor: str) -> str:
    return _NAMES.get(factor, factor_text(factor))


def _reducers(asked: Sequence[Finding]) -> dict[str, str]:
    """Return for each outcome what tells it from the other; empty where all are of one."""
    outcomes = {one.hypothesis.outcome for one in asked}
    return {one: f"the {OUTCOMES[one].reducer} of a run" for one in outcomes} if len(outcomes) > 1 else {}


def _answers(factor: str, found: Sequence[Finding], reducers: Mapping[str, str]) -> Iterator[str]:
    """Yield one sentence for a size, and one for each pair of levels that a contrast compares."""
    trends = [one for one in found if one.hypothesis.kind == "trend"]
    if trends:
        subject = _SUBJECTS.get(factor, f"{_named(factor)[:1].upper()}{_named(factor)[1:]}")
        yield f"{subject} {'; '.join(_clause(one, reducers) for one in trends)}."
    contrasts = [one for one in found if one.hypothesis.kind != "trend"]
    for pair in dict.fromkeys(tuple(one.hypothesis.levels) for one in contrasts):
        own = [one for one in contrasts if tuple(one.hypothesis.levels) == pair]
        base, other = (level_text(factor, level) for level in pair)
        name = "" if factor == "smp" else f"{factor_text(factor)}: "
        subject = f"{name}{other} instead of {base}"
        yield f"{subject[:1].upper()}{subject[1:]} {'; '.join(_clause(one, reducers) for one in own)}."


def _clause(finding: Finding, reducers: Mapping[str, str]) -> str:
    """Return what a factor does in one case: verb, size and interval, per doubling and in units."""
    hypothesis = finding.hypothesis
    where = dict(hypothesis.where)
    arm = _arm(finding)
    if arm:
        where.pop("workload.scaling")
    others = ", ".join(filter(None, [reducers.get(hypothesis.outcome), where_text(where)]))
    case = "".join(f"{part} " for part in (arm, f"({others})" if others else "") if part)
    per = " per doubling" if hypothesis.kind == "trend" else ""
    matters = f" ({short_text(100 * finding.sesoi)} %{per})" if finding.sesoi else ""
    verb = _VERBS[hypothesis.direction, finding.word].format(matters=matters)
    if math.isnan(finding.effect.estimate):
        why = "nothing can be compared" if finding.label in {"", NOTHING_TO_COMPARE} else finding.label
        return f"{case}{verb}: {why} ({hypothesis.id}: {finding.word})"
    change = percent_change(finding.effect, finding.sesoi)
    if finding.label == WITHIN_EQUALS:
        verb += f", where equal cells differ by up to {short_text(100 * finding.floor, 2)} %{per}"
    elif finding.word == INCONCLUSIVE and (why := _why_open(finding.label)):
        verb = f"gets no verdict{why}"
    return f"{case}{verb}: {change}{per}{_units(finding)} ({hypothesis.id}: {finding.word})"


def _why_open(label: str) -> str:
    """Return what took a verdict away that the runs by themselves would give; empty where they give none."""
    if label.startswith(NOT_YET):
        return f" yet, as {label.removeprefix(NOT_YET)}"
    return f", as {_OPEN[label]}" if label in _OPEN else ""


def _arm(finding: Finding) -> str:
    """Return which arm a size is asked in, as a part of the sentence; only RAM brings the pages that go with it."""
    hypothesis = finding.hypothesis
    scaling = tuple(map(str, hypothesis.where.get("workload.scaling", ())))
    if hypothesis.kind != "trend" or scaling not in {("fixed",), ("mem",)}:
        return ""
    if scaling == ("fixed",):
        return _SAME_PAGES
    return _WITH_PAGES if hypothesis.factor == "mem" else ""


def _units(finding: Finding) -> str:
    effect = finding.absolute
    if math.isnan(effect.estimate):
        return ""
    low, middle, high = (figures_text(end, signed=True) for end in (effect.low, effect.estimate, effect.high))
    between = "" if math.isnan(effect.low) else f" [{low}, {high}]"
    return f", {middle} {finding.absolute_unit}{between}"


def _explained(judged: Results, asked: Sequence[Finding]) -> Iterator[str]:
    campaign, seen = looked_at(judged.campaign, judged.runs)
    runs = seen[counting(seen)]
    whole = pause_parts(runs)
    if whole is None:
        return
    cells = _of_cells(runs["cell"].nunique(), judged)
    yield f"A pause of {ms_text(1e3 * whole.whole_s)} ms (mean over {cells}) is {_listed_parts(whole)}."
    for finding in asked:
        if finding.hypothesis.kind != "trend" or finding.word != "SUPPORTED" or finding.hypothesis.direction == "none":
            continue
        own = question(campaign, seen, finding.hypothesis)
        grown = growth(own.runs, str(finding.hypothesis.factor), own.others)
        if grown is not None and grown[1].whole_s > 0:
            ends, parts = grown
            where = where_text(finding.hypothesis.where)
            case = f" ({where})" if where else ""
            yield f"From {ends}{case} it grows by {ms_text(1e3 * parts.whole_s)} ms: {_listed_parts(parts)}."
    over_tcp = runs["link.transport"] == "tcp"
    stalls = runs["slow_share"].fillna(0.0).clip(lower=runs["always_stalled"].astype(float)).where(over_tcp, 0.0)
    usual = over_tcp.any() and stalls[over_tcp].median() >= _MOSTLY
    share, often = whole.share(_TRANSPORT), stalls.groupby(runs["cell"]).mean().mean()
    if usual and _MUCH <= share <= _WHOLE and share * whole.whole_s <= _TWICE_S * often:
        yield (
            f"{percent_text(share)} of the pause is waiting for the transport, most of it no matter "
            "of size: over TCP small writes wait some 40 ms for a delayed acknowledgement, once or twice a checkpoint. "
            "link=nodelay shows the size alone."
        )


def _of_cells(count: int, judged: Results) -> str:
    """Return over how many cells a mean is, of those that take checkpoints."""
    planned = len(_taking(judged))
    return "all cells" if count >= planned else f"{count} of {planned} cells"


def _taking(judged: Results) -> Sequence[object]:
    """Return the planned cells that take checkpoints; those measured, where a plan names none."""
    taking = [one for one in judged.campaign.plan.cells if flatten(one.cell).get("scenario") not in BASELINES]
    return taking or judged.cells.names


def _listed_parts(parts: Parts) -> str:
    """Return the parts with their shares; where one is more than the whole, which others take back, none is a share."""
    if any(own > _WHOLE * parts.whole_s for _, own in parts.parts):
        return listed([f"{figures_text(1e3 * own, signed=True)} ms {name}" for name, own in parts.parts])
    return listed([f"{percent_text(own / parts.whole_s)} {name} ({_ms(own)})" for name, own in parts.parts])


def _ms(seconds: float) -> str:
    return f"{figures_text(1e3 * seconds)} ms"


def _sure(judged: Results, asked: Sequence[Finding]) -> str:
    plan = judged.campaign.plan
    last = plan.looks[-1] if plan.looks else math.inf
    seen = {run.record.block for run in judged.campaign.runs if run.record.block < last}
    gone = {one.block for one in judged.campaign.lost if one.block < last} - seen
    why = dict.fromkeys(filter(None, map(why_exploratory, asked)))
    if why:
        return f"The answers are exploratory: {'; '.join(why)}."
    sound = (run.record for run in judged.campaign.runs if counts(run) and run.record.block in seen)
    whole = len({(record.block, record.cell_id) for record in sound}) == len(seen) * len(_taking(judged))
    said = f"How sure: {plural(len(seen), 'block')}, {'every cell once in each' if whole else 'not every cell in each'}"
    said += f", {len(gone)} more lost whole" if gone else ""
    if len(plan.looks) > 1:
        # Of folders that are joined nobody knows whether each was looked at before the next was measured.
        joined = len({run.folder for run in judged.campaign.runs}) > 1
        said += f", looked at {'up to ' * joined}{len(plan.looks)} times"
    wrong = "a false yes comes up in at most 5 of 100 such campaigns, a false no in as many"
    level = (
        f" (the level of this look is {100 * level_of(plan):.2g} %; brackets are 90 % intervals of it by itself)"
        if len(plan.looks) > 1
        else ""
    )
    late = any(one.exploratory for one in judged.findings if _is_primary(one))
    but = " but those that are exploratory" if late else ""
    return f"{said}; {wrong}, all looks and all questions{but} together{level}."


def _continues(judged: Results, still: Sequence[Finding] = ()) -> str:
    """Return what adds blocks: a budget only where they are added until it is known, and what was declared is open."""
    plan = judged.campaign.plan
    # An older plan does not say so, but was looked at after its first block and its second.
    after_each = plan.until_known or plan.looks[:2] == (1, 2)
    grows = after_each and any(not one.exploratory for one in still)
    return f"a larger {'budget, or max_blocks where that is reached,' if grows else 'repeats=N'} continues"


def _surer(judged: Results, asked: Sequence[Finding]) -> Iterator[str]:
    answered = [one for one in judged.findings if _is_primary(one)]
    yield from _no_block_mends(judged, answered)
    yield from _blocks_mend(judged, asked, answered)
    if "tcg" in judged.cells.accels:
        yield "Under KVM on hardware that virtualizes, the milliseconds would be those of a real machine."


def _no_block_mends(judged: Results, answered: Sequence[Finding]) -> Iterator[str]:
    blank = [one for one in answered if one.label == NOTHING_TO_COMPARE]
    if why := dict.fromkeys(why_blank(judged.campaign, judged.runs, one) for one in blank):
        yield f"Where nothing can be compared, {', or '.join(why)}."
    if any(one.label == NOT_WRITTEN for one in answered):
        yield "A guest too slow for its working set wants a smaller one, or a longer checkpoint.interval."
    if any(NO_RATIO in one.label and one.label != YES_OR_NO_TEXT for one in answered):
        yield "Of runs that are 0 no ratio can be told: a range can be declared in its place (kind: value)."
    if any(one.label in ON_FAILURES for one in answered):
        yield "Where an answer depends on failed runs, these measured again may decide it."
    open_for = set(map(_no_one_number, answered))
    for reason, otherwise in _MEASURED_OTHERWISE.items():
        if reason in open_for:
            yield f"Where {reason}, more blocks may leave it open: a further campaign can {otherwise}."


def _no_one_number(finding: Finding) -> str:
    """Return why a question is open that asks for one number where there is none; empty for any other."""
    is_open = finding.word == INCONCLUSIVE and finding.label in _OF_ONE_NUMBER
    return no_matter_of_number(finding) if is_open else ""


def _is_beyond_blocks(finding: Finding) -> bool:
    """Tell whether a question is open for another reason than that blocks are few."""
    return finding.label in _BEYOND_BLOCKS or NO_RATIO in finding.label or bool(_no_one_number(finding))


def _blocks_mend(judged: Results, asked: Sequence[Finding], answered: Sequence[Finding]) -> Iterator[str]:
    still = [one for one in answered if one.word == INCONCLUSIVE and not _is_beyond_blocks(one)]
    what = "what else is open" if any(map(_is_beyond_blocks, answered)) else "what is open"
    needs = [one.more_blocks for one in still if one.more_blocks is not None]
    if needs and len(needs) == len(still) and math.isfinite(max(needs)):
        yield f"About {plural(int(max(needs)), 'more block')} would decide {what}: {_continues(judged, still)}."
    elif still and needs and all(map(math.isinf, needs)) and len(needs) == len(still):
        yield f"More than {MANY_BLOCKS:,} blocks would be needed for {what}."
    elif still:
        of_pauses = any(one.hypothesis.outcome in _PAUSES for one in still)
        transport = ", or link=nodelay where the transport makes most of the pause" * of_pauses
        yield f"More blocks may decide {what}{transport}."
    elif any(one.effect.low < one.effect.high for one in asked):
        yield f"More blocks would narrow the intervals: {_continues(judged)} this campaign."
