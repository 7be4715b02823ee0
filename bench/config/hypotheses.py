"""What a campaign is to decide, declared before the data: the plan keeps it, the analysis gives the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.config.factors import factors_told
from bench.config.forms import written_as
from bench.errors import ConfigError
from bench.format.factors import Level
from bench.format.hypotheses import SESOI, SESOI_MS, Declared
from bench.format.outcomes import OUTCOMES
from bench.system.frozen import Frozen
from bench.system.units import parse_size, refuse_bool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.config.model import Cell


def _known_outcome(name: str) -> str:
    if name not in OUTCOMES:
        raise ValueError(f"{name} is no outcome; legal: {', '.join(OUTCOMES)}")
    return name


Number = Annotated[float, BeforeValidator(refuse_bool)]


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Hypothesis(Declared, Frozen):
    """A question as it is declared, its spelling checked; whether the cells can answer it, :func:`settle` says."""

    id: Annotated[str, written_as(r"[A-Za-z][A-Za-z0-9_]{0,31}", "letters, then also digits and _, up to 32 of them")]
    claim: Annotated[str, Field(min_length=1, max_length=200)]
    outcome: Annotated[str, AfterValidator(_known_outcome)] = "pause"
    where: dict[str, Annotated[tuple[Level, ...], BeforeValidator(_listed)]] = Field(default_factory=dict)
    sesoi: Annotated[Number, Field(gt=0, lt=10)] = SESOI
    sesoi_ms: Annotated[Number, Field(ge=0)] = SESOI_MS
    low: Number | None = None
    high: Number | None = None

    @model_validator(mode="after")
    def _whole(self) -> Hypothesis:
        if self.kind == "value":
            if self.low is None or self.high is None or self.low >= self.high:
                raise ValueError("a value needs low < high")
        elif not self.factor:
            raise ValueError(f"a {self.kind} needs a factor")
        if (len(self.levels) == 2) != (self.kind == "contrast"):  # noqa: PLR2004 - a base and what is compared with it
            raise ValueError("levels holds the base and what is compared with it, for a contrast and nothing else")
        return self


def settle(
    hypotheses: Sequence[Hypothesis], cells: Sequence[Cell], place: Callable[[int], str] = lambda _number: ""
) -> tuple[Hypothesis, ...]:
    """Return the hypotheses in the words of the cells (``1G`` becomes bytes), each one decidable by these cells.

    Args:
        hypotheses: as they were declared.
        cells: of the campaign.
        place: gives the file and line of a hypothesis by its number; empty for what was typed.

    Raises:
        ConfigError: a hypothesis names a factor or level that no cell has, or that does not vary, or a trend is over
            levels without a size; or two share an id.
    """
    ids = [one.id for one in hypotheses]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ConfigError(f"hypotheses: two are called {twice[0]}", hint="give each its own id")
    factors = factors_told(cells)
    settled = []
    for number, one in enumerate(hypotheses):
        try:
            settled.append(_settle(one, factors))
        except ConfigError as error:
            written = place(number)
            raise ConfigError(f"{written}: {error.message}" if written else error.message, hint=error.hint) from error
    return tuple(settled)


def _settle(one: Hypothesis, factors: Sequence[Mapping[str, Any]]) -> Hypothesis:
    known = sorted({path for cell in factors for path in cell})
    for path in [*one.where, *([one.factor] if one.factor else [])]:
        if path not in known:
            raise ConfigError(f"hypothesis {one.id}: unknown factor {path}; legal: {', '.join(known)}")
    where = {path: tuple(_level(path, level, factors) for level in levels) for path, levels in one.where.items()}
    meant = [cell for cell in factors if all(cell.get(path) in levels for path, levels in where.items())]
    if not meant:
        raise ConfigError(f"hypothesis {one.id}: no cell of this campaign is where it asks", hint="see dry_run=true")
    levels = tuple(_level(str(one.factor), level, factors) for level in one.levels)
    if len(set(levels)) < len(levels):
        raise ConfigError(
            f"hypothesis {one.id}: {one.factor} is not compared with itself: both levels are {levels[0]}",
            hint="name the base and another level",
        )
    found = {cell.get(one.factor) for cell in meant} if one.factor else set()
    if one.kind == "trend":
        found.discard(None)  # a cell without the factor plays no part in its trend
    absent = [level for level in levels if level not in found]
    if absent or (one.kind == "trend" and len(found) < 2):  # noqa: PLR2004 - a trend needs two sizes
        have = ", ".join(sorted(map(str, found)))
        raise ConfigError(
            f"hypothesis {one.id}: {one.factor} does not take the levels that it compares; it has {have}",
            hint="sweep it, or set hypotheses=[]",
        )
    if one.kind == "trend" and not all(_has_size(level) for level in found):
        have = ", ".join(sorted(map(str, found)))
        raise ConfigError(
            f"hypothesis {one.id}: a trend is told per doubling of numbers above 0, and {one.factor} has {have}",
            hint="declare a contrast of two levels (kind: contrast, levels: [base, other]), or restrict them by where",
        )
    return one.model_copy(update={"where": where, "levels": levels})


def _has_size(level: Level) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool) and level > 0


def _level(path: str, level: Level, factors: Sequence[Mapping[str, Any]]) -> Level:
    """Return a level as the cells spell it: sizes are bytes there."""
    if isinstance(level, str) and any(isinstance(cell.get(path), int) for cell in factors):
        try:
            return parse_size(level)
        except ValueError:
            return level
    return level
