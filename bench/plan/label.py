"""Names of cells for people, made from the configuration so that they cannot drift from it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bench.config.factors import factor_levels
from bench.format.factors import SIZES, head_of, size_text
from bench.format.hosts import ACCEL_TEXT, KVM_TEXT
from bench.host.virtual import this_kvm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.config.model import Cell

_NAMED = {"mem", "smp", "guest", "workload.name", "link.transport", "host.kind"}
_LONGEST = 40
_THEIR_KVM = "KVM of the hosts that measure"


def labels(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return one label per cell: memory, vCPUs, workload, link, and every other factor that varies over these cells."""
    factors = [factor_texts(cell) for cell in cells]
    varying = _varying(factors)
    return tuple(" · ".join(_parts(one, varying)) for one in factors)


def factor_texts(cell: Cell) -> dict[str, str]:
    """Return a cell's factors as text, by dotted path."""
    return {path: _text(path.rpartition(".")[2], level) for path, level in factor_levels(cell).items()}


def _text(key: str, value: Any) -> str:
    if key in SIZES and isinstance(value, int):
        return size_text(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 6]}…{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def _varying(factors: Sequence[Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return which (head, path) take more than one value; what a workload has of parameters varies within that one.

    What only some cells have (a tuning, which is left out where it changes nothing) is ``None`` for the others.
    """
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    shared = {path for one in factors for path in one if not head_of(path)}
    for one in factors:
        for path in shared | set(one):
            values[_group(one, path)].add(one.get(path, str(None)))
    return {group for group, texts in values.items() if len(texts) > 1}


def _group(factors: Mapping[str, str], path: str) -> tuple[str, str]:
    head = head_of(path)
    return (factors.get(head, "") if head else "", path)


def _parts(factors: Mapping[str, str], varying: set[tuple[str, str]]) -> Iterator[str]:
    yield factors["mem"]
    yield f"{factors['smp']} vCPU{'' if factors['smp'] == '1' else 's'}"
    if "guest" in factors:  # left out at its default, Linux
        yield f"{factors['guest']} guest"
    parameters = [
        f"{path.removeprefix('workload.')}={text}"
        for path, text in factors.items()
        if path.startswith("workload.") and path not in _NAMED and _group(factors, path) in varying
    ]
    yield " ".join([factors["workload.name"], *parameters])
    yield factors["link.transport"]
    if factors["host.kind"] != "local":
        yield factors["host.kind"]
    for path, text in factors.items():
        if path not in _NAMED and not path.startswith("workload.") and _group(factors, path) in varying:
            yield f"{path}={text}"


def accel_text(accel: str, *, elsewhere: bool = False) -> str:
    """Return how a pair runs, for a person: an emulated pause must never be taken for one under KVM.

    Args:
        accel: as a cell has it.
        elsewhere: whether on other machines, whose KVM is not looked at from here.
    """
    undecided = "KVM or emulation (TCG), decided at the start"
    kvm = _THEIR_KVM if elsewhere else KVM_TEXT[this_kvm().kind]
    return {**ACCEL_TEXT, "kvm": kvm, "auto": undecided}[accel]
