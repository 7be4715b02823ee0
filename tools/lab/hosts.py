"""Stand-in hosts on this machine: each with network, process, mount and name space of its own, and an sshd.

sshd is process 1 of its host: killing it is the host's death. Nothing has a name in ``/run/netns``, so that the
namespaces are gone with it. What an agent of ours has started there is known from outside by what it carries.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.host.agent import MARK
from bench.system.owner import end_with_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO, Any

T = TypeVar("T")

PREFIX = "cbt"
MANAGEMENT, DATA_NET = "198.51.100", "203.0.113"
NUMBERS = {"primary": 11, "secondary": 12, "client": 13}
SIDES = ("primary", "secondary")
STRANGER, CHANGED = f"{PREFIX}-stranger", f"{PREFIX}-changed"
"""Aliases of the secondary's host: with a key that it does not know, and with another host key than it has."""

_COMES_UP_S = 20.0
_ITS_TURN_S = 600.0
_COMMAND_S = 30.0
_LISTENS = "0A"
_SHRINKS = 20


def marked_below(work: Path) -> set[int]:
    """Return every process that an agent of this work folder has started."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"{MARK}={work}".encode() in (entry / "environ").read_bytes():
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] not in {"Z", "X"}:
                    found.add(int(entry.name))
    return found


def agents_of(work: Path) -> list[int]:
    """Return the agents of a work folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"-I"] and words[2].startswith(f"{work}/agent-".encode()):
                found.append(int(entry.name))
    return found


def shrink(place: Path, resize: Callable[[str], None]) -> None:
    """Make a small file system as small as what is in it: from now on it is full."""
    for left in reversed(range(_SHRINKS)):
        status = os.statvfs(place)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        try:
            resize(str(used))
        except subprocess.CalledProcessError:  # more has been written since: it does not fit
            if not left:
                raise
        else:
            return


