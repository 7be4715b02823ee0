"""A connection to an agent: any command that gives its standard input and output, and frames over them.

Everything of it happens in the event loop that opened it, in one thread. What is asked with :meth:`Wire.ask` is
awaited; :meth:`Wire.call` waits on the spot, for the methods of a host that are no coroutines: frames that come
meanwhile are handed out all the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import HostError
from bench.host.agent import FRAME
from bench.host.booting import boot_argv, packed
from bench.host.reach import cut_error, refused_error
from bench.system.environment import helping
from bench.system.family import end_family
from bench.system.owner import mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from bench.host.reach import Reach

LEASE_S = 10.0
"""How long an agent waits for a sign of life before it ends all that it has started, and how long we wait for its."""

ANSWER_S = 60.0
"""How long an agent may take to answer what it can answer at once; a cut link is noticed before."""

_OPEN_S = 30.0
_GOODBYE_S = 5.0
_READ = 1 << 18
_NOISE = 1 << 16
_MARKER = b"\0colo-bench "

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """What an agent answered: a value of JSON, and bytes beside it."""

    value: Any
    data: bytes = b""


class Wire:
    """One connection, with one agent at its end.

    Attributes:
        name: what messages call the host.
        lost: why the connection is gone, if it is.
    """

    def __init__(
        self, name: str, reach: Reach, child: subprocess.Popen[bytes], near: socket.socket, said: IO[bytes]
    ) -> None:
        self.name = name
        self.lost: HostError | None = None
        self.on_event: Callable[[dict[str, Any], bytes], None] = lambda _message, _data: None
        self.on_channel: Callable[[int, bytes], None] = lambda _number, _data: None
        self.on_lost: Callable[[HostError], None] = lambda _error: None
        self._reach = reach
        self._child = child
        self._sock = near
        self._said = said
        self._greeted_at = 0
        self._inbox = bytearray()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._number = 0
        self._leaving = False
        self._loop = asyncio.get_running_loop()
        self._mark = ""

    @classmethod
    async def open(cls, name: str, reach: Reach) -> Wire:
        """Start the command, and an agent behind it.

        Raises:
            HostError: the host cannot be reached, refuses us, or has no Python that the agent runs on.
        """
        program = packed()
        argv = reach.command(boot_argv(reach, program))
        _LOG.debug("reach the %s: %s", name, shlex.join(argv[:-1]))
        near, far = socket.socketpair()
        near.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        ours = mark(Path("/"))
        try:
            # No request to die with us: at the end of its input the command ends by itself, and the agent in order.
            child = subprocess.Popen(  # noqa: ASYNC220 - it returns as soon as the command is started
                argv,
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=said,
                env=helping(ours, {}),
                start_new_session=True,
            )
        except OSError as error:
            near.close()
            said.close()
            raise HostError(f"cannot start {argv[0]}: {error.strerror}", cause="tool-missing") from error
        finally:
            far.close()
        wire = cls(name, reach, child, near, said)
        wire._mark = ours
        try:
            async with asyncio.timeout(_OPEN_S):
                await wire._greeted(program, reach)
        except TimeoutError as error:
            words = wire._words()
            await wire._gone()
            raise refused_error(name, reach, None, words) from error
        except BaseException:
            await wire._gone()
            raise
        wire._loop.add_reader(near, wire._readable)
        return wire

    async def _greeted(self, program: bytes, reach: Reach) -> None:
        """Read up to the agent's greeting; what a login shell prints before it is noise."""
        noise = bytearray()
        while True:
            at = noise.find(_MARKER)
            end = noise.find(b"\n", at) if at >= 0 else -1
            if end >= 0:
                word, _, rest = noise[at + len(_MARKER) : end].decode(errors="replace").partition(" ")
                if word == "agent":
                    self._inbox += noise[end + 1 :]
                    self._greeted_at = os.fstat(self._said.fileno()).st_size  # a banner says nothing of a later end
                    return
                del noise[: end + 1]
                if word != "need":
                    raise refused_error(self.name, reach, 0, (f"{word} {rest}",))
                await self._loop.sock_sendall(self._sock, program)
                continue
            try:
                got = await self._loop.sock_recv(self._sock, _READ)
            except ConnectionResetError:
                got = b""
            if not got:
                status = await asyncio.to_thread(self._ended)
                said = (*self._words(), *bytes(noise).decode(errors="replace").splitlines()[-3:])
                raise refused_error(self.name, reach, status, said)
            noise += got
            del noise[:-_NOISE]

    def _words(self) -> tuple[str, ...]:
        """Return the lines that the command has said of an error since its agent was there, or all before."""
        with suppress(OSError, ValueError):
            self._said.seek(self._greeted_at)
            return tuple(self._said.read()[-_NOISE:].decode(errors="replace").splitlines())
        return ()

    def _ended(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._child.wait(_GOODBYE_S)
        return None

    async def ask(self, op: str, data: bytes = b"", *, deadline_s: float = ANSWER_S, **fields: Any) -> Reply:
        """Ask and await the answer.

        Raises:
            OSError: what the system said there.
            HostError: the connection is gone, or no answer came in time.
        """
        reply = self._send(op, data, fields)
        try:
            async with asyncio.timeout(deadline_s):
                return await reply
        except TimeoutError as error:
            if reply.done() and not reply.cancelled():  # the far system's own time-out
                raise
            raise self._silent(op, deadline_s) from error

    def call(self, op: str, data: bytes = b"", *, deadline_s: float = ANSWER_S, **fields: Any) -> Reply:
        """Ask and wait for the answer on the spot, raising as :meth:`ask`."""
        reply = self._send(op, data, fields)
        give_up = time.monotonic() + deadline_s
        while not reply.done():
            left = give_up - time.monotonic()
            if left <= 0 or not _poll(self._sock, select.POLLIN, left):
                raise self._silent(op, deadline_s)
            self._readable()
        return reply.result()

    def _silent(self, op: str, deadline_s: float) -> HostError:
        words = f"the agent on the {self.name}'s host did not answer ({op}) within {deadline_s:g} s"
        return HostError(words, cause="far-silent")

    def _send(self, op: str, data: bytes, fields: dict[str, Any]) -> asyncio.Future[Reply]:
        self._number += 1
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[self._number] = reply
        number = self._number
        reply.add_done_callback(lambda _: self._waiting.pop(number, None))
        self.frame({"id": number, "op": op, **fields}, data)
        return reply

    def frame(self, message: dict[str, Any], data: bytes = b"") -> None:
        """Send one frame; what comes while there is no room for it is taken in meanwhile.

        Raises:
            HostError: the connection is gone.
        """
        head = json.dumps(message, separators=(",", ":")).encode()
        left = memoryview(FRAME.pack(len(head), len(data)) + head + data)
        while left:
            if self.lost:
                raise self.lost
            try:
                left = left[self._sock.send(left) :]
            except BlockingIOError:
                if not _poll(self._sock, select.POLLIN | select.POLLOUT, LEASE_S):
                    self.lose("nothing could be sent")
                    continue
                self._readable()
            except OSError:
                self.lose()

    def _readable(self) -> None:
        try:
            got = self._sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            self.lose()
            return
        self._inbox += got
        while len(self._inbox) >= FRAME.size:
            size, more = FRAME.unpack_from(self._inbox)
            end = FRAME.size + size + more
            if len(self._inbox) < end:
                return
            body = bytes(self._inbox[FRAME.size : end])
            del self._inbox[:end]
            self._take(json.loads(body[:size]), body[size:])

    def _take(self, message: dict[str, Any], data: bytes) -> None:
        if "chan" in message:
            self.on_channel(message["chan"], data)
        elif "event" in message:
            self.on_event(message, data)
        elif (reply := self._waiting.pop(message["id"], None)) is not None and not reply.done():
            if "errno" in message:
                there = f"{message['path']} on the {self.name}'s host" if message["path"] else None
                reply.set_exception(OSError(message["errno"], message["text"], there))
            else:
                reply.set_result(Reply(message["value"], data))

    def lose(self, why: str = "") -> None:
        """Give the connection up: whoever waits for an answer gets an error that says what the command said."""
        if self.lost:
            return
        self._loop.remove_reader(self._sock)
        self._sock.close()
        status = self._ended() if not why else self._child.poll()
        self.lost = cut_error(self.name, self._reach, status, tuple(filter(None, (why, *self._words()))))
        if not self._leaving:
            _LOG.warning("%s", self.lost)
        for reply in tuple(self._waiting.values()):
            if not reply.done():
                reply.set_exception(self.lost)
                reply.exception()  # whoever is not there any more need not be told
        self.on_lost(self.lost)

    async def close(self) -> None:
        """Have the agent end everything and go, then the command."""
        self._leaving = True
        if not self.lost:
            with suppress(HostError, OSError):
                await self.ask("bye", deadline_s=_GOODBYE_S)
        await self._gone()

    async def _gone(self) -> None:
        if not self.lost:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self.lost = HostError(f"the connection to the {self.name}'s host is closed", cause="connection-cut")
        try:
            if await asyncio.to_thread(self._ended) is None:
                self._child.send_signal(signal.SIGKILL)
                await asyncio.to_thread(self._ended)
        finally:
            end_family(self._mark)
            self._said.close()


def _poll(sock: socket.socket, what: int, seconds: float) -> bool:
    """Wait until a socket can be read or written to; an end counts as both."""
    poll = select.poll()
    poll.register(sock, what)
    return bool(poll.poll(max(1, round(seconds * 1000))))
