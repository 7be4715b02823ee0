"""Hypotheses from a file, for questions that came after the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from analysis.errors import AnalysisError
from analysis.stored.factors import parse_level
from analysis.stored.records import Hypothesis

if TYPE_CHECKING:
    from pathlib import Path


class BadHypothesesError(AnalysisError):
    """A file of hypotheses cannot be used."""


def read_hypotheses(path: Path) -> tuple[Hypothesis, ...]:
    """Return the ``hypotheses`` of a YAML file, such as one of ``conf/experiment``; sizes may be written as 1G.

    Raises:
        BadHypothesesError: the file cannot be read, or holds none.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadHypothesesError(f"{path}: {' '.join(str(error).split())}") from error
    listed = tree.get("hypotheses") if isinstance(tree, dict) else None
    if not isinstance(listed, list) or not listed:
        raise BadHypothesesError(f"{path}: no list of hypotheses in it; docs/hypotheses.md shows one")
    try:
        return tuple(Hypothesis.model_validate(_settled(one)) for one in listed)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadHypothesesError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _settled(one: Any) -> Any:
    """Return a hypothesis with its levels as the stored cells have them; what is no level is left to be refused."""
    if not isinstance(one, dict):
        return one
    settled = dict(one)
    where, levels = one.get("where") or {}, one.get("levels") or []
    if isinstance(where, dict):
        listed = {path: levels if isinstance(levels, list) else [levels] for path, levels in where.items()}
        settled["where"] = {path: [parse_level(str(path), each) for each in some] for path, some in listed.items()}
    if isinstance(levels, list):
        settled["levels"] = [parse_level(str(one.get("factor")), level) for level in levels]
    return settled
