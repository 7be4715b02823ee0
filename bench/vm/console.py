"""A guest's serial console: waits for its ready line, starts the workload, asks it questions, keeps its reports."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import GuestError, WorkloadError
from bench.guest.protocol import ANSWERS, cause_of, has_stopped, parse_line, question
from bench.host.host import HERE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.host.host import Host


_AGAIN_S = {"alive": 0.05, "check": 2.0}
"""After how long a question is asked anew: one that is answered at once, and one that takes a look at all memory."""


class Console:
    """A conversation with the guest over its serial line."""

    # One count for all consoles: a question that a checkpoint carried to the other side is answered there too.
    _numbers: ClassVar = itertools.count(1)

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reports: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        self._reader = reader
        self._writer = writer
        self._lines: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._died: str | None = None

    async def read(self) -> None:
        """Read for as long as the line is open."""
        while line := await self._line():
            text = line.decode(errors="replace").strip()
            if has_stopped(text) and not self._failure.done():
                self._failure.set_result(text)
            message = parse_line(text)
            if message is None:
                continue
            word, fields = message
            if word == "report":
                self.reports.append(fields)
                self.arrived.append(time.monotonic())
            else:
                self._lines.put_nowait(message)

    async def _line(self) -> bytes:
        """Return the next line, empty at the end; one that is too long for the reader is passed over."""
        while True:
            with suppress(ValueError):
                return await self._reader.readline()

    async def ready(self, deadline_s: float) -> None:
        """Wait for the guest's ready line.

        Raises:
            GuestError: it panicked, or was not ready in time.
        """
        try:
            await self._expect("ready", deadline_s)
        except TimeoutError as error:
            hint = "see primary/serial.log for how far it came, or raise deadlines.boot"
            raise GuestError(f"the guest was not ready within {deadline_s:g} s", hint=hint) from error

    async def start(self, command: str, deadline_s: float) -> dict[str, Any]:
        """Send a workload command and return what the guest answered.

        Raises:
            WorkloadError: the guest says that it failed, or says nothing in time.
        """
        await self._send(command)
        try:
            return await self._expect("started", deadline_s)
        except TimeoutError as error:
            hint = "see primary/serial.log, or raise deadlines.workload"
            raise WorkloadError(f"the guest did not start `{command}` within {deadline_s:g} s", hint=hint) from error

    async def _send(self, line: str) -> None:
        try:
            self._writer.write(f"{line}\n".encode())
            await self._writer.drain()
        except OSError as error:
            raise WorkloadError(f"the guest's console is gone: {error.strerror}", cause="console-lost") from error

    async def ask(self, word: str, deadline_s: float) -> dict[str, Any]:
        """Ask ``alive`` or ``check`` again and again, and return the first answer to any of these.

        A guest that is taken over may lose a line, or have half of one from before.

        Raises:
            WorkloadError: the console is gone.
            GuestError: it panicked (cause ``guest-panic``), or did not answer in time (``guest-silent``).
        """
        give_up = time.monotonic() + deadline_s
        asked: set[int] = set()
        while (left_s := give_up - time.monotonic()) > 0:
            number = next(self._numbers)
            asked.add(number)
            await self._send(question(word, number))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _AGAIN_S[word])):
                    return await self._answer(ANSWERS[word], asked)
        raise GuestError(f"the guest did not answer `{word}` within {deadline_s:g} s", cause="guest-silent")

    async def _answer(self, word: str, asked: set[int]) -> dict[str, Any]:
        while True:
            said, fields = await self._next()
            number = fields.get("asked")
            if said == word and isinstance(number, int) and number in asked:
                return fields
            self._note(said, fields)

    def _note(self, said: str, fields: dict[str, Any]) -> None:
        """Keep why the workload ended; half a line that the guest got as it was taken over is no end."""
        error = str(fields.get("error", "no reason given"))
        if said == "failed" and not error.startswith("unknown command"):
            self._died = self._died or error

    async def _expect(self, word: str, deadline_s: float) -> dict[str, Any]:
        async with asyncio.timeout(deadline_s):
            while True:
                said, fields = await self._next()
                if said == word:
                    return fields
                if said == "failed":
                    reason = str(fields.get("error", "no reason given"))
                    raise WorkloadError(f"the guest's workload failed: {reason}", cause=cause_of(reason))

    async def _next(self) -> tuple[str, dict[str, Any]]:
        line = asyncio.create_task(self._lines.get())
        waiting: set[asyncio.Future[Any]] = {line, self._failure}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not line.done():
                line.cancel()
        if self._failure.done():
            hint = "see primary/serial.log; too little mem= is a common cause"
            raise GuestError(
                f"the guest's kernel panicked: {self._failure.result()}",
                cause="guest-panic",
                hint=hint,
                transient=False,
            )
        return line.result()

    def died(self) -> str | None:
        """Return why the workload ended, if it did."""
        while not self._lines.empty():
            self._note(*self._lines.get_nowait())
        return self._died


@asynccontextmanager
async def open_console(path: Path, host: Host = HERE) -> AsyncIterator[Console]:
    """Connect to the serial socket of a side and read it until the block ends.

    Raises:
        GuestError: nobody listens there.
    """
    try:
        sock = await host.connect(path)
    except OSError as error:
        raise GuestError(f"the guest's console cannot be reached: {error.strerror}", cause="console-lost") from error
    sock.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
    reader, writer = await asyncio.open_connection(sock=sock)
    console = Console(reader, writer)
    task = asyncio.create_task(console.read())
    try:
        yield console
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
