"""Every cause by its name, as ``catalogue.toml`` has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.failures.cause import LIVE, Cause, Phase, Trait

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LIVE = "live"


def _causes(text: str) -> Iterator[Cause]:
    for entry in tomllib.loads(text)["cause"]:
        tree: dict[str, Any] = dict(entry)
        traits = frozenset(map(Trait, tree.get("traits", ())))
        yield Cause(**tree | {"phases": _phases(tree["phases"]), "traits": traits})


def _phases(names: Sequence[str]) -> tuple[Phase, ...]:
    return tuple(phase for name in names for phase in (LIVE if name == _LIVE else (Phase(name),)))


CAUSES = tuple(_causes(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")))
"""The catalogue, in the order of the document."""

CATALOGUE: dict[str, Cause] = {cause.name: cause for cause in CAUSES}
"""The same by name."""
