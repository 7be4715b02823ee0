"""Real sockets: the bound is measured, and a slower link bounds it further."""

from __future__ import annotations

import pytest

from bench.config.links import Link
from bench.measure.bound import transport_bound


@pytest.mark.parametrize(("transport", "said"), [("tcp", "TCP on loopback"), ("unix", "a unix socket")])
def test_the_bound_is_what_one_stream_reaches(transport: str, said: str) -> None:
    bound = transport_bound(Link.model_validate({"transport": transport}))
    assert bound["bytes_per_s"] > 1e6
    assert said in bound["how"]


def test_a_link_cannot_be_faster_than_the_bandwidth_it_was_given() -> None:
    bound = transport_bound(Link.model_validate({"bandwidth": "8mbit"}))
    assert bound == {"bytes_per_s": 1e6, "how": "the bandwidth that the link was given"}
