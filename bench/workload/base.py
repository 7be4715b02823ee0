"""The workload interface and its registry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench.system.frozen import Frozen


class Workload(Frozen):
    """What the guest does while checkpoints are measured. A module of this package holds one kind, or two twins.

    The class attribute ``kind`` is the configuration's word for it, ``guests`` those that can run it; the fields are
    its parameters.
    """

    kind: ClassVar[str]
    guests: ClassVar[tuple[str, ...]] = ("linux",)
    name: str

    def guest_command(self, mem_bytes: int) -> str:
        """Return the line sent to the console of a guest with that much RAM to start it (empty: nothing to start)."""
        del mem_bytes
        return ""

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return how much of a guest's RAM it needs beyond the booted system, in bytes."""
        del mem_bytes
        return 0

    def shares(self, mem_bytes: int) -> tuple[int, ...]:
        """Return how many pages of its working set each of its threads writes (empty: it has none)."""
        del mem_bytes
        return ()

    def asked_mb_s(self) -> float:
        """Return how many MB it is to write in each second of the guest (0: as it comes)."""
        return 0

    def client_argv(self, address: str, port: int, output: Path) -> tuple[str, ...]:
        """Return the module and arguments of the client that drives it from outside (empty: it has none)."""
        del address, port, output
        return ()

    def guest_port(self) -> int | None:
        """Return the guest TCP port that the client needs forwarded, if any."""
        return None

    def guest_state(self) -> str:
        """Return what the replicated disk of ``guest=apps`` begins with (empty: an empty file system)."""
        return ""

    def client_program(self) -> str:
        """Return the packaged program that the client runs, by its place in the applications' tree (empty: none)."""
        return ""

    def failover_argv(self) -> tuple[str, ...]:
        """Return what its client is told beside where a side is lost.

        ``--verify``: to look, at its end, for what was acknowledged; without it that cannot be looked for.
        """
        return ()

    def tells_each_request(self) -> bool:
        """Return whether its client, if it has one, writes a row for each request, or totals alone."""
        return True


def registry() -> dict[str, type[Workload]]:
    """Return every workload class by its configuration name."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"bench.workload.{module.name}")
    return {cls.kind: cls for one in Workload.__subclasses__() for cls in one.__subclasses__() or [one]}


def build_workload(value: object) -> Workload:
    """Build the workload that a configuration mapping names.

    Raises:
        ValueError: the name is unknown; the message lists the legal ones.
    """
    if isinstance(value, Workload):
        return value
    classes = registry()
    legal = ", ".join(sorted(classes))
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping) or not isinstance(name, str) or name not in classes:
        raise ValueError(f"unknown workload {name!r}; legal: {legal}")
    return classes[name].model_validate(dict(value))