class Lab:
    """Stand-in hosts, on two networks: one by which they are reached, and one between them.

    Attributes:
        folder: everything of them, but for the folders of their sockets.
        sides: what they are called.
        pids: process 1 of each, by its id here.
    """

    def __init__(self, folder: Path, sides: Sequence[str] = SIDES) -> None:
        self.folder = folder
        self.sides = tuple(sides)
        self.pids: dict[str, int] = {}
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._temporary: Path | None = None
        self._alone: IO[bytes] | None = None

    @property
    def ssh_config(self) -> Path:
        """The configuration by which the hosts are reached."""
        return self.folder / "ssh_config"

    def alias(self, side: str) -> str:
        """Return what a host is called there."""
        return f"{PREFIX}-{side}"

    def address(self, side: str) -> str:
        """Return a host's address on the network between them."""
        return f"{DATA_NET}.{NUMBERS[side]}"

    def work(self, side: str) -> Path:
        """Return a host's folder for our programs and their runs, as it is called there."""
        return self.folder / side / "work"

    def temporary(self, side: str) -> Path:
        """Return a host's folder for temporary files, whose short name leaves room for sockets."""
        if self._temporary is None:
            raise RuntimeError("the hosts are not up")
        return self._temporary / side

    def seen(self, side: str, path: Path) -> Path:
        """Return a host's file as it is found from here: what is mounted there hides what is here."""
        root = Path(f"/proc/{self.pids[side]}/root")
        return root / path.relative_to("/") if root.exists() else path

    def up(self) -> None:
        """Make the hosts and wait until each is reached."""
        # One lab at a time in a network namespace: links are known by their names.
        here = Path("/proc/self/ns/net").stat().st_ino
        lock = Path(f"/tmp/{PREFIX}-{here}.lock").open("wb")  # noqa: S108, SIM115 - of this machine; closed by down()
        _until(lambda: _locked(lock), _ITS_TURN_S)
        self._alone = lock
        self._temporary = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
        keygen = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "")
        for name in ("id", "strange"):
            _done((*keygen, "-f", str(self.folder / name)))
        self.admit()
        self._remove_links()  # of a lab that was killed
        for bridge in ("mgmt", "data"):
            _done(("ip", "link", "add", f"{PREFIX}{bridge}", "type", "bridge"))
            _done(("ip", "link", "set", f"{PREFIX}{bridge}", "up"))
        _done(("ip", "addr", "add", f"{MANAGEMENT}.1/24", "dev", f"{PREFIX}mgmt"))
        for side in self.sides:
            self._make(side)
            self._start(side)
        self.know()
        changed = self._known_line("secondary", self.folder / "primary/key.pub")
        (self.folder / "changed_hosts").write_text(changed)
        entries = [self._entry(self.alias(side), NUMBERS[side]) for side in self.sides]
        entries += [self._entry(STRANGER, NUMBERS["secondary"], key="strange")]
        entries += [self._entry(CHANGED, NUMBERS["secondary"], known="changed_hosts")]
        self.ssh_config.write_text("".join(entries))
        for side in self.sides:
            _until(partial(self.reached, side))

    def _make(self, side: str) -> None:
        home, number = self.folder / side, NUMBERS[side]
        self.work(side).mkdir(parents=True, mode=0o700)
        self.temporary(side).mkdir(mode=0o700)
        _done(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key")))
        (home / "sshd_config").write_text(
            f"Port {2200 + number}\nListenAddress 0.0.0.0\nHostKey {home}/key\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/admitted\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            f"SetEnv TMPDIR={self.temporary(side)}\n"
        )

    def _start(self, side: str) -> None:
        home, number = self.folder / side, NUMBERS[side]
        inside = (
            f"hostname {PREFIX}-{side}; mkdir -p /run/sshd; mount -t tmpfs run /run; mkdir -p -m 755 /run/sshd;"
            "ip link set lo up;"
            "for i in $(seq 500); do ip link show mg0 >/dev/null 2>&1 && ip link show da0 >/dev/null 2>&1 && break;"
            " sleep .02; done;"
            f"ip addr add {MANAGEMENT}.{number}/24 dev mg0; ip link set mg0 up;"
            f"ip addr add {DATA_NET}.{number}/24 dev da0; ip link set da0 up;"
            f"exec {sshd()} -D -f {home}/sshd_config -E {home}/sshd.log"
        )
        unshare = ("unshare", "--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "--kill-child=KILL")
        with (home / "up.log").open("wb") as said:
            holder = subprocess.Popen(
                (*unshare, "--mount-proc", "--propagation", "private", "sh", "-c", inside),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_owner(),  # whoever made it and is killed leaves no host
            )
        self._holders[side] = holder
        self.pids[side] = _until(lambda: _first_child(holder.pid))
        ours = Path("/proc/self/ns/net").stat().st_ino
        _until(lambda: Path(f"/proc/{self.pids[side]}/ns/net").stat().st_ino != ours)
        for kind, inner in (("m", "mg0"), ("d", "da0")):
            outer = f"{PREFIX}{kind}{side[0]}"
            # A host that comes back has the card that it had: others still know its address by it.
            card = f"02:cb:{'6d' if kind == 'm' else '64'}:00:00:{NUMBERS[side]:02x}"
            peer = ("peer", "name", inner, "address", card, "netns", str(self.pids[side]))
            _done(("ip", "link", "add", outer, "type", "veth", *peer))
            _done(("ip", "link", "set", outer, "master", f"{PREFIX}{'mgmt' if kind == 'm' else 'data'}", "up"))

    def _entry(self, alias: str, number: int, key: str = "id", known: str = "known_hosts") -> str:
        return (
            f"Host {alias}\n  HostName {MANAGEMENT}.{number}\n  Port {2200 + number}\n  User root\n"
            f"  IdentityFile {self.folder}/{key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder}/{known}\n"
            "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        )

    def _known_line(self, side: str, key: Path) -> str:
        number = NUMBERS[side]
        return f"[{MANAGEMENT}.{number}]:{2200 + number} {key.read_text()}"

    def reached(self, side: str) -> bool:
        """Return whether a command can be run on a host."""
        options = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
        argv = ("ssh", "-F", str(self.ssh_config), *options, self.alias(side), "true")
        return subprocess.run(argv, capture_output=True, check=False, timeout=20).returncode == 0

    # What a person does to them.

    def know(self, *, mistaken: str = "") -> None:
        """Have the hosts' keys known; of one of them, another's."""
        shown = {side: next(one for one in self.sides if (one == side) != (side == mistaken)) for side in self.sides}
        lines = [self._known_line(side, self.folder / shown[side] / "key.pub") for side in self.sides]
        (self.folder / "known_hosts").write_text("".join(lines))

    def admit(self, key: str = "id") -> None:
        """Have the hosts let in who has one key, and nobody else."""
        shutil.copyfile(self.folder / f"{key}.pub", self.folder / "admitted")

    def cut(self, side: str, kind: str = "m") -> None:
        """Cut a host's cable: of management (``m``) or of data (``d``)."""
        _done(("ip", "link", "set", f"{PREFIX}{kind}{side[0]}", "down"))

    def join(self, side: str, kind: str = "m") -> None:
        """Join it again."""
        _done(("ip", "link", "set", f"{PREFIX}{kind}{side[0]}", "up"))

    def kill(self, side: str) -> None:
        """Kill a host: process 1 of it, and with it everything."""
        os.kill(self.pids[side], signal.SIGKILL)
        self._holders[side].wait(20)

    def restart(self, side: str) -> None:
        """Have a host that was killed come up again."""
        for kind in "md":  # gone with the namespace, a little later
            subprocess.run(("ip", "link", "del", f"{PREFIX}{kind}{side[0]}"), capture_output=True, check=False)
        self._start(side)
        _until(partial(self.reached, side))

    def _enter(self, side: str) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.pids[side]), "-m", "-p", "--")  # umount looks into /proc

    @contextmanager
    def small_disk(self, side: str, size: str) -> Iterator[None]:
        """Give a host's work folder a file system of its own, of that size, for the length of the block."""
        tmpfs = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "small", str(self.work(side)))
        _done((*self._enter(side), *tmpfs))
        try:
            yield
        finally:
            _done((*self._enter(side), "umount", "-l", str(self.work(side))))

    def fill(self, side: str) -> None:
        """Make a host's small disk as small as what is in it: from now on it is full."""
        shrink(self.seen(side, self.work(side)), partial(self.resize, side))

    def resize(self, side: str, size: str) -> None:
        """Give a host's small disk another size."""
        _done((*self._enter(side), "mount", "-o", f"remount,size={size}", str(self.work(side))))

    # What is there of ours.

    def processes(self, side: str) -> set[int]:
        """Return the agents on a host, and all that they have started."""
        return marked_below(self.work(side)) | set(agents_of(self.work(side)))

    def files(self, side: str) -> set[Path]:
        """Return what runs have on a host: their folders, and those of their sockets."""
        places = (self.seen(side, self.work(side)) / "runs", self.seen(side, self.temporary(side)))
        return {path for place in places if place.exists() for path in place.iterdir()}

    def listening(self, side: str) -> set[str]:
        """Return where somebody on a host waits for TCP connections, as the kernel writes it."""
        found = set()
        for name in ("tcp", "tcp6"):
            with suppress(OSError):
                rows = Path(f"/proc/{self.pids[side]}/net/{name}").read_text().splitlines()[1:]
                found |= {row.split()[1] for row in rows if row.split()[3] == _LISTENS}
        return found

    def down(self) -> None:
        """End every host, and remove what joined them."""
        for pid in self.pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for holder in self._holders.values():
            holder.wait(10)
        if self._alone:
            self._remove_links()
            self._alone.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    @staticmethod
    def _remove_links() -> None:
        links = [f"{PREFIX}{kind}{side[0]}" for kind in "md" for side in NUMBERS]
        for name in (*links, f"{PREFIX}mgmt", f"{PREFIX}data"):
            subprocess.run(("ip", "link", "del", name), capture_output=True, check=False)


