"""Faults of sockets: a port stolen between its choice and its use, and QMP that is accepted and not spoken."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tools.faults.fault import PORTS_ANNOUNCED, QUICK_DEADLINES, Fault, Moment
from tools.faults.scene import MissedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.faults.fault import Act
    from tools.faults.scene import Scene

    Talk = Callable[[socket.socket], None]

_PORTS = {"mirror": rb"mirror (\d+)", "migration": rb"migration tcp:[^:\s]+:(\d+)", "nbd": rb"NBD (\d+)"}
_LOOPBACK = "127.0.0.1"
_GREETING = {"QMP": {"version": {"qemu": {"major": 0, "minor": 0, "micro": 0}, "package": "fake"}, "capabilities": []}}


def _steal(name: str) -> Act:
    def act(scene: Scene) -> None:
        found = re.findall(_PORTS[name], scene.text())
        if not found:
            raise MissedError(f"no {name} port was announced")
        thief = socket.socket()
        thief.bind((_LOOPBACK, int(found[-1])))
        thief.listen()
        scene.held.append(thief)

    return act


class FakeQmp:
    """A fake, and none of QEMU's: takes the place of a side's QMP socket, accepts, and does what it was told to."""

    def __init__(self, server: socket.socket, talk: Talk) -> None:
        self._server = server
        self._talk = talk
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed: the scene is over
            while True:
                client, _ = self._server.accept()
                self._clients.append(client)
                with suppress(OSError):
                    self._talk(client)

    def close(self) -> None:
        """Stop accepting and hang up."""
        self._server.shutdown(socket.SHUT_RDWR)
        for one in (self._server, *self._clients):
            one.close()
        self._thread.join(timeout=5)


def _silent(_: socket.socket) -> None:
    """Say nothing, not even the greeting."""


def _greet_then(line: bytes) -> Talk:
    def talk(client: socket.socket) -> None:
        client.sendall(json.dumps(_GREETING).encode() + b"\r\n")
        client.recv(1 << 16)
        client.sendall(line)

    return talk


def _garbled_greeting(client: socket.socket) -> None:
    client.sendall(b"220 mail.example ESMTP ready\r\n")


def _up(scene: Scene) -> None:
    """Wait until the secondary's QEMU runs, hold the harness, and wait until that QEMU has its QMP socket."""
    scene.until(lambda: scene.working_in(scene.run / "secondary") is not None, "the secondary's process")
    os.kill(scene.pid, signal.SIGSTOP)
    scene.until(lambda: bool(scene.sockets("secondary/qmp.sock")), "the secondary's QMP socket", 30.0)


def _replace_socket(talk: Talk) -> Act:
    def act(scene: Scene) -> None:
        [path] = scene.sockets("secondary/qmp.sock")
        path.unlink()
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        scene.held.append(FakeQmp(server, talk))
        os.kill(scene.pid, signal.SIGCONT)

    return act


_SECONDARY_UP = Moment("between launch and connection", _up)


def faults() -> Iterator[Fault]:
    """Yield a theft of each port, and each way not to speak QMP."""
    for name in _PORTS:
        yield Fault(
            name=f"port-stolen-{name}",
            group="a port stolen between choice and use",
            does=f"another process binds the {name} port as soon as it is announced",
            causes=frozenset({"port-taken"}),
            moment=PORTS_ANNOUNCED,
            act=_steal(name),
        )
    garbled = frozenset({"qmp-garbled"})
    for name, does, causes, talk in (
        ("qmp-silent", "a fake QMP socket accepts and never answers", frozenset({"qmp-timeout"}), _silent),
        ("qmp-greeting-garbled", "a fake QMP socket greets with something else", garbled, _garbled_greeting),
        ("qmp-reply-garbled", "a fake QMP socket answers what is not JSON", garbled, _greet_then(b"}{ not JSON\r\n")),
        (
            "qmp-reply-binary",
            "a fake QMP socket answers bytes that are no text",
            garbled,
            _greet_then(b"\xff\x00\xfe\r\n"),
        ),
    ):
        yield Fault(
            name=name,
            group="QMP that never answers" if name == "qmp-silent" else "a QMP reply that is not JSON",
            does=does,
            causes=causes,
            moment=_SECONDARY_UP,
            act=_replace_socket(talk),
            overrides=(*QUICK_DEADLINES, "deadlines.launch=6"),
        )
