"""``verdicts.json``: the verdicts for programs, a public contract with its own version (``docs/hypotheses.md``)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analysis.format.folder import REPORT, VERDICTS
from analysis.report.files import write
from analysis.report.first import first_screen
from analysis.stored.study import load_study
from analysis.verdicts.digits import rounded
from analysis.verdicts.equals import noise_floor
from analysis.verdicts.looks import level_of, looked_at
from analysis.verdicts.overhead import left_out, to_tree
from analysis.verdicts.overhead_words import sentences
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.stored.records import Hypothesis
    from analysis.verdicts.finding import Finding, LevelFinding
    from analysis.verdicts.results import Results

SCHEMA_VERSION = 1


def write_verdicts(
    folders: Sequence[Path], *, asked: Sequence[Hypothesis] | None = None, out: Path | None = None
) -> Path:
    """Write ``verdicts.json`` alone, the same bytes as beside the report, and return its path.

    Args:
        folders: campaign folders of one plan.
        asked: hypotheses other than those of the plan; None: those of the plan.
        out: where to write; None: ``report`` in the first folder.

    Raises:
        AnalysisError: a folder is no campaign, nothing was measured, or a hypothesis cannot be answered.
        OSError: the file cannot be written.
    """
    judged = derive(load_study(folders), asked)
    return write((out or folders[0] / REPORT) / VERDICTS, verdicts_json(judged).encode())


def verdicts_json(judged: Results) -> str:
    """Return the content of ``verdicts.json``; a number that does not exist is null, an infinite one is text.

    The same data gives the same bytes on any processor: numbers have nine significant digits.
    """
    plan = judged.campaign.plan
    tree = {
        "schema_version": SCHEMA_VERSION,
        "campaign": plan.campaign,
        "plan_sha256": judged.campaign.plan_sha256,
        "hypotheses_sha256": plan.hypotheses_sha256,
        "accels": list(judged.cells.accels),
        "noise_floor": noise_floor(looked_at(judged.campaign, judged.runs)[1]),
        "looks": list(plan.looks),
        "level": level_of(plan),
        "unread": [{"run_id": one.planned.run_id, "why": one.why} for one in judged.campaign.unread],
        **_first(judged),
        **_overhead(judged),
        "verdicts": [_verdict(finding) for finding in judged.findings],
    }
    return json.dumps(_plain(rounded(tree)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _first(judged: Results) -> dict[str, Any]:
    """Return the first screen, which a terminal shows too."""
    first = first_screen(judged)
    return {name: list(said) if isinstance(said, tuple) else said for name, said in asdict(first).items()}


def _overhead(judged: Results) -> dict[str, Any]:
    """Return what COLO costs beside the same machine without it; nothing where no such machine was measured."""
    found = judged.overheads
    said = [*sentences(found), *filter(None, [left_out(judged.campaign)])]
    return {"overhead": {"said": said, "compared": to_tree(found)}} if said else {}


def _verdict(finding: Finding) -> dict[str, Any]:
    declared = finding.hypothesis.model_dump(mode="json")
    return {
        **declared,
        "compared": declared["levels"],
        "word": finding.word,
        "label": finding.label,
        "sentence": finding.sentence,
        "exploratory": finding.exploratory,
        "effect": asdict(finding.effect),
        "confidence": finding.confidence,
        "absolute": asdict(finding.absolute),
        "absolute_unit": finding.absolute_unit,
        "sesoi_judged_by": finding.sesoi,
        "sesoi_declared": finding.sesoi,
        "sesoi_rests_on": finding.sesoi_rests_on,
        "equals_differ_by": finding.floor,
        "pvalue": finding.pvalue,
        "pvalue_holm": finding.adjusted if finding.hypothesis.family == "primary" else finding.pvalue,
        "pvalue_adjusted": finding.adjusted,
        "runs": finding.runs,
        "excluded": finding.excluded,
        "failed": finding.failed,
        "strata": finding.strata,
        "interaction_pvalue": finding.interaction_pvalue,
        "levels": [_level(level) for level in finding.levels],
        "shape": None if finding.shape is None else asdict(finding.shape),
        "more_blocks": finding.more_blocks,
        "notes": list(finding.notes),
    }


def _level(level: LevelFinding) -> dict[str, Any]:
    known = {"level": level.level, "word": level.word, "label": level.label, "runs": level.runs}
    return {**known, "effect": asdict(level.effect)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
