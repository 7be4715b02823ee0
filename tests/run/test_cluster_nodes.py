"""The nodes of a job as the hosts of its pairs."""

from __future__ import annotations

import sys

import pytest
from fake_session import make_cell

from bench.config.factors import identity
from bench.config.load import load_grid
from bench.config.sweep import compose
from bench.errors import ConfigError
from bench.run.part import on_nodes, placed


def test_the_nodes_of_a_pair_are_on_its_record() -> None:
    assert placed(("n1",)) == {"primary": "n1", "secondary": "n1", "client": "n1"}
    assert placed(("n1", "n2")) == {"primary": "n1", "secondary": "n2", "client": "n1"}
    assert placed(("n1", "n2", "n3")) == {"primary": "n1", "secondary": "n2", "client": "n3"}


def test_a_job_s_nodes_are_the_hosts_of_its_cells_and_in_no_id() -> None:
    cell, here = make_cell(host={"kind": "ssh"}), make_cell()
    placed_ = on_nodes(cell, ("n7", "n8"), lambda node: f"192.0.2.{node[1:]}")
    assert placed_.host.primary is not None
    assert placed_.host.secondary is not None
    assert placed_.host.client is None
    assert placed_.host.secondary.transport == (
        "srun",
        "--overlap",
        "--unbuffered",
        "--nodes=1",
        "--ntasks=1",
        "-w",
        "n8",
    )
    assert (placed_.host.primary.address, placed_.host.secondary.address) == ("192.0.2.7", "192.0.2.8")
    assert identity(placed_) == identity(cell)
    assert on_nodes(here, ("n7",)) is here
    third = on_nodes(cell, ("n7", "n8", "n9"), lambda _: "192.0.2.1").host.client
    assert third is not None
    assert third.transport[-1] == "n9"


def test_the_interpreter_of_a_job_may_be_in_the_home_of_a_user_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "/home/me@site.example/colo-bench/.venv/bin/python"
    monkeypatch.setattr(sys, "executable", own)
    host = on_nodes(make_cell(host={"kind": "ssh"}), ("n7", "n8"), lambda _: "192.0.2.1").host
    assert host.primary is not None
    assert host.primary.python == own


def test_a_job_s_hosts_need_no_inventory_and_others_do() -> None:
    words = ["host=ssh", "accel=tcg", "mem=512M"]
    _, cells = load_grid(compose([*words, "launcher=slurm", "launcher.nodes=2"]))
    assert [(cell.host.kind, cell.host.primary) for cell in cells] == [("ssh", None)]
    with pytest.raises(ConfigError, match="no primary"):
        load_grid(compose(words))
