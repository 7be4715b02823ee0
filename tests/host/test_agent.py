"""The agent and its near end, on this machine: the real program at the other end of two pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import agent_pid, gone_within, on_agent, plain

from bench.errors import BenchError, HostError, LaunchError
from bench.host.remote import Remote, open_remotes
from bench.host.usage import read_usage
from tools.lab.hosts import marked_below

DAEMON = "setsid sh -c 'sleep 600 & sleep 600' & sleep 600"
"""A program that starts others, one in a session of its own and one below that."""


def test_a_command_runs_there_and_a_failing_one_is_quoted(work: Path) -> None:
    async def scenario(host: Remote) -> str:
        with pytest.raises(HostError, match="failed") as caught:
            await host.run(("ls", str(work / "nonexistent")))
        assert "nonexistent" in caught.value.evidence[0]
        with pytest.raises(HostError) as missing:
            await host.run(("no-such-program",))
        assert missing.value.cause == "command-failed"
        with pytest.raises(HostError) as slow:
            await host.run(("sleep", "600"), 0.2)
        assert slow.value.cause == "command-slow"
        return await host.run(("sh", "-c", "echo $WORD $LC_ALL"), env={"WORD": "said"})

    assert on_agent(work, scenario) == "said C\n"


def test_many_commands_at_once_and_a_long_answer_come_back_whole(work: Path) -> None:
    async def scenario(host: Remote) -> list[str]:
        long = host.run(("head", "-c", "3000000", "/dev/zero"))
        several = [host.run(("echo", str(number))) for number in range(20)]
        return list(await asyncio.gather(long, *several))

    long, *several = on_agent(work, scenario)
    assert len(long) == 3_000_000
    assert several == [f"{number}\n" for number in range(20)]


def test_a_process_tells_its_end_and_its_words_and_its_files_follow(work: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()

    async def scenario(host: Remote) -> int:
        host.adopt(near)
        home = near / "primary"
        host.make_folder(home)
        code = "echo last words >&2; mkdir deeper; echo traced > deeper/trace.log; echo x > disk.qcow2; exit 7"
        async with host.start("program", ("sh", "-c", code), home, qemu=False) as process:
            status = await process.exited()
            assert process.words() == ("last words",)
            assert not process.alive()
            return status

    assert on_agent(work, scenario) == 7
    assert (near / "primary/deeper/trace.log").read_text() == "traced\n"
    assert (near / "primary/stderr.log").read_text() == "last words\n"
    assert not (near / "primary/disk.qcow2").exists()
    assert not any((work / "runs").iterdir())


def test_what_is_written_comes_while_it_is_written(work: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()

    async def scenario(host: Remote) -> None:
        host.adopt(near)
        async with host.start("writer", ("sh", "-c", "echo one > trace.log; sleep 600"), near, qemu=False):
            async with asyncio.timeout(20):
                while not (near / "trace.log").exists() or not (near / "trace.log").read_text():
                    await asyncio.sleep(0.05)

    on_agent(work, scenario)
    assert (near / "trace.log").read_text() == "one\n"


def test_a_process_that_does_not_start_says_why(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> str:
        host.adopt(tmp_path)
        with pytest.raises(LaunchError) as caught:
            async with host.start("side", (str(tmp_path / "absent" / "qemu"),), tmp_path):
                pass
        return caught.value.cause

    assert on_agent(work, scenario) == "qemu-missing"


def test_at_the_end_of_its_block_all_that_a_process_started_is_gone(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> None:
        host.adopt(tmp_path)
        async with host.start("daemon", ("sh", "-c", DAEMON), tmp_path, qemu=False):
            async with asyncio.timeout(20):
                while len(marked_below(work)) < 4:
                    await asyncio.sleep(0.02)
        assert marked_below(work) == set()

    on_agent(work, scenario)


def test_a_process_that_stands_still_is_seen(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> str:
        host.adopt(tmp_path)
        async with host.start("sleeper", ("sleep", "600"), tmp_path, qemu=False) as process:
            os.kill(process.pid, signal.SIGSTOP)
            async with asyncio.timeout(20):
                while (state := process.state()) is None or not state.still:
                    await asyncio.sleep(0.02)
            return state.text()

    assert "state T" in on_agent(work, scenario)


def test_what_a_far_process_has_used_is_not_read_of_whatever_has_its_number_here(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> Any:
        host.adopt(tmp_path)
        async with host.start("sleeper", ("sleep", "600"), tmp_path, qemu=False) as process:
            assert read_usage(process.pid)
            return process.usage()

    assert on_agent(work, scenario) is None


async def held(host: Remote, folder: Path) -> asyncio.Task[None]:
    """Let a daemon run on a host until the task is cancelled."""
    host.adopt(folder)

    async def run() -> None:
        async with host.start("daemon", ("sh", "-c", DAEMON), folder, qemu=False) as process:
            await process.exited()

    task = asyncio.create_task(run())
    async with asyncio.timeout(20):
        while len(marked_below(Path(host.facts["work"]))) < 4:
            await asyncio.sleep(0.02)
    return task


def test_a_killed_agent_is_named_and_the_next_one_removes_what_it_left(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> None:
        task = await held(host, tmp_path)
        os.kill(agent_pid(host), signal.SIGKILL)
        with pytest.raises(HostError) as caught:
            await task
        assert caught.value.cause == "agent-killed"
        assert caught.value.transient

    on_agent(work, scenario)
    assert any((work / "runs").iterdir())

    async def next_one(host: Remote) -> tuple[str, ...]:
        return host.left

    (said,) = on_agent(work, next_one)
    assert "processes" in said
    assert gone_within(10, work)


BANNER = """
import shlex, subprocess, sys
print("Authorized use only", file=sys.stderr, flush=True)
subprocess.run(shlex.split(sys.argv[1]))
sys.exit(255)
"""
"""What ssh to a host with a banner is to us: its words come first, and a killed program's end is 255 without any."""


