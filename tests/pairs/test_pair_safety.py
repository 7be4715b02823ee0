"""What a running pair shows to the rest of the world: nothing beyond loopback or its own link, no file to others."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.pairs import BARE, DEADLINE_S, SMALL, checkpoints, command, records, running_below, undisturbed

from bench.provision.cache import cache_folder

pytestmark = pytest.mark.pair

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534
UNUSED = shutil.ignore_patterns("dev", "apps-*", "state-*", "saved-*", "source-*", "built-*", "builds", "failed-probe")
"""Of the cache, what a small pair needs nothing of."""
LISTENING = re.compile(r"(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s")


@dataclass(frozen=True)
class Live:
    """A pair in COLO: the run's folder, and both QEMUs' process ids."""

    home: Path
    pids: dict[str, int]

    def listening(self, where: tuple[str, ...] = ()) -> list[tuple[str, int]]:
        """Return address and port of every TCP and UDP socket on which a process of the run listens."""
        ours = running_below(self.home)
        lines = [line for kind in ("-ltnpH", "-lunpH") for line in said((*where, "ss", kind)).splitlines()]
        mine = [line for line in lines if {int(pid) for pid in re.findall(r"pid=(\d+)", line)} & ours]
        return [(match["address"], int(match["port"])) for match in map(LISTENING.match, mine) if match]

    def ports(self) -> dict[str, int]:
        """Return the ports that hold the pair together, from its command lines and its QMP log."""
        argv = json.loads((self.home / "primary" / "argv.json").read_text())["argv"]
        entries = [json.loads(line) for line in (self.home / "qmp.jsonl").read_text().splitlines()]
        found = {
            name: int(re.search(rf"id={name},host=[^,]+,port=(\d+)", " ".join(argv))[1])
            for name in ("mirror0", "compare1")
        }  # type: ignore[index]
        for entry in entries:
            if entry.get("command") == "migrate-incoming":
                found["migration"] = int(entry["arguments"]["uri"].rpartition(":")[2])
            if entry.get("command") == "nbd-server-start":
                found["nbd"] = int(entry["arguments"]["addr"]["data"]["port"])
        return found


def said(argv: tuple[str, ...]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


def connects(address: str, port: int, where: tuple[str, ...] = ()) -> bool:
    script = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
    argv = (*where, sys.executable, "-c", script)
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0


@contextmanager
def in_colo(results: Path, *overrides: str) -> Iterator[Live]:
    """Run the command, and hand over once its pair has completed two checkpoints; interrupt it when the block ends."""
    endless = ("checkpoint.count=5000", "campaign=live")
    with subprocess.Popen(command(results, *BARE, *endless, *overrides), stdout=subprocess.DEVNULL) as harness:
        try:
            give_up = time.monotonic() + DEADLINE_S
            while not (
                homes := [
                    log.parent for log in results.glob("live/runs/*/qmp.jsonl") if log.read_text().count('"STOP"') > 2
                ]
            ):
                assert harness.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.1)
            sides = {side: running_below(homes[0] / side) for side in ("primary", "secondary")}
            yield Live(homes[0], {side: min(pids) for side, pids in sides.items()})
        finally:
            harness.send_signal(signal.SIGINT)
            harness.wait(60)
    assert running_below(results) == set()


def own_addresses() -> list[str]:
    lines = said(("ip", "-4", "-o", "addr", "show", "scope", "global")).splitlines()
    return [line.split()[3].partition("/")[0] for line in lines]


def test_a_local_pair_listens_on_loopback_alone_in_private_folders_and_behind_a_filter(tmp_path: Path) -> None:
    with in_colo(tmp_path, "link=nodelay") as live:
        listening = live.listening()
        assert {address for address, _ in listening} == {"127.0.0.1"}
        ports = live.ports()
        assert set(ports) == {"mirror0", "compare1", "migration", "nbd"}
        assert ports["nbd"] in {port for _, port in listening}
        assert connects("127.0.0.1", ports["nbd"])  # so that the refusals below mean something
        for address in ("127.0.0.2", "::1", *own_addresses()):
            assert not any(connects(address, port) for port in ports.values())
        assert not [port for _, port in listening if 5900 <= port < 6000]
        for pid in live.pids.values():
            assert "-vnc" not in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            assert "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text()
            assert "libnodelay.so" in Path(f"/proc/{pid}/maps").read_text()
        paths = [
            line.split()[4]
            for line in said(("ss", "-lxpH")).splitlines()
            if any(f"pid={pid}," in line for pid in live.pids.values())
        ]
        sockets = {Path(path) for path in paths}
        [folder] = {path.parent.parent for path in sockets}
        names = ("qmp.sock", "serial.sock")
        assert sockets == {folder / side / name for side in ("primary", "secondary") for name in names}
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not list(live.home.rglob("*.sock"))
        for folder in (live.home, live.home / "primary", live.home / "secondary"):
            assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_pair_in_namespaces_can_be_reached_from_nowhere_else(tmp_path: Path) -> None:
    with in_colo(tmp_path, "host=netns") as live:
        assert live.listening() == []
        inside = {side: ("nsenter", f"--net=/proc/{pid}/ns/net", "--") for side, pid in live.pids.items()}
        seen = {side: {address for address, _ in live.listening(inside[side])} for side in inside}
        assert seen == {"primary": {"127.0.0.1", "192.0.2.1"}, "secondary": {"192.0.2.2"}}
        ports = live.ports()
        assert connects("192.0.2.2", ports["nbd"], inside["primary"])
        for where in ((), ("unshare", "--net", "--")):
            for address in ("127.0.0.1", "192.0.2.1", "192.0.2.2"):
                assert not any(connects(address, port, where) for port in ports.values())
        for pid in live.pids.values():
            assert "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text()


def test_the_record_says_how_the_pair_was_confined_and_pinned(tmp_path: Path) -> None:
    subprocess.run(
        command(tmp_path, *BARE, "link=unix", "campaign=pinned", "tune.pinning.primary=0", "tune.pinning.secondary=0"),
        check=True,
        capture_output=True,
        timeout=DEADLINE_S,
    )
    [record] = records(tmp_path / "pinned")
    assert record["sandbox"] == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    assert record["cell"]["tune"]["pinning"] == {"primary": [0], "secondary": [0]}
    assert record["tuned"] == []
    for side in ("primary", "secondary"):
        assert (record["readback"]["machine"][side]["cpus"], record["readback"]["machine"][side]["sandboxed"]) == (
            [0],
            True,
        )
    check = [sys.executable, "-m", "bench.recover", "--check", str(tmp_path / "pinned")]
    assert (
        "exactly what the raw data give\n" in subprocess.run(check, check=True, capture_output=True, text=True).stdout
    )
    assert len(checkpoints(tmp_path / "pinned", record)) == 8


@pytest.fixture(scope="module")
def world_readable() -> Iterator[Path]:
    """Provide a folder that an ordinary user can reach, with a copy of the cache that is theirs."""
    folder = Path(tempfile.mkdtemp(prefix="colo-bench-user-"))
    try:
        # Not the device nodes that root's package tree holds: reading /dev/zero has no end.
        shutil.copytree(cache_folder(), folder / "cache", symlinks=True, ignore=UNUSED)
        folder.chmod(0o755)
        (folder / "results").mkdir()
        (folder / "home").mkdir()
        for path in (folder / "results", folder / "home", folder / "cache"):
            for one in (path, *path.rglob("*")):
                os.chown(one, NOBODY, NOBODY, follow_symlinks=False)
        yield folder
    finally:
        shutil.rmtree(folder)


def runs(python: tuple[str, ...], env: dict[str, str]) -> bool:
    argv = (*python, "-c", "import bench.run.session, analysis.report.build")
    return subprocess.run(argv, env=env, cwd="/", capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def ordinary(world_readable: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Provide the main command as an ordinary user gives it: within what root prepared, behind a command of theirs."""
    # By way of `env`: setpriv itself still has what it takes to start a program that its new user could not.
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--", "env")
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{sysconfig.get_path('purelib')}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(world_readable / "home"),
        "COLO_BENCH_CACHE": str(world_readable / "cache"),
        "TMPDIR": "/tmp",  # noqa: S108 - the one that every user has
    }
    # A checkout or an interpreter may lie where nobody else can get, below /root say.
    python = next((one for one in (sys.executable, "/usr/bin/python3") if runs((*become, one), env)), "")
    if not python:
        pytest.skip("neither this checkout nor a Python for it can be reached by another user")

    def bench(
        *overrides: str, within: tuple[str, ...] = (), behind: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        argv = (*within, *become, *behind, python, *command(world_readable / "results", *overrides)[1:])
        return subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=DEADLINE_S)

    return bench


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_an_ordinary_user_measures_a_local_pair_and_is_told_what_needs_root(
    world_readable: Path, ordinary: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    def measured(_: Path, *overrides: str) -> None:
        done = ordinary(*BARE, *overrides)
        assert done.returncode == 0, done.stdout + done.stderr

    campaign = undisturbed(world_readable / "results", "user", measure=measured)
    [run] = (campaign / "runs").iterdir()
    assert (run.stat().st_uid, run.stat().st_mode & 0o777) == (NOBODY, 0o700)
    for overrides in (("host=netns",), ("tune.thp=always",)):
        refused = ordinary(*BARE, *overrides)
        assert refused.returncode == 3
        assert "needs root" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="this kernel has no taps")
