"""Hypotheses from a plan, or from a file for questions that came after the data: what cannot be answered is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from analysis.format.factors import flatten
from analysis.format.folder import PLAN
from analysis.format.outcomes import OUTCOMES
from analysis.stored.factors import is_size, parse_level
from analysis.stored.records import Hypothesis
from analysis.verdicts.written import BadHypothesesError, read_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign

    Factors = Mapping[str, Level]

_COMPARED = 2


def declared(campaign: Campaign) -> tuple[Hypothesis, ...]:
    """Return the hypotheses of a campaign's plan.

    Raises:
        BadHypothesesError: one of them cannot be answered.
    """
    return checked(_validated(campaign.plan.hypotheses, PLAN), campaign, stored=True)


def checked(hypotheses: Iterable[Hypothesis], campaign: Campaign, *, stored: bool = False) -> tuple[Hypothesis, ...]:
    """Return the hypotheses, each one a question that the cells of a campaign can be asked.

    Args:
        hypotheses: to be asked.
        campaign: with the cells.
        stored: whether they stand in the campaign's own plan, which an earlier version took as it is.

    Raises:
        BadHypothesesError: an unknown outcome or factor, a trend over what is no number above 0, a contrast without two
            levels, a value without a range.
    """
    trees = [flatten(cell.cell) for cell in campaign.plan.cells]
    cells = trees + [{**flatten(run.record.cell), "accel": run.record.accel} for run in campaign.runs]
    asked = tuple(hypotheses)
    for one in asked:
        if mistake := _mistake(one, cells, stored=stored):
            raise BadHypothesesError(f"hypothesis {one.id}: {mistake}")
    return asked


def _mistake(one: Hypothesis, cells: Sequence[Factors], *, stored: bool) -> str:
    """Return which field cannot be used and what would be legal; empty when all can."""
    known = sorted({path for cell in cells for path in cell})
    if one.outcome not in OUTCOMES:
        return _unknown("outcome", one.outcome, OUTCOMES)
    if unknown := [path for path in one.where if path not in known]:
        return _unknown("where", unknown[0], known)
    if one.kind == "value":
        whole = one.low is not None and one.high is not None and one.low < one.high
        return "" if whole else f"low and high: a value needs both, low below high, not {one.low} and {one.high}"
    if one.factor not in known:
        return _unknown("factor", one.factor, known)
    meant = [cell for cell in cells if all(cell.get(path) in levels for path, levels in one.where.items())]
    if one.kind == "contrast":
        return _mistaken_levels(
            one, [] if stored else list(dict.fromkeys(cell[one.factor] for cell in meant if one.factor in cell))
        )
    ordered = [path for path in known if _ordered(path, meant or cells)]
    return "" if one.factor in ordered else _unknown("factor", one.factor, ordered, "no number above 0 everywhere")


def _mistaken_levels(one: Hypothesis, there: Sequence[Level]) -> str:
    if len(one.levels) != _COMPARED:
        return "levels: a contrast needs two, the base and what is compared with it"
    if there and one.levels[0] == one.levels[1]:
        return f"levels: {one.levels[0]!r} is not compared with itself; legal: {', '.join(sorted(map(repr, there)))}"
    lacking = next((level for level in one.levels if there and level not in there), None)
    why = "no level of any cell" + " where it asks" * bool(one.where)
    return "" if lacking is None else _unknown("levels", repr(lacking), sorted(map(repr, there)), why)


def _unknown(field: str, value: str | None, legal: Iterable[str], why: str = "unknown") -> str:
    return f"{field}: {'none given' if value is None else f'{value} is {why}'}; legal: {', '.join(legal)}"


def _ordered(path: str, cells: Sequence[Factors]) -> bool:
    """Return whether a factor has a size wherever it has a level."""
    levels = [level for cell in cells if (level := cell.get(path)) is not None]
    return bool(levels) and all(map(is_size, levels))


def read_hypotheses(path: Path) -> tuple[Hypothesis, ...]:
    """Return the ``hypotheses`` of a YAML file, such as one of ``conf/experiment``; sizes may be written as 1G.

    Raises:
        BadHypothesesError: the file cannot be read as it is written, or holds none, or one that is not whole; or two
            share an id.
    """
    asked = _validated([_settled(one) for one in read_listed(path)], str(path))
    twice = [one.id for number, one in enumerate(asked) if one.id in {other.id for other in asked[:number]}]
    if twice:
        raise BadHypothesesError(f"{path}: two hypotheses have the id {twice[0]}", fix="give each its own")
    return asked


def _validated(listed: Iterable[Any], source: str) -> tuple[Hypothesis, ...]:
    found = []
    for number, one in enumerate(listed, start=1):
        try:
            found.append(Hypothesis.model_validate(one))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = one.get("id", number) if isinstance(one, dict) else number
            said = [f"{source}: hypothesis {name}", ".".join(map(str, first["loc"])), first["msg"]]
            raise BadHypothesesError(": ".join(part for part in said if part)) from error
    return tuple(found)


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
