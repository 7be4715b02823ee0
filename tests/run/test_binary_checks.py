"""What a dry run knows of the QEMUs that are here: their trace events, and what an earlier probe found of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fake_session import FakeBinary, FakeGuest, make_cell

from bench.config.procedure import Trace
from bench.format.phases import NEEDED
from bench.provision.kvm import Verdict
from bench.run import binary_checks
from bench.run.binary_checks import event_checks, remembered_checks

if TYPE_CHECKING:
    from pathlib import Path

    from bench.provision.qemu import Binary


@pytest.fixture
def lister(tmp_path: Path) -> Binary:
    """A FAKE program that lists trace events as QEMU does, with a warning among them."""
    path = tmp_path / "qemu-system-x86_64"
    lines = "\\n".join(("qemu: warning: something else", *NEEDED, "colo_receive_message"))
    path.write_text(f'#!/bin/sh\n[ "$*" = "-trace help" ] && printf "{lines}\\n"\n')
    path.chmod(0o755)
    return replace(FakeBinary(), argv=(str(path),))  # type: ignore[return-value]


def test_an_event_that_a_binary_does_not_list_is_told_as_the_run_tells_it(lister: Binary) -> None:
    good, bad = make_cell(), make_cell(trace=Trace(events=("colo_recieve_message",)))
    assert list(event_checks([good], {"provisioned": lister})) == []
    (found,) = event_checks([good, bad], {"provisioned": lister})
    assert (found.name, found.status, found.cause) == ("trace events", "fail", "trace-event-unknown")
    assert found.text == "this QEMU has no trace event colo_recieve_message"
    assert "close: colo_receive_message" in found.fix


def test_of_a_pair_of_two_both_have_to_list_it(lister: Binary) -> None:
    cell = make_cell(qemu="11.1", qemu_secondary="10.0", trace=Trace(events=("colo_receive_message",)))
    assert list(event_checks([cell], {"11.1": lister, "10.0": lister})) == []
    silent = replace(FakeBinary(), argv=("true",))
    assert list(event_checks([cell], {"11.1": lister, "10.0": silent})) == []  # it is asked when it runs
    assert list(event_checks([cell], {"11.1": lister, "10.0": None})) == []


@pytest.mark.parametrize("argv", [("false",), ("true",), ("/proc/none/qemu",)])
def test_of_a_binary_that_lists_nothing_nothing_is_said(argv: tuple[str, ...]) -> None:
    binary = replace(FakeBinary(), argv=argv)
    assert list(event_checks([make_cell()], {"provisioned": binary})) == []  # type: ignore[dict-item]


@pytest.mark.parametrize("accel", ["tcg", "auto"])
def test_what_an_earlier_probe_found_is_told_once(monkeypatch: pytest.MonkeyPatch, accel: str) -> None:
    lost = Verdict(ok=False, reason="the primary's trace log holds no event", cause="trace-elsewhere")
    monkeypatch.setattr(binary_checks, "cached_colo", lambda *_: lost)
    monkeypatch.setattr(binary_checks, "cached_kvm", lambda *_: Verdict(ok=False, reason="no /dev/kvm"))
    cells = [make_cell("256M", accel=accel), make_cell("512M", accel=accel)]
    binaries = {"provisioned": FakeBinary()}
    (found,) = remembered_checks(cells, binaries, lambda _: FakeGuest())  # type: ignore[arg-type,return-value]
    assert (found.status, found.cause) == ("fail", "trace-elsewhere")
    assert found.text == "not under tcg: the primary's trace log holds no event"
    monkeypatch.setattr(binary_checks, "cached_colo", lambda *_: Verdict(ok=True, reason=""))
    assert list(remembered_checks(cells, binaries, lambda _: FakeGuest())) == []  # type: ignore[arg-type,return-value]


def test_what_was_never_probed_and_what_takes_no_checkpoint_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_checks, "cached_colo", lambda *_: None)
    monkeypatch.setattr(binary_checks, "cached_kvm", lambda *_: None)
    cells = [make_cell(), make_cell(accel="auto"), make_cell(scenario="native")]
    assert list(remembered_checks(cells, {"provisioned": FakeBinary()}, lambda _: FakeGuest())) == []  # type: ignore[arg-type,return-value,dict-item]


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_dry_run_and_the_doctor_ask_the_real_binary(tmp_path: Path) -> None:
    words = ("mem=256M", "smp=1", "accel=tcg", "trace.events=[colo_nope]", f"results={tmp_path}")
    for argv in (("bench", *words, "dry_run=true"), ("bench.doctor", "--quick", *words)):
        done = subprocess.run(
            (sys.executable, "-m", *argv), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert "this QEMU has no trace event colo_nope" in done.stdout
