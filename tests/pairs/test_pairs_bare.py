"""Real pairs with the bare guest: under emulation, and under KVM where KVM runs it."""

from __future__ import annotations

import os
import struct
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.pairs import bench, checkpoints, command, records, undisturbed

from bench.format.hosts import KVM_TEXT
from bench.host.virtual import this_kvm
from bench.provision.bare import build_bare
from bench.provision.kvm import probe_kvm
from bench.provision.qemu import find_qemu

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pair

SET_PAGES = 512
RATE = 40
BARE = (
    *("guest=bare", "mem=256M", "smp=1", "link=unix", "checkpoint.interval=0.2", "checkpoint.count=8"),
    *("checkpoint.warmup=2", "workload=dirty", "workload.working_set=2M", f"workload.rate={RATE}"),
)

RESETS = {("11.1", "tcg")}
"""Release and accelerator whose secondary writes its ROMs anew at every checkpoint, and makes nothing else dirty."""


def image_pages() -> int:
    """Return how many pages the bare guest's own image takes, which QEMU keeps as a ROM; the compiler decides."""
    elf = build_bare(print).kernel.read_bytes()
    (table,) = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<HH", elf, 42)
    segments = (struct.unpack_from("<6I", elf, table + size * number) for number in range(count))
    return sum(-(-memory // 4096) for kind, _, _, _, _, memory in segments if kind == 1)


def exact(campaign: Path, accel: str) -> dict[str, Any]:
    (record,) = records(campaign)
    assert record["accel"] == accel
    table = checkpoints(campaign, record)
    table = table[~table["warmup"]]
    # On a host that others use the guest may not come to write its set in time; it then says so.
    whole = table[table["set_rewritten"].eq(True)]  # noqa: FBT003 - it may also be unknown
    assert len(whole) >= len(table) / 2, table["set_rewritten"]
    assert len(Counter(whole["dirty_pages"])) == 1, Counter(whole["dirty_pages"])
    release = ".".join(record["versions"]["qemu"].split(".")[:2])
    beside = int(whole["dirty_pages"].iloc[0]) - SET_PAGES
    if (release, accel) in RESETS:
        assert beside == image_pages()
    assert (table["dirty_pages"] <= SET_PAGES + beside).all()
    assert table["guest_standstill_s"].notna().all()  # how near it comes is what the check above looked at
    # How fast it may write is the host's. What it wrote covers the set before each checkpoint, and a shortfall is told.
    wrote, longest = record["workload"]["achieved_mb_s"], record["quality"]["interval"]["largest_s"]
    if len(whole) == len(table):
        assert 0.95 * SET_PAGES * 4096 / 1e6 / longest < wrote < 1.2 * RATE
    assert any("MB/s that were asked for" in note for note in record["quality"]["notes"]) is (wrote < 0.9 * RATE)
    return record


def test_under_emulation_the_dirty_pages_are_the_set_and_the_guest_s_clock_agrees(tmp_path: Path) -> None:
    assert "kvm" not in exact(undisturbed(tmp_path, "tcg", *BARE, "accel=tcg"), "tcg")


def test_an_encrypted_pair_checkpoints_as_any_other_and_its_key_is_nowhere_afterwards(tmp_path: Path) -> None:
    record = exact(undisturbed(tmp_path, "tls", *BARE, "accel=tcg", "link=tcp", "link.tls=true"), "tcg")
    for side in ("primary", "secondary"):
        assert record["readback"]["colo"][side]["parameters"]["tls-creds"] == "tls0"
    assert not list(tmp_path.rglob("*.psk"))


def test_the_cache_antagonist_and_its_control_run_beside_a_pair(tmp_path: Path) -> None:
    asked = ("accel=tcg", "cache=antagonist,control", "hypotheses=none", "campaign=cache", "repeats=1")
    done = subprocess.run(
        command(tmp_path, "-m", *BARE, *asked), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = {record["cell"]["cache"]["kind"]: record for record in records(tmp_path / "cache")}
    assert set(found) == {"antagonist", "control"}
    for kind, record in found.items():
        did = record["cache"]
        assert (did["swept_bytes"] > 0) == (kind == "antagonist")
        assert did["cpus"] == len(os.sched_getaffinity(0))
        assert did["seconds"] >= 8 * 0.2  # it was there for all of the checkpoints
        assert did["reach_s"] > 0
        asked_s = did["seconds"] * did["cpus"] * record["cell"]["cache"]["share"]
        had_time = did["cpu_s"] >= 0.5 * asked_s
        assert any("of CPU time" in one for one in record["quality"]["failures"]) is not had_time
        lost = kind == "antagonist" and did["reach_s"] < 1.1 * did["reach_before_s"]
        assert any("the cache was not taken" in one for one in record["quality"]["failures"]) is lost


def test_under_kvm_too(tmp_path: Path) -> None:
    verdict = probe_kvm(find_qemu("provisioned", print), build_bare(print))
    if not verdict.ok:
        pytest.skip(f"KVM does not run the bare guest here: {verdict.reason}")
    said = []
    campaign = undisturbed(
        tmp_path, "kvm", *BARE, "accel=kvm", measure=lambda *words: said.append(bench(*words).stdout)
    )
    assert KVM_TEXT[this_kvm().kind] in said[-1]
    assert exact(campaign, "kvm")["kvm"] == this_kvm().to_json()
