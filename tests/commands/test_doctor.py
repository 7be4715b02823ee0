from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_session import make_cell, make_settings

from bench import doctor
from bench.config.launcher import Launcher
from bench.config.model import Cell
from bench.errors import ProvisionError
from bench.host import host
from bench.host.snapshot import Snapshot
from bench.provision.guest import Guest
from bench.provision.kvm import Verdict
from bench.provision.qemu import Binary
from bench.run import machine_checks
from bench.run.beforehand import Check, checks
from bench.run.needs import FEATURES, Feature, try_feature
from bench.system.exits import Exit
from bench.workload.idle import Idle

QUIET = Snapshot(
    t=0.0,
    cpus=4,
    governors=("performance",),
    clock_source="tsc",
    load=(0.1, 0.2, 0.3),
    memory_available_bytes=8 << 30,
    swap_used_bytes=0,
    thp="madvise",
)
SMALL = Cell(mem=512 << 20, smp=1, workload=Idle())
BINARY = Binary(("/q",), ("/img",), (), Path("/q"), "a" * 64, "11.1.3", "path")
GUEST = Guest(Path("/g/kernel"), Path("/g/initramfs"), "1" * 64, "2" * 64, "9.9", ())
BARE = Guest(Path("/g/bare.elf"), None, "3" * 64, "", "bare", ())
FAR = {"kind": "ssh", **{side: {"ssh": side, "address": "192.0.2.1"} for side in ("primary", "secondary")}}
CHECKS = (
    machine_checks.check_clock,
    machine_checks.check_thp,
    machine_checks.check_governor,
    machine_checks.check_swap,
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_quiet_machine_passes(check: object) -> None:
    assert callable(check)
    assert check(QUIET).status == "ok"
    assert check(Snapshot(t=0.0)).status == "ok"


def test_what_disturbs_a_measurement_is_a_warning_with_its_fix() -> None:
    disturbed = replace(
        QUIET, clock_source="hpet", governors=("ondemand", "powersave"), swap_used_bytes=1 << 30, load=(3.0, 0.0, 0.0)
    )
    found = [
        machine_checks.check_clock(disturbed),
        machine_checks.check_governor(disturbed),
        machine_checks.check_swap(disturbed),
        machine_checks.check_load(disturbed, ()),
    ]
    assert [check.status for check in found] == ["warn"] * 4
    assert all(check.fix for check in found)


def test_another_qemu_is_named_by_its_process() -> None:
    check = machine_checks.check_load(QUIET, (41, 42))
    assert (check.status, check.text) == ("warn", "2 other QEMU running (process 41,42)")
    assert "ps -fp 41,42" in check.fix
    assert machine_checks.check_load(QUIET, ()).status == "ok"


@pytest.mark.parametrize(("free_gib", "status"), [(50, "ok"), (2, "warn"), (0.1, "fail")])
def test_the_fuller_disk_decides(free_gib: float, status: str) -> None:
    check = machine_checks.check_disk({"the cache": int(free_gib * 2**30), "the results": 500 << 30})
    assert check.status == status
    assert "the cache" in check.text


def test_a_missing_qemu_or_guest_is_fetched_later_unless_a_tool_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_checks.check_qemu(None, ()).status == "warn"
    assert machine_checks.check_guest(None, ()).fix == "python -m bench.provision"
    for check in (machine_checks.check_qemu(None, ("mmdebstrap",)), machine_checks.check_guest(None, ("mmdebstrap",))):
        assert check.status == "fail"
        assert check.fix == "sudo apt-get update && sudo apt-get install -y mmdebstrap"
    assert machine_checks.check_qemu(BINARY, ("mmdebstrap",)).status == "ok"
    assert machine_checks.check_guest(GUEST, ("mmdebstrap",)).status == "ok"
    assert machine_checks.check_guest(None, ("mmdebstrap",), "bare").status == "warn"
    assert machine_checks.check_guest(None, ("mmdebstrap",), "bare").fix == "python -m bench.doctor guest=bare"
    assert machine_checks.check_guest(None, (), "apps").fix == "python -m bench.provision --apps"


def test_kvm_that_does_not_work_is_no_failure() -> None:
    assert machine_checks.check_kvm(None).status == "warn"
    assert machine_checks.check_kvm(Verdict(ok=True, reason="boots")).status == "ok"
    check = machine_checks.check_kvm(Verdict(ok=False, reason="/dev/kvm may not be opened by you (the group kvm may)"))
    assert check.status == "warn"
    assert "usermod" in check.fix


def test_a_binary_without_colo_is_a_failure_that_names_the_way_out() -> None:
    check = machine_checks.check_colo(Verdict(ok=False, reason="it hangs"), "tcg")
    assert check == Check(
        "COLO probe", "fail", "not under tcg: it hangs", "use qemu=provisioned, or another QEMU by its path"
    )
    assert machine_checks.check_colo(Verdict(ok=True, reason="2 checkpoints"), "kvm").status == "ok"
    assert machine_checks.check_colo(None, "tcg").status == "warn"


@pytest.mark.parametrize("feature", FEATURES)
def test_a_kernel_feature_is_never_needed_for_the_main_job(feature: Feature) -> None:
    assert machine_checks.check_feature(feature, privileged=False, said=None).status == "warn"
    assert machine_checks.check_feature(feature, privileged=True, said=None).status == "ok"
    missing = machine_checks.check_feature(feature, privileged=True, said="qdisc kind is unknown")
    assert (missing.status, missing.fix) == ("warn", feature.fix)
    tool = machine_checks.check_feature(feature, privileged=True, said="unshare cannot be started")
    assert "iproute2" in tool.fix


def test_an_old_python_fails() -> None:
    assert machine_checks.check_python((3, 10, 9)).status == "fail"
    assert machine_checks.check_python((3, 11, 0)).status == "ok"


def test_a_line_shows_status_name_finding_and_fix() -> None:
    assert doctor.line_text(Check("swap", "ok", "none in use")).plain == "ok    swap          none in use"
    shown = doctor.line_text(Check("swap", "warn", "[1] in use", "swapoff -a")).plain
    assert shown.splitlines() == ["warn  swap          [1] in use", "                    fix: swapoff -a"]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was fetched and no kernel is asked."""
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(host, "take_snapshot", lambda: QUIET)
    monkeypatch.setattr(doctor, "_other_qemus", lambda: iter(()))
    monkeypatch.setattr(doctor, "try_feature", lambda _feature: None)
    monkeypatch.setattr(doctor, "_free_bytes", lambda results: {f"the results ({results})": 50 << 30})
    monkeypatch.setattr(doctor, "missing_tools", lambda: ())


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Every check of this machine in its place, those that a run makes too behind the first."""
    found = ("QEMU", "guest image", "KVM probe", "COLO probe", "disk", "namespaces", "tap", "tc tbf", "tc netem")
    quiet = ("clock source", "THP", "CPU governor", "swap", "other load")
    return ["Python", *(one.name for one in checks([SMALL], tmp_path)), *found, *quiet]


@pytest.mark.usefixtures("bare")
def test_there_is_one_line_per_check_in_a_fixed_order(names: list[str]) -> None:
    found = list(doctor.checks("provisioned", lambda _text: None, probe=False))
    assert [check.name for check in found] == names
    troubled = [check for check in found if check.name in {"QEMU", "guest image", "KVM probe", "COLO probe"}]
    assert {check.status for check in troubled} == {"warn"}
    assert all(check.fix for check in troubled)


@pytest.mark.usefixtures("bare")
def test_warnings_do_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--quick"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "fix: python -m bench.provision" in said
    assert said.splitlines()[-1] == "pairs can be measured here"


@pytest.mark.usefixtures("bare")
def test_a_qemu_that_is_not_there_fails_with_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "none" / "qemu"
    assert doctor.main(["--quick", "--qemu", str(absent)]) == 3
    said = capsys.readouterr().out
    assert f"fail  QEMU          qemu={absent}: {absent} does not exist" in said
    assert said.splitlines()[-1] == "failed: 1; no pair can be measured here"


@pytest.mark.usefixtures("bare")
def test_json_holds_every_check_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    assert doctor.main(["--quick", "--json"]) == Exit.DONE
    tree = json.loads(capsys.readouterr().out)
    assert tree["ok"] is True
    assert [check["name"] for check in tree["checks"]] == names
    assert doctor.main(["--quick", "--json", "--qemu", str(tmp_path / "none")]) == Exit.HOST
    tree = json.loads(capsys.readouterr().out)
    assert tree["ok"] is False
    assert [check["name"] for check in tree["checks"] if check["status"] == "fail"] == ["QEMU"]


@pytest.mark.usefixtures("bare")
def test_the_probes_run_when_qemu_and_guest_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.run import probe

    monkeypatch.setattr(doctor, "installed_qemu", lambda _qemu: BINARY)
    monkeypatch.setattr(doctor, "installed_guest", lambda: GUEST)
    monkeypatch.setattr(doctor, "probe_kvm", lambda *_, **__: Verdict(ok=True, reason="the guest boots"))
    monkeypatch.setattr(doctor, "cached_kvm", lambda *_: None)
    monkeypatch.setattr(probe, "probe_colo", lambda trial, _say: Verdict(ok=True, reason=f"asked under {trial.accel}"))
    monkeypatch.setattr(probe, "cached_colo", lambda *_: None)
    found = {check.name: check for check in doctor.checks("provisioned", lambda _text: None, probe=True)}
    assert found["COLO probe"].text == "under kvm: asked under kvm"
    quick = {check.name: check for check in doctor.checks("provisioned", lambda _text: None, probe=False)}
    assert (quick["KVM probe"].status, quick["COLO probe"].text) == ("warn", "not probed yet under tcg")


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("asked", "boots", "told"),
    [
        (["tcg"], True, ["not under tcg: no"]),
        (["tcg", "auto"], True, ["not under tcg: no", "not under kvm: no"]),
        (["auto", "tcg"], False, ["not under tcg: no"]),
        (["kvm"], False, ["accel=kvm is asked for: it hangs"]),
    ],
)
def test_colo_is_tried_under_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], *, boots: bool, told: list[str]
) -> None:
    from bench.run import probe

    monkeypatch.setattr(doctor, "installed_qemu", lambda _qemu: BINARY)
    monkeypatch.setattr(doctor, "installed_guest", lambda: GUEST)
    monkeypatch.setattr(doctor, "probe_kvm", lambda *_, **__: Verdict(ok=boots, reason="it hangs"))
    monkeypatch.setattr(probe, "probe_colo", lambda *_: Verdict(ok=False, reason="no"))
    cells = doctor.Asked(tuple(make_cell(accel=accel) for accel in asked))
    found = doctor.checks("provisioned", lambda _text: None, probe=True, asked=cells)
    assert [check.text for check in found if check.name == "COLO probe"] == told


