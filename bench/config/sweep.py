"""From the words of a command line to the configuration of every cell that they ask for.

A campaign needs to see every configuration before the first VM boots: to refuse what is illegal, to put the runs into
random blocks, and to continue where it stopped. So the whole grid is composed at once, and Hydra's sweepers and
launchers, which hand over one job after another, have no part in it.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString, RangeSweep, ValueType
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config.explain import HELP, explain_composition, unknown
from bench.config.sources import make_loader, refuse_misnamed
from bench.config.written import EXPERIMENT, TYPED, sweeps, swept_as_typed, where
from bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override

REFUSALS = (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError, AttributeError, LookupError)
"""What Hydra refuses a command line with, and what it trips over where it does not expect what was typed."""

Axes: TypeAlias = "Mapping[str, list[str]]"
"""The overrides that each key takes, in the order given."""

_MOST_CELLS = 5000
_WORKLOAD = {"workload", "workload.name"}
_CULPRIT = re.compile(r"(?:cannot read ['\"]|unknown (?:key|choice) )?[+~]*(?P<key>[A-Za-z_][\w.]*)(?==|['\"; ])")
"""The key that a refusal begins with."""

_SIZE = re.compile(r"mem|smp|cpu\.l3_cache|cpu\.cache\..*\.size")
_CONFIG = "config"
_PLAIN = re.compile(r"[A-Za-z0-9_.,+/@ -]+", re.ASCII)


def compose(words: Sequence[str], folder: str | None = None) -> list[DictConfig]:
    """Return the configuration of every cell, at least one, in the order of the grids.

    Args:
        words: ``KEY=VALUE`` and ``GROUP=CHOICE``; a value with commas, range(), choice() or glob() is a sweep.
        folder: the user's own folder of configuration files, searched beside ``conf``.

    Raises:
        ConfigError: a word or a file names something unknown, or cannot be read.
    """
    words = [_spelled(word) for word in words]
    _refuse_idle(words)
    try:
        return _compose(words, make_loader(folder), folder)
    except MissingConfigException as error:
        refuse_misnamed(str(error.missing_cfg_file), folder)
        raise explain_composition(error) from error
    except RecursionError as error:
        asked = next((word for word in words if word.startswith(f"{EXPERIMENT}=")), _CONFIG)
        said = f"{asked}: its defaults lead back to itself"
        raise ConfigError(said, hint="take that line out of the defaults of the file") from error
    except REFUSALS as error:
        raise explain_composition(error) from error


def _spelled(word: str) -> str:
    """Return a word as the configuration has it."""
    for key, typed in TYPED.items():
        word = re.sub(rf"^(\+*){re.escape(typed)}=", rf"\1{key}=", word)
    return word


def _refuse_idle(words: Iterable[str], place: str = "") -> None:
    for word in words:
        if word.lstrip("+~").startswith(("hydra.", "hydra/")):
            raise ConfigError(
                f"{place}{word}: a campaign runs its pairs itself; Hydra's own settings have no effect here",
                hint="leave it out",
            )


def _compose(words: Sequence[str], loader: ConfigLoader, folder: str | None) -> list[DictConfig]:
    parser = OverridesParser.create(config_loader=loader)
    typed = parser.parse_overrides(list(words))
    _require_choices(typed, loader)
    chosen = [one for one in typed if one.key_or_group == EXPERIMENT]
    if any(one.is_sweep_override() for one in chosen):
        raise ConfigError(
            f"{chosen[0].input_line}: an experiment is a whole campaign and cannot be swept",
            hint="start one campaign for each",
        )
    master = loader.load_configuration(_CONFIG, [str(one.input_line) for one in chosen], RunMode.RUN)
    try:
        return _cells(words, loader, parser, master, own=any(one.value() is not None for one in chosen))
    except (*REFUSALS, ConfigError) as error:
        if isinstance(error, MissingConfigException):
            refuse_misnamed(str(error.missing_cfg_file), folder)
        refusal = error if isinstance(error, ConfigError) else explain_composition(error)
        place = _sweep_of(refusal.message, words, master)
        if not place:
            raise
        raise ConfigError(f"{place}: {refusal.message}", hint=refusal.hint) from error


def _require_choices(overrides: Iterable[Override], loader: ConfigLoader) -> None:
    """Refuse what no file of a group can be called: a number, nan, true or null; Hydra's words name nothing typed."""
    groups = {*loader.list_groups("")}
    for one in overrides:
        swept = one.value()
        for value in swept.list if isinstance(swept, ChoiceSweep) else (swept,):
            other = value is swept and one.is_sweep_override()  # a range or a glob, whose values come later
            named = other or isinstance(value, str | QuotedString | list | dict)
            if not named and one.key_or_group in groups and not one.is_delete():
                text = "null" if value is None else str(value).lower()
                typed = one.input_line if value is swept else f"{one.key_or_group}={text}"
                legal = loader.get_group_options(one.key_or_group)
                if text in legal:
                    raise ConfigError(
                        f"{typed}: Hydra reads {text} as a value and not as a name",
                        hint=f"write it in quotes, twice in a shell: \"{one.key_or_group}='{text}'\"",
                    )
                raise unknown(str(typed), "choice", legal)


