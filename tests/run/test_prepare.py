"""What happens before the first boot, with fakes in the place of everything that fetches, builds or boots."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import FakeBinary, FakeGuest, make_cell, make_settings

from bench.config.links import Link
from bench.config.procedure import Trace
from bench.errors import HostError
from bench.format.phases import NEEDED
from bench.plan.estimate import crowding
from bench.provision.kvm import Verdict
from bench.run import prepare as module
from bench.run.prepare import prepare
from bench.scenario.progress import Assets
from bench.vm.features import Features

FEATURES = Features("reconnect-ms=1000", ("x-colo",), smp_cache=True, trace_events=frozenset(NEEDED))


class Machine:
    """A machine that says what a test wants, and remembers what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kvm = Verdict(ok=False, reason="the guest hung")
        self.colo = Verdict(ok=True, reason="")
        self.asked: list[Any] = []
        self.said: list[str] = []
        self.warnings: tuple[str, ...] = ()
        fakes = {
            "find_qemu": lambda name, _say: self.note("qemu", name) or FakeBinary(),
            "build_guest": lambda _say: FakeGuest(),
            "nodelay_library": lambda _say: self.note("nodelay") or Path("/lib.so"),
            "probe_features": self.features,
            "cached_kvm": lambda _binary, _guest: None,
            "probe_kvm": lambda _binary, _guest: self.note("kvm") or self.kvm,
            "probe_colo": lambda trial, _say: (
                self.note("colo", trial.accel, *(("second",) if trial.second else ())) or self.colo
            ),
            "preflight": self.preflight,
            "_try_hosts": self.hosts,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(module, name, fake)

    def note(self, *what: str) -> None:
        self.asked.append(what)

    async def features(self, _binary: Any) -> Features:
        return FEATURES

    async def hosts(self, *_: Any) -> None:
        self.note("netns")

    async def preflight(self, *_: Any) -> tuple[str, ...]:
        return self.warnings

    def prepare(self, tmp_path: Path, *cells: Any) -> Any:
        return prepare(make_settings(tmp_path, watch="primary"), cells, "c", self.said.append)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_auto_falls_back_to_emulation_and_says_why_once(machine: Machine, tmp_path: Path) -> None:
    prepared = machine.prepare(tmp_path, make_cell("256M", accel="auto"), make_cell("512M", accel="auto"))
    assert [cell.accel for cell in prepared.cells] == ["tcg", "tcg"]
    assert machine.asked == [("qemu", "provisioned"), ("kvm",), ("colo", "tcg")]
    assert machine.said[-1] == "emulation (TCG), because KVM does not run the linux guest here: the guest hung"


def test_auto_takes_kvm_where_the_guest_boots(machine: Machine, tmp_path: Path) -> None:
    machine.kvm = Verdict(ok=True, reason="")
    assert machine.prepare(tmp_path, make_cell(accel="auto")).cells[0].accel == "kvm"
    assert machine.asked[-1] == ("colo", "kvm")


def test_what_qemu_warns_of_is_counted_in_one_line_and_goes_on_record(machine: Machine, tmp_path: Path) -> None:
    machine.warnings = ("TCG doesn't support avx512f", "TCG doesn't support avx512f")
    machine.prepare(tmp_path, make_cell("256M", accel="tcg"), make_cell("512M", accel="tcg"))
    assert machine.said == ["QEMU warned of 1 thing: under quality.notes of each run.json"]


def test_what_qemu_warns_of_goes_with_the_cells_whose_machine_it_is(machine: Machine, tmp_path: Path) -> None:
    machine.warnings = ("TCG doesn't support avx512f",)
    one, two = make_cell("256M"), make_cell("256M", 2)
    assets = machine.prepare(tmp_path, one, two).assets["provisioned"]
    warned = "QEMU warned: TCG doesn't support avx512f"
    assert assets.remarks(one) == assets.remarks(two) == (warned, "a screen was open on primary")
    assert assets.remarks(make_cell("512M", 1)) == (warned, "a screen was open on primary")
    many = make_cell("256M", 255)
    assert assets.remarks(many) == ("a screen was open on primary", crowding(many, len(os.sched_getaffinity(0))))


def test_vcpus_that_have_to_take_turns_are_told_of() -> None:
    assert crowding(make_cell("256M", 4), 4) == ""
    assert crowding(make_cell("256M", 4), 1) == "4 vCPUs on 1 CPU of this host: they take turns"


def test_kvm_asked_for_is_never_replaced_by_emulation(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="KVM does not run the linux guest here: the guest hung"):
        machine.prepare(tmp_path, make_cell(accel="kvm"))


def test_emulation_asked_for_does_not_try_kvm(machine: Machine, tmp_path: Path) -> None:
    machine.prepare(tmp_path, make_cell())
    assert ("kvm",) not in machine.asked


def test_a_binary_that_cannot_do_colo_is_refused_with_the_cause(machine: Machine, tmp_path: Path) -> None:
    machine.colo = Verdict(ok=False, reason="the first checkpoint completes, then the primary hangs")
    with pytest.raises(HostError, match="cannot do COLO here under tcg: the first checkpoint"):
        machine.prepare(tmp_path, make_cell())


def test_why_a_binary_cannot_do_colo_is_named_where_it_has_a_name(machine: Machine, tmp_path: Path) -> None:
    machine.colo = Verdict(ok=False, reason="the primary hangs", cause="colo-hang")
    with pytest.raises(HostError) as caught:
        machine.prepare(tmp_path, make_cell())
    assert caught.value.cause == "colo-hang"
    machine.colo = Verdict(ok=False, reason="no checkpoint began within 20 s")
    with pytest.raises(HostError) as caught:
        machine.prepare(tmp_path, make_cell())
    assert caught.value.cause == "colo-probe"


def test_a_binary_without_replication_is_refused_before_the_probe(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def features(_binary: Any) -> Features:
        return replace(FEATURES, missing=("block driver replication", "object filter-rewriter"))

    monkeypatch.setattr(module, "probe_features", features)
    with pytest.raises(HostError, match="without block driver replication, object filter-rewriter") as caught:
        machine.prepare(tmp_path, make_cell())
    assert caught.value.cause == "replication-missing"
    assert ("colo", "tcg") not in machine.asked


def test_a_trace_event_that_the_binary_lacks_is_refused_before_the_first_boot(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no trace event colo_nope"):
        machine.prepare(tmp_path, make_cell(trace=Trace(events=("colo_nope",))))
    assert ("colo", "tcg") not in machine.asked


def test_only_what_a_cell_needs_is_built(machine: Machine, tmp_path: Path) -> None:
    assert machine.prepare(tmp_path, make_cell()).assets["provisioned"].nodelay is None
    nodelay = make_cell(link=Link(transport="nodelay"), host={"kind": "netns"})
    assets = machine.prepare(tmp_path, nodelay).assets["provisioned"]
    assert {("netns",), ("nodelay",)} <= set(machine.asked)
    assert assets.pair_binary(nodelay).argv[:2] == ("preload", "/lib.so")
    assert assets.pair_binary(make_cell()).argv == ("qemu-system-x86_64",)
    assert assets.watch == {"primary"}


def test_a_pair_of_two_binaries_is_probed_as_one_and_both_are_found(machine: Machine, tmp_path: Path) -> None:
    cell = make_cell("256M", accel="tcg", qemu="11.1", qemu_secondary="10.0")
    prepared = machine.prepare(tmp_path, cell)
    assert [what for what in machine.asked if what[0] in {"qemu", "colo"}] == [
        ("qemu", "11.1"),
        ("qemu", "10.0"),
        ("colo", "tcg", "second"),
    ]
    assert prepared.assets_of(cell).second.features == FEATURES
    assert prepared.assets_of(make_cell("256M", accel="tcg", qemu="10.0", qemu_secondary="10.0")).second is None


def test_a_machine_is_saved_for_the_secondary_s_qemu_too(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    makers: list[Any] = []
    monkeypatch.setattr(module, "saved_machine", lambda maker, _say: makers.append(maker) or Path("/saved"))
    cells = [make_cell(start="restored", qemu_secondary=other) for other in (None, "system")]
    known = {
        name: Assets(FakeBinary(version), FakeGuest(), FEATURES, "c")  # type: ignore[arg-type]
        for name, version in (("provisioned", "11.1.3"), ("system", "10.0.13"))
    }
    found = module._with_saved("provisioned", known, cells, machine.said.append)
    assert set(found.saved) == set(cells)
    assert [maker.second and maker.second.binary.version for maker in makers] == [None, "10.0.13"]
