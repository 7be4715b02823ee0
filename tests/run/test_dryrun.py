from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fake_session import GIB, GUEST, QEMU, FakeBinary, FakeGuest, make_cell, make_settings

from bench.config.links import Link
from bench.config.procedure import Checkpoint
from bench.format.hosts import KVM_TEXT
from bench.host.virtual import this_kvm
from bench.plan.plan import make_plan
from bench.provision.cache import file_sha256
from bench.record.ledger import Ledger
from bench.run import dryrun
from bench.run.dryrun import Installed, render

CELLS = [make_cell("256M", 1), make_cell("512M", 2, dirty=True)]


def installed(**changes: Any) -> Installed:
    known = {"binaries": {"provisioned": FakeBinary()}, "guest": FakeGuest(), "available_bytes": 20 * GIB}
    return Installed(**{**known, "free_bytes": 50 * GIB, **changes})


@pytest.fixture
def nothing_installed() -> Installed:
    return installed(binaries={"provisioned": None}, guest=None)


def test_every_run_is_shown_in_order_with_what_it_takes(tmp_path: Path) -> None:
    text = render(make_settings(tmp_path), CELLS, "c", installed())
    lines = [line for line in text.splitlines() if re.match(r"\s+\d/4 ", line)]
    assert [line.split()[0] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert all(re.search(r"run [0-9a-f]{12} +cell [0-9a-f]{8} .* s +memory .*iB +disk .*iB", line) for line in lines)
    assert [line.split("block ")[1][0] for line in lines] == ["1", "1", "2", "2"]


def test_the_ids_that_are_shown_are_those_of_the_runs_also_where_a_library_is_preloaded(tmp_path: Path) -> None:
    cell, library = make_cell(link=Link(transport="nodelay")), tmp_path / "library"
    library.write_bytes(b"FAKE")
    plan = make_plan("c", [cell], repeats=2, seed=7, qemu=QEMU, guest=GUEST, nodelay_sha256=file_sha256(library))
    text = render(make_settings(tmp_path), [cell], "c", installed(nodelay=library))
    assert re.findall(r"  run ([0-9a-f]{12})  cell", text) == [run.run_id for run in plan.runs]
    text = render(make_settings(tmp_path), [cell], "c", installed())  # it is compiled by the first run
    assert text.count("  run ------------  cell") == 2


def test_what_is_measured_already_is_said(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert "measured already" not in render(settings, CELLS, "c", installed())
    folder = tmp_path / "c"
    folder.mkdir()
    ledger = Ledger(folder / "ledger.jsonl")
    for run_id, states in {
        "0" * 12: ("started", "measured"),
        "1" * 12: ("started", "failed"),
        "2" * 12: ("started",),
    }.items():
        for state in states:
            ledger.append(run_id, state, 0)  # type: ignore[arg-type]
    assert "  there    1 run measured already: the same command" in render(settings, CELLS, "c", installed())


@pytest.mark.parametrize("name", ["file", "file/inside", "loop", "a" * 300])
def test_results_that_can_be_no_folder_are_left_to_the_checks(tmp_path: Path, name: str) -> None:
    """They name the folder, as the run does; that a ledger of it cannot be read is nothing to mend."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    text = render(make_settings(tmp_path / name), CELLS, "c", installed())
    assert "measured already" not in text
    assert f"  results  {tmp_path / name / 'c'}" in text


def test_each_cell_shows_both_command_lines_in_full_and_the_qmp_steps(tmp_path: Path) -> None:
    text = render(make_settings(tmp_path), CELLS, "c", installed())
    for wanted in ("-m 256M", "-m 512M", "-name primary", "-name secondary", "colo-compare", "-incoming defer"):
        assert wanted in text
    assert text.count("x-blockdev-change") == 2
    assert "1 + 4 checkpoints, each 0.1 s after the last one ended: primary migrate-set-parameters" in text


def test_timer_checkpoints_are_told_as_such(tmp_path: Path) -> None:
    cell = make_cell(checkpoint=Checkpoint(trigger="timer", interval=20, count=3, warmup=1))
    assert "1 + 3 checkpoints by QEMU's own timer, 20 s" in render(make_settings(tmp_path), [cell], "c", installed())


def test_how_the_pairs_run_is_said(tmp_path: Path) -> None:
    assert "pairs    emulation (TCG)" in render(make_settings(tmp_path), CELLS, "c", installed())
    kvm = [make_cell(accel="kvm")]
    assert f"pairs    {KVM_TEXT[this_kvm().kind]}\n" in render(make_settings(tmp_path), kvm, "c", installed())


def test_what_is_missing_is_named_and_the_plan_still_shown(tmp_path: Path, nothing_installed: Installed) -> None:
    text = render(make_settings(tmp_path), CELLS, "c", nothing_installed)
    assert "QEMU     provisioned: not there yet; it is fetched first" in text
    assert "guest    not built yet" in text
    assert "run ------------" in text
    assert "-m 256M" in text


def test_an_accelerator_that_is_not_decided_yet_is_not_guessed(tmp_path: Path, nothing_installed: Installed) -> None:
    text = render(make_settings(tmp_path), [make_cell(accel="auto")], "c", nothing_installed)
    assert "pairs    KVM or emulation (TCG), decided at the start" in text
    assert "accel=auto: shown for emulation (TCG)" in text


def test_a_known_verdict_decides_the_accelerator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.provision.kvm import Verdict

    monkeypatch.setattr(dryrun, "cached_kvm", lambda _binary, _guest: Verdict(ok=True, reason=""))
    text = render(make_settings(tmp_path), [make_cell(accel="auto")], "c", installed())
    assert f"pairs    {KVM_TEXT[this_kvm().kind]}\n" in text
    assert "-accel kvm" in text


def test_what_this_machine_knows_of_kvm_decides_nothing_for_other_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.provision.kvm import Verdict

    monkeypatch.setattr(dryrun, "cached_kvm", lambda _binary, _guest: Verdict(ok=False, reason="there is no /dev/kvm"))
    far = {side: {"ssh": side, "address": "192.0.2.1"} for side in ("primary", "secondary")}
    cell = make_cell(accel="auto", host={"kind": "ssh", **far})
    text = render(make_settings(tmp_path), [cell], "c", installed())
    assert "pairs    KVM or emulation (TCG), decided at the start" in text
    assert "run ------------" in text


def test_the_memory_of_this_machine_is_none_that_other_hosts_have(tmp_path: Path) -> None:
    hosts = {side: {"ssh": side, "address": "192.0.2.1"} for side in ("primary", "secondary")}
    far = make_cell("4G", host={"kind": "ssh", **hosts})
    room = re.compile(r"  memory   up to [^,]*, (.*)")
    told = [room.findall(render(make_settings(tmp_path), cells, "c", installed())) for cells in ([far], [far, *CELLS])]
    assert told == [["on both sides' hosts together"], ["20.0 GiB available"]]


def test_a_cell_that_will_be_refused_is_shown_as_refused(tmp_path: Path) -> None:
    text = render(make_settings(tmp_path), [make_cell("32G")], "c", installed())
    assert "refused  32 GiB · 1 vCPU · idle · tcp does not fit" in text


def test_the_text_is_the_same_every_time(tmp_path: Path) -> None:
    one, other = (render(make_settings(tmp_path), CELLS, "c", installed()) for _ in range(2))
    assert one == other


def test_memory_that_nobody_tells_of_refuses_nothing(tmp_path: Path) -> None:
    text = render(make_settings(tmp_path), CELLS, "c", installed(available_bytes=None))
    assert ", unknown available" in text
    assert "refused" not in text
