"""What users of such tools run into, in the form in which they meet it; each kind is tested where its code is."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fake_campaign import make_cell
from fixtures.fake_campaign import IDLE, Fake, write_campaign

from analysis.verdicts.declared import BadHypothesesError, read_hypotheses
from bench.errors import HostError, StoreError
from bench.host.limits import Limit, Limits, read_limits
from bench.measure.pulse import HARNESS, Gap
from bench.provision.cache import _try_lock
from bench.run.beforehand import check_files, check_memory, require
from bench.run.folder import locked
from bench.scenario.client import states_of
from bench.scenario.evidence import gather_undisturbed
from bench.system.environment import helping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIB = 1 << 30


def limited(kind: int, soft: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


@pytest.mark.parametrize(
    ("kind", "soft", "said"),
    [
        (resource.RLIMIT_AS, 2 * GIB, "less than a secondary of 1 GiB"),
        (resource.RLIMIT_DATA, GIB, "by ulimit -d, less than a secondary of 1 GiB"),
        (resource.RLIMIT_CPU, 600, "ended after 600 s of CPU time by ulimit -t"),
    ],
    ids=["address space", "data", "CPU time"],
)
def test_a_limit_of_the_process_is_refused_by_the_dry_run_too(tmp_path: Path, kind: int, soft: int, said: str) -> None:
    argv = (sys.executable, "-m", "bench", "mem=1G", "smp=1", "dry_run=true", f"results={tmp_path}")
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, preexec_fn=limited(kind, soft), cwd=tmp_path
    )
    (line,) = [line for line in done.stdout.splitlines() if "refused" in line and "ulimit" in line]
    assert said in line
    assert "fix: ulimit" in line


def test_a_limit_on_what_one_process_may_map_is_no_matter_of_memory_that_is_free() -> None:
    found = check_memory(
        [make_cell("1G")], Limits(Limit(64 * GIB, "this machine"), address_bytes=Limit(GIB, "ulimit -d"))
    )
    assert (found.status, found.cause) == ("fail", "address-limit")
    with pytest.raises(HostError, match="by ulimit -d"):
        require([found])
    assert check_files(Limits(cpu_s=Limit(60, "ulimit -t"))).cause == "cpu-time-limit"


def test_memory_that_the_kernel_promises_to_nobody_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/vm").mkdir(parents=True)
    lines = ("MemAvailable: 8388608 kB", "CommitLimit: 4194304 kB", "Committed_AS: 3145728 kB")
    (tmp_path / "proc/meminfo").write_text("".join(f"{line}\n" for line in lines))
    for mode, amount, by in ((0, 8 * GIB, "this machine"), (2, GIB, "vm.overcommit_memory=2")):
        (tmp_path / "proc/sys/vm/overcommit_memory").write_text(f"{mode}\n")
        assert read_limits(tmp_path, pid=1).memory == Limit(amount, by)


def no_locks(_descriptor: Any, _operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_cache_without_locks_is_used_and_two_places_without_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert _try_lock(0)
    with pytest.raises(StoreError, match="on a file system with locks") as caught, locked(tmp_path / "results" / "c"):
        pass
    assert caught.value.cause == "no-locks"


def test_a_baseline_whose_machine_or_client_stood_still_is_none(tmp_path: Path) -> None:
    (tmp_path / "qmp.jsonl").write_text("")
    for who, ok in ((HARNESS, True), ("primary", False), ("client", False)):
        quality = gather_undisturbed(tmp_path, "r", gaps=[Gap(who, 100.0, 110.0)]).quality
        assert quality.ok is ok
        assert f"the {who} did not run for 10.00 s" in (*quality.failures, *quality.notes)


class Still:
    def state(self) -> str:
        return "T"


def test_the_client_is_watched_like_the_sides() -> None:
    sides: Any = {"primary": Still(), "secondary": Still()}
    client: Any = Still()
    assert list(states_of(sides, client)) == ["primary", "secondary", "client"]
    assert list(states_of(sides, None)) == ["primary", "secondary"]


@pytest.mark.parametrize("content", ["hypotheses:\n  - where: {{mem}}\n", "? [a]\n: 1\n"])
def test_a_key_that_is_no_word_is_a_slip_and_no_bug(tmp_path: Path, content: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(content)
    with pytest.raises(BadHypothesesError, match=r"f\.yaml: .*line"):
        read_hypotheses(path)


def test_what_a_compiler_would_take_beside_its_command_line_is_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "MPLBACKEND"):
        monkeypatch.setenv(name, "/elsewhere")
    assert "/elsewhere" not in helping("m", {}).values()


@pytest.mark.parametrize("end", ["| head -n 1", ">&-", "> /dev/full"], ids=["head", "closed", "full"])
def test_a_report_is_built_whoever_reads_what_is_said_of_it(tmp_path: Path, end: str) -> None:
    folder = write_campaign(tmp_path, Fake(workloads=(IDLE,), links=("unix",), repeats=2, count=6))
    script = f'"{sys.executable}" -m analysis "{folder}" {end}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(("bash", "-c", script), capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert (folder / "report" / "report.html").is_file()


def test_the_doctor_finds_what_is_installed_with_the_path_of_a_plain_su() -> None:
    env = {**os.environ, "PATH": "/usr/bin:/bin"}
    argv = (sys.executable, "-m", "bench.doctor", "--quick")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert "iproute2" not in done.stdout
