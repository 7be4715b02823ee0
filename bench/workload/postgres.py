"""A database in the guest, its data on the replicated disk: transactions that are flushed before they are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, refuse_bool
from bench.workload.base import Workload

if TYPE_CHECKING:
    from pathlib import Path

_SYSTEM_BYTES = 112 << 20  # the server with its 64 MiB of shared buffers
_PER_CONNECTION_BYTES = 4 << 20


class Postgres(Workload):
    """PostgreSQL with fsync on, driven by its own pgbench.

    Attributes:
        rate: transactions per second, on a random schedule of that mean (pgbench's own open loop); 0 is a closed loop.
        connections: pgbench's clients.
        scale: pgbench's: 100,000 accounts each, some 15 MB. The filled database is made once.
        script: pgbench's transaction: five statements, three that write (``simple-update``), or one that reads.
    """

    kind: ClassVar[str] = "postgres"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["postgres"] = "postgres"
    rate: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=10_000), Unit("transactions/s")] = 0.0
    connections: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=64)] = 4
    scale: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=50)] = 5
    script: Literal["tpcb-like", "simple-update", "select-only"] = "tpcb-like"

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts the server."""
        del mem_bytes
        return "start postgres"

    def guest_state(self) -> str:
        """Return what the replicated disk begins with: the filled database."""
        return f"postgres scale={self.scale}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return what the server needs."""
        del mem_bytes
        return _SYSTEM_BYTES + self.connections * _PER_CONNECTION_BYTES

    def guest_port(self) -> int:
        """Return the server's port."""
        return 5432

    def client_program(self) -> str:
        """Return pgbench."""
        return "usr/lib/postgresql/17/bin/pgbench"

    def failover_argv(self) -> tuple[str, ...]:
        """Return that connections that a side takes with it are made anew, and the rows of the history are counted."""
        return ("--again", *(("--verify",) if self.script != "select-only" else ()))

    def client_argv(self, address: str, port: int, output: Path) -> tuple[str, ...]:
        """Return the client's module and arguments."""
        return (
            "bench.workload.pgbench_client",
            *("--address", address, "--port", str(port)),
            *("--rate", f"{self.rate:g}", "--connections", str(self.connections)),
            *("--script", self.script, "--output", str(output)),
        )
