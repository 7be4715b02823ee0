from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from analysis.report.describe import describe_host, describe_versions
from analysis.report.design import _version
from analysis.text import MISSING

if TYPE_CHECKING:
    from analysis.stored.campaign import Run


def _runs(*trees: dict[str, Any]) -> list[Run]:
    records = [SimpleNamespace(versions=tree, host=SimpleNamespace(before=tree), machines=(tree,)) for tree in trees]
    return cast("list[Run]", [SimpleNamespace(record=record) for record in records])


def test_a_value_that_all_runs_share_is_given_once() -> None:
    assert describe_versions(_runs(*[{"qemu": "11.1.3", "qemu_sha256": "a1", "new_tool": "2"}] * 2)) == [
        ("QEMU", "11.1.3"),
        ("QEMU, SHA-256", "a1"),
        ("new tool", "2"),
    ]


def test_of_what_some_runs_alone_have_it_is_said_how_many() -> None:
    same, apart = {"qemu": "11.1.3"}, {"qemu": "11.1.3", "qemu_secondary": "10.2.0"}
    assert describe_versions(_runs(same, apart, same)) == [
        ("QEMU", "11.1.3"),
        ("QEMU of the secondary", "10.2.0 (in 1 of 3 runs)"),
    ]
    assert _version([same, apart, same], "qemu_secondary") == "10.2.0 (in 1 of 3 runs)"  # in the design's table too
    assert _version([same], "qemu_secondary") == MISSING


def test_numbers_that_differ_become_a_range_with_their_unit() -> None:
    runs = _runs(
        {"load": [0.25, 0, 0], "memory_available_bytes": 1 << 30, "swap_used_bytes": 0},
        {"load": [2.0, 9, 9], "memory_available_bytes": 3 << 30, "swap_used_bytes": 0},
    )
    assert describe_host(runs) == [
        ("Memory available", "1.0 GiB to 3.0 GiB"),
        ("Swap used", "0 B"),
        ("Load, 1 minute", "0.25 to 2"),
    ]


def test_some_swap_is_not_none() -> None:
    assert describe_host(_runs({"swap_used_bytes": 10 << 20}, {"swap_used_bytes": 0})) == [
        ("Swap used", "0 B to 0.01 GiB"),
    ]


def test_texts_that_differ_are_all_named_up_to_a_limit() -> None:
    runs = _runs(*({"clock_source": name, "virtual": name != "a"} for name in "abcdef"))
    assert describe_host(runs) == [
        ("Itself a virtual machine", "no; yes"),
        ("Clock source", "a; b; c; d; 2 other values"),
    ]


def test_what_is_unknown_is_left_out_and_what_is_long_is_cut() -> None:
    ((name, text),) = describe_host(
        _runs({"temperature_c": None, "ticks": {"user": 1}, "governors": ["performance"] * 50})
    )
    assert name == "CPU governor"
    assert len(text) == 161