@pytest.mark.usefixtures("bare")
def test_a_failing_probe_is_a_line_and_the_other_checks_go_on(
    monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    from bench.run import probe

    def broken(*_words: object) -> Verdict:
        raise ProvisionError("no room", hint="free some")

    monkeypatch.setattr(doctor, "installed_qemu", lambda _qemu: BINARY)
    monkeypatch.setattr(doctor, "installed_guest", lambda: GUEST)
    monkeypatch.setattr(doctor, "probe_kvm", lambda *_, **__: Verdict(ok=False, reason="it hangs"))
    monkeypatch.setattr(probe, "probe_colo", broken)
    found = list(doctor.checks("provisioned", lambda _text: None, probe=True))
    assert Check("COLO probe", "fail", "no room", "free some", "provision-failed") in found
    assert [check.name for check in found] == names


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("probe", [True, False])
def test_the_guest_that_is_asked_for_is_the_one_that_is_looked_at_and_booted(
    monkeypatch: pytest.MonkeyPatch, *, probe: bool
) -> None:
    from bench.run import probe as probes

    asked: list[object] = []

    def answer(guest: object) -> Verdict:
        asked.append(guest)
        return Verdict(ok=True, reason="it boots")

    monkeypatch.setattr(doctor, "missing_tools", lambda: ("mmdebstrap",))  # as where there is no apt
    monkeypatch.setattr(doctor, "installed_qemu", lambda _qemu: BINARY)
    monkeypatch.setattr(doctor, "installed_bare", lambda: BARE)
    monkeypatch.setattr(doctor, "build_bare", lambda _say: BARE)
    for name in ("probe", "cached"):
        monkeypatch.setattr(doctor, f"{name}_kvm", lambda _binary, guest, **_: answer(guest))
        monkeypatch.setattr(probes, f"{name}_colo", lambda trial, *_: answer(trial.guest))
    cell = SMALL.model_copy(update={"guest": "bare"})
    found = {one.name: one for one in doctor.checks("system", lambda _: None, probe=probe, asked=doctor.Asked((cell,)))}
    assert [found[name].status for name in ("QEMU", "guest image", "KVM probe", "COLO probe")] == ["ok"] * 4
    assert asked == [BARE, BARE]


@pytest.mark.usefixtures("bare")
def test_nobody_is_sent_to_fetch_what_the_bare_guest_and_an_own_qemu_do_not_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(_qemu: str) -> Binary:
        raise ProvisionError("qemu=system: none is on PATH", hint="install it", cause="qemu-missing")

    monkeypatch.setattr(doctor, "missing_tools", lambda: ("mmdebstrap",))  # as where there is no apt
    monkeypatch.setattr(doctor, "installed_qemu", none)
    monkeypatch.setattr(doctor, "installed_bare", lambda: None)
    asked = doctor.Asked((SMALL.model_copy(update={"guest": "bare"}),))
    found = {one.name: one for one in doctor.checks("system", lambda _: None, probe=False, asked=asked)}
    fixes = [found[name].fix for name in ("QEMU", "guest image", "KVM probe", "COLO probe")]
    assert all(fixes)
    assert not any("bench.provision" in fix for fix in fixes)


@pytest.mark.usefixtures("bare")
def test_the_disk_that_is_looked_at_is_that_of_the_results_asked_for(tmp_path: Path) -> None:
    asked = doctor.Asked((SMALL,), make_settings(tmp_path / "large"))
    found = {one.name: one for one in doctor.checks("provisioned", lambda _: None, probe=False, asked=asked)}
    assert found["disk"].text == f"50.0 GiB free for the results ({tmp_path / 'large'})"


@pytest.mark.usefixtures("bare")
def test_what_kvm_and_colo_do_is_told_of_the_machine_that_measures(tmp_path: Path) -> None:
    jobs = make_settings(tmp_path, launcher=Launcher(kind="slurm"))
    for asked in (doctor.Asked((make_cell(host=FAR),)), doctor.Asked((SMALL,), jobs)):
        names = {one.name for one in doctor.checks("provisioned", lambda _: None, probe=False, asked=asked)}
        assert {"QEMU", "guest image"} <= names
        assert not {"KVM probe", "COLO probe"} & names


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("sizes", [("16G", "1G"), ("1G", "16G")])
def test_hosts_are_looked_at_for_the_largest_cell_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[str, str]
) -> None:
    asked = doctor.Asked(tuple(make_cell(size, host=FAR) for size in sizes))
    seen: list[int] = []

    async def looked_at(cell: Cell) -> list[Check]:
        seen.append(cell.mem)
        return []

    monkeypatch.setattr(doctor, "_looked_at", looked_at)
    list(doctor._all_checks(None, lambda: asked, lambda _: None, probe=False))
    assert seen == [16 << 30]


