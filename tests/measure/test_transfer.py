from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.transfer import Sample, bytes_sent, parse_ss

INFO = "bbr wscale:10,10 rto:204 rtt:0.041/0.023 mss:55296 cwnd:11 bytes_sent:12345 bytes_acked:12346 segs_out:3"
TWO_LINES = (
    "ESTAB 0       0      127.0.0.1:44772    127.0.0.1:36951\n\t "
    f"{INFO} bbr:(bw:40215260736bps,mrtt:0.011)\n"
    "ESTAB 0       0      127.0.0.1:36951    127.0.0.1:44772\n\t bbr rto:208 bytes_received:12345 segs_out:1\n"
)
ONE_LINE = f"ESTAB 0       0      127.0.0.1:44772    127.0.0.1:36951 {INFO} \n"
FILTERED = f"0      0      127.0.0.1:44772 127.0.0.1:36951 {INFO}\n"
IPV6 = f"ESTAB 0       0          [::1]:42270        [::1]:36951 {INFO} bytes_retrans:45\n"


@pytest.mark.parametrize("text", [TWO_LINES, ONE_LINE, FILTERED])
def test_the_bytes_sent_to_a_port_are_read_from_either_form_of_output(text: str) -> None:
    assert parse_ss(text, 36951) == 12345


def test_only_the_client_s_end_of_a_connection_counts() -> None:
    assert parse_ss(TWO_LINES.replace("bytes_received", "bytes_sent"), 36951) == 12345


def test_retransmitted_bytes_are_taken_off() -> None:
    assert parse_ss(IPV6, 36951) == 12300


def test_several_connections_to_the_port_are_added_up() -> None:
    assert parse_ss(ONE_LINE + IPV6, 36951) == 24645


def test_without_a_connection_to_the_port_nothing_is_known() -> None:
    assert parse_ss(TWO_LINES, 3695) is None
    assert parse_ss("", 36951) is None


def test_a_kernel_that_does_not_count_is_not_believed_to_have_sent_nothing() -> None:
    assert parse_ss(ONE_LINE.replace("bytes_sent:12345 ", ""), 36951) is None


def sample(at_us: int, sent: int, width_us: int = 10) -> Sample:
    return Sample(at_us / 1e6, (at_us + width_us) / 1e6, sent)


def test_a_difference_belongs_to_the_one_checkpoint_between_two_samples() -> None:
    spans = ((100, 200), (300, 400))
    samples = [sample(50, 1_000), sample(220, 1_700), sample(420, 9_000)]
    assert bytes_sent(spans, samples) == (700, 7_300)


def test_two_checkpoints_between_two_samples_leave_both_unknown() -> None:
    spans = ((100, 200), (300, 400), (500, 600))
    assert bytes_sent(spans, [sample(50, 0), sample(420, 9), sample(620, 11)]) == (None, None, 2)


@pytest.mark.parametrize("at_us", [95, 150, 195])
def test_a_sample_read_while_a_checkpoint_went_on_tells_nothing(at_us: int) -> None:
    spans = ((100, 200), (300, 400))
    assert bytes_sent(spans, [sample(at_us, 5), sample(220, 7), sample(420, 9)]) == (None, 2)


def test_a_sample_may_end_where_a_checkpoint_begins_and_begin_where_it_ends() -> None:
    assert bytes_sent(((100, 200),), [sample(90, 5), sample(200, 7)]) == (2,)


def test_a_useless_sample_between_two_good_ones_does_no_harm() -> None:
    assert bytes_sent(((100, 200),), [sample(50, 5), sample(150, 6), sample(250, 9)]) == (4,)


def test_a_counter_that_fell_tells_nothing() -> None:
    assert bytes_sent(((100, 200),), [sample(50, 9), sample(250, 5)]) == (None,)


def test_without_samples_nothing_is_known() -> None:
    assert bytes_sent(((100, 200), (300, 400)), []) == (None, None)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500), st.integers(0, 10**9)), max_size=12),
    st.lists(st.integers(0, 8_000), max_size=15),
)
def test_what_is_known_is_never_wrong(checkpoints: list[tuple[int, int, int]], times_us: list[int]) -> None:
    spans, total, at_us, steps = [], 0, 0, [(0, 0)]
    for gap_us, long_us, count in checkpoints:
        spans.append((at_us + gap_us, at_us + gap_us + long_us))
        at_us += gap_us + long_us
        total += count
        steps.append((at_us, total))
    samples = [
        sample(time_us, max(sent for done_us, sent in steps if done_us <= time_us), width_us=3)
        for time_us in sorted(times_us)
    ]
    for found, (_, _, count) in zip(bytes_sent(spans, samples), checkpoints, strict=True):
        assert found is None or found == count
