"""``verdicts.json``: the verdicts for programs, a public contract with its own version (``docs/hypotheses.md``)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analysis.derived.digits import rounded
from analysis.derived.looks import level_of
from analysis.report.first import first_screen

if TYPE_CHECKING:
    from analysis.derived.finding import Effect, Finding
    from analysis.derived.results import Results

SCHEMA_VERSION = 1


def verdicts_json(results: Results) -> str:
    """Return the content of ``verdicts.json``; a number that does not exist is null, an infinite one is text.

    The same data gives the same bytes on any processor: numbers have nine significant digits.
    """
    plan = results.campaign.plan
    tree = {
        "schema_version": SCHEMA_VERSION,
        "campaign": plan.campaign,
        "plan_sha256": results.campaign.plan_sha256,
        "hypotheses_sha256": plan.hypotheses_sha256,
        "accels": list(results.cells.accels),
        "noise_floor": results.diagnostics.noise_floor,
        "looks": list(plan.looks),
        "level": level_of(plan),
        **_first(results),
        "verdicts": [_verdict(finding) for finding in results.findings],
    }
    return json.dumps(_plain(rounded(tree)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _first(results: Results) -> dict[str, Any]:
    """Return the first screen, which a terminal shows too."""
    first = first_screen(results)
    return {name: list(said) if isinstance(said, tuple) else said for name, said in asdict(first).items()}


def _verdict(finding: Finding) -> dict[str, Any]:
    return {
        **finding.hypothesis.model_dump(mode="json"),
        "word": finding.word,
        "label": finding.label,
        "sentence": finding.sentence,
        "exploratory": finding.exploratory,
        "effect": _effect(finding.effect),
        "confidence": finding.confidence,
        "absolute": _effect(finding.absolute),
        "absolute_unit": finding.absolute_unit,
        "sesoi_judged_by": finding.sesoi,
        "sesoi_declared": finding.sesoi_declared,
        "sesoi_rests_on": finding.sesoi_rests_on,
        "pvalue": finding.pvalue,
        "pvalue_holm": finding.adjusted if finding.hypothesis.family == "primary" else finding.pvalue,
        "pvalue_adjusted": finding.adjusted,
        "runs": finding.runs,
        "excluded": finding.excluded,
        "failed": finding.failed,
        "strata": finding.strata,
        "interaction_pvalue": finding.interaction_pvalue,
        "levels": [{**asdict(level), "effect": _effect(level.effect)} for level in finding.levels],
        "more_blocks": finding.more_blocks,
        "notes": list(finding.notes),
    }


def _effect(effect: Effect) -> dict[str, float]:
    return {"estimate": effect.estimate, "low": effect.low, "high": effect.high}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