def test_a_killed_agent_is_named_behind_a_banner_too(work: Path) -> None:
    async def scenario(host: Remote) -> str:
        task = asyncio.create_task(host.run(("sleep", "600")))
        await host.run(("true",))
        os.kill(agent_pid(host), signal.SIGKILL)
        with pytest.raises(HostError) as caught:
            await task
        return caught.value.cause

    assert on_agent(work, scenario, transport=(sys.executable, "-c", BANNER), one_line=True) == "agent-killed"


def test_a_folder_that_goes_while_another_agent_looks_for_left_ones_keeps_nobody_from_coming_up(work: Path) -> None:
    async def scenario(host: Remote) -> str:
        return Path(host.run_folder).name

    prefix = on_agent(work, scenario)[:-8]  # what mkdtemp puts behind it
    (work / "runs" / f"{prefix}gone").symlink_to(work / "nowhere")  # it is listed, and not there
    assert on_agent(work, scenario).startswith(prefix)


@pytest.mark.parametrize("how", ["in order", "killed"])
def test_what_is_left_for_the_end_is_done_however_it_comes_and_the_last_first(
    work: Path, tmp_path: Path, how: str
) -> None:
    done, killed = tmp_path / "done", how == "killed"

    async def scenario(host: Remote) -> None:
        for word in ("one", "two"):
            await host.at_end(("sh", "-c", f"echo {word} >> {done}"))
        await host.at_end(("no-such-program",))
        assert not done.exists()
        if killed:
            os.kill(agent_pid(host), signal.SIGKILL)

    async def next_one(_host: Remote) -> None:
        assert done.read_text() == "two\none\n"

    on_agent(work, scenario)
    assert done.exists() is not killed
    on_agent(work, next_one)
    assert done.read_text() == "two\none\n"


def test_an_agent_that_lives_keeps_its_folder_when_another_comes(work: Path) -> None:
    async def main() -> tuple[str, ...]:
        reach = plain(work)
        async with open_remotes({"primary": reach, "secondary": reach}) as remotes:
            assert len(list((work / "runs").iterdir())) == 2
            return (*remotes["primary"].left, *remotes["secondary"].left)

    assert asyncio.run(main()) == ()


