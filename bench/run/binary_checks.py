"""What can be known of the QEMUs that are here, for what is asked of them, without starting a machine."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import HostError, ProvisionError
from bench.provision import commands
from bench.provision.kvm import cached_kvm
from bench.run.beforehand import Check
from bench.run.machine_checks import check_colo
from bench.run.probe import Trial, cached_colo
from bench.vm.features import MODERN, known_events
from bench.vm.spec import Second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.config.model import Cell
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

    Binaries = Mapping[str, Binary | None]

_EVENT = re.compile(r"[a-z0-9_]+", re.IGNORECASE)
_DEADLINE_S = 20.0


def event_checks(cells: Sequence[Cell], binaries: Binaries) -> Iterator[Check]:
    """Yield a failure for each set of trace events of which these binaries do not have one that has to be there.

    A run asks the QEMU itself once more, over QMP. Nothing is said of a binary that lists no events.
    """
    listed = {name: _events(binary) for name, binary in binaries.items() if binary is not None}
    for traced, names in dict.fromkeys((cell.traced, cell.binaries) for cell in cells if not cell.host.far):
        known = [listed.get(name, frozenset()) for name in names]
        if not all(known):
            continue
        try:
            known_events(traced, replace(MODERN, trace_events=frozenset.intersection(*known)))
        except HostError as error:
            yield Check("trace events", "fail", error.message, error.hint, error.cause)


def _events(binary: Binary) -> frozenset[str]:
    try:
        said = commands.run([*binary.argv, "-trace", "help"], deadline_s=_DEADLINE_S, env=binary.env)
    except ProvisionError:  # whoever starts it says why
        return frozenset()
    return frozenset(line for line in said.lines if not said.status and _EVENT.fullmatch(line))


def remembered_checks(
    cells: Sequence[Cell], binaries: Binaries, guest_of: Callable[[Cell], Guest | None]
) -> Iterator[Check]:
    """Yield a failure for each pair of which an earlier probe found that it cannot do COLO here: it is remembered."""
    found: dict[str, Check] = {}
    for cell in cells:
        binary, other, guest = binaries[cell.qemu], binaries[cell.qemu_secondary or cell.qemu], guest_of(cell)
        if cell.host.far or not cell.paired or not (binary and other and guest):
            continue
        accel = cell.accel
        if accel == "auto":
            kvm = cached_kvm(binary, guest)
            if kvm is None:
                continue
            accel = "kvm" if kvm.ok else "tcg"
        second = Second(other, MODERN) if cell.qemu_secondary not in (None, cell.qemu) else None
        verdict = cached_colo(Trial(binary, guest, accel, second, cell.migration.multifd))
        if verdict is not None and not verdict.ok:
            check = check_colo(verdict, accel)
            found[check.text] = replace(check, cause=verdict.cause or "colo-probe")
    yield from found.values()