def _sweep_of(message: str, words: Sequence[str], master: DictConfig) -> str:
    """Return file and line of the experiment whose sweep a refusal is about; empty where it was typed, or told."""
    culprit = _CULPRIT.match(message)
    typed = {word.lstrip("+~").partition("=")[0] for word in words}
    return sweeps(master, culprit["key"]) if culprit and culprit["key"] not in typed else ""


def _cells(
    words: Sequence[str], loader: ConfigLoader, parser: OverridesParser, master: DictConfig, *, own: bool
) -> list[DictConfig]:
    asked: list[list[str]] = []
    brought, arms = _brought(master)
    if own:
        arms = {}  # an experiment says itself what its guests do; the arms are for what is asked without one
    parsed = {
        guest: {arm: axes(parser.parse_overrides(one)) for arm, one in each.items()} for guest, each in arms.items()
    }
    for overrides in brought:
        parsed_words = parser.parse_overrides([*overrides, *words])
        _require_choices(parsed_words, loader)
        given = axes(parsed_words)
        measured = with_arms(given, parsed, str(master.guest))
        _require_few("this sweep", len(asked) + sum(math.prod(map(len, arm.values())) for arm in measured), "cells")
        asked += [cell for arm in measured for cell in grid(arm)]
    cells = {frozenset(cell): cell for cell in _applied(asked, parser, loader)}
    if not cells:
        raise ConfigError("this sweep has no cell: a glob(...) in it matches nothing", hint=HELP)
    return [loader.load_configuration(_CONFIG, cell, RunMode.RUN) for cell in cells.values()]


def _brought(master: DictConfig) -> tuple[list[list[str]], dict[str, dict[str, list[str]]]]:
    """Return the sets of overrides that the experiment brings (one, empty, where there is none), and each guest's arms.

    Raises:
        ConfigError: its file does not hold them as such.
    """
    sweeper: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    place = where(master, "hydra.sweeper") or "hydra.sweeper"
    extra = sorted(map(str, sweeper.keys() - {"params", "grids", "arms"}))
    if extra:
        raise ConfigError(f"{place}: unknown key hydra.sweeper.{extra[0]}; legal: arms, grids, params")
    sets = sweeper["grids"] or [sweeper["params"] or {}]
    arms = sweeper["arms"] or {}
    whole = isinstance(sets, list) and isinstance(arms, dict) and all(isinstance(own, dict) for own in arms.values())
    if not whole or not all(
        isinstance(one, dict) for one in (*sets, *(arm for own in arms.values() for arm in own.values()))
    ):
        raise ConfigError(f"{place}: each set of hydra.sweeper holds KEY: VALUES", hint="as conf/experiment shows")
    return (
        [_written(_as_in_the_file(one, master), place) for one in sets],
        {guest: {name: _written(arm, place) for name, arm in own.items()} for guest, own in arms.items()},
    )


def _as_in_the_file(overrides: Mapping[str, Any], master: DictConfig) -> dict[str, Any]:
    """Return what an experiment sweeps, with its numbers as they are written: YAML takes QEMU 2.10 for 2.1."""
    numbers = {
        key: swept_as_typed(master, key, value)
        for key, value in overrides.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {**overrides, **{key: text for key, text in numbers.items() if text}}


def _written(overrides: Mapping[str, Any], place: str) -> list[str]:
    _refuse_idle(map(str, overrides), f"{place}: ")
    for key, value in overrides.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], str | int | float)):
            values = ",".join(map(str, value if isinstance(value, list) else ("A", "B")))
            raise ConfigError(
                f"{place}: {key} is not written as a sweep",
                hint=f"write {key}: {values} (as on the command line; a list as one value in quotes: '[[{values}]]')",
            )
    return [_spelled(f"{key}={'null' if value is None else value}") for key, value in overrides.items()]


def axes(overrides: Iterable[Override]) -> Axes:
    """Return the overrides that each key takes, one after another; the last of two overrides of one key wins.

    Raises:
        ConfigError: a sweep is continuous, so that it has no list of values.
    """
    return {override.get_key_element(): _choices(override) for override in overrides}


def grid(axes_: Axes) -> list[list[str]]:
    """Return the overrides of each cell: the product of all sweeps."""
    return [list(cell) for cell in itertools.product(*axes_.values())]