def test_at_the_end_of_its_input_nothing_is_left(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> None:
        task = await held(host, tmp_path)
        host.wire._sock.shutdown(socket.SHUT_WR)  # as when the harness is killed
        with pytest.raises(BenchError):
            await task
        assert gone_within(10, work)

    on_agent(work, scenario)


def test_without_a_beat_nothing_is_left_when_the_lease_is_over(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> None:
        task = await held(host, tmp_path)
        assert host._beating
        host._beating.cancel()  # as when a link is cut and no end of it comes
        with pytest.raises(BenchError) as caught:
            await task
        assert caught.value.cause == "connection-cut"
        assert "no sign of life" in caught.value.evidence[-1]
        assert gone_within(10, work)

    on_agent(work, scenario, lease_s=1.5)


def test_an_interrupt_takes_everything_down_in_order(work: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_remotes({"primary": plain(work)}) as remotes:
            task = await held(remotes["primary"], tmp_path)
            task.cancel()
            await asyncio.wait((task,))
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert gone_within(5, work)


def test_an_answer_that_takes_longer_than_the_lease_does_not_end_the_agent(work: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)

    def write_late() -> None:
        time.sleep(2)
        fifo.write_bytes(b"")

    async def scenario(host: Remote) -> str:
        writer = threading.Thread(target=write_late)
        writer.start()
        with pytest.raises(OSError, match="seekable"):  # said once somebody has opened it for writing
            await host.wire.ask("get", path=str(fifo))
        writer.join()
        return await host.run(("echo", "alive"))

    assert on_agent(work, scenario, lease_s=1.5) == "alive\n"


def test_a_cpu_that_the_host_does_not_have_is_named_and_the_agent_lives(work: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()

    async def scenario(host: Remote) -> str:
        host.adopt(near)
        with pytest.raises(HostError, match=r"no CPU 8191; it has [0-9]") as caught:
            async with host.start("sleeper", ("sleep", "600"), near, qemu=False, cpus=frozenset((8191,))):
                pass
        assert caught.value.cause == "tune-missing"
        own = min(os.sched_getaffinity(0))
        async with host.start("sleeper", ("sleep", "600"), near, qemu=False, cpus=frozenset((own,))) as process:
            assert process.cpus() == {own}
        return await host.run(("echo", "alive"))

    assert on_agent(work, scenario) == "alive\n"


def serve(path: Path) -> threading.Thread:
    """Answer one connection on a unix socket with what it sends, in capitals, until it ends."""
    server = socket.socket(socket.AF_UNIX)
    here = os.open(path.parent, os.O_PATH)
    server.bind(f"/proc/self/fd/{here}/{path.name}")
    server.listen()

    def answer() -> None:
        with server, server.accept()[0] as peer:
            while got := peer.recv(65536):
                peer.sendall(got.upper())
        os.close(here)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_a_unix_socket_there_is_spoken_to_both_ways_by_a_path_of_any_length(work: Path, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    thread = serve(folder / "qmp.sock")
    words = b"abc" * 300_000

    async def scenario(host: Remote) -> bytes:
        sock = await host.connect(folder / "qmp.sock")
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(words)
        got = await asyncio.wait_for(reader.readexactly(len(words)), 20)
        writer.close()
        await writer.wait_closed()
        return got

    assert on_agent(work, scenario) == words.upper()
    thread.join(10)
    assert not thread.is_alive()


def test_what_was_said_before_an_end_is_heard_by_whoever_reads_late_on_either_side(work: Path, tmp_path: Path) -> None:
    words, heard, go = b"abc" * 500_000, bytearray(), threading.Event()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "late.sock"))
    server.listen()

    def say_then_listen() -> None:
        with server, server.accept()[0] as first:
            first.sendall(words)
            first.close()
            with server.accept()[0] as second:
                go.wait(20)
                while got := second.recv(65536):
                    heard.extend(got)

    thread = threading.Thread(target=say_then_listen, daemon=True)
    thread.start()

    async def scenario(host: Remote) -> bytes:
        sock = await host.connect(tmp_path / "late.sock")
        for _ in range(20):
            await host.run(("true",))
        reader, writer = await asyncio.open_connection(sock=sock)
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        _, writer = await asyncio.open_connection(sock=await host.connect(tmp_path / "late.sock"))
        writer.write(words)
        writer.close()
        await writer.wait_closed()
        for _ in range(20):
            await host.run(("true",))
        go.set()
        await asyncio.to_thread(thread.join, 20)
        return said

    assert on_agent(work, scenario) == words
    assert bytes(heard) == words


def test_where_nobody_listens_the_error_is_the_system_s(work: Path, tmp_path: Path) -> None:
    async def scenario(host: Remote) -> None:
        with pytest.raises(FileNotFoundError):
            await host.connect(tmp_path / "none.sock")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "shut.sock"))
            with pytest.raises(ConnectionRefusedError):
                await host.connect(tmp_path / "shut.sock")

    on_agent(work, scenario)


def test_ports_are_free_and_different_and_a_foreign_address_is_named(work: Path) -> None:
    async def scenario(host: Remote) -> tuple[int, ...]:
        with pytest.raises(HostError) as caught:
            host.free_ports(("203.0.113.77",), 1)
        assert caught.value.cause == "far-address"
        assert "203.0.113.77" in caught.value.message
        return host.free_ports(("127.0.0.1",), 7)

    ports = on_agent(work, scenario)
    assert len(set(ports)) == 7


def test_a_snapshot_reads_there_what_one_here_reads_here(work: Path) -> None:
    from bench.host.snapshot import take_snapshot

    async def scenario(host: Remote) -> Any:
        return host.snapshot()

    there, here = on_agent(work, scenario), take_snapshot()
    for name in ("kernel", "cpu_model", "cpus", "virtual", "governors", "clock_source", "memory_total_bytes", "thp"):
        assert getattr(there, name) == getattr(here, name)
    assert there.ticks is not None
    assert there.load is not None


def test_memory_and_free_swap_are_those_of_that_host(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"/proc/meminfo": "MemTotal: 4096 kB\nMemAvailable: 2048 kB\nSwapTotal: 8 kB\nSwapFree: 7 kB\n"}

    async def scenario(host: Remote) -> tuple[int | None, int]:
        monkeypatch.setattr(host, "texts", lambda _globs: told)
        return host.memory()

    assert on_agent(work, scenario) == (2048 << 10, 7 << 10)


def test_a_beat_is_said_every_second_and_stamped(work: Path) -> None:
    async def scenario(host: Remote) -> list[tuple[float, float, float]]:
        async with asyncio.timeout(20):
            while len(host.stamps) < 2:
                await asyncio.sleep(0.05)
        return host.stamps

    for before, there, after in on_agent(work, scenario):
        assert before <= after
        assert abs(there - time.time()) < 3600
