"""What a campaign varied and what it held fixed, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.fake_campaign import ARMS, DIRTY, IDLE, Fake, write_campaign

from analysis.report.design import design_facts, factors
from analysis.stored.load import load_campaign

if TYPE_CHECKING:
    from pathlib import Path


def test_factors_come_with_their_levels_and_the_rest_as_it_was_fixed(tmp_path: Path) -> None:
    fake = Fake(mems=(512 << 20, 4 << 30), smps=(1, 4), workloads=ARMS, links=("unix",), count=30, warmup=5)
    facts = dict(design_facts(load_campaign(write_campaign(tmp_path, fake))))
    assert facts["Factor: RAM"] == "512 MiB, 4 GiB"
    assert facts["Factor: vCPUs"] == "1, 4"
    assert facts["Factor: dirty working set"] == "the same at every size, for each GiB of RAM"
    assert facts["Cells"] == "8"
    assert facts["Workload"] == "dirty: working set 32 MiB, at 300 MB/s"
    assert facts["Link"].startswith("unix")
    assert facts["Pairs ran under"] == "emulation (TCG)"


def test_whatever_was_set_for_every_cell_is_said(tmp_path: Path) -> None:
    migration, compare = {"multifd": 4}, {"timeout": 1.5, "max_queue_size": None, "vnet_hdr": False}
    groups = {"migration": migration, "compare": compare, "client_link": {"loss_percent": 0.5}}
    fake = Fake(workloads=(IDLE,), extra_cell={"guest": "bare", "start": "restored", "tcp_timestamps": False, **groups})
    facts = dict(design_facts(load_campaign(write_campaign(tmp_path, fake))))
    assert (facts["Guest"], facts["Guest begins"]) == ("bare", "restored")
    assert facts["Guest's TCP"] == "timestamps off"
    assert (facts["Migration"], facts["colo-compare"]) == ("multifd: 4", "timeout 1.5 s")
    assert facts["Client's link"] == "loss percent: 0.5"
    plain = dict(design_facts(load_campaign(write_campaign(tmp_path, Fake(name="plain", workloads=(IDLE,))))))
    assert {"Guest", "Guest begins", "Guest's TCP", "Migration", "colo-compare", "Client's link"}.isdisjoint(plain)


def test_a_parameter_of_one_workload_alone_is_no_factor(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, Fake(workloads=(IDLE, DIRTY))))
    facts = dict(design_facts(campaign))
    assert facts["Factor: workload"] == "dirty, idle"
    assert not [name for name in facts if "working set" in name]
    assert facts["Workloads"] == "idle; dirty: working set 64 MiB, at 20 MB/s, sequential, threads: 1"


def test_what_one_trigger_sets_is_a_factor_within_that_trigger() -> None:
    demand = {"checkpoint.trigger": "demand", "checkpoint.interval": 0.5}
    timer = {"checkpoint.trigger": "timer", "checkpoint.interval": 20.0}
    assert list(factors([demand, timer])) == ["checkpoint.trigger"]
    assert factors([demand, {**demand, "checkpoint.interval": 1.0}]) == {"checkpoint.interval": [0.5, 1.0]}