def test_a_feature_that_cannot_be_tried_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = try_feature(FEATURES[0])
    assert said is not None
    assert "cannot be started" in said


def test_an_empty_proc_shows_no_other_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_wanted: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(doctor.psutil, "process_iter", nothing)
    assert list(doctor._other_qemus()) == []


def test_the_help_says_that_the_words_name_the_qemu_that_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        doctor.main(["--help"])
    assert "--qemu QEMU what qemu= would be: that of the words" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("bare")
def test_what_the_words_ask_for_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--quick", "mem=900T", "tune.pinning.primary=4090"]) == Exit.HOST
    said = capsys.readouterr().out
    assert "a pair of 900 TiB needs" in said
    assert "tune.pinning.primary: this process has no CPU 4090" in said
    assert doctor.main(["--quick", "mem=1X"]) == Exit.USAGE


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("option", ["-cd", "--config-dir"])
def test_an_experiment_of_ones_own_is_looked_at_where_the_run_finds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    path = tmp_path / "experiment/large.yaml"
    path.parent.mkdir()
    path.write_text("# @package _global_\nmem: 900T\n")
    assert doctor.main(["--quick", option, str(tmp_path), "experiment=large"]) == Exit.HOST
    assert "a pair of 900 TiB needs" in capsys.readouterr().out
    assert doctor.main(["--quick", option, str(tmp_path / "none"), "experiment=large"]) == Exit.USAGE
    assert f"--config-dir {tmp_path / 'none'}: No such file" in capsys.readouterr().err
