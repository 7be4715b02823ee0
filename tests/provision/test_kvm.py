from __future__ import annotations

import os
import selectors
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.provision import boot, kvm
from bench.provision.guest import Guest
from bench.provision.kvm import DOUBT_HOLDS_S, Verdict, cached_kvm, kvm_obstacle, probe_kvm
from bench.provision.qemu import Binary

GUEST = Guest(Path("/k"), Path("/i"), "1" * 64, "2" * 64, "9.9", ())


class FakeQemu:
    """An executable that says what it is told to, and then stays."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "qemu"
        self.pid_file = folder / "pid"
        self.starts = folder / "starts"

    def says(self, text: str, then: str = "exec sleep 60") -> Binary:
        self.path.write_text(
            f"#!/bin/sh\necho $$ > {self.pid_file}\necho x >> {self.starts}\nprintf '%s\\n' '{text}'\n{then}\n"
        )
        self.path.chmod(0o755)
        return Binary((str(self.path),), (), (), self.path, "a" * 64, "11.1.3", "path")

    def count(self) -> int:
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0

    def gone(self) -> bool:
        return not psutil.pid_exists(int(self.pid_file.read_text()))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(kvm, "_DEVICE", device)
    return FakeQemu(tmp_path)


def test_a_guest_that_gets_ready_proves_kvm(fake: FakeQemu) -> None:
    verdict = probe_kvm(fake.says("colo-bench: ready"), GUEST, 20)
    assert verdict == Verdict(ok=True, reason="the guest boots under KVM")
    assert fake.gone()


def test_a_guest_that_got_ready_while_we_were_suspended_proves_it_too(
    fake: FakeQemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Suspended(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            found = super().select(timeout)
            return [] if timeout else found  # a wait that lasted longer than it was to

    monkeypatch.setattr(boot.selectors, "DefaultSelector", Suspended)
    assert probe_kvm(fake.says("colo-bench: ready"), GUEST, 20).ok


def test_a_guest_that_hangs_is_given_up_at_the_deadline_and_killed(fake: FakeQemu) -> None:
    verdict = probe_kvm(fake.says("Probing EDD"), GUEST, 1)
    assert not verdict.ok
    assert verdict.reason.startswith("/dev/kvm opens, but the guest did not say 'ready' within 1 s (asked again")
    assert fake.gone()


def test_a_time_out_is_remembered_for_a_day_and_can_be_forgotten_as_the_message_says(fake: FakeQemu) -> None:
    now = [1e9]
    binary = fake.says("Probing EDD")
    verdict = probe_kvm(binary, GUEST, 0.5, clock=lambda: now[0])
    now[0] += DOUBT_HOLDS_S - 1
    assert cached_kvm(binary, GUEST, lambda: now[0]) == verdict
    now[0] += 1
    assert cached_kvm(binary, GUEST, lambda: now[0]) is None
    named = Path(verdict.reason.split("rm ")[1].split(":")[0])
    named.unlink()
    assert cached_kvm(binary, GUEST, lambda: 1e9) is None


@pytest.mark.parametrize("said", ["KVM internal error. Suberror: 1", "Kernel panic - not syncing"])
def test_what_proves_that_kvm_does_not_work_is_remembered_for_good(fake: FakeQemu, said: str) -> None:
    binary = fake.says(said)
    verdict = probe_kvm(binary, GUEST, 20, clock=lambda: 0.0)
    assert cached_kvm(binary, GUEST, lambda: 1e12) == verdict
    assert fake.count() == 1


def test_an_abort_of_qemu_is_remembered_for_good(fake: FakeQemu) -> None:
    binary = fake.says("error: failed to set MSR 0x10a", then="kill -ABRT $$")
    verdict = probe_kvm(binary, GUEST, 20, clock=lambda: 0.0)
    assert cached_kvm(binary, GUEST, lambda: 1e12) == verdict


def test_a_qemu_that_ended_for_a_reason_that_may_pass_is_asked_again_after_a_day(fake: FakeQemu) -> None:
    binary = fake.says("failed to initialize kvm: Device or resource busy", then="exit 1")
    probe_kvm(binary, GUEST, 20, clock=lambda: 0.0)
    assert cached_kvm(binary, GUEST, lambda: DOUBT_HOLDS_S) is None


def test_a_failure_remembered_without_its_kind_is_asked_again(fake: FakeQemu) -> None:
    binary = fake.says("colo-bench: ready")
    kvm._answer_path(binary, GUEST).write_text('{"ok": false, "reason": "too slow"}')
    assert cached_kvm(binary, GUEST) is None
    kvm._answer_path(binary, GUEST).write_text('{"ok": true, "reason": "it boots"}')
    assert cached_kvm(binary, GUEST) == Verdict(ok=True, reason="it boots")


def test_an_internal_error_is_told_at_once(fake: FakeQemu) -> None:
    verdict = probe_kvm(fake.says("KVM internal error. Suberror: 1"), GUEST, 600)  # it stays: its words end the wait
    said, _, log = verdict.reason.partition("; what it said: ")
    assert said == "/dev/kvm opens, but the guest stopped: KVM internal error. Suberror: 1"
    command, *lines = Path(log).read_text().splitlines()
    assert "-accel kvm" in command
    assert lines == ["KVM internal error. Suberror: 1"]
    assert fake.gone()


def test_a_qemu_that_ends_is_quoted(fake: FakeQemu) -> None:
    verdict = probe_kvm(fake.says("failed to initialize kvm", then="exit 1"), GUEST, 20)
    assert verdict.reason.startswith("/dev/kvm opens, but QEMU ended: failed to initialize kvm (asked again")


def test_the_answer_is_remembered_for_this_binary_and_guest_only(fake: FakeQemu) -> None:
    binary = fake.says("colo-bench: ready")
    assert cached_kvm(binary, GUEST) is None
    verdict = probe_kvm(binary, GUEST, 20)
    assert cached_kvm(binary, GUEST) == probe_kvm(binary, GUEST, 20) == verdict
    assert fake.count() == 1
    assert cached_kvm(replace(binary, sha256="b" * 64), GUEST) is None
    assert cached_kvm(binary, replace(GUEST, initramfs_sha256="3" * 64)) is None


def test_a_damaged_answer_is_asked_for_again(fake: FakeQemu) -> None:
    binary = fake.says("colo-bench: ready")
    probe_kvm(binary, GUEST, 20)
    kvm._answer_path(binary, GUEST).write_text("{")
    assert cached_kvm(binary, GUEST) is None


def test_a_missing_device_is_told_without_booting(
    fake: FakeQemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "_DEVICE", tmp_path / "none")
    assert probe_kvm(fake.says("colo-bench: ready"), GUEST).reason == f"there is no {tmp_path / 'none'}"
    assert fake.count() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_a_device_that_may_not_be_opened_is_told(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch(0o000)
    assert "may not be opened by you" in kvm_obstacle(device)


def test_progress_names_the_deadline(fake: FakeQemu) -> None:
    told: list[str] = []
    probe_kvm(fake.says("colo-bench: ready"), GUEST, 20, told.append)
    assert told == ["probing KVM: the guest must be ready within 20 s"]
