"""What a process has used of its host: from a /proc of this test, and from this process's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.host.usage import Threads, Usage, read_usage, used_between

STATUS = "Name:\tqemu\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\nThreads:\t4\n"
DEVICES = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
    "    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n"
    " colo0: {received} 9 0 0 0 0 0 0 {sent} 9 0 0 0 0 0 0\n"
)


def stat(user: int, system: int) -> str:
    return f"7 (qemu (x) 86) S 1 7 7 0 -1 4194560 1 0 0 0 {user} {system} 0 0 20 0 4 0 100 1 1"


def proc(root: Path, *, user: int = 100, schedstat: bool = True, sent: int = 0, namespace: str = "net:[2]") -> Path:
    home = root / "7"
    for thread, nanoseconds in ((7, 250_000_000), (8, 1_500_000_000)):
        task = home / "task" / str(thread)
        task.mkdir(parents=True, exist_ok=True)
        (task / "stat").write_text(stat(user, 0))
        if schedstat:
            (task / "schedstat").write_text(f"{nanoseconds} 12345 99\n")
    (home / "stat").write_text(stat(user, 50))
    (home / "status").write_text(STATUS)
    (home / "net").mkdir(exist_ok=True)
    (home / "net" / "dev").write_text(DEVICES.format(received=5, sent=sent))
    for owner, target in ((home, namespace), (root / "self", "net:[1]")):
        (owner / "ns").mkdir(parents=True, exist_ok=True)
        (owner / "ns" / "net").unlink(missing_ok=True)
        (owner / "ns" / "net").symlink_to(target)
    return root


def test_everything_is_read(tmp_path: Path) -> None:
    assert read_usage(7, proc(tmp_path, sent=700)) == Usage(
        cpu_s=1.5,
        threads_s={7: 0.25, 8: 1.5},
        rss_bytes=2048 * 1024,
        peak_rss_bytes=4096 * 1024,
        network={"lo": (1000, 1000), "colo0": (5, 700)},
    )


def test_a_kernel_without_nanoseconds_tells_ticks(tmp_path: Path) -> None:
    usage = read_usage(7, proc(tmp_path, user=30, schedstat=False))
    assert usage is not None
    assert usage.threads_s == {7: 0.3, 8: 0.3}


def test_a_network_that_is_shared_is_nobody_s_own(tmp_path: Path) -> None:
    usage = read_usage(7, proc(tmp_path, namespace="net:[1]"))
    assert usage is not None
    assert usage.network == {}


def test_a_process_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    assert read_usage(7, tmp_path) is None


def test_this_process_has_used_something() -> None:
    usage = read_usage(os.getpid())
    assert usage is not None
    assert usage.threads_s[os.getpid()] > 0
    assert usage.rss_bytes is not None
    assert usage.peak_rss_bytes is not None
    assert 0 < usage.rss_bytes <= usage.peak_rss_bytes


def test_what_was_used_in_between_is_told_by_group_and_adds_up() -> None:
    threads = Threads(main=1, vcpus=frozenset((2, 3)), iothreads=frozenset((4,)))
    before = Usage(10.0, {1: 1.0, 2: 3.0, 3: 3.0, 4: 0.5, 5: 0.5}, 10, 20, {"lo": (1, 1), "a": (100, 200)})
    after = Usage(20.0, {1: 2.0, 2: 6.0, 3: 5.0, 4: 1.0, 6: 1.5}, 30, 40, {"lo": (9, 9), "a": (150, 1200)})
    used = used_between(before, after, threads, seconds=5.0)
    assert (used["vcpus_s"], used["main_s"], used["iothreads_s"]) == (5.0, 1.0, 0.5)
    # A thread that is new, and what those that ended used: the process's own sum knows of them.
    assert used["others_s"] == 3.5
    groups = [used[f"{name}_s"] for name in ("vcpus", "main", "iothreads", "others")]
    assert sum(value for value in groups if value is not None) == pytest.approx(used["cpu_s"])
    assert (used["cpu_s"], used["cpus"]) == (10.0, 2.0)
    assert (used["rss_bytes"], used["peak_rss_bytes"]) == (30, 40)
    assert (used["received_bytes"], used["sent_bytes"]) == (50, 1000)


def test_without_a_network_of_its_own_no_bytes_are_told() -> None:
    used = used_between(Usage(0.0), Usage(1.0), Threads(1), seconds=0.0)
    assert (used["sent_bytes"], used["received_bytes"], used["cpus"]) == (None, None, None)
