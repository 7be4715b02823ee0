"""One side's QMP connection: every command has a deadline and a line in ``qmp.jsonl``, every event too."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qemu.qmp import ConnectError, EventListener, ExecuteError, QMPClient, QMPError
from qemu.qmp.error import ProtocolError

from bench.errors import QmpError, StoreError
from bench.host.host import HERE
from bench.system.files import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

    from bench.host.host import Host

_RETRY_S = 0.02
_QUOTED_BYTES = 200
_GOODBYE_S = 1.0
"""Closing a local socket takes no time, unless QEMU hangs: then it is killed next, and need not be waited for."""

# What qemu.qmp logs as errors is raised as well; said once is enough.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Event:
    """A QMP event with QEMU's own time stamp in Unix seconds."""

    name: str
    t: float
    data: dict[str, Any]


@contextmanager
def well_formed(what: str) -> Iterator[None]:
    """Take a reply that is JSON, but has not the members that it should have, for what it is.

    Raises:
        QmpError: the block looked for what is not there.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise QmpError(f"{what} over QMP has not the form that QEMU documents: {said}", cause="qmp-garbled") from error


class QmpLog:
    """The append-only record of everything said over QMP during a run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry as a line of JSON.

        Raises:
            StoreError: the disk refused it.
        """
        with told(self._path):
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Flush to disk and close.

        Raises:
            StoreError: the disk refused it.
        """
        with told(self._path):
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()


class Monitor:
    """A QMP connection to one side."""

    def __init__(self, side: str, client: QMPClient, log: QmpLog | None, deadline_s: float) -> None:
        self.side = side
        self._client = client
        self._log = log
        self._deadline_s = deadline_s
        self._listener = EventListener()
        self._client.register_listener(self._listener)
        self._pump: asyncio.Task[None] | None = None
        self._unrecorded: StoreError | None = None
        self._subscribers: list[Callable[[Event], None]] = []
        self._losing = asyncio.Lock()
        self._is_lost = False

    async def __aenter__(self) -> Self:
        """Start recording events."""
        self._pump = asyncio.create_task(self._record_events())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop recording and disconnect, so that no task of the client is left unobserved.

        Raises:
            StoreError: an event could not be recorded, and nothing else has failed.
        """
        ending = asyncio.ensure_future(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:  # an interrupt while a pair is taken down: the client's tasks end all the same
            await ending
            raise
        if self._unrecorded and kind is None:
            raise self._unrecorded

    async def _end(self) -> None:
        if self._pump:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await _goodbye(self._client)

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call the subscriber with every event from now on."""
        self._subscribers.append(subscriber)

    async def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        deadline_s: float | None = None,
        *,
        out_of_band: bool = False,
    ) -> Any:
        """Execute a command and return its reply.

        It may take ``deadline_s``, or as long as the monitor gives it; ``out_of_band`` passes QEMU's main loop over,
        which may hang: few commands can.

        Raises:
            QmpError: QEMU refused it (cause ``qmp-refused``, in its own words), it was not answered in time, or the
                connection died.
            StoreError: an event could not be recorded before this.
        """
        if self._pump and self._pump.done():
            self._pump.result()
        if self._unrecorded:
            raise self._unrecorded  # events can no longer be recorded, on a full disk say: nothing may go on unseen
        deadline_s = deadline_s or self._deadline_s
        entry: dict[str, Any] = {"t": time.time(), "side": self.side, "command": command, "arguments": arguments or {}}
        entry |= {"out_of_band": True} if out_of_band else {}
        started = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s):
                entry["reply"] = await self._client.execute(command, arguments, oob=out_of_band)
        except ExecuteError as error:
            entry["error"] = str(error)
            message = f"the {self.side} refused `{command}`: {error}"
            raise QmpError(message, cause="qmp-refused", transient=False) from error
        except TimeoutError as error:
            entry["error"] = "no answer in time"
            raise QmpError(
                f"the {self.side} did not answer `{command}` within {deadline_s:g} s",
                cause="qmp-timeout",
            ) from error
        except ProtocolError as error:
            entry["error"] = str(error)
            raise garbled(self.side, f"in answer to `{command}`", error) from error
        except (QMPError, EOFError, OSError) as error:
            entry["error"] = str(error)
            raise await self._lost(command) from error
        finally:
            entry["seconds"] = round(time.monotonic() - started, 6)
            if self._log:
                self._log.write(entry)
        return entry["reply"]

    async def _lost(self, command: str) -> QmpError:
        """Return why the connection ended: the client keeps what its reader met until it is disconnected."""
        async with self._losing:  # the client can be disconnected by one command only
            if not self._is_lost:
                self._is_lost = True
                try:
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._client.disconnect()
                except (ProtocolError, ValueError) as error:  # ValueError: bytes that are no text, a line without end
                    if not _cut_off(error):
                        return garbled(self.side, f"during `{command}`", error)
                except (QMPError, EOFError, OSError, TimeoutError):
                    pass
        return QmpError(f"the {self.side}'s QMP connection died during `{command}`", cause="qmp-lost")

    async def _record_events(self) -> None:
        async for message in self._listener:
            try:
                stamp: Any = message["timestamp"]
                data: Any = message.get("data", {})
                event = Event(str(message["event"]), stamp["seconds"] + stamp["microseconds"] / 1e6, dict(data))
            except (KeyError, TypeError, ValueError) as error:
                raise garbled(self.side, f"as an event: {dict(message)}", error) from error
            entry = {"t": time.time(), "side": self.side, "event": event.name, "timestamp": stamp, "data": event.data}
            try:
                if self._log:
                    self._log.write(entry)
            except StoreError as error:  # whoever waits for this event must get it, or would wait for its deadline
                self._unrecorded = self._unrecorded or error
            for subscriber in self._subscribers:
                subscriber(event)


