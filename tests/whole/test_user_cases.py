"""What users of such tools run into, in the form in which they meet it; each kind is tested where its code is."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings
from fixtures.fake_campaign import SINGLE, write_campaign

from analysis.verdicts.declared import BadHypothesesError, read_hypotheses
from bench.errors import HostError, ProvisionError, StoreError
from bench.host.limits import Limit, Limits, read_limits
from bench.host.process import launch
from bench.measure.pulse import HARNESS, Gap
from bench.provision import compiler
from bench.provision.cache import _try_lock
from bench.provision.cache import locked as held
from bench.run import analysis as program
from bench.run.beforehand import check_files, check_memory, require
from bench.run.campaign import run_campaign
from bench.run.folder import locked
from bench.scenario.client import states_of
from bench.scenario.evidence import gather_undisturbed
from bench.system.environment import helping

if TYPE_CHECKING:
    from collections.abc import Callable

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
    with pytest.raises(BadHypothesesError, match=r"f\.yaml:\d+: "):
        read_hypotheses(path)


def test_what_a_compiler_would_take_beside_its_command_line_is_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "MPLBACKEND"):
        monkeypatch.setenv(name, "/elsewhere")
    assert "/elsewhere" not in helping("m", {}).values()


@pytest.mark.parametrize(
    ("end", "written"),
    [
        ("| head -n 1", "report.html"),
        ("--only verdicts >&-", "verdicts.json"),
        ("--only verdicts > /dev/full", "verdicts.json"),
    ],
    ids=["head", "closed", "full"],
)
def test_a_report_is_built_whoever_reads_what_is_said_of_it(tmp_path: Path, end: str, written: str) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    script = f'"{sys.executable}" -m analysis "{folder}" {end}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(("bash", "-c", script), capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert (folder / "report" / written).is_file()


def test_the_doctor_finds_what_is_installed_with_the_path_of_a_plain_su() -> None:
    env = {**os.environ, "PATH": "/usr/bin:/bin"}
    argv = (sys.executable, "-m", "bench.doctor", "--quick")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert "tc tbf" in done.stdout
    assert "iproute2" not in done.stdout


def test_a_log_that_was_named_for_a_file_of_hypotheses_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("x: 1\n" * (1 << 19))
    with pytest.raises(BadHypothesesError, match="larger than 1 MiB"):
        read_hypotheses(path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "x.lock").mkdir(parents=True)
    (tmp_path / "cache").chmod(0o700)
    with pytest.raises(ProvisionError, match=r"x\.lock cannot be written: Is a directory") as refusal, held("x", print):
        pass
    assert "COLO_BENCH_CACHE" in refusal.value.hint


@pytest.mark.parametrize("package", ["bench", "analysis"])
def test_no_file_of_ours_gets_the_number_of_a_stream_that_was_closed(tmp_path: Path, package: str) -> None:
    code = (
        f"import os; from {package}.process.streams import outlive_readers; outlive_readers(); "
        "open('said', 'w').write(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)))"
    )
    script = f'"{sys.executable}" -c "{code}" <&- >&- 2>&-'
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(("bash", "-c", script), cwd=tmp_path, env=env, timeout=60, check=True)
    assert (tmp_path / "said").read_text() == " ".join(["/dev/null"] * 3)


def test_what_the_analysis_says_is_read_whatever_the_locale_is(monkeypatch: pytest.MonkeyPatch) -> None:
    say = "import sys; sys.stdout.buffer.write('\N{PLUS-MINUS SIGN}'.encode()); sys.stderr.buffer.write(b'\\xff')"
    monkeypatch.setattr(program, "PROGRAM", (sys.executable, "-c", say))
    said = program.analyse(deadline_s=60)
    assert (said.out, said.err) == ("\N{PLUS-MINUS SIGN}", "\N{REPLACEMENT CHARACTER}")


def test_a_mapping_whose_path_is_no_text_is_listed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "odd\udcff"
    path.write_bytes(b"1")
    code = (
        "import mmap, sys, time\n"
        "with open(sys.argv[1], 'rb') as f: m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
        "time.sleep(60)"
    )

    async def scenario() -> None:
        argv = (sys.executable, "-c", code, str(path))
        async with launch("one", argv, folder=tmp_path, qemu=False) as process, asyncio.timeout(30):
            while str(path) not in process.maps():
                await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_without_a_compiler_it_is_said_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt-get").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProvisionError, match="the C compiler: gcc is not installed") as refusal:
        compiler.fingerprint([])
    assert refusal.value.hint.endswith("apt-get install -y gcc libc6-dev")
    assert refusal.value.cause == "tools-missing"


def test_no_test_takes_a_name_for_absent_that_a_machine_may_have() -> None:
    """A service user's home, for example: what is absent lies in a folder that the test has made, or in /proc."""
    tests = Path(__file__).parents[1]
    name = "/non" + "existent"
    found = [path.name for path in tests.rglob("*.py") if f'"{name}' in path.read_text(encoding="utf-8")]
    assert found == []


def test_a_variable_that_makes_the_harness_slow_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    seen: list[bool] = []
    session = FakeSession()
    session.acts = {1: lambda: seen.append(asyncio.get_running_loop().get_debug())}
    run_campaign(make_settings(tmp_path / "r"), [make_cell("64M")], "bench", fake_tools(session))
    assert seen[:1] == [False]
