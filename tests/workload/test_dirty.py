"""What the guest is told of the memory that it is to dirty."""

from __future__ import annotations

import pytest
from fake_session import make_cell
from pydantic import ValidationError

from bench.workload.dirty import Dirty


@pytest.mark.parametrize(
    ("rate", "told"),
    [(0, "0"), (20, "20"), (0.01, "0.01"), (1234.56789, "1234.56789"), (1e6, "1000000"), (1e-5, "0.00001")],
)
def test_a_rate_is_told_in_full_and_without_an_exponent(rate: float, told: str) -> None:
    assert f" rate={told} " in Dirty(name="dirty", rate=rate).guest_command(1 << 30)


def test_a_rate_below_a_byte_a_second_is_not_as_fast_as_can_be() -> None:
    assert " rate=0.000001 " in Dirty(name="dirty", rate=1e-9).guest_command(1 << 30)


@pytest.mark.parametrize(
    ("mem", "workload"),
    [
        ("1G", Dirty(name="dirty", working_set=4096, threads=2)),
        ("128M", Dirty(name="dirty", working_set="64K", scaling="mem", threads=3)),
    ],
)
def test_a_working_set_of_fewer_pages_than_threads_is_refused_before_anything_boots(mem: str, workload: Dirty) -> None:
    with pytest.raises(ValidationError, match=r"larger workload\.working_set or fewer threads"):
        make_cell(mem, workload=workload)
    enough = workload.model_copy(update={"threads": workload.threads - 1})
    assert sum(make_cell(mem, workload=enough).workload.shares(128 << 20)) == enough.threads
