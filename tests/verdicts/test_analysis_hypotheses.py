"""Verdicts on tables whose truth is known: every number here is invented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fixtures.fake_campaign import DIRTY, IDLE, Fake, write_campaign
from scipy.stats import binom

from analysis.__main__ import main
from analysis.stored.campaign import Campaign, Failure
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.amounts import amount
from analysis.verdicts.claims import Claims, Stage
from analysis.verdicts.declared import BadHypothesesError, read_hypotheses
from analysis.verdicts.equals import noise_floor
from analysis.verdicts.families import SAME_WITH_LOST, adjust
from analysis.verdicts.hypotheses import DISAGREE, declared_before, judge, judge_all
from analysis.verdicts.question import _position, lacking, question, varying
from analysis.verdicts.results import derive
from analysis.verdicts.trend import HANGS_ON_CHECKS, WITHIN_EQUALS, Edges, Sample
from analysis.verdicts.values import UNSURE, _claims

if TYPE_CHECKING:
    from analysis.verdicts.finding import Finding

GIB = 1 << 30
GROWS = {"id": "H1", "claim": "It grows with RAM.", "factor": "mem"}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    fake = Fake(mems=(GIB // 4, GIB, 4 * GIB), smps=(1, 4), workloads=(IDLE,), links=("unix",), repeats=6, count=6)
    return load_campaign(write_campaign(tmp_path_factory.mktemp("results"), fake))


def runs_with(
    campaign: Campaign, *, per_doubling: float = 0.0, at_four: float = 0.0, spread: float = 0.02, seed: int = 1
) -> pd.DataFrame:
    """Return a run table of 20 ms pauses that grow with RAM, by another amount at 4 vCPUs, with drift and noise."""
    rng = np.random.default_rng(seed)
    places = sorted({run.record.cell_id for run in campaign.runs})
    rows = []
    for run in campaign.runs:
        mem, smp = run.record.cell["mem"], run.record.cell["smp"]
        slope = per_doubling + (at_four if smp == 4 else 0.0)
        log = np.log(0.020) + np.log1p(slope) * np.log2(mem / GIB) + 0.05 * (smp == 4) + 0.03 * run.record.block
        rows.append(
            {
                "run_id": run.record.run_id,
                "cell": places.index(run.record.cell_id),
                "block": run.record.block,
                "mem": mem,
                "smp": smp,
                "workload.name": "idle",
                "link.transport": "unix",
                "effective": f"{mem} {smp}",
                "quality_ok": True,
                "pause": float(np.exp(log + rng.normal(0, spread))),
                "period": 0.5 + rng.normal(0, 0.001),
            }
        )
    return pd.DataFrame(rows)


def verdict(campaign: Campaign, runs: pd.DataFrame, **changes: Any) -> Finding:
    hypothesis = Hypothesis.model_validate(GROWS | changes)
    return judge_all(campaign, runs, [hypothesis])[0]


@pytest.mark.parametrize(
    ("per_doubling", "direction", "word", "label"),
    [
        (0.20, "increasing", "SUPPORTED", "material"),
        (0.00, "increasing", "REFUTED", "equivalent to none"),
        (0.02, "increasing", "REFUTED", "trivially positive"),
        (-0.20, "increasing", "REFUTED", "opposite sign"),
        (-0.20, "decreasing", "SUPPORTED", "material"),
        (0.20, "decreasing", "REFUTED", "opposite sign"),
        (0.00, "none", "SUPPORTED", "equivalent"),
        (0.20, "none", "REFUTED", "a material difference"),
    ],
)
def test_a_known_trend_gets_its_word(
    campaign: Campaign, per_doubling: float, direction: str, word: str, label: str
) -> None:
    found = verdict(campaign, runs_with(campaign, per_doubling=per_doubling), direction=direction)
    assert (found.word, found.label) == (word, label)
    assert found.effect.low <= per_doubling <= found.effect.high or abs(found.effect.estimate - per_doubling) < 0.02
    assert found.runs == 36
    assert found.strata == 12


def test_noise_that_hides_a_material_effect_is_inconclusive(campaign: Campaign) -> None:
    assert verdict(campaign, runs_with(campaign, per_doubling=0.05, spread=0.6)).word == "INCONCLUSIVE"


def test_the_smallest_effect_is_the_largest_of_ratio_milliseconds_and_noise(campaign: Campaign) -> None:
    runs = runs_with(campaign)
    assert verdict(campaign, runs).sesoi == pytest.approx(0.05)
    assert verdict(campaign, runs, sesoi_ms=4.0).sesoi == pytest.approx(4.0 / 20, rel=0.2)
    assert verdict(campaign, runs, sesoi_ms=4.0).sesoi_rests_on == "sesoi_ms"


def test_milliseconds_that_matter_are_another_share_at_every_level(campaign: Campaign) -> None:
    runs = runs_with(campaign)
    found = verdict(campaign, runs.assign(pause=runs["pause"] * np.where(runs["smp"] == 4, 10, 1)), sesoi_ms=2.0)
    shares = {level.level: level.sesoi for level in found.levels}
    assert shares == {"1 vCPU": pytest.approx(2.0 / 20, rel=0.2), "4 vCPUs": 0.05}
    assert found.sesoi == 0.05


def test_requests_of_microseconds_may_grow_by_what_matters(campaign: Campaign) -> None:
    grown = runs_with(campaign, per_doubling=1.0)
    found = verdict(campaign, grown.assign(client_p50=grown["pause"] / 100), outcome="client_p50")
    assert (found.word, found.label, found.sesoi) == ("SUPPORTED", "material", 0.05)


def test_what_is_shorter_than_the_milliseconds_that_matter_is_said_to_be(campaign: Campaign) -> None:
    runs = runs_with(campaign, per_doubling=0.4)
    said = " In the median run all of it is less than the 0.5 ms that matter."
    short = verdict(campaign, runs.assign(save=runs["pause"] / 100), outcome="save")
    assert (short.word, short.label) == ("REFUTED", "trivially positive")
    assert short.sesoi > 1
    assert short.sentence.endswith(said)
    for own in ({"sesoi_ms": 0.0}, {"sesoi": 2.0, "sesoi_ms": 0.0}, {"sesoi_ms": 0.1}):
        assert said[:17] not in verdict(campaign, runs.assign(save=runs["pause"] / 100), outcome="save", **own).sentence


def test_what_equals_differ_by_makes_a_support_harder_and_never_a_refutation_easier(campaign: Campaign) -> None:
    equal = runs_with(campaign, spread=0.2).assign(effective="the same machine")
    floor = noise_floor(equal)
    found = verdict(campaign, equal, sesoi=0.01, sesoi_ms=0.0)
    assert found.floor == pytest.approx(np.expm1(np.log1p(floor) / 4))
    assert (found.sesoi, found.sesoi_rests_on) == (pytest.approx(0.01), "sesoi")
    assert (found.span, found.sesoi_over_span) == (4.0, pytest.approx(1.01**4 - 1))
    # Flat data whose interval lies far inside of what equals differ by, and not inside of what was declared.
    flat = runs_with(campaign, spread=0.05)
    for asked, word in (({"sesoi": 0.0005, "sesoi_ms": 0.0}, "INCONCLUSIVE"), ({"sesoi": 0.05}, "REFUTED")):
        for runs in (flat, flat.assign(effective="the same machine")):
            assert verdict(campaign, runs, **asked).word == word
    grown = runs_with(campaign, per_doubling=0.02, spread=0.02)
    assert verdict(campaign, grown, sesoi=0.01, sesoi_ms=0.0).word == "SUPPORTED"
    noisy = grown.assign(effective=np.where(grown["mem"] == GIB, "the same machine", grown["effective"]))
    noisy.loc[noisy["smp"] == 4, "pause"] *= 1.2
    held = verdict(campaign, noisy, sesoi=0.01, sesoi_ms=0.0)
    assert (held.word, held.label) == ("INCONCLUSIVE", WITHIN_EQUALS)
    assert "would settle it" in held.notes[-1]


def test_the_floor_between_equals_is_spread_over_the_doublings_of_a_trend_and_not_over_a_contrast() -> None:
    asked = Hypothesis.model_validate(GROWS | {"sesoi_ms": 0.0})
    for x, floor in (([-2.0, 0.0, 2.0], 1.128**0.25 - 1), ([0.0, 1.0, 2.0], 1.128**0.5 - 1), ([0, 1, 1], 0.128)):
        sample = Sample(np.array(x), np.array(x), np.ones(3), ((0,), (0,), (0,)), np.empty(0))
        edges = Edges.of(asked, sample, 0.128, in_ms=True)
        assert (edges.floor, edges.sesoi) == (pytest.approx(floor), 0.05)


def test_a_contrast_compares_two_levels(campaign: Campaign) -> None:
    asked = {"kind": "contrast", "factor": "smp", "levels": [1, 4], "sesoi": 0.02, "sesoi_ms": 0.0}
    found = verdict(campaign, runs_with(campaign), **asked)
    assert found.word == "SUPPORTED"
    assert found.effect.estimate == pytest.approx(np.expm1(0.05), abs=0.02)
    assert found.sentence.startswith("4 vCPUs instead of 1 vCPU changes the pause by")


def test_nanoseconds_are_not_refuted_by_half_a_millisecond(campaign: Campaign) -> None:
    runs = runs_with(campaign)
    reach = 1e-7 * runs["smp"] * runs["pause"] / runs["pause"].median()
    asked = {"kind": "contrast", "factor": "smp", "levels": [1, 4], "outcome": "reach"}
    found = verdict(campaign, runs.assign(reach=reach), **asked)
    assert (found.word, found.sesoi, found.absolute_unit) == ("SUPPORTED", 0.05, "ns")
    assert amount(8.3e-8, "reach") == "83 ns"


def test_one_of_what_is_counted_is_in_the_singular_and_what_is_counted_are_many(campaign: Campaign) -> None:
    assert [amount(count, "writes_lost") for count in (0.0, 1.0, 2.0)] == ["0 writes", "1 write", "2 writes"]
    assert (amount(1.0, "dirty_pages"), amount(1.0, "primary_cpus")) == ("1 page", "1 CPU")
    assert amount(1.0, "requests_per_s") == "1 1/s"
    asked = {"kind": "value", "factor": None, "outcome": "bytes_sent", "low": 0.0, "high": 1.0}
    found = verdict(campaign, runs_with(campaign).assign(bytes_sent=1.0), **asked)
    assert found.sentence.startswith(
        "The bytes sent are 1 byte [1 byte, 1 byte] over 6 cells, the claim is 0 bytes to 1 byte: "
    )


def test_a_setting_that_a_level_of_the_contrast_does_not_have_parts_nothing() -> None:
    asked = Hypothesis.model_validate(
        GROWS | {"kind": "contrast", "factor": "cache.kind", "levels": ["none", "control"], "direction": "increasing"}
    )
    none, control = {"cache.kind": "none", "mem": GIB}, {"cache.kind": "control", "cache.buffer": 64, "mem": GIB}
    assert varying([none, control], asked, tuple(control)) == ()
    assert varying([none, control, control | {"cache.buffer": 128}], asked, tuple(control)) == ("cache.buffer",)


def test_a_value_is_held_against_its_range(campaign: Campaign) -> None:
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1]}}
    runs = runs_with(campaign)
    assert verdict(campaign, runs, low=0.4, high=0.6, **asked).word == "SUPPORTED"
    assert verdict(campaign, runs, low=0.0, high=0.4, **asked).word == "REFUTED"
    assert verdict(campaign, runs, low=0.5, high=0.6, **asked).word == "INCONCLUSIVE"


def test_the_p_value_of_a_value_is_that_of_the_runs_on_its_side(campaign: Campaign) -> None:
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1]}}
    runs = runs_with(campaign)
    # Three cells of six blocks: all have to lie inside, and one has to lie outside after Holm over the three.
    assert verdict(campaign, runs, low=0.0, high=9.0, **asked).pvalue == pytest.approx(0.5**6)
    assert verdict(campaign, runs, low=0.0, high=0.1, **asked).pvalue == pytest.approx(3 * 0.5**6)
    beyond = runs.copy()
    beyond.loc[beyond.index[beyond["smp"] == 1][0], "period"] = 99.0
    assert verdict(campaign, beyond, low=0.0, high=9.0, **asked).pvalue == pytest.approx(7 * 0.5**6)


def test_a_range_that_can_be_left_at_either_end_is_looked_at_twice(campaign: Campaign) -> None:
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1], "mem": [GIB]}}
    runs = runs_with(campaign)
    found = verdict(campaign, runs, low=8.0, high=9.0, **asked)
    assert (found.word, found.pvalue) == ("REFUTED", pytest.approx(2 * 0.5**6))
    # Five runs beyond give an interval that lies beyond, and neither end is one that was named before.
    five = runs[runs["block"] < 5]
    found = verdict(campaign, five, low=8.0, high=9.0, **asked)
    assert (found.word, found.label, found.pvalue) == ("INCONCLUSIVE", UNSURE, pytest.approx(2 * 0.5**5))
    assert found.effect.high < 8.0
    # Nothing that is measured lies below 0, and no share above 1: such a range has one end.
    assert verdict(campaign, five, low=-1.0, high=0.1, **asked).pvalue == pytest.approx(0.5**5)
    shares = five.assign(joined_share=0.5)
    one_end = verdict(campaign, shares, low=0.9, high=1.0, **asked | {"outcome": "joined_share"})
    assert (one_end.word, one_end.pvalue) == ("REFUTED", pytest.approx(0.5**5))
    trivial = verdict(campaign, shares, low=0.0, high=1.0, **asked | {"outcome": "joined_share"})
    assert trivial.claims.refutes == 1.0


def test_half_of_the_runs_beyond_either_end_refute_no_more_often_than_one_in_twenty() -> None:
    one = Hypothesis.model_validate(GROWS | {"kind": "value", "factor": None, "low": 1.0, "high": 2.0})
    for runs in range(5, 40):
        counts = np.arange(runs + 1)
        words = [_claims(one, np.repeat([0.5, 5.0], [below, runs - below]), 0).refutes <= 0.05 for below in counts]
        assert binom.pmf(counts, runs, 0.5)[np.array(words)].sum() <= 0.05


def test_no_pooled_word_where_levels_disagree(campaign: Campaign) -> None:
    found = verdict(campaign, runs_with(campaign, at_four=0.3))
    assert found.interaction_pvalue < 0.001
    assert (found.word, found.label) == ("INCONCLUSIVE", DISAGREE)
    assert [(level.level, level.word) for level in found.levels] == [("1 vCPU", "REFUTED"), ("4 vCPUs", "SUPPORTED")]


def test_failed_runs_ranked_worst_can_take_a_word_away(campaign: Campaign) -> None:
    runs = runs_with(campaign)
    large = [run for run in campaign.plan.runs if "4 GiB" in run.label]
    lost = tuple(Failure(run, 1, "colo-start", "colo-timeout", "too slow") for run in large)
    failing = replace(campaign, failures=lost)
    kept = runs[runs["mem"] < 4 * GIB]
    found = judge(question(failing, kept, Hypothesis.model_validate(GROWS)))
    assert found.failed == 12
    assert (found.word, found.label) == ("INCONCLUSIVE", "depends on the failed runs")
    assert found.notes == ("12 of 12 runs with 4 GiB failed: outside the tested range",)


def test_a_size_is_outside_the_tested_range_when_more_than_half_of_its_runs_failed(campaign: Campaign) -> None:
    runs, small = runs_with(campaign, per_doubling=0.2), [run for run in campaign.plan.runs if "256 MiB" in run.label]
    for failed, notes in ((6, 0), (7, 1)):
        gone = small[:failed]
        failing = replace(campaign, failures=tuple(Failure(run, 1, "boot", "timeout", "no guest") for run in gone))
        kept = runs[~runs["run_id"].isin([run.run_id for run in gone])]
        found = judge(question(failing, kept, Hypothesis.model_validate(GROWS)))
        assert len([note for note in found.notes if note.endswith("outside the tested range")]) == notes


def test_a_failed_run_lacks_what_others_of_its_kind_have_and_a_pause_where_it_was_asked_for_one() -> None:
    kinds = (("colo", "idle"), ("colo", "http"), ("native", "http"))
    colo, served, native = ({"scenario": scenario, "workload.name": workload} for scenario, workload in kinds)
    for outcome, of_native in (("pause", False), ("client_p50", True)):
        lacks = lacking(outcome, (colo, served), known=(False, True), counted=(True, True))
        assert [lacks(own) for own in (colo, served, native)] == [False, True, of_native]
    uncounted = lacking("pause", (colo,), known=(False,), counted=(False,))
    assert uncounted(colo)


def test_a_failed_run_lacks_a_new_secondary_only_where_it_was_to_get_one() -> None:
    told = {"scenario": "failover", "workload.name": "idle"}
    asked, plain = ({**told, "failover.redundancy": one} for one in (True, False))
    lacks = lacking("redundancy", (asked, plain), known=(True, False), counted=(True, True))
    assert (lacks(asked), lacks(plain), lacks(told)) == (True, False, False)
    assert lacking("outage", (asked,), known=(True,), counted=(True,))(plain)


def test_a_failed_run_without_the_factor_of_a_contrast_is_at_the_level_none() -> None:
    asked = {"kind": "contrast", "factor": "workload.rate", "levels": [None, 300.0]}
    position = _position(Hypothesis.model_validate(GROWS | asked), [{"block": 0}, {"workload.rate": 300.0}])
    assert list(position) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("low", "high", "failed", "word"),
    [
        (0.4, 0.6, 1, "INCONCLUSIVE"),
        (0.4, 0.6, 6, "INCONCLUSIVE"),
        (0.4, 1e9, 6, "INCONCLUSIVE"),
        (-1e9, 0.6, 6, "INCONCLUSIVE"),
        (0.0, 0.1, 1, "REFUTED"),
        (0.0, 0.1, 6, "INCONCLUSIVE"),
    ],
)
def test_a_value_that_hangs_on_leaving_failed_runs_out_has_no_word(
    campaign: Campaign, low: float, high: float, failed: int, word: str
) -> None:
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1], "mem": [GIB, 4 * GIB]}}
    planned = [run for run in campaign.plan.runs if "1 vCPU " in run.label and "256 MiB" not in run.label]
    failing = replace(campaign, failures=tuple(Failure(run, 1, "boot", "timeout", "") for run in planned[:failed]))
    hypothesis = Hypothesis.model_validate(GROWS | asked | {"low": low, "high": high})
    found = judge(question(failing, runs_with(campaign), hypothesis))
    assert (found.word, found.failed) == (word, failed)
    if word == "INCONCLUSIVE":
        assert found.label == "depends on the failed runs"
    else:
        assert found.notes == ("the same with failed runs ranked worst",)


def test_a_cell_of_a_value_has_no_word_by_itself_that_hangs_on_leaving_its_failed_runs_out(campaign: Campaign) -> None:
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1]}, "low": 0.4, "high": 0.6}
    runs = runs_with(campaign)
    gone = runs[(runs["smp"] == 1) & (runs["mem"] == 4 * GIB) & (runs["block"] >= 5)]["run_id"].tolist()
    planned = [run for run in campaign.plan.runs if run.run_id in gone]
    failing = replace(campaign, failures=tuple(Failure(run, 1, "boot", "timeout", "") for run in planned))
    found = judge(question(failing, runs[~runs["run_id"].isin(gone)], Hypothesis.model_validate(GROWS | asked)))
    # Five of five runs inside are one of 32 results, five of six are seven of 64.
    assert [level.word for level in found.levels].count("SUPPORTED") == 2
    (hanging,) = [level for level in found.levels if level.word == "INCONCLUSIVE"]
    assert (hanging.runs, hanging.claims.supports) == (5, pytest.approx(7 / 64))
    assert (found.word, found.label) == ("INCONCLUSIVE", "depends on the failed runs")


def test_no_word_hangs_on_leaving_out_the_runs_that_did_not_pass_their_own_check(campaign: Campaign) -> None:
    runs = runs_with(campaign, per_doubling=0.2)
    # Of the smallest machine only the quick runs may have passed: ranked worst, the others turn what grows around.
    runs.loc[(runs["mem"] == GIB // 4) & (runs["block"] < 4), "quality_ok"] = False
    found = judge(question(campaign, runs, Hypothesis.model_validate(GROWS)))
    assert (found.word, found.label, found.failed) == ("INCONCLUSIVE", HANGS_ON_CHECKS, 0)
    asked = {"kind": "value", "factor": None, "outcome": "period", "where": {"smp": [1]}, "low": 0.4, "high": 0.6}
    runs["quality_ok"] = (runs["block"] > 0) | (runs["mem"] < GIB)
    value = judge(question(campaign, runs, Hypothesis.model_validate(GROWS | asked)))
    assert (value.word, value.label) == ("INCONCLUSIVE", HANGS_ON_CHECKS)
    runs["quality_ok"] = True
    runs.loc[3, "quality_ok"] = False
    held = judge(question(campaign, runs, Hypothesis.model_validate(GROWS)))
    assert (held.word, held.excluded) == ("SUPPORTED", 1)
    assert SAME_WITH_LOST in held.notes


def test_runs_that_failed_their_own_check_are_left_out_and_counted(campaign: Campaign) -> None:
    runs = runs_with(campaign)
    runs.loc[3, "quality_ok"] = False
    found = verdict(campaign, runs)
    assert (found.runs, found.excluded) == (35, 1)


def test_runs_that_measured_0_have_no_ratio_and_are_not_dropped(campaign: Campaign) -> None:
    runs = runs_with(campaign).rename(columns={"period": "mismatch_share"})
    # The more RAM, the fewer runs have a mismatch; those that have one have more of them.
    some = (runs["mem"] < 4 * GIB) | (runs["block"] >= 3)
    shares = (0.1 + 0.1 * runs["mem"] / GIB).where(some, 0.0)
    runs = runs.assign(mismatch_share=shares, effective="the same machine")
    zeros = int((runs["mismatch_share"] == 0).sum())
    for asked in ({}, {"kind": "contrast", "factor": "smp", "levels": [1, 4]}):
        found = verdict(campaign, runs, outcome="mismatch_share", **asked)
        assert (found.word, found.label) == ("INCONCLUSIVE", f"{zeros} of 36 runs are 0, of which no ratio can be told")
        assert found.sentence.endswith(f"exploratory, INCONCLUSIVE ({found.label}).")
    within = verdict(campaign, runs, outcome="mismatch_share", kind="value", factor=None, low=0.0, high=1.0)
    assert (within.word, within.runs) == ("SUPPORTED", 36)  # a range needs no ratio
    runs.loc[runs["mismatch_share"] == 0, "mismatch_share"] = np.nan
    assert verdict(campaign, runs, outcome="mismatch_share").runs == 36 - zeros


def test_holm_adjusts_the_primary_family_and_benjamini_hochberg_the_secondary_one(campaign: Campaign) -> None:
    one = verdict(campaign, runs_with(campaign, per_doubling=0.2))
    declared = [
        replace(
            one,
            exploratory=False,
            stages=(Stage(Claims(supports=p), ""),),
            hypothesis=one.hypothesis.model_copy(update={"id": name}),
        )
        for name, p in (("A", 0.001), ("B", 0.03), ("C", 0.04))
    ]
    adjusted = adjust(declared)
    assert [finding.adjusted for finding in adjusted] == pytest.approx([0.003, 0.06, 0.06])
    assert [finding.word for finding in adjusted] == ["SUPPORTED", "INCONCLUSIVE", "INCONCLUSIVE"]
    secondary = [
        replace(finding, hypothesis=finding.hypothesis.model_copy(update={"family": "secondary"}))
        for finding in declared
    ]
    assert [finding.adjusted for finding in adjust(secondary)] == pytest.approx([0.003, 0.04, 0.04])
    assert [finding.word for finding in adjust(secondary)] == ["SUPPORTED"] * 3
    late = adjust(
        [replace(secondary[0], stages=declared[1].stages), *(replace(one, stages=()) for one in secondary[1:])]
    )
    assert late[0].label == "not after Benjamini-Hochberg's adjustment"
    assert adjusted[1].label == "not after Holm's adjustment"
    both = adjust(
        [*declared, *(replace(one, hypothesis=one.hypothesis.model_copy(update={"id": "S"})) for one in secondary[:1])]
    )
    assert [finding.adjusted for finding in both] == pytest.approx([0.003, 0.06, 0.06, 0.001])


def test_what_was_declared_is_not_exploratory_and_what_was_asked_later_is(tmp_path: Path) -> None:
    declared = Hypothesis.model_validate(GROWS | {"factor": "smp"})
    fake = Fake(workloads=(IDLE,), repeats=6, count=6, hypotheses=(declared.model_dump(mode="json"),))
    campaign = load_campaign(write_campaign(tmp_path, fake))
    results = derive(campaign)
    assert [finding.exploratory for finding in results.findings] == [False]
    changed = declared.model_copy(update={"sesoi": 0.10})
    assert [finding.exploratory for finding in derive(campaign, [changed]).findings] == [True]
    assert [finding.exploratory for finding in derive(campaign, [declared]).findings] == [True]
    edited = campaign.plan.model_copy(update={"hypotheses": (changed.model_dump(mode="json"),)})
    assert not declared_before(replace(campaign, plan=edited))


def test_questions_after_the_data_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    path.write_text("hypotheses:\n- {id: X, claim: It grows., factor: smp, where: {mem: [512M, 1G]}, sesoi: 0.1}\n")
    (asked,) = read_hypotheses(path)
    assert asked.where == {"mem": (512 << 20, GIB)}
    path.write_text("hypotheses:\n- {id: X}\n")
    with pytest.raises(BadHypothesesError, match="claim: Field required"):
        read_hypotheses(path)
    path.write_text("- [")
    with pytest.raises(BadHypothesesError):
        read_hypotheses(path)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"outcome": "pausee"}, "outcome: pausee is unknown; legal: pause, pause_mean,"),
        ({"factor": "memory"}, "factor: memory is unknown; legal: accel, checkpoint.count,"),
        ({"factor": None}, "factor: none given; legal: accel,"),
        (
            {"factor": "link.transport"},
            "factor: link.transport is no number above 0 everywhere; legal: checkpoint",
        ),
        ({"factor": "link.quickack"}, "factor: link.quickack is no number above 0 everywhere; legal:"),
        ({"where": {"transport": ["unix"]}}, "where: transport is unknown; legal: accel,"),
        ({"kind": "contrast", "factor": "smp", "levels": [1]}, "levels: a contrast needs two"),
        ({"kind": "value"}, "low and high: a value needs both, low below high, not None and None"),
        ({"kind": "value", "low": 4, "high": 2}, "low and high: a value needs both, low below high, not 4.0 and 2.0"),
        ({"sesoi": -0.1}, "sesoi: Input should be greater than 0"),
        ({"sesoi_ms": -1}, "sesoi_ms: Input should be greater than or equal to 0"),
        ({"direction": "up"}, "direction: Input should be 'increasing', 'decreasing' or 'none'"),
    ],
)
def test_a_question_that_no_cell_can_be_asked_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: dict[str, Any], said: str
) -> None:
    fake = Fake(workloads=(IDLE,), links=("unix", "tcp"), repeats=2, count=12, hypotheses=(GROWS,))
    folder, path = write_campaign(tmp_path, fake), tmp_path / "more.yaml"
    path.write_text(json.dumps({"hypotheses": [GROWS | asked]}))
    assert main([str(folder), "--hypotheses", str(path)]) == 2
    line, fix = capsys.readouterr().err.splitlines()
    assert f"hypothesis H1: {said}" in line
    assert fix.startswith("  fix: ")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"hypotheses": [GROWS | asked]}))
    for command in ([str(folder)], ["calibrate", "--from", str(folder), "--studies", "50"]):
        assert main(command) == 2
        line, _ = capsys.readouterr().err.splitlines()
        assert f"hypothesis H1: {said}" in line


def test_a_trend_is_told_among_the_cells_that_have_its_factor(tmp_path: Path) -> None:
    rates = ({**DIRTY, "rate": 10.0}, {**DIRTY, "rate": 20.0})
    fake = Fake(workloads=(IDLE, *rates), links=("unix",), repeats=3, count=6, failed=2)
    campaign = load_campaign(write_campaign(tmp_path, fake))
    (found,) = derive(campaign, [Hypothesis.model_validate(GROWS | {"factor": "workload.rate"})]).findings
    dirty = sum(run.record.cell["workload"]["name"] == "dirty" for run in campaign.runs)
    # Of two strata one run failed: what is left of them compares nothing, and is not counted.
    assert (found.runs, dirty) == (20, 22)
    assert found.span == pytest.approx(1)


def test_levels_differ_by_more_than_what_was_declared_even_where_equals_differ_by_more_still(
    campaign: Campaign,
) -> None:
    found = verdict(campaign, runs_with(campaign, at_four=0.08))
    assert found.interaction_pvalue < 0.05
    assert found.levels_differ
    assert replace(found, floor=0.5).levels_differ
    assert not replace(found, sesoi=0.5).levels_differ
