"""Packets that colo-compare could not read, or dropped."""

from __future__ import annotations

from fake_session import make_cell
from fake_traces import T0_US, line

from bench.config.hosts import Host
from bench.config.links import Compare
from bench.config.machine import Devices
from bench.format.phases import COMPARED, DROPPED
from bench.measure.compared import comparison_failures
from bench.measure.trace import Trace, parse_trace


def trace(*lines: str) -> Trace:
    return parse_trace(["".join(f"{one}\n" for one in lines).encode()], (COMPARED, DROPPED))


def unsupported(count: int, apart_us: int = 1000) -> list[str]:
    said = " : primary: unsupported packet in"
    return [line(T0_US + number * apart_us, COMPARED, said) for number in range(count)]


def dropped(count: int) -> list[str]:
    said = " : primary: queue size too big, drop packet"
    return [line(T0_US + number * 1000, DROPPED, said) for number in range(count)]


def test_a_run_whose_packets_were_compared_has_nothing_to_tell() -> None:
    assert comparison_failures(trace(), make_cell()) == ()
    other = [line(T0_US + number, COMPARED, " : packet different") for number in range(100)]
    assert comparison_failures(trace(*other), make_cell()) == ()


def test_arp_which_is_not_compared_is_let_pass() -> None:
    assert comparison_failures(trace(*unsupported(10)), make_cell()) == ()
    assert comparison_failures(trace(*unsupported(100, 2_000_000)), make_cell()) == ()


def test_what_only_the_secondary_sends_loses_nothing() -> None:
    theirs = [one.replace("primary:", "secondary:") for one in unsupported(5000)]
    assert comparison_failures(trace(*theirs), make_cell(devices=Devices(nic="virtio-net-pci"))) == ()


def test_packets_that_it_cannot_read_fail_the_run_with_the_setting_that_mends_it() -> None:
    tap = {"devices": Devices(nic="virtio-net-pci"), "host": Host(kind="bridged")}
    (said,) = comparison_failures(trace(*unsupported(50)), make_cell(**tap, compare=Compare(vnet_hdr=True)))
    assert "could not read 50 packets" in said
    assert "compare.vnet_hdr=false" in said
    for cell in (make_cell(**tap), make_cell()):  # without a header there is none to take away
        (said,) = comparison_failures(trace(*unsupported(50)), cell)
        assert "devices=rtl8139" in said


def test_a_dropped_packet_fails_the_run_with_a_larger_queue_to_set() -> None:
    (said,) = comparison_failures(trace(*dropped(3)), make_cell())
    assert "dropped 3 packets, as its queues hold 1024" in said
    assert "compare.max_queue_size=4096" in said
    (said,) = comparison_failures(trace(*dropped(1)), make_cell(compare=Compare(max_queue_size=32)))
    assert "compare.max_queue_size=128" in said
