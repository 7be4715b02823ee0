"""What a pair is about to be started with, without starting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_session import FakeBinary, FakeGuest, make_cell

from bench.host.links import PRIMARY, SECONDARY, planned_addresses
from bench.host.topology import Node, Topology
from bench.vm.features import MODERN
from bench.vm.pair import concrete_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.vm.spec import Ports


class Listener:
    """Stands in for a host as far as its free ports go."""

    def __init__(self, free: Sequence[int]) -> None:
        self._free = tuple(free)

    def free_ports(self, _addresses: Sequence[str], count: int) -> tuple[int, ...]:
        return self._free[:count]


def chosen(near: Sequence[int], far: Sequence[int]) -> Ports:
    """Return the ports of a pair on two hosts where these are free."""
    hosts: dict[str, Any] = {PRIMARY: Listener(near), SECONDARY: Listener(far)}
    nodes = {side: Node(side, host, planned_addresses("netns")[side]) for side, host in hosts.items()}
    binary: Any = FakeBinary()
    guest: Any = FakeGuest()
    return concrete_spec(make_cell(), binary, guest, MODERN, Topology(nodes), frozenset()).ports


def test_each_port_is_one_that_is_free_on_the_host_that_listens_on_it() -> None:
    ports = chosen(range(1, 8), range(11, 18))
    assert {ports.mirror, ports.compare, ports.primary_in, ports.compare_out, ports.forward} <= set(range(1, 8))
    assert {ports.migration, ports.nbd} <= set(range(11, 18))


def test_no_port_is_given_twice_where_both_sides_are_on_one_host() -> None:
    ports = chosen(range(1, 8), (5, 4, 3, 2, 1, 8, 9))
    assert sorted(vars(ports).values()) == [1, 2, 3, 4, 5, 8, 9]