def sshd() -> str:
    """Return the server's program; empty where it is not installed."""
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or ""


def no_lab() -> str:
    """Return why no stand-in hosts can be made here; empty where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ssh", "ssh-keygen", "ip", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return "" if sshd() else "sshd is not installed: make cluster-deps"


@contextmanager
def lab(folder: Path, sides: Sequence[str] = SIDES) -> Iterator[Lab]:
    """Provide stand-in hosts that are gone afterwards, whatever happened."""
    hosts = Lab(folder, sides)
    try:
        hosts.up()
        yield hosts
    finally:
        hosts.down()


def inventory_of(hosts: Lab, **more: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the hosts as an inventory names them, with other keys for some."""
    return {
        side: {
            "ssh": hosts.alias(side),
            "address": hosts.address(side),
            "python": sys.executable,
            "workdir": str(hosts.work(side)),
            **more.get(side, {}),
        }
        for side in hosts.sides
    }


def ssh_of(hosts: Lab, folder: Path) -> Path:
    """Write a program ``ssh`` that reaches the hosts into a folder for PATH: nobody's own configuration is touched."""
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {hosts.ssh_config} "$@"\n')
    program.chmod(0o755)
    return program


def _done(argv: tuple[str, ...]) -> None:
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_S)


def _locked(file: IO[bytes]) -> bool:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _until(found: Callable[[], T | None], deadline_s: float = _COMES_UP_S) -> T:
    give_up = time.monotonic() + deadline_s
    while time.monotonic() < give_up:
        with suppress(OSError):
            if value := found():
                return value
        time.sleep(0.02)
    raise TimeoutError("a stand-in host did not come up")


def _first_child(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None
