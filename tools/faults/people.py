"""Faults of what people write and set: files of configuration, command lines, and whose folders are whose."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.faults.fault import DONE, HOST, USAGE, Fault, require_root, unset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.faults.fault import Act, Ground
    from tools.faults.scene import Scene

_GLOBAL = "# @package _global_\n"
_OWN = ("--config-dir", "mine", "experiment=slip")
_SOMEBODY = 1
_SHADOWED = ("random", "statistics", "yaml", "csv", "secrets")


def _slip(content: str) -> Ground:
    @contextmanager
    def ground(scene: Scene) -> Iterator[None]:
        path = scene.folder / "mine" / "experiment" / "slip.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content)
        yield

    return ground


@contextmanager
def _modules_of_theirs(scene: Scene) -> Iterator[None]:
    for name in _SHADOWED:
        (scene.folder / f"{name}.py").write_text("raise SystemExit('another module of this name')\n")
    yield


@contextmanager
def _cache_of_somebody(scene: Scene) -> Iterator[None]:
    require_root("giving a folder to another user")
    folder = scene.folder / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, _SOMEBODY, _SOMEBODY)
    yield
    shutil.rmtree(folder)


def _set(**variables: str) -> Act:
    def act(scene: Scene) -> None:
        scene.env |= {name: value.format(folder=scene.folder) for name, value in variables.items()}

    return act


def faults() -> Iterator[Fault]:
    """Yield every fault of what people write and set."""
    for name, content, says in (
        ("bracket", f"{_GLOBAL}mem: [256M\n", r"slip\.yaml:3: expected ',' or '\]'.*begins in line 2"),
        ("tab", f"{_GLOBAL}\tmem: 256M\n", r"slip\.yaml:2: found character"),
        ("key-twice", f"{_GLOBAL}mem: 256M\nmem: 512M\n", r"slip\.yaml:3: found duplicate key mem"),
        ("package", "mem: 256M\n", r"slip\.yaml: an experiment sets keys of the whole configuration"),
        ("value", f"{_GLOBAL}seed: 1\nreplica: A!\n", r"slip\.yaml:3: replica=A!: legal"),
    ):
        yield Fault(
            name=f"written-{name}",
            group="a slip in a file that a person wrote",
            does=f"the experiment that the command names holds {content!r}",
            says=says,
            exits=frozenset({USAGE}),
            ground=_slip(content),
            overrides=_OWN,
        )
    yield Fault(
        name="typed-key",
        group="a slip in a file that a person wrote",
        does="the command line sweeps workloads, with a key that none of them has",
        says=r"unknown key workload\.rat; did you mean",
        exits=frozenset({USAGE}),
        overrides=("workload=idle,dirty", "workload.rat=3"),
    )
    yield Fault(
        name="modules-of-theirs",
        group="what lies around the command",
        does=f"the current folder holds {', '.join(f'{name}.py' for name in _SHADOWED)}",
        exits=frozenset({DONE}),
        ground=_modules_of_theirs,
        may_succeed=True,
    )
    yield Fault(
        name="environment-of-a-notebook",
        group="what lies around the command",
        does="the environment of a notebook in CI: its backend of matplotlib, colours forced, a terminal of no width",
        exits=frozenset({DONE}),
        damage=_set(
            MPLBACKEND="module://matplotlib_inline.backend_inline", FORCE_COLOR="1", TTY_COMPATIBLE="1", COLUMNS="0"
        ),
        remedy=unset("MPLBACKEND", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"),
        overrides=("report=true",),
        may_succeed=True,
    )
    yield Fault(
        name="cache-of-somebody-else",
        group="what lies around the command",
        does="the cache folder belongs to another user, as under a sudo that keeps HOME; another is named, as told",
        says=r"belongs to \w+, and programs are run from it",
        exits=frozenset({HOST}),
        ground=_cache_of_somebody,
        damage=_set(COLO_BENCH_CACHE="{folder}/theirs"),
        remedy=unset("COLO_BENCH_CACHE"),
    )
