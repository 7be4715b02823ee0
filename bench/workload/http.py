"""A web server in the guest and a client outside: what a user of the protected service sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bench.system.units import Unit, refuse_bool
from bench.workload.base import Workload

if TYPE_CHECKING:
    from pathlib import Path


class Http(Workload):
    """Busybox httpd, asked at a set rate.

    Attributes:
        rate: requests per second, sent on schedule whether or not earlier ones were answered (an open loop); 0 is a
            closed loop: each connection asks again as soon as it was answered.
        connections: requests that may be under way at once.
        path: what is asked for.
    """

    kind: ClassVar[str] = "http"
    name: Literal["http"] = "http"
    rate: Annotated[float, BeforeValidator(refuse_bool), Field(ge=0, le=10_000), Unit("requests/s")] = 20.0
    connections: Annotated[int, BeforeValidator(refuse_bool), Field(ge=1, le=256)] = 8
    path: Literal["/index.html", "/64k"] = "/index.html"

    def guest_command(self, mem_bytes: int) -> str:
        """Return the console line that starts the server."""
        del mem_bytes
        return "start http"

    def guest_port(self) -> int:
        """Return the server's port."""
        return 80

    def client_argv(self, address: str, port: int, output: Path) -> tuple[str, ...]:
        """Return the client's module and arguments."""
        return (
            "bench.workload.http_client",
            *("--url", f"http://{address}:{port}{self.path}"),
            *("--rate", f"{self.rate:g}"),
            *("--connections", str(self.connections)),
            *("--output", str(output)),
        )
