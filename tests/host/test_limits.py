"""Limits above us, of real control groups where this user may make them, and of files as the kernel writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.host.limits import MACHINE, Limit, read_limits, throttled_s
from bench.system.cgroups import UNIFIED, folders

MIB = 1 << 20
CGROUPS = Path("/sys/fs/cgroup")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {
    "proc/7/cgroup": "0::/a/b/c\n",
    "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
    "proc/meminfo": "MemTotal:  25000000 kB\nMemAvailable:   20000000 kB\n",
    "sys/fs/cgroup/a/b/c/memory.max": "max\n",
    "sys/fs/cgroup/a/b/memory.max": f"{600 * MIB}\n",
    "sys/fs/cgroup/a/b/memory.current": f"{200 * MIB}\n",
    "sys/fs/cgroup/a/b/memory.stat": f"anon 1\ninactive_file {50 * MIB}\n",
    "sys/fs/cgroup/a/memory.max": f"{900 * MIB}\n",
    "sys/fs/cgroup/a/memory.current": f"{200 * MIB}\n",
    "sys/fs/cgroup/a/b/c/cpu.max": "max 100000\n",
    "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/a/b/c/pids.max": "100\n",
    "sys/fs/cgroup/a/b/c/pids.current": "40\n",
    "sys/fs/cgroup/a/pids.max": "max\n",
    "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 9\nnr_throttled 3\nthrottled_usec 2500000\n",
}
V1 = {
    "proc/7/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x/y\n3:pids:/\n0::/\n",
    "proc/self/mountinfo": (
        "31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 1 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 1 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "34 1 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    ),
    "proc/meminfo": "MemAvailable:   20000000 kB\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{512 * MIB}\n",
    "sys/fs/cgroup/memory/x/memory.usage_in_bytes": f"{112 * MIB}\n",
    "sys/fs/cgroup/memory/x/y/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu,cpuacct/x/cpu.stat": "nr_throttled 3\nthrottled_time 1500000000\n",
    "sys/fs/cgroup/pids/tasks": "",
    "sys/fs/cgroup/unified/cgroup.procs": "",
}


def test_the_smallest_limit_of_all_groups_above_counts_in_version_2(tmp_path: Path) -> None:
    limits = read_limits(write(tmp_path, V2), 7)
    group = tmp_path / "sys/fs/cgroup/a/b"
    assert limits.memory == Limit(450 * MIB, str(group / "memory.max"))
    assert limits.cpus == Limit(1.5, str(group / "cpu.max"))
    assert limits.processes == Limit(60, str(group / "c/pids.max"))
    assert throttled_s(tmp_path, 7) == 2.5


def test_the_smallest_limit_of_all_groups_above_counts_in_version_1(tmp_path: Path) -> None:
    limits = read_limits(write(tmp_path, V1), 7)
    assert limits.memory == Limit(400 * MIB, str(tmp_path / "sys/fs/cgroup/memory/x/memory.limit_in_bytes"))
    assert limits.cpus == Limit(0.5, str(tmp_path / "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us"))
    assert limits.processes is None
    assert throttled_s(tmp_path, 7) == 1.5


def test_a_limit_that_throttles_before_it_kills_counts_too(tmp_path: Path) -> None:
    high = {"sys/fs/cgroup/a/b/c/memory.high": f"{300 * MIB}\n", "sys/fs/cgroup/a/b/c/memory.current": "0\n"}
    memory = read_limits(write(tmp_path, V2 | high), 7).memory
    assert memory == Limit(300 * MIB, str(tmp_path / "sys/fs/cgroup/a/b/c/memory.high"))


def test_a_container_that_sees_its_own_group_as_the_mount_s_root_is_limited_by_it(tmp_path: Path) -> None:
    seen = {
        "proc/7/cgroup": "0::/docker/0123\n",
        "proc/self/mountinfo": "30 1 0:26 /docker/0123 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "proc/meminfo": V2["proc/meminfo"],
        "sys/fs/cgroup/memory.max": f"{256 * MIB}\n",
    }
    assert read_limits(write(tmp_path, seen), 7).memory == Limit(256 * MIB, str(tmp_path / "sys/fs/cgroup/memory.max"))
    hidden = {"proc/7/cgroup": "0::/elsewhere\n"}
    assert read_limits(write(tmp_path, hidden), 7).memory == Limit(
        256 * MIB, str(tmp_path / "sys/fs/cgroup/memory.max")
    )


def test_without_a_group_the_machine_s_own_memory_counts(tmp_path: Path) -> None:
    limits = read_limits(write(tmp_path, {"proc/meminfo": "MemAvailable: 1024 kB\n"}), 7)
    assert limits.memory == Limit(MIB, MACHINE)
    assert (limits.cpus, limits.processes) == (None, None)
    assert throttled_s(tmp_path, 7) is None


def test_damaged_files_of_the_kernel_limit_nothing(tmp_path: Path) -> None:
    odd = {name: "\xff nonsense" for name in V2 if name.startswith("sys")}
    assert read_limits(write(tmp_path, V2 | odd), 7).memory == Limit(20000000 * 1024, MACHINE)


@contextmanager
def group(controller: str, *names: str) -> Iterator[Path]:
    """Make nested control groups of version 1, the innermost of which is given."""
    top = CGROUPS / controller
    made = []
    try:
        for name in (f"colo-bench-test-{os.getpid()}", *names):
            top = top / name
            top.mkdir()
            made.append(top)
        yield top
    finally:
        give_up = time.monotonic() + 10
        while made and time.monotonic() < give_up:
            with suppress(OSError):  # the kernel lets go of the last process a little later
                made[-1].rmdir()
                made.pop()
                continue
            time.sleep(0.02)


def inside(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    script = f'echo $$ > {folder}/cgroup.procs && exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, "sh", *argv], capture_output=True, text=True, check=False, timeout=120, cwd="/"
    )


def asked(folder: Path) -> Limit | None:
    code = "import json; from bench.host.limits import read_limits; l = read_limits(); print(json.dumps(l.to_json()))"
    done = inside(folder, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    name = {"memory": "memory", "pids": "processes", "cpu": "cpus"}[folder.relative_to(CGROUPS).parts[0]]
    return Limit(**tree[name]) if tree[name] else None


def may_make(controller: str) -> bool:
    return os.access(CGROUPS / controller, os.W_OK) and next(folders(controller), None) is not None


@pytest.mark.skipif(not may_make("memory"), reason="no memory control group of version 1 to make as this user")
def test_a_real_nested_group_s_memory_limit_is_what_doctor_plan_and_run_go_by(tmp_path: Path) -> None:
    with group("memory", "inner") as inner:
        (inner.parent / "memory.limit_in_bytes").write_text(str(600 * MIB))
        limit = asked(inner)
        assert limit is not None
        assert limit.by == str(inner.parent / "memory.limit_in_bytes")
        assert 400 * MIB < limit.amount <= 600 * MIB
        doctor = inside(inner, sys.executable, "-m", "bench.doctor", "--quick")
        assert "MiB available by" in doctor.stdout
        assert doctor.returncode == 3
        command = (sys.executable, "-m", "bench", "mem=512M", "smp=1", "accel=tcg", f"results={tmp_path}/r")
        plan = inside(inner, *command, "dry_run=true")
        assert "refused  512 MiB" in plan.stdout, plan.stdout + plan.stderr
        run = inside(inner, *command)
        assert run.returncode == 3
        assert "does not fit" in run.stderr
        assert str(inner.parent) in run.stderr


@pytest.mark.skipif(not may_make("cpu"), reason="no cpu control group of version 1 to make as this user")
def test_a_real_group_s_quota_is_read() -> None:
    with group("cpu") as one:
        (one / "cpu.cfs_quota_us").write_text("50000")
        assert asked(one) == Limit(0.5, str(one / "cpu.cfs_quota_us"))


@pytest.mark.skipif(not may_make("pids"), reason="no pids control group of version 1 to make as this user")
def test_a_real_group_s_process_limit_is_read_and_refused_when_it_is_too_small(tmp_path: Path) -> None:
    with group("pids") as one:
        (one / "pids.max").write_text("20")
        limit = asked(one)
        assert limit is not None
        assert (limit.amount <= 20, limit.by) == (True, str(one / "pids.max"))
        run = inside(one, sys.executable, "-m", "bench", "mem=256M", "smp=1", "accel=tcg", f"results={tmp_path}/r")
        assert run.returncode == 3
        assert "a pair needs some" in run.stderr
        assert not (tmp_path / "r").exists()


def test_limits_of_this_process_are_read() -> None:
    code = "import json; from bench.host.limits import read_limits; print(json.dumps(read_limits().to_json()))"
    argv = ["bash", "-c", f"ulimit -n 40; ulimit -f 1000; ulimit -v 8000000; exec {sys.executable} -c '{code}'"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    tree = json.loads(done.stdout)
    assert tree["open_files"] == {"amount": 40, "by": "ulimit -n"}
    assert tree["file_bytes"]["amount"] in (1000 * 512, 1000 * 1024)
    assert tree["address_bytes"] == {"amount": 8000000 * 1024, "by": "ulimit -v"}


def test_the_groups_of_this_process_can_be_seen() -> None:
    found = [folder for controller in ("memory", UNIFIED) for folder in folders(controller)]
    if not found:
        pytest.skip("no control group of this process is to be seen here")
    assert [folder for folder in found if not folder.is_dir()] == []