async def _goodbye(client: QMPClient) -> None:
    """Disconnect; where the other end is gone, there is nobody left to say goodbye to."""
    with suppress(QMPError, EOFError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(_GOODBYE_S):
            await client.disconnect()


def garbled(side: str, when: str, error: BaseException) -> QmpError:
    """Return the error of a side that does not speak QMP, quoting what it sent."""
    said = getattr(error, "raw", None)
    quoted = repr(bytes(said[:_QUOTED_BYTES])) if isinstance(said, bytes) else str(error).splitlines()[0]
    return QmpError(f"the {side} sent over QMP what is none, {when}", cause="qmp-garbled", evidence=(quoted,))


def _cut_off(error: BaseException) -> bool:
    """Return whether a message has no end: its sender died, or closed the connection, while it wrote."""
    said = getattr(error, "raw", b"\n")
    return isinstance(said, bytes) and not said.endswith(b"\n")


def _not_qmp(error: BaseException) -> BaseException | None:
    """Return the reason why a connection failed where that is what the other end sent, else `None`."""
    reason = error.__cause__
    while reason is not None and not isinstance(reason, ProtocolError | ValueError):
        reason = reason.__cause__
    while reason is not None and not hasattr(reason, "raw") and isinstance(reason.__cause__, ProtocolError):
        reason = reason.__cause__  # a greeting that is not understood wraps what could not be read
    return None if reason is None or _cut_off(reason) else reason


async def connect(
    side: str,
    path: Path,
    log: QmpLog | None,
    deadline_s: float,
    command_deadline_s: float | None = None,
    host: Host = HERE,
) -> Monitor:
    """Connect to a side's QMP socket as soon as it is there and negotiate.

    Args:
        side: which side, for messages and the log.
        path: its socket.
        log: where to record what is said.
        deadline_s: how long this may take.
        command_deadline_s: how long each command may take from then on; the same where not given.
        host: where the side runs.

    Raises:
        QmpError: nobody answers within the deadline, or not in QMP.
    """
    give_up = time.monotonic() + deadline_s
    while True:
        client = QMPClient(side)
        try:
            sock = await host.connect(path)
            sock.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
            began = time.time()
            async with asyncio.timeout(max(0.1, give_up - time.monotonic())):
                await client.connect(sock)
            if log:
                greeting = {} if client.greeting is None else client.greeting._asdict()
                entry = {"t": began, "side": side, "command": "qmp_capabilities", "arguments": {}, "reply": greeting}
                try:
                    log.write(entry)
                except StoreError:
                    await _goodbye(client)
                    raise
            return Monitor(side, client, log, command_deadline_s or deadline_s)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as error:
            last: Exception = error
        except ConnectError as error:
            last = error
            sent = _not_qmp(error)
            if sent is not None:
                raise garbled(side, "instead of a greeting", sent) from error
        except TimeoutError as error:
            last = error
        if time.monotonic() > give_up:
            raise QmpError(
                f"the {side}'s QMP socket did not answer within {deadline_s:g} s",
                cause="qmp-timeout",
                hint="see the side's stderr.log, or raise deadlines.launch",
            ) from last
        await asyncio.sleep(_RETRY_S)