def with_arms(given: Axes, arms: Mapping[str, Mapping[str, Axes]], guest: str) -> list[Axes]:
    """Return what to measure: the arms where a size is swept and no workload chosen, else what was given.

    An arm never overrides a key or a group that is chosen. That of ``mem`` is there where RAM is swept, at the first
    value of everything else.

    Args:
        given: what was asked for.
        arms: by guest and name.
        guest: the one that is measured where none was chosen.
    """
    swept = [key for key, choices in given.items() if len(choices) > 1]
    if not any(_SIZE.fullmatch(key) for key in swept) or _WORKLOAD & {key.lstrip("+~") for key in given}:
        return [given]
    first = {key: choices if key == "mem" else choices[:1] for key, choices in given.items()}
    found = {"every": given} | ({"mem": first} if "mem" in swept else {})
    kinds = {choice.partition("=")[2]: {"guest": [choice]} for choice in given.get("guest", [])} or {guest: {}}
    if any(kind not in arms for kind in kinds):
        return [given]
    measured = [
        _arm(arm, {**found[name], **chosen})
        for kind, chosen in kinds.items()
        for name, arm in arms[kind].items()
        if name in found
    ]
    return measured or [given]


def _arm(arm: Axes, given: Axes) -> Axes:
    kept = {key: choices for key, choices in arm.items() if key.partition(".")[0] not in given}
    return kept | dict(given)


def _choices(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no list of values",
            hint="name the values (mem=1G,2G), or use range(), choice() or glob()",
        )
    swept = override.value()
    if isinstance(swept, RangeSweep) and swept.start is not None and swept.stop is not None and swept.step:
        _require_few(str(override.input_line), -((swept.start - swept.stop) // swept.step), "values")
    values = _as_typed(override) or override.sweep_string_iterator()
    return [f"{override.get_key_element()}={value}" for value in values]


def _as_typed(override: Override) -> list[str]:
    """Return the values of a plain list as they stand there, since 2.10 is no 2.1; empty where they are not plain."""
    swept, text = override.value(), str(override.input_line).partition("=")[2]
    if override.value_type is not ValueType.SIMPLE_CHOICE_SWEEP or not _PLAIN.fullmatch(text):
        return []
    values = [value.strip() for value in text.split(",")]
    return values if isinstance(swept, ChoiceSweep) and len(values) == len(swept.list) else []


def _require_few(what: str, count: float, things: str) -> None:
    if not count <= _MOST_CELLS:  # one without an end is no number
        number = f"{count:,}".removesuffix(".0")
        raise ConfigError(
            f"{what} has {number} {things}, and a campaign at most {_MOST_CELLS:,} cells",
            hint="sweep fewer keys or values, or measure them in several campaigns",
        )


def _applied(cells: list[list[str]], parser: OverridesParser, loader: ConfigLoader) -> list[list[str]]:
    """Return the cells without the keys that their choice of a swept group does not have, but another choice does.

    ``workload=idle,dirty workload.rate=20`` sets the rate of the one workload that has any.

    Raises:
        ConfigError: no choice has a key.
    """
    parsed = {word: parser.parse_override(word) for word in dict.fromkeys(itertools.chain(*cells))}
    known = frozenset(loader.list_groups(""))
    keys = {word for word, override in parsed.items() if _sets_a_key(override, known)}
    groups: dict[str, set[str]] = {}
    for word in parsed.keys() - keys:
        groups.setdefault(parsed[word].get_key_element(), set()).add(word)
    swept = {group for group, choices in groups.items() if len(choices) > 1}
    inside = {word: parsed[word].key_or_group for word in keys if parsed[word].key_or_group.partition(".")[0] in swept}
    if not inside:
        return cells
    has: dict[tuple[str, ...], DictConfig] = {}
    absent: dict[int, set[str]] = {}
    for number, cell in enumerate(cells):
        chosen = tuple(word for word in cell if word not in keys)
        if chosen not in has:
            has[chosen] = loader.load_configuration(_CONFIG, list(chosen), RunMode.RUN)
        absent[number] = {inside[word] for word in cell if word in inside and not _exists(has[chosen], inside[word])}
    for key in sorted(set.intersection(*absent.values())):
        group = key.partition(".")[0]
        raise unknown(key, "key", {str(one) for config in has.values() for one in config[group]})
    return [[word for word in cell if inside.get(word) not in absent[number]] for number, cell in enumerate(cells)]


def _sets_a_key(override: Override, groups: Collection[str]) -> bool:
    """Return whether an override gives a key that is there a value, rather than choosing, adding or taking away."""
    plain = not (override.is_add() or override.is_force_add() or override.is_delete())
    return plain and override.key_or_group not in groups


def _exists(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent)
    return isinstance(node, DictConfig) and last in node