def test_an_ordinary_user_has_the_same_three_hosts_where_they_may_make_namespaces(
    world_readable: Path, ordinary: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    # A machine's own taps are for everybody; a container's may be root's alone, so these get a device of their own.
    tun = world_readable / "tun"
    os.mknod(tun, stat.S_IFCHR, os.makedev(10, 200))
    tun.chmod(0o666)
    taps = ("unshare", "--mount", "--", "sh", "-c", 'mount --bind "$0" /dev/net/tun && exec "$@"', str(tun))
    page = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    namespaces = tuple(shlex.split(re.search(r"`(unshare --user [^`]*)`", page)[1]))  # type: ignore[index]
    nobody = ("setpriv", f"--reuid={NOBODY}", "--clear-groups", "--", *namespaces, "true")
    if subprocess.run(nobody, capture_output=True, check=False).returncode != 0:
        pytest.skip("ordinary users may make no namespaces here")
    served = ("workload=http", "workload.rate=20", "link=nodelay", "tcp_timestamps=false", "host=bridged")
    done = ordinary(*SMALL, *served, "campaign=three", within=taps, behind=namespaces)
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # when checkpoints begin is the host's, here
    (record,) = records(world_readable / "results" / "three")
    assert record["client"]["requests"] > record["client"]["errors"]
    assert (world_readable / "results" / "three").stat().st_uid == NOBODY
