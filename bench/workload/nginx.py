"""A web server in the guest that sends one page from the replicated disk: how an answer's size shows outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, parse_size, refuse_bool
from bench.workload.base import Workload
from bench.workload.client_choice import ClientChoice  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pathlib import Path

_SYSTEM_BYTES = 16 << 20  # the server itself


class Nginx(Workload):
    """nginx, asked at a set rate; each request of our client has a connection of its own.

    Attributes:
        rate: requests per second, sent on schedule whether or not earlier ones were answered (an open loop); 0 is a
            closed loop: each connection asks again as soon as it was answered.
        client: ``own``: ours, each request a row; ``program``: wrk, which keeps its connections, a closed loop with
            totals alone.
        connections: requests that may be under way at once.
        size: bytes of the page.
    """

    kind: ClassVar[str] = "nginx"
    guests: ClassVar[tuple[str, ...]] = ("apps",)
    name: Literal["nginx"] = "nginx"
    rate: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=10_000), Unit("requests/s")] = 100.0
    client: ClientChoice = "own"
    connections: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=256)] = 8
    size: Annotated[int, BeforeValidator(parse_size), Unit("bytes", "64K"), Field(le=256 << 20)] = 4096

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts the server."""
        del mem_bytes
        return f"start nginx size={self.size}"

    def guest_memory_bytes(self, mem_bytes: int) -> int:
        """Return what the server and its page need."""
        del mem_bytes
        return _SYSTEM_BYTES + self.size

    def guest_port(self) -> int:
        """Return the server's port."""
        return 80

    def client_program(self) -> str:
        """Return wrk, where it is asked for."""
        return "usr/bin/wrk" if self.client == "program" else ""

    def tells_each_request(self) -> bool:
        """Return whether the client is ours."""
        return self.client == "own"

    def client_argv(self, address: str, port: int, output: Path) -> tuple[str, ...]:
        """Return the client's module and arguments."""
        if self.client == "program":
            return (
                *("bench.workload.program_client", "--program", "wrk", "--path", "/page"),
                *("--address", address, "--port", str(port), "--connections", str(self.connections)),
                *("--output", str(output)),
            )
        return (
            "bench.workload.http_client",
            *("--url", f"http://{address}:{port}/page"),
            *("--rate", f"{self.rate:g}"),
            *("--connections", str(self.connections)),
            *("--output", str(output)),
        )
