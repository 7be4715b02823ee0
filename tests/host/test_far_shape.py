"""Whether an interface of a real host may be shaped, with a FAKE host that says what its own commands would."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bench.config.hosts import FarHost
from bench.config.links import Link
from bench.errors import HostError
from bench.host.far_shape import shape_far

FAR = FarHost(ssh="root@alpha", address="10.0.0.1", interface="eth1")
KERNELS = "qdisc mq 0: root\nqdisc fq_codel 0: parent :1 limit 10240p\n"


class Told:
    """A host that keeps what it is told to do."""

    name, reach = "primary", SimpleNamespace(title="root@alpha")

    def __init__(self, user: str = "0", queue: str = KERNELS, interface: str = "eth1") -> None:
        self.answers = {"ip": f"2: {interface}    inet 10.0.0.1/24\n", "id": f"{user}\n", "tc": queue}
        self.did: list[str] = []

    async def run(self, argv: tuple[str, ...], *_: object, **_more: object) -> str:
        self.did += [" ".join(argv)] if "add" in argv else []
        return self.answers[argv[0]]

    async def at_end(self, argv: tuple[str, ...]) -> None:
        self.did.append("at the end: " + " ".join(argv))


def shaped(host: Any, far: FarHost = FAR) -> list[str]:
    asyncio.run(shape_far(host, far, Link(bandwidth="1gbit", delay="1ms")))
    return list(host.did)


def test_what_puts_an_interface_back_is_written_down_before_it_is_shaped() -> None:
    undo, delay, rate = shaped(Told())
    assert undo == "at the end: tc qdisc del dev eth1 root handle 1:"
    assert delay == "tc qdisc add dev eth1 root handle 1: netem delay 1000us"
    assert rate.startswith("tc qdisc add dev eth1 parent 1: handle 2: tbf rate 1000000000")


@pytest.mark.parametrize(
    ("host", "far", "cause", "said"),
    [
        (Told(user="1000"), FAR, "privilege-missing", "needs root there"),
        (Told(queue="qdisc fq_codel 8001: root refcnt 2\n"), FAR, "tune-refused", "shaped already"),
        (Told(interface="eth0"), FAR, "far-address", "is eth0; host.primary.interface=eth1"),
        (Told(interface="lo"), FAR, "far-address", "is none; host.primary.interface=eth1"),
        (Told(), FarHost(ssh="alpha", address="10.0.0.1"), "far-address", "host.primary.interface=null"),
    ],
)
def test_what_could_not_be_shaped_or_put_back_is_left_alone(host: Told, far: FarHost, cause: str, said: str) -> None:
    with pytest.raises(HostError, match=said) as refusal:
        shaped(host, far)
    assert (refusal.value.cause, host.did) == (cause, [])
