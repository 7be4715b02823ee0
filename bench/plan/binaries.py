"""What a binary is called: by its version and hash, whatever its path, or as the campaign that goes on called it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.config.hypotheses import Hypothesis
    from bench.config.model import Cell
    from bench.format.factors import Level
    from bench.plan.plan import QemuBuild

_DIGITS = 8
_PATHS = ("qemu", "qemu_secondary")


def binary_names(asked: Mapping[str, QemuBuild], known: Mapping[str, QemuBuild]) -> dict[str, str]:
    """Return for each name that was asked for the one that goes into plans, labels and records.

    A path becomes ``VERSION-HASH``; ``provisioned`` and ``system`` stay, and so do names of a continued plan.
    """
    by_hash = {build.sha256: name for name, build in known.items()}
    return {
        name: name if name in known else by_hash.get(build.sha256) or _short(name, build)
        for name, build in asked.items()
    }


def _short(name: str, build: QemuBuild) -> str:
    version = build.version.split(" ", 1)[0].replace("/", "-")
    return f"{version}-{build.sha256[:_DIGITS]}" if "/" in name else name


def rename_cells(cells: Sequence[Cell], names: Mapping[str, str]) -> tuple[Cell, ...]:
    """Return the cells with their binaries called by these names."""
    other = {cell.qemu_secondary: names.get(cell.qemu_secondary or "") for cell in cells}
    return tuple(
        cell.model_copy(update={"qemu": names[cell.qemu], "qemu_secondary": other[cell.qemu_secondary]})
        for cell in cells
    )


def rename_hypotheses(hypotheses: Sequence[Hypothesis], names: Mapping[str, str]) -> tuple[Hypothesis, ...]:
    """Return the hypotheses with the binaries that they compare called by these names."""
    return tuple(_renamed(one, names) for one in hypotheses)


def _renamed(one: Hypothesis, names: Mapping[str, str]) -> Hypothesis:
    where = {path: _levels(path, levels, names) for path, levels in one.where.items()}
    return one.model_copy(update={"where": where, "levels": _levels(one.factor, one.levels, names)})


def _levels(path: str | None, levels: tuple[Level, ...], names: Mapping[str, str]) -> tuple[Level, ...]:
    return tuple(names.get(str(level), level) for level in levels) if path in _PATHS else levels
