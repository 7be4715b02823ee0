"""What a failed COLO probe means, and what one that finds no trace does."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_session import FakeBinary, FakeGuest
from fake_traces import DATA

from bench.errors import ColoError, GuestError, HostError, LaunchError, MeasureError
from bench.provision.guest import build_guest
from bench.provision.qemu import find_qemu
from bench.run.prepare import _require_colo
from bench.run.probe import Trial, cached_colo, known_cause, of_the_lock, untraced

ELSEWHERE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
static FILE *opened(const char *path, const char *mode, const char *name)
{
    FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, name);
    return real(strcmp(path, "trace.log") ? path : "/dev/null", mode);
}
FILE *fopen(const char *path, const char *mode) { return opened(path, mode, "fopen"); }
FILE *fopen64(const char *path, const char *mode) { return opened(path, mode, "fopen64"); }
"""
"""Stands in for a QEMU with another trace backend: every command is answered as usual, and the log stays empty."""


def test_a_migration_that_completes_is_a_known_property_of_the_binary() -> None:
    error = ColoError("the migration ended `completed`", cause="colo-completed", hint="use a newer one")
    assert known_cause(error) == "the migration ended `completed`: use a newer one"


def test_a_primary_that_hangs_is_a_known_property_of_the_binary() -> None:
    assert known_cause(ColoError("the primary hangs", cause="colo-hang", hint="")) == "the primary hangs"


def test_a_primary_that_aborts_for_its_lost_lock_is_a_known_property_of_the_binary() -> None:
    said = "qemu-system-x86_64: system/cpus.c:535: bql_update_status: Assertion `bql_locked() != locked' failed."
    killed = LaunchError("the primary's QEMU was killed by SIGABRT", cause="qemu-killed", evidence=(said,))
    error = of_the_lock(killed)
    assert error.cause == "colo-hang"
    assert (known_cause(error) or "").startswith("the primary aborts at a checkpoint: under TCG, QEMU before 11.x ")
    other = LaunchError("the primary's QEMU was killed by SIGABRT", cause="qemu-killed")
    assert of_the_lock(other) is other


@pytest.mark.parametrize(("accel", "least"), [("kvm", 2), ("tcg", 10)])
def test_under_tcg_a_pair_is_asked_for_more_than_a_lock_that_is_lost_now_and_then_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accel: str, least: int
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path))
    trial = Trial(FakeBinary(), FakeGuest(), accel)  # type: ignore[arg-type]
    assert trial.checkpoints >= least
    # An answer of the two checkpoints that were once enough is none.
    assert trial.answer.stem.endswith("traced") == (accel == "kvm")


def test_a_slow_host_says_nothing_of_the_binary() -> None:
    assert known_cause(MeasureError("no checkpoint began within 20 s")) is None
    assert known_cause(GuestError("the guest was not ready within 90 s")) is None


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """The traces of a real pair as they lie in a run's folder."""
    for side in ("primary", "secondary"):
        (tmp_path / side).mkdir()
        shutil.copyfile(DATA / f"{side}.trace.log", tmp_path / side / "trace.log")
    return tmp_path


def test_checkpoints_that_are_in_both_traces_have_arrived(traced: Path) -> None:
    assert untraced(traced, 2) == ""


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_log_without_a_checkpoint_is_told_by_its_side(traced: Path, side: str) -> None:
    (traced / side / "trace.log").write_text("qemu-system-x86_64: warning: nothing\n")
    assert (
        untraced(traced, 2)
        == f"the checkpoints were taken, but the {side}'s trace log holds no event of them (1 lines)"
    )
    (traced / side / "trace.log").unlink()
    assert "there is no trace log" in untraced(traced, 2)


def test_a_trace_that_breaks_off_is_not_enough(traced: Path) -> None:
    path = traced / "primary" / "trace.log"
    lines = path.read_text().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if "'stop' => 'run'" in line]
    path.write_text("".join(lines[: ends[1] + 1]))
    assert untraced(traced, 2) == "2 checkpoints were taken, but only 1 can be read from the traces"


@pytest.mark.pair
def test_a_qemu_whose_traces_go_elsewhere_is_refused_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, guest = find_qemu("provisioned", lambda _: None), build_guest(lambda _: None)
    (tmp_path / "elsewhere.c").write_text(ELSEWHERE)
    library = tmp_path / "elsewhere.so"
    argv = ("gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "elsewhere.c"), "-ldl")
    subprocess.run(argv, check=True, capture_output=True)
    loader = (real.argv[0], "--preload", str(library), *real.argv[1:])
    env = [f"{name}={value}" for name, value in real.env]
    for name, words in (("qemu-system-x86_64", loader), ("qemu-img", real.img_argv)):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec env {shlex.join([*env, *words])} "$@"\n')
        script.chmod(0o755)
    binary = find_qemu(str(tmp_path / "qemu-system-x86_64"), lambda _: None)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("COLO_BENCH_CACHE", str(cache))
    with pytest.raises(HostError) as caught:
        _require_colo(Trial(binary, guest, "tcg"), lambda _: None)
    assert caught.value.cause == "trace-elsewhere"
    assert "there is no trace log" in caught.value.message
    assert "--enable-trace-backends=log" in caught.value.hint
    known = cached_colo(Trial(binary, guest, "tcg"))
    assert known is not None
    assert not known.ok
