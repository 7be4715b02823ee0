from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ProvisionError
from bench.provision import compiler
from bench.provision.boot import boot_argv, booted
from bench.provision.guest import build_guest
from bench.provision.programs import nodelay_library
from bench.provision.qemu import find_qemu

# A program that knows nothing of the library: it says what its sockets are like.
PROGRAM = """
import ctypes, errno, json, os, socket, tempfile

def nodelay(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

def pair(family, address):
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    client = socket.socket(family)
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    return server, client, accepted

said = {}
for name, family, address in (("ipv4", socket.AF_INET, ("127.0.0.1", 0)), ("ipv6", socket.AF_INET6, ("::1", 0))):
    if name == "ipv6" and not os.path.exists("/proc/net/if_inet6"):
        continue
    server, client, accepted = pair(family, address)
    said[name] = [nodelay(server), nodelay(client), nodelay(accepted)]

libc = ctypes.CDLL(None, use_errno=True)
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
plain = socket.socket(fileno=libc.accept(server.fileno(), None, None))
said["accept"] = nodelay(plain)

waiting = socket.socket()
waiting.setblocking(False)
said["in_progress"] = [waiting.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS), nodelay(waiting)]

unused = socket.socket()
unused.bind(("127.0.0.1", 0))
said["refused"] = socket.socket().connect_ex(unused.getsockname()) == errno.ECONNREFUSED
ctypes.set_errno(0)
said["bad_descriptor"] = [libc.accept(-1, None, None), ctypes.get_errno() == errno.EBADF]
ctypes.set_errno(77)
client = socket.socket()
said["errno_kept"] = [libc.listen(server.fileno(), 5), ctypes.get_errno()]

with tempfile.TemporaryDirectory() as folder:
    server, client, accepted = pair(socket.AF_UNIX, folder + "/s")
    client.sendall(b"unix")
    said["unix"] = accepted.recv(9).decode()
datagram = socket.socket(type=socket.SOCK_DGRAM)
datagram.connect(("127.0.0.1", 9))
said["datagram"] = datagram.getpeername()[1]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLO_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return nodelay_library(lambda _text: None)


def run_program(**env: str) -> dict[str, Any]:
    argv = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def preloaded(library: Path) -> dict[str, Any]:
    return run_program(LD_PRELOAD=str(library))


def test_a_program_without_the_library_has_no_nodelay() -> None:
    said = run_program()
    assert said["ipv4"] == [0, 0, 0]
    assert said["accept"] == 0


def test_both_ends_of_a_tcp_connection_get_nodelay(preloaded: dict[str, Any]) -> None:
    assert preloaded["ipv4"][1:] == [1, 1]
    assert preloaded.get("ipv6", [0, 1, 1])[1:] == [1, 1]


def test_accept_without_flags_sets_it_too(preloaded: dict[str, Any]) -> None:
    assert preloaded["accept"] == 1


def test_a_connection_that_is_not_waited_for_gets_nodelay(preloaded: dict[str, Any]) -> None:
    assert preloaded["in_progress"] == [True, 1]


def test_failures_are_reported_as_by_libc(preloaded: dict[str, Any]) -> None:
    assert preloaded["refused"] is True
    assert preloaded["bad_descriptor"] == [-1, True]


def test_other_sockets_are_left_alone(preloaded: dict[str, Any]) -> None:
    assert preloaded["unix"] == "unix"
    assert preloaded["datagram"] == 9


def test_the_library_is_built_once(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(library.parents[1]))
    monkeypatch.setattr(compiler, "compile_c", None)
    assert nodelay_library(lambda _text: None) == library


def test_the_library_needs_nothing_but_errno(library: Path) -> None:
    # Undefined symbols carry no version, so that it loads into a program of any libc.
    content = library.read_bytes()
    assert b"__errno_location" in content
    assert b"GLIBC" not in content
    assert b"libc.so" not in content


@pytest.mark.provisioned
def test_the_provisioned_qemu_runs_with_the_library_and_sets_nodelay(library: Path) -> None:
    binary = find_qemu("provisioned", lambda _text: None).preloading(library)
    guest = build_guest(lambda _text: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        extra = ("-chardev", f"socket,id=c0,host=127.0.0.1,port={port},nodelay=off")
        with booted(boot_argv(binary, guest, "tcg", extra), binary.env, 90) as console:
            connection, _ = server.accept()
            connection.close()
            assert str(library) in Path(f"/proc/{console.pid}/maps").read_text()


def test_a_library_changed_after_it_was_compiled_is_noticed(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(library.parent, tmp_path / library.parent.name)
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path))
    copy = tmp_path / library.parent.name / library.name
    assert nodelay_library(lambda _text: None) == copy
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(ProvisionError, match="was changed after it was compiled") as caught:
        nodelay_library(lambda _text: None)
    assert caught.value.cause == "cache-broken"


@pytest.mark.parametrize("damage", [b"\xff\xfe", None])
def test_a_library_whose_hash_is_damaged_or_gone_is_not_trusted(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    shutil.copytree(library.parent, tmp_path / library.parent.name)
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path))
    hash_path = tmp_path / library.parent.name / "sha256"
    hash_path.unlink() if damage is None else hash_path.write_bytes(damage)
    with pytest.raises(ProvisionError) as caught:
        nodelay_library(lambda _text: None)
    assert caught.value.cause == "cache-broken"
