"""What the page says of a verdict: once, with the case where the word alone would mislead, and with its own unit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.report.answer import _answer, _split_heading
from analysis.report.tables import _verdict_row
from analysis.report.words import answer_sentence, brief, effect_text, legend, p_text, pvalue_text
from analysis.stored.records import Hypothesis
from analysis.verdicts.claims import Claims, Effect, Stage
from analysis.verdicts.effects import Split
from analysis.verdicts.finding import Finding, LevelFinding
from analysis.verdicts.sentences import badge, finding_sentence, smallest_text

PVALUES, ADJUSTED = Claims(supports=0.00003, refutes=0.00003), Claims(supports=0.00012, refutes=0.00012)
CLAIM = "The pause grows with the number of vCPUs."


def _finding(word: str, label: str, **changed: Any) -> Finding:
    asked = {"id": "H3", "claim": CLAIM, "factor": "smp"} | changed.pop("asked", {})
    finding = Finding(
        hypothesis=Hypothesis.model_validate(asked),
        word=word,
        label=label,
        sentence="",
        effect=Effect(0.067, 0.039, 0.09),
        confidence=0.9,
        absolute=Effect(1.63, 1.29, 2.5),
        absolute_unit="ms per vCPU",
        sesoi=0.128,
        sesoi_rests_on="sesoi",
        floor=0.0,
        span=2.0,
        runs=72,
        excluded=0,
        failed=0,
        strata=36,
        stages=(Stage(PVALUES, ""),),
        adjusted_claims=ADJUSTED,
    )
    finding = replace(finding, **changed)
    return replace(finding, sentence=finding_sentence(finding))


def test_no_end_of_an_interval_is_what_matters_in_a_paper_s_table_either() -> None:
    close = replace(_finding("SUPPORTED", "material"), sesoi=0.05, effect=Effect(0.0807, 0.04976, 0.1118))
    assert _verdict_row(close)[3:6] == ("8.1", "4.98", "11.2")
    open_ended = replace(close, effect=Effect(0.0807, float("nan"), float("inf")))
    assert _verdict_row(open_ended)[3:6] == ("8.1", "\N{EN DASH}", "\N{INFINITY}")
    # Nor is what is shown to be more than none printed as none, or what leaves something as all.
    small = replace(close, effect=Effect(0.0081, 0.0002, 0.0163))
    assert _verdict_row(small)[3:6] == ("0.8", "0.02", "1.6")
    large = replace(close, effect=Effect(-0.98, -0.9997, 1.2))
    assert _verdict_row(large)[3:6] == ("\N{MINUS SIGN}98.0", "\N{MINUS SIGN}99.97", "120")


def test_not_everything_is_open_where_a_secondary_hypothesis_has_a_word() -> None:
    open_, decided = _finding("INCONCLUSIVE", "undecided"), _finding("SUPPORTED", "material")
    secondary = replace(decided, hypothesis=decided.hypothesis.model_copy(update={"family": "secondary"}))
    said = "could be decided: of 1 primary hypothesis 1 is inconclusive"
    for findings, what in (((open_,), "Nothing"), ((open_, secondary), "No primary hypothesis")):
        results: Any = SimpleNamespace(findings=findings)
        assert _answer(results) == f"{what} {said}"


def test_the_headline_leads_with_ram_at_equal_pages_and_then_as_it_comes_whatever_is_decided() -> None:
    def ram(word: str, label: str, claim: str, arm: str, **changed: Any) -> Finding:
        where = {"workload.scaling": [arm]}
        return _finding(word, label, asked={"claim": claim, "factor": "mem", "where": where}, **changed)

    alone = ram("INCONCLUSIVE", "undecided", "RAM alone.", "fixed", exploratory=True)
    as_it_comes = ram("REFUTED", "equivalent to none", "RAM as it comes.", "mem")
    results: Any = SimpleNamespace(findings=(_finding("SUPPORTED", "material"), as_it_comes, alone))
    first, second = _answer(results).split("; ")
    assert first.startswith("exploratory, INCONCLUSIVE: RAM alone: +6.7 % [")
    assert second.startswith("REFUTED: RAM as it comes: +6.7 % [")


def test_no_heading_tells_an_amount_whose_interval_holds_none() -> None:
    def heading(*explained: Effect) -> str:
        splits = tuple(Split("1 vCPU", one, one, one, 6) for one in explained)
        results: Any = SimpleNamespace(effects=SimpleNamespace(splits=splits))
        return _split_heading(results)

    sure, unsure = Effect(21.0, 18.0, 24.0), Effect(-5.54, -8.97, 1.43)
    assert heading(sure) == "Through its dirty pages, RAM adds +21.0 [+18.0, +24.0] ms per GiB to the pause"
    cannot = "What RAM adds to the pause through its dirty pages cannot be told from this campaign"
    assert heading(unsure) == heading(Effect(21.0, float("nan"), float("nan"))) == cannot
    assert "21" not in heading(sure, unsure)
    assert heading() == ""


def test_a_refutation_of_an_effect_that_is_there_says_that_it_is_there() -> None:
    finding = _finding("REFUTED", "trivially positive")
    assert badge(finding.word, finding.label) == "REFUTED as material"
    assert brief(finding) == "it grows, but by less than matters"
    assert pvalue_text(finding) == (
        "p < 0.0001, after Holm p = 0.00012, against an effect of at least 12.8 % in the direction claimed"
    )


def test_what_goes_the_other_way_by_little_is_said_to_be_little_and_not_zero() -> None:
    small = _finding("REFUTED", "opposite sign", effect=Effect(-0.013, -0.024, -0.00018))
    assert "\N{MINUS SIGN}0.02]" in small.sentence
    assert brief(_finding("REFUTED", "opposite sign", effect=Effect(-0.2, -0.3, -0.1))) == "it goes the other way"


def test_the_word_is_not_said_again_in_the_sentence() -> None:
    for exploratory in (False, True):
        said = answer_sentence(_finding("REFUTED", "trivially positive", exploratory=exploratory))
        assert said.startswith("Doubling the number of vCPUs changes the pause by +6.7 % [+3.9, +9.0]")
        assert "REFUTED" not in said


@pytest.mark.parametrize(
    ("word", "asked", "against"),
    [
        ("SUPPORTED", {}, "against no effect"),
        ("SUPPORTED", {"direction": "none"}, "against a difference of at least 12.8 % either way"),
        ("REFUTED", {"direction": "none"}, "against a difference of at most 12.8 % either way"),
        ("SUPPORTED", {"kind": "value", "low": 0, "high": 1}, "against a median run outside of the range"),
        ("REFUTED", {"kind": "value", "low": 0, "high": 1}, "against a median run inside of the range"),
        ("INCONCLUSIVE", {}, "and against an effect of at least 12.8 % in the direction claimed"),
    ],
)
def test_a_p_value_says_what_it_speaks_against(word: str, asked: dict[str, Any], against: str) -> None:
    assert pvalue_text(_finding(word, "a case", asked=asked)).endswith(against)


_AT_ONE = LevelFinding("1 vCPU", Effect(0.3, 0.25, 0.35), "REFUTED", "a material difference", 36, sesoi=0.2)


@pytest.mark.parametrize(
    ("word", "changed", "against"),
    [
        ("REFUTED", {"floor": 0.15}, "at most 15 %"),
        ("REFUTED", {"levels": (_AT_ONE, replace(_AT_ONE, sesoi=0.128))}, "at most 20 %"),
        ("SUPPORTED", {"levels": (_AT_ONE,)}, "at least 12.8 %"),
    ],
)
def test_a_difference_that_refutes_none_is_more_than_equals_differ_by_and_than_matters_at_any_level(
    word: str, changed: dict[str, Any], against: str
) -> None:
    found = _finding(word, "a case", asked={"direction": "none"}, **changed)
    assert pvalue_text(found).endswith(f"against a difference of {against} either way")


@pytest.mark.parametrize(
    ("claims", "asked", "against"),
    [
        (Claims(supports=0.9, refutes=1.0), {}, "p = 0.9, after Holm p = 0.00012, against no effect"),
        (
            Claims(supports=1.0, refutes=0.2),
            {"direction": "none"},
            "p = 0.2, after Holm p = 0.00012, against a difference of at most 12.8 % either way",
        ),
        (Claims(), {}, "p = 1, after Holm p = 0.00012, against no effect"),
    ],
)
def test_an_open_p_value_is_not_said_to_be_of_a_test_that_was_not_made(
    claims: Claims, asked: dict[str, Any], against: str
) -> None:
    """A refutation that equal cells or a step rule out has no p-value, however far the interval lies from it."""
    assert pvalue_text(_finding("INCONCLUSIVE", "undecided", asked=asked, stages=(Stage(claims, ""),))) == against


def test_a_p_value_where_levels_differ_says_that_it_is_the_largest_of_theirs() -> None:
    levels = (_AT_ONE, replace(_AT_ONE, effect=Effect(0.1, 0.05, 0.15)))
    for word in ("INCONCLUSIVE", "SUPPORTED"):
        found = _finding(word, "a case", levels=levels, interaction_pvalue=0.01)
        told = ", the largest of those of every level and of all together"
        assert pvalue_text(found).endswith(told)
        assert told not in pvalue_text(replace(found, interaction_pvalue=0.2))


@pytest.mark.parametrize("lost", [{"failed": 6}, {"excluded": 1}])
def test_an_open_p_value_that_lost_runs_make_larger_than_the_interval_has_it_says_so(lost: dict[str, int]) -> None:
    told = ", with runs that failed or were left out ranked worst where that is larger"
    assert pvalue_text(_finding("INCONCLUSIVE", "depends on the failed runs", **lost)).endswith(told)
    assert told not in pvalue_text(_finding("INCONCLUSIVE", "undecided"))
    assert told not in pvalue_text(_finding("SUPPORTED", "material", **lost))


def test_what_matters_and_what_equals_differ_by_are_not_said_to_be_nothing() -> None:
    small = _finding("SUPPORTED", "material", sesoi=0.0004, floor=0.0003)
    assert smallest_text(small) == (
        "smallest effect of interest 0.04 % per doubling; equal cells differ by up to 0.03 % per doubling"
    )
    assert pvalue_text(replace(small, word="REFUTED")).endswith("of at least 0.04 % in the direction claimed")


@pytest.mark.parametrize("claim", ["The pause grows", "The pause grows.", "The pause grows. "])
def test_a_claim_of_which_nothing_can_be_told_is_a_sentence_by_itself(claim: str) -> None:
    said = _finding("INCONCLUSIVE", "nothing to compare", asked={"claim": claim}, runs=0).sentence
    assert said == "The pause grows. What was measured cannot tell: INCONCLUSIVE (nothing to compare)."


def test_the_legend_holds_the_cases_that_occur() -> None:
    found = [_finding("SUPPORTED", "material"), _finding("INCONCLUSIVE", "undecided")]
    assert [name for name, _ in legend(found)] == ["material"]


def test_an_effect_is_in_percent_and_a_value_in_its_own_unit() -> None:
    trend = Hypothesis.model_validate({"id": "H", "claim": "", "factor": "mem"})
    value = Hypothesis.model_validate({"id": "C", "claim": "", "kind": "value", "low": 2, "high": 4})
    assert effect_text(trend, Effect(0.049, 0.048, 0.091)) == "+4.9 % [+4.8, +9.1]"
    # What matters begins at 5 %: an end short of it, or beyond, is not printed as it.
    assert effect_text(trend, Effect(0.0802, 0.04976, 0.112), 0.05) == "+8.0 % [+4.98, +11.2]"
    assert effect_text(trend, Effect(-0.01, -0.05004, 0.05), 0.05) == "\N{MINUS SIGN}1.0 % [\N{MINUS SIGN}5.004, +5.0]"
    assert effect_text(trend, Effect(0.01, -0.02, 0.0586), 0.05868) == "+1.0 % [\N{MINUS SIGN}2.0, +5.9]"
    assert effect_text(value, Effect(0.0493, 0.0476, 0.0913)) == "49.3 ms [47.6 ms, 91.3 ms]"
    assert effect_text(value, Effect(float("nan"), float("nan"), float("nan"))) == "\N{EN DASH}"


def test_p_values_have_no_needless_sign() -> None:
    assert [p_text(value) for value in (0.11, 0.00001, float("nan"))] == ["0.11", "< 0.0001", "\N{EN DASH}"]
    assert [p_text(value) for value in (0.0502, 0.0499, 0.05, 0.05003)] == ["0.0502", "0.0499", "0.05", "0.05003"]
