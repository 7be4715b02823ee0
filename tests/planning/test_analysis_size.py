"""Sizing: a plane of INVENTED runs is found again, the answer obeys its own balance, and what is too far is refused."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.commands import amounts, size
from analysis.verdicts.effects import GIB, PAGE_BYTES
from analysis.verdicts.sizing import NotCarriedError, Wanted, costs, sizing

ENTRY_S, PAGE_S, RAM_S = 0.012, 2.5e-6, 0.0004
REFERENCE = Path(__file__).parents[2] / "results" / "reference"
DOCS = Path(__file__).parents[2] / "docs"
WANTED = Wanted(4 * GIB, 100e6, 40e9, 0.5)


def invented(
    noise_s: float = 0.0, pages: tuple[float, ...] = (2e3, 1e4, 4e4), count: int = 4, seed: int = 7
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(mem * GIB, dirty) for mem in (1, 2, 4) for dirty in pages for _ in range(count)]
    mem, dirty = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "campaign": "invented",
            "accel": "kvm",
            "under": "KVM",
            "link.transport": "tcp",
            "quality_ok": True,
            "mem": mem,
            "dirty_pages": dirty,
            "pause_mean": ENTRY_S + PAGE_S * dirty + RAM_S * mem / GIB + noise_s * rng.standard_normal(len(rows)),
            "transport_bytes_per_s": 2.5e9,
        }
    )


def test_a_plane_is_found_again() -> None:
    found = costs(invented())
    assert (found.entry_s, found.page_s, found.ram_s) == pytest.approx((ENTRY_S, PAGE_S, RAM_S))
    assert found.runs == 36
    assert found.pages == (2e3, 4e4)


@pytest.mark.parametrize(
    ("factor", "first", "second", "where"),
    [("smp", 1, 4, "1 vCPU"), ("workload.name", "dirty", "http", "name=dirty")],
)
def test_what_vcpus_or_a_workload_cost_is_no_cost_of_a_page(factor: str, first: Any, second: Any, where: str) -> None:
    few, many = invented().assign(**{factor: first}), invented(pages=(4e4, 8e4)).assign(**{factor: second})
    many["pause_mean"] += 0.03
    found = costs(pd.concat([few, many], ignore_index=True))
    assert (found.page_s, found.runs, found.where) == (pytest.approx(PAGE_S), 36, where)
    assert any(words.endswith(f"of those with {where}") for words in sizing(found, WANTED).words)
    assert costs(few).where == ""


@pytest.mark.parametrize(("power", "pages"), [(0.0, 2e4), (1.0, 2e3), (1.0, 2e4), (1.0, 6e4)])
def test_the_interval_for_a_new_run_holds_19_of_20_also_where_longer_pauses_vary_more(
    power: float, pages: float
) -> None:
    def seen(pause: Any, rng: np.random.Generator) -> Any:
        return pause + 0.12 * 0.05 * (pause / 0.05) ** power * rng.standard_normal(np.shape(pause))

    truth = ENTRY_S + PAGE_S * pages + RAM_S * 3
    held = 0
    for seed in range(300):
        rng, runs = np.random.default_rng(seed), invented()
        _, low, high = costs(runs.assign(pause_mean=seen(runs["pause_mean"], rng))).pause(pages, 3 * GIB)
        held += low < seen(truth, rng) < high
    assert 0.91 < held / 300 < 0.985


def test_the_pages_are_those_of_the_time_between_pauses() -> None:
    answer = sizing(costs(invented()), WANTED)
    running_s = WANTED.interval_s - answer.pause_s
    assert answer.pages == pytest.approx(WANTED.dirty_bytes_per_s * running_s / 4096)
    assert answer.pause_s == pytest.approx(ENTRY_S + PAGE_S * answer.pages + 4 * RAM_S)
    assert answer.paused_share == pytest.approx(answer.pause_s / 0.5)
    assert answer.link_share == pytest.approx(8 * PAGE_BYTES * answer.pages / 0.5 / 40e9)
    assert answer.secondary_bytes == 8 * GIB


def test_at_the_named_intervals_it_is_paused_always_and_half_of_the_time() -> None:
    known = costs(invented())
    always = sizing(known, WANTED)
    shortest = sizing(known, Wanted(4 * GIB, 100e6, 40e9, always.shortest_s))
    assert shortest.paused_share == pytest.approx(1)
    assert always.half_s is not None
    half = sizing(known, Wanted(4 * GIB, 100e6, 40e9, always.half_s))
    assert half.paused_share == pytest.approx(0.5)


def test_a_slower_link_adds_what_its_pages_take_and_says_so() -> None:
    known = costs(invented())
    fast, slow = (sizing(known, Wanted(4 * GIB, 100e6, link, 0.5)) for link in (40e9, 1e9))
    assert slow.pause_s > fast.pause_s
    assert slow.pause_s == pytest.approx(
        ENTRY_S + 4 * RAM_S + slow.pages * (PAGE_S + PAGE_BYTES * (8 / 1e9 - 1 / 2.5e9))
    )
    assert any("the link is 1 Gbit/s, slower than the 20 Gbit/s measured" in words for words in slow.words)
    assert not any("the link is" in words for words in fast.words)
    assert any("over the 20 Gbit/s measured: what a faster link saves" in words for words in fast.words)
    assert not any("Gbit/s" in words for words in sizing(known, Wanted(4 * GIB, 100e6, 20e9, 0.5)).words)


def test_a_rate_that_no_interval_can_carry_is_said() -> None:
    answer = sizing(costs(invented()), Wanted(4 * GIB, 3e9, 100e9, 0.05))
    assert answer.half_s is None
    assert 0.5 < answer.least_share < 1


def test_what_keeps_up_is_not_told_where_an_empty_checkpoint_would_take_no_time() -> None:
    runs = invented()
    runs["pause_mean"] -= 0.02
    answer = sizing(costs(runs), Wanted(4 * GIB, 200e6, 100e9, 0.5))
    assert answer.pause_s > 0
    assert answer.half_s is None
    assert np.isnan([answer.shortest_s, answer.least_share]).all()
    assert any(line.startswith("  keeps up            cannot be told: ") for line in size.lines(answer))


def test_an_interval_of_half_the_time_paused_that_no_run_came_near_is_said_to_be_extrapolated() -> None:
    # Near the rate that no interval can carry a longer one brings but more pages.
    far, near = (sizing(costs(invented()), Wanted(4 * GIB, rate, 100e9, 0.02)) for rate in (1.55e9, 100e6))
    assert far.half_s is not None
    said = "is extrapolated: a checkpoint would have 95,"
    assert any(said in words and words.endswith("the most measured are 40,000") for words in far.words)
    assert not any("less than half of the time" in words for words in near.words)


def test_short_times_and_slow_links_are_not_told_as_0() -> None:
    small = sizing(costs(invented()), Wanted(128 << 20, 3e9, 100e9, 0.05))
    assert any("no interval up to the 0.139 s in which all its RAM is dirty" in line for line in size.lines(small))
    slow = sizing(costs(invented().assign(transport_bytes_per_s=1.25e6)), Wanted(GIB, 1e6, 5e6, 0.5))
    assert any("the link is 0.005 Gbit/s, slower than the 0.01 Gbit/s measured: 3,283 " in one for one in slow.words)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(64 * GIB, 1e6, 10e9, 0.5), "more than 8 times the largest guest"),
        (Wanted(4 * GIB, 900e6, 10e9, 5.0), "dirty pages per checkpoint are more than 1.5 times"),
    ],
)
def test_what_lies_too_far_outside_is_refused(wanted: Wanted, said: str) -> None:
    with pytest.raises(NotCarriedError, match=said):
        sizing(costs(invented()), wanted)


@pytest.mark.parametrize("runs", [invented(pages=(1e4, 1.2e4)), invented(count=1, pages=(1e4,))])
def test_runs_that_cannot_tell_what_a_page_costs_are_refused(runs: pd.DataFrame) -> None:
    with pytest.raises(NotCarriedError, match="cannot tell what a page costs") as refused:
        costs(runs)
    # Of one transport, workload and number of vCPUs they may be, and of two binaries.
    assert "6 runs that passed their check, differ in nothing but RAM and what makes pages, " in str(refused.value)


def test_an_extrapolation_is_said_and_widens_the_interval() -> None:
    known = costs(invented(noise_s=0.002))
    inside, outside = (sizing(known, Wanted(ram * GIB, 100e6, 10e9, 0.5)) for ram in (2, 32))
    assert outside.high_s - outside.low_s > inside.high_s - inside.low_s
    assert any("RAM is extrapolated: 32 GiB from 1 GiB to 4 GiB" in words for words in outside.words)


ASKED = ("--ram", "32G", "--dirty-rate", "200MB/s", "--link", "10gbit", "--interval", "500ms")


def test_the_reference_campaign_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert size.main([*ASKED, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pause_s"]["low"] < answer["pause_s"]["estimate"] < answer["pause_s"]["high"]
    assert answer["secondary_bytes"] == 64 * GIB
    [row] = re.findall(r"^\| `size` .*", (DOCS / "guides.md").read_text(), re.MULTILINE)
    assert set(answer) - set(re.findall(r"`(\w+)`", row)) == set()
    assert size.main(list(ASKED)) == 0
    text = capsys.readouterr().out
    assert "under emulation (TCG)" in text
    assert "RAM is extrapolated: 32 GiB from 256 MiB to 4 GiB" in text


def test_the_help_says_whose_costs_are_taken_where_none_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        size.main(["--help"])
    assert "/".join(size._REFERENCE.parts[-3:]) in capsys.readouterr().out


def test_a_campaign_that_did_not_measure_so_many_pages_says_what_would(capsys: pytest.CaptureFixture[str]) -> None:
    larger = [*ASKED, "--dirty-rate", "900MB/s", "--interval", "5s", "--from", str(REFERENCE / "card")]
    assert size.main(larger) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "measure a larger workload.working_set" in shown.err


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (amounts.size, "32G", 32 * GIB),
        (amounts.rate, "200MB/s", 200e6),
        (amounts.link, "2.5gbit", 2.5e9),
        (amounts.duration, "500ms", 0.5),
    ],
)
def test_amounts_as_they_are_typed(kind: type[float], text: str, value: float) -> None:
    assert kind(text) == pytest.approx(value)
    for wrong in ("", "0" + text.lstrip("0123456789."), "x", text + "x", "-" + text):
        with pytest.raises(argparse.ArgumentTypeError):
            kind(wrong)
