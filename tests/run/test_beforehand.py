"""The one list of checks: what each says, and that a run that cannot work is refused before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings
from passthrough import mounted, possible

from bench.errors import HostError
from bench.host.limits import MACHINE, Limit, Limits
from bench.run import needs
from bench.run.beforehand import (
    Check,
    check_architecture,
    check_cpus,
    check_environment,
    check_files,
    check_memory,
    check_processes,
    check_results,
    checks,
    file_system,
    require,
)
from bench.run.campaign import run_campaign

if TYPE_CHECKING:
    from bench.config.model import Cell

GIB = 1 << 30
CELLS = [make_cell("512M"), make_cell("1G", 2)]


def test_this_machine_passes_what_these_tests_need(tmp_path: Path) -> None:
    found = list(checks([make_cell("64M")], tmp_path))
    assert [one.name for one in found] == [
        "architecture",
        "loopback",
        "sockets",
        "results",
        "memory",
        "CPUs",
        "processes",
        "files",
        "tuning",
        "environment",
    ]
    require(found)
    assert list(tmp_path.iterdir()) == []


def test_a_tuning_that_this_machine_cannot_have_is_told_before_the_first_pair(tmp_path: Path) -> None:
    tuned = make_cell("64M", tune={"pinning": {"primary": "4090"}})
    (found,) = [one for one in checks([tuned], tmp_path) if one.name == "tuning"]
    assert (found.status, found.cause) == ("fail", "tune-missing")
    assert "tune.pinning.primary: this process has no CPU 4090" in found.text


def test_a_campaign_that_is_a_file_is_told_before_the_first_pair(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    (found,) = [one for one in checks([make_cell("64M")], tmp_path / "taken") if one.name == "results"]
    assert found.status == "fail"
    assert str(tmp_path / "taken") in found.text


def test_memory_is_asked_for_the_largest_cell_and_the_limit_is_named() -> None:
    check = check_memory(CELLS, Limits(memory=Limit(GIB, "/sys/fs/cgroup/x/memory.max")))
    assert (check.status, check.cause) == ("fail", "host-memory")
    assert check.text.startswith("1.0 GiB available by /sys/fs/cgroup/x/memory.max, a pair of 1 GiB needs ")
    assert check.fix == "raise /sys/fs/cgroup/x/memory.max"
    enough = check_memory(CELLS, Limits(memory=Limit(8 * GIB, MACHINE)))
    assert (enough.status, enough.text.startswith("8.0 GiB available: a pair of up to mem=")) == ("ok", True)
    assert check_memory(CELLS, Limits()).status == "warn"


def test_address_space_has_to_hold_a_secondary() -> None:
    limits = Limits(memory=Limit(8 * GIB, MACHINE), address_bytes=Limit(2 * GIB, "ulimit -v"))
    assert check_memory(CELLS, limits).fix == "ulimit -v unlimited"


@pytest.mark.parametrize(("cpus", "status"), [(0.5, "warn"), (1.5, "warn"), (2, "ok"), (8, "ok")])
def test_less_than_two_cpus_are_told(cpus: float, status: str) -> None:
    assert check_cpus(CELLS, Limits(cpus=Limit(cpus, "cpu.max"))).status == status


@pytest.mark.parametrize(("left", "status"), [(20, "fail"), (1000, "ok")])
def test_a_pair_s_threads_have_to_be_allowed(left: int, status: str) -> None:
    assert check_processes(CELLS, Limits(processes=Limit(left, "pids.max"))).status == status


def test_files_have_to_be_many_and_large() -> None:
    assert check_files(Limits(open_files=Limit(16, "ulimit -n"))).fix == "ulimit -n 1024"
    assert check_files(Limits(open_files=Limit(1024, "ulimit -n"), file_bytes=Limit(512, "ulimit -f"))).fix == (
        "ulimit -f unlimited"
    )
    assert check_files(Limits(open_files=Limit(1024, "ulimit -n"))).status == "ok"


@pytest.mark.parametrize(("machine", "status"), [("x86_64", "ok"), ("aarch64", "fail"), ("riscv64", "fail")])
def test_the_guest_s_architecture_is_needed(machine: str, status: str) -> None:
    assert check_architecture(machine).status == status


def test_variables_that_are_held_back_are_named() -> None:
    assert check_environment(("LD_PRELOAD", "PYTHONPATH")).text == "not passed on to QEMU: LD_PRELOAD"
    assert check_environment(("PYTHONPATH",)).status == "ok"


@pytest.mark.skipif(not possible(), reason="mounting a FUSE file system needs root and /dev/fuse")
def test_a_file_system_over_a_network_is_told_and_used(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        check = check_results(mount / "new" / "results")
        assert check.status == "warn"
        assert "(fuse), without locks: images are used unlocked: every trace line crosses it" in check.text
        assert list(mount.iterdir()) == []


def test_of_two_file_systems_on_one_folder_the_later_counts(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"40 22 0:36 / {tmp_path} rw - autofs systemd-1 rw\n"
        f"41 40 0:50 / {tmp_path} rw - nfs4 server:/home rw\n"
        f"42 22 0:51 / {tmp_path}/other rw - tmpfs tmpfs rw\n"
        f"43 22 0:52 / {tmp_path}/a\\011tab rw - vfat /dev/sdb1 rw\n"
    )
    assert file_system(tmp_path / "results", table) == "nfs4"
    assert file_system(tmp_path / "other" / "results", table) == "tmpfs"
    assert file_system(tmp_path / "a\ttab" / "results", table) == "vfat"
    assert file_system(tmp_path.parent, table) == "ext4"


@pytest.mark.parametrize("target", ["itself", "nowhere", "file"])
def test_a_link_that_leads_nowhere_is_no_place_for_results(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "itself").symlink_to(tmp_path / target)
    check = check_results(tmp_path / "itself" / "results")
    assert check.status == "fail"
    assert str(tmp_path / "itself") in check.text
    assert check.fix.count("results=DIR") == 1


def test_a_place_that_cannot_be_written_to_fails_with_its_name() -> None:
    check = check_results(Path("/proc/results"))
    assert check.status == "fail"
    assert "/proc could not be written" in check.text


def test_a_run_is_refused_before_it_prepares_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.run.beforehand.platform.machine", lambda: "aarch64")
    session = FakeSession()
    with pytest.raises(HostError, match="aarch64") as caught:
        run_campaign(make_settings(tmp_path / "r"), [make_cell()], "bench", fake_tools(session))
    assert caught.value.cause == "architecture"
    assert (session.calls, (tmp_path / "r").exists()) == ([], False)


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_without_a_loopback_doctor_dry_run_and_run_say_so(tmp_path: Path) -> None:
    command = ("mem=256M", "smp=1", "accel=tcg", f"results={tmp_path}/r")
    said = {}
    for name, argv in (
        ("doctor", ("bench.doctor", "--quick")),
        ("dry run", ("bench", *command, "dry_run=true")),
        ("run", ("bench", *command)),
    ):
        done = subprocess.run(
            ["unshare", "--net", "--", sys.executable, "-m", *argv],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said[name] = (done.returncode, "127.0.0.1 takes no connection" in done.stdout + done.stderr)
    assert said == {"doctor": (3, True), "dry run": (0, True), "run": (3, True)}
    assert not (tmp_path / "r").exists()


def found(*cells: Cell) -> dict[str, Check]:
    return {one.name: one for one in checks(cells, Path("/tmp/colo-bench-none"))}  # noqa: S108 - nothing is made there


def test_what_nodes_apart_need_is_asked_when_they_are_and_never_else(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(needs, "try_feature", lambda feature: tried.append(feature.name))
    monkeypatch.setattr(needs, "require_netns_privilege", lambda _kind: None)
    monkeypatch.setattr(needs, "require_taps", lambda: None)
    assert not set(found(make_cell())) & {"host=netns", "host=bridged", "bandwidth", "delay and loss", "way to hosts"}
    assert tried == []
    shaped = make_cell(host={"kind": "netns"}, link={"bandwidth": "1gbit", "delay": "1ms"})
    assert {"host=netns", "bandwidth", "delay and loss"} <= set(found(shaped))
    assert tried == ["namespaces", "tc tbf", "tc netem"]
    tried.clear()
    bridged = make_cell(host={"kind": "bridged"}, client_link={"loss_percent": 1})
    assert {"host=bridged", "delay and loss"} <= set(found(bridged))
    assert tried == ["namespaces", "tap", "bridge", "tc netem"]


@pytest.mark.parametrize(
    ("broken", "name", "cause"),
    [
        ("namespaces", "host=bridged", "netns-failed"),
        ("tap", "host=bridged", "tun-missing"),
        ("tc tbf", "bandwidth", "tbf-refused"),
        ("tc netem", "delay and loss", "netem-missing"),
    ],
)
def test_a_kernel_feature_that_is_asked_for_and_not_there_is_a_failure_with_the_run_s_own_cause(
    monkeypatch: pytest.MonkeyPatch, broken: str, name: str, cause: str
) -> None:
    monkeypatch.setattr(needs, "try_feature", lambda feature: "unknown" if feature.name == broken else None)
    monkeypatch.setattr(needs, "require_netns_privilege", lambda _kind: None)
    monkeypatch.setattr(needs, "require_taps", lambda: None)
    cell = make_cell(host={"kind": "bridged"}, link={"bandwidth": "1gbit"}, client_link={"delay": "1ms"})
    failed = {one.name: one for one in found(cell).values() if one.status == "fail"}
    assert {told: one.cause for told, one in failed.items()} == {name: cause}
    assert ("client_link" in failed[name].fix) is broken.startswith("tc ")  # the link that was asked for is named


def test_a_way_to_other_hosts_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {side: {"ssh": side, "address": "192.0.2.1"} for side in ("primary", "secondary")}
    cell = make_cell(host={"kind": "ssh", **hosts})
    monkeypatch.setenv("PATH", str(tmp_path))
    check = found(cell)["way to hosts"]
    assert (check.status, check.cause) == ("fail", "tool-missing")
    assert "host=ssh needs `ssh`" in check.text


NOT_ROOT = ("unshare", "--user", "--")
"""What makes us nobody, who owns our files all the same: a user namespace in which no user is mapped."""


@pytest.mark.skipif(subprocess.run((*NOT_ROOT, "true"), check=False).returncode != 0, reason="no user namespace here")
@pytest.mark.parametrize("kind", ["netns", "bridged"])
def test_without_root_doctor_dry_run_and_run_refuse_nodes_apart_alike(tmp_path: Path, kind: str) -> None:
    command = ("mem=256M", "smp=1", "accel=tcg", f"host={kind}", f"results={tmp_path}/r")
    said = {}
    for name, argv in (
        ("doctor", ("bench.doctor", "--quick", *command)),
        ("dry run", ("bench", *command, "dry_run=true")),
        ("run", ("bench", *command)),
    ):
        done = subprocess.run(
            [*NOT_ROOT, sys.executable, "-m", *argv],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said[name] = (done.returncode, f"host={kind} needs root" in done.stdout + done.stderr)
    assert said == {"doctor": (3, True), "dry run": (0, True), "run": (3, True)}
    assert not (tmp_path / "r").exists()
