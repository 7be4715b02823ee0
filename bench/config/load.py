"""The door: composed configuration trees become frozen settings and cells, or a refusal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from bench.config.explain import explain_composition, explain_values
from bench.config.forms import written_as
from bench.config.hypotheses import Hypothesis, settle
from bench.config.inventory import place_in, with_inventory
from bench.config.launcher import Launcher
from bench.config.model import Cell
from bench.config.quantities import Duration, Positive, Whole, absolute_path
from bench.config.questions import questions
from bench.config.written import as_typed, given, require_whole_experiment, where
from bench.errors import ConfigError
from bench.system.frozen import Frozen
from bench.system.places import has_controls, results_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_BLOCKS = 10_000
_NAMES = (
    *("campaign", "qemu", "qemu_secondary", "replica", "results"),
    *("launcher.account", "launcher.partition", "launcher.workdir"),
)
"""The keys whose values are words even where they look like numbers."""

_ON_ERROR = re.compile(r"(?P<mode>continue|stop)|retry:(?P<retries>[1-9][0-9]{0,2})", re.ASCII)


Name = Annotated[
    str,
    written_as(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "letters, digits, and . _ - after the first, up to 64, such as day-7",
    ),
]
"""A name that is also that of one folder in another: it never leads out of it."""


class OnError(Frozen):
    """What a failed run does to the campaign.

    Attributes:
        stop: end the campaign at the first run that failed for good.
        retries: how often a run is tried again when its cause may pass.
    """

    stop: bool = False
    retries: int = 0

    @property
    def typed(self) -> str:
        """Return how it is typed."""
        return "stop" if self.stop else f"retry:{self.retries}" if self.retries else "continue"


def parse_on_error(value: object) -> OnError:
    """Return what ``continue``, ``stop`` or ``retry:N`` asks for.

    Raises:
        ValueError: it is none of the three.
    """
    if isinstance(value, OnError):
        return value
    match = _ON_ERROR.fullmatch(str(value))
    if not match:
        raise ValueError("legal: continue, stop, retry:N (N from 1 to 999)")
    return OnError(stop=match["mode"] == "stop", retries=int(match["retries"] or 0))


def _results_folder(value: object) -> Path:
    if value is not None and (not isinstance(value, str | Path) or not str(value).strip()):
        raise ValueError("legal: the path of a folder, or null for results/")
    folder = results_folder() if value is None else absolute_path(str(value))
    if has_controls(folder):
        raise ValueError(f"{str(folder)!r} holds a line end or another control character")
    return folder


def _campaign_name(value: object) -> object:
    if isinstance(value, int | float):
        # Hydra reads 2026_11 as the number 202611: what was typed is no longer known.
        raise ValueError("a number is no name; legal: letters, digits, and . _ - after the first, such as day-7")  # noqa: TRY004
    return value


def _blocks(value: object) -> object:
    return None if value == "auto" else value


class Settings(Frozen):
    """What holds for a whole campaign.

    Attributes:
        campaign: its name, or None to derive one.
        results: the absolute folder that campaigns are kept in.
        repeats: how many blocks; None (``auto``): until what was declared is decided.
        budget: seconds of measuring that ``auto`` may take, all commands of the campaign together.
        max_blocks: how many blocks ``auto`` may take.
        seed: what the random order is drawn from.
        on_error: what a failed run does to the rest.
        dry_run: print the plan and start nothing.
        report: build the report when the last run has ended.
        watch: which side gets a VNC screen on loopback.
        launcher: where the blocks are measured: here, or as jobs of a cluster.
        hypotheses: what the campaign is to decide.
        by_size: whether the hypotheses follow from the sizes that are swept (``hypotheses=auto``).
        experiment: the experiment file that was asked for, if any.
    """

    campaign: Annotated[Name | None, BeforeValidator(_campaign_name)] = None
    results: Annotated[Path, BeforeValidator(_results_folder)] = Field(default_factory=results_folder)
    repeats: Annotated[Annotated[Positive, Field(le=_MOST_BLOCKS)] | None, BeforeValidator(_blocks)] = 1
    budget: Annotated[Duration, Field(gt=0)] = 3600.0
    max_blocks: Annotated[Positive, Field(le=_MOST_BLOCKS)] = 24
    seed: Annotated[Whole, Field(ge=0)] = 0
    on_error: Annotated[OnError, BeforeValidator(parse_on_error)] = OnError()
    dry_run: bool = False
    report: bool = True
    watch: Literal["primary", "secondary", "both"] | None = None
    launcher: Launcher = Launcher()
    hypotheses: tuple[Hypothesis, ...] = ()
    by_size: bool = False
    experiment: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _declared(cls, tree: dict[str, Any]) -> dict[str, Any]:
        said = tree.get("hypotheses", ())
        if said in ("auto", "none", None):
            return tree | {"hypotheses": (), "by_size": said != "none"}
        return tree

    @property
    def until_known(self) -> bool:
        """Return whether blocks are added until what was declared is decided."""
        return self.repeats is None and bool(self.hypotheses)

    @property
    def blocks(self) -> int:
        """Return how many blocks are planned before anything is known."""
        return self.repeats or 1

    @property
    def watched(self) -> frozenset[str]:
        """Return the sides that get a screen."""
        both = frozenset({"primary", "secondary"})
        return both if self.watch == "both" else both & {self.watch or ""}


CAMPAIGN_KEYS = Settings.model_fields.keys() - {"experiment", "by_size"}
"""What of the settings is typed as a key; the rest follows from other words."""


def load(config: DictConfig) -> tuple[Settings, Cell]:
    """Return the settings and the cell of one composed configuration, with or without its ``hydra`` node.

    Raises:
        ConfigError: a key is unknown or a value illegal; the message names it and what is legal.
    """
    tree = _with_names(config, _plain(config))
    job = isinstance(launcher := tree.get("launcher"), dict) and launcher.get("kind") == "slurm"
    tree |= {"host": with_inventory(tree["host"], of_a_job=job)} if "host" in tree else {}
    experiment = OmegaConf.select(config, "hydra.runtime.choices.experiment", default=None)
    if isinstance(experiment, str):
        experiment = experiment.removesuffix(".yaml")  # one file is one campaign, however it was asked for
    settings = {key: value for key, value in tree.items() if key in CAMPAIGN_KEYS}
    try:
        return (
            Settings.model_validate(settings | {"experiment": experiment}),
            Cell.model_validate({key: value for key, value in tree.items() if key not in CAMPAIGN_KEYS}),
        )
    except ValidationError as error:
        raise explain_values(
            error,
            tree,
            place=lambda key, value: place_in(config, key) or where(config, key, value),
            typed=lambda key, value: as_typed(config, key, value),
        ) from error


def _with_names(config: DictConfig, tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree whose names are as they were written: QEMU 2.10 is no 2.1, and an account may be a number."""
    named = dict(tree)
    for key in _NAMES:
        group, _, name = key.rpartition(".")
        inside = named.get(group) if group else named
        value = inside.get(name) if isinstance(inside, dict) else None
        text = as_typed(config, key, value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
        if text:
            named |= {group: {**inside, name: text}} if group and isinstance(inside, dict) else {name: text}
    return named


def load_grid(configs: Sequence[DictConfig]) -> tuple[Settings, tuple[Cell, ...]]:
    """Return the settings that all configurations share, and their cells in order.

    Raises:
        ConfigError: as for :func:`load`; or a campaign-wide key was swept, or a hypothesis is not about these cells.
    """
    require_whole_experiment(configs[0])
    loaded = [load(config) for config in configs]
    settings, cells = loaded[0][0], tuple(cell for _, cell in loaded)
    for other, _ in loaded:
        _refuse_swept(settings, other)
    paused = [cell for cell in cells if cell.takes_checkpoints]  # nothing of the others grows
    asked = questions(paused) if settings.by_size else settings.hypotheses
    typed = any(word.lstrip("+~").partition("=")[0].partition(".")[0] == "hypotheses" for word in given(configs[0]))
    own = settings.by_size or typed

    def place(number: int) -> str:
        return "" if own else where(configs[0], f"hypotheses.{number}")

    return settings.model_copy(update={"hypotheses": settle(asked, cells, place)}), cells


def _plain(config: DictConfig) -> dict[str, Any]:
    task = config.copy()
    with read_write(task), open_dict(task):
        task.pop("hydra", None)
    try:
        tree = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException as error:
        raise explain_composition(error, where(config, str(error.full_key or ""))) from error
    return {str(key): value for key, value in dict(tree).items()}  # type: ignore[arg-type]


def _refuse_swept(settings: Settings, other: Settings) -> None:
    for key in Settings.model_fields:
        first, second = getattr(settings, key), getattr(other, key)
        if first != second:
            raise ConfigError(
                f"{key} holds for the whole campaign and cannot be swept (here: {first}, {second})",
                hint=f"give {key} one value, or start one campaign for each",
            )
