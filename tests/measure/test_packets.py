"""What colo-compare did with packets, from its trace events as QEMU writes them."""

from __future__ import annotations

import pytest
from fake_traces import T0_US, line, parse, primary_checkpoint, primary_start

from bench.format.phases import PRIMARY
from bench.measure.checkpoints import assemble
from bench.measure.packets import PACKET_EVENTS, Packets, read_packets
from bench.measure.parts import EVENTS
from bench.measure.trace import parse_line

IP = " ppkt size = 66, ip_src = 10.0.2.15, ip_dst = 10.0.2.2, spkt size = 66, ip_src = 10.0.2.15, ip_dst = 10.0.2.2"
TCP = "{}: seq/ack= 1/1 hdlen= 54 pdlen= 12 offset= 0 flags=24"
SAME, DIFFERENT = " : packet same and release packet", " : packet different"
S = 1_000_000


def compared(at_us: int) -> list[str]:
    return [
        line(T0_US + at_us, "colo_compare_ip_info", IP),
        line(T0_US + at_us, "colo_compare_tcp_info", f" {TCP.format('pri')}"),
        line(T0_US + at_us, "colo_compare_tcp_info", f" {TCP.format('sec')}"),
        line(T0_US + at_us, "colo_compare_main", SAME),
    ]


def time_of(text: str) -> int:
    parsed = parse_line(text)
    assert parsed is not None
    return parsed.time_us


def packets(*lines: str, checkpoints: tuple[int, ...] = ()) -> Packets:
    own = [*primary_start(), *lines]
    for at_us in checkpoints:
        own += primary_checkpoint(T0_US + at_us)
    own.sort(key=time_of)
    trace = parse(own, EVENTS[PRIMARY] | PACKET_EVENTS)
    assembly = assemble(parse(own), None)
    assert trace.problems == ()
    return read_packets(trace, assembly.checkpoints, assembly.running_us)


def test_tcp_data_that_are_alike_are_released() -> None:
    found = packets(*compared(1 * S), *compared(2 * S))
    assert (found.compared, found.released, found.differing_us) == (2, 2, ())
    assert found.seconds == pytest.approx(2, abs=0.001)


def test_tcp_data_that_differ_are_seen_by_what_does_not_follow() -> None:
    # QEMU compares twice at once where the sequence numbers are the same, and again with every packet that comes.
    failed = [line(T0_US + at, "colo_compare_ip_info", IP) for at in (S, S + 20, S + 90_000)]
    found = packets(*failed, *compared(2 * S))
    assert found.differing_us == (T0_US + S,)
    assert (found.compared, found.released) == (2, 1)


def test_a_comparison_that_ends_the_trace_differed() -> None:
    assert packets(line(T0_US + S, "colo_compare_ip_info", IP)).differing_us == (T0_US + S,)


def test_other_protocols_say_so_themselves() -> None:
    udp = [
        line(T0_US + S, "colo_compare_main", " : compare udp"),
        line(T0_US + S, "colo_compare_ip_info", IP),
        line(T0_US + S + 1, "colo_compare_main", DIFFERENT),
        line(T0_US + 2 * S, "colo_compare_main", " : compare icmp"),
        line(T0_US + 2 * S, "colo_compare_ip_info", IP),
        line(T0_US + 2 * S, "colo_compare_main", SAME),
    ]
    found = packets(*udp)
    assert (found.compared, found.released, found.differing_us) == (2, 1, (T0_US + S + 1,))


def test_dropped_and_unsupported_packets_are_counted() -> None:
    found = packets(
        line(T0_US + S, "colo_compare_drop_packet", " : primary: queue size too big, drop packet"),
        line(T0_US + S, "colo_compare_drop_packet", " : secondary: queue size too big, drop packet"),
        line(T0_US + S, "colo_compare_drop_packet", " : secondary: queue size too big, drop packet"),
        line(T0_US + S, "colo_compare_main", " : primary: unsupported packet in"),
        line(T0_US + S, "colo_compare_main", " : secondary: unsupported packet in"),
    ).to_json()
    assert (found["dropped"], found["dropped_primary"], found["dropped_secondary"]) == (3, 1, 2)
    assert found["unsupported"] == 2
    assert found["dropped_per_s"] == pytest.approx(3, abs=0.01)


def test_an_old_packet_was_held_from_its_arrival_to_the_checkpoint_that_lets_it_go() -> None:
    arrived_ms = T0_US // 1000 + 500
    found = packets(
        *(line(T0_US + at, "colo_old_packet_check_found", f" {arrived_ms}") for at in (4 * S, 5 * S)),
        checkpoints=(2 * S, 5 * S + 1000, 8 * S),
    )
    # Of the checkpoint after it, vmstate-received comes 150 us after the request.
    assert found.held_us == (4_501_150,)
    assert found.old_us == (T0_US + 4 * S, T0_US + 5 * S)
    told = found.to_json()
    assert (told["held"], told["hold_median_s"], told["hold_max_s"]) == (1, 4.50115, 4.50115)


def test_a_packet_that_no_checkpoint_let_go_has_no_hold() -> None:
    found = packets(line(T0_US + 4 * S, "colo_old_packet_check_found", f" {T0_US // 1000}"))
    assert (found.held_us, len(found.old_us)) == ((), 1)
    assert found.to_json()["hold_median_s"] is None


def test_what_came_before_colo_is_not_counted() -> None:
    early = [line(T0_US - S, "colo_compare_main", SAME), line(T0_US - S + 5, "colo_compare_ip_info", IP)]
    trace = parse([*early, *primary_start(), *compared(S)], EVENTS[PRIMARY] | PACKET_EVENTS)
    assert read_packets(trace, (), T0_US + 100).released == 1


def test_an_empty_trace_tells_nothing() -> None:
    found = read_packets(parse([], PACKET_EVENTS), (), None)
    assert (found.seconds, found.compared, found.to_json()["compared_per_s"]) == (0.0, 0, None)
