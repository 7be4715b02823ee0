"""A key-value store in the guest: small requests, each answered out of memory; writing to the disk is a parameter.

Valkey, and Redis, which it was once: the same protocol, asked by the same clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, parse_size, refuse_bool
from bench.workload.base import Workload
from bench.workload.client_choice import ClientChoice  # noqa: TC001 - pydantic reads it
from bench.workload.kept import SMALLEST_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_SYSTEM_BYTES = 48 << 20  # the server itself
_PER_KEY_BYTES = 128  # what it keeps beside a value


class KeyValue(Workload):
    """A key-value store, asked at a set rate.

    Attributes:
        rate: requests per second, sent on schedule whether or not earlier ones were answered (an open loop); 0 is a
            closed loop: each connection asks again as soon as it was answered.
        client: ``own``: ours, each request a row; ``program``: the server's benchmark, totals alone, a closed loop.
        connections: kept open, each with one request under way at most.
        command: what is asked, round and round over the keys, which are all set before any is got.
        keys: how many there are.
        value_size: bytes of each value.
        persistence: whether writes go to an append-only file on the replicated disk: not, flushed once a second, or
            flushed before each answer.
    """

    guests: ClassVar[tuple[str, ...]] = ("apps",)
    rate: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=10_000), Unit("requests/s")] = 200.0
    client: ClientChoice = "own"
    connections: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=256)] = 8
    command: Literal["set", "get"] = "set"
    keys: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=10_000_000)] = 10_000
    value_size: Annotated[int, BeforeValidator(parse_size), Unit("bytes", "64"), Field(le=1 << 20)] = 64
    persistence: Literal["off", "everysec", "always"] = "off"

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts the server."""
        del mem_bytes
        return f"start {self.kind} persistence={self.persistence}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return what the server and its keys need."""
        del mem_bytes
        return _SYSTEM_BYTES + self.keys * (self.value_size + _PER_KEY_BYTES)

    def guest_port(self) -> int:
        """Return the server's port."""
        return 6379

    def client_program(self) -> str:
        """Return the server's own benchmark program, where it is asked for."""
        return f"usr/bin/{self.kind}-benchmark" if self.client == "program" else ""

    def failover_argv(self) -> tuple[str, ...]:
        """Return that the keys are read again, where they are set and a value has room for which write it is of."""
        can = self.command == "set" and self.client == "own" and self.value_size >= SMALLEST_BYTES
        return ("--verify",) if can else ()

    def tells_each_request(self) -> bool:
        """Return whether the client is ours."""
        return self.client == "own"

    def client_argv(self, address: str, port: int, output: Path) -> tuple[str, ...]:
        """Return the client's module and arguments."""
        own = ("bench.workload.valkey_client", "--rate", f"{self.rate:g}")
        program = ("bench.workload.program_client", "--program", f"{self.kind}-benchmark")
        return (
            *(own if self.client == "own" else program),
            *("--address", address, "--port", str(port), "--connections", str(self.connections)),
            *("--command", self.command, "--keys", str(self.keys), "--value-bytes", str(self.value_size)),
            *("--output", str(output)),
        )


class Valkey(KeyValue):
    """Valkey."""

    kind: ClassVar[str] = "valkey"
    name: Literal["valkey"] = "valkey"


class Redis(KeyValue):
    """Redis."""

    kind: ClassVar[str] = "redis"
    name: Literal["redis"] = "redis"
