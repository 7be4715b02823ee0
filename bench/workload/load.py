"""The load that a client of ours puts on a server: requests on a schedule or one after another, each a row.

Connections are kept, one to a thread. In the open loop (a rate) a request's latency counts from when it was due,
whether or not a connection was free then: what had to wait for its turn waited for the service. Its service time counts
from when it was really sent.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from bench.workload.http_client import AFTER_AN_ERROR_S, LAST_ANSWERS_S, Answer, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO


class Session(Protocol):
    """A connection of a client's that makes requests one after another."""

    def ask(self, number: int) -> tuple[int, int]:
        """Make the request of that number and return its status (as HTTP has them) and the bytes of its answer.

        Raises:
            OSError: there was no answer.
            ValueError: the server refused it, or the answer was none of the protocol.
        """

    def close(self) -> None:
        """Close it."""


class _Load:
    """The state of one load: what is due, what is under way, what was written."""

    def __init__(self, connect: Callable[[], Session], lines: TextIO, *, closed: bool) -> None:
        self.due: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.over = threading.Event()
        self.under_way: dict[int, float] = {}
        self._connect = connect
        self._lines = lines
        self._writing = threading.Lock()
        self._numbers = itertools.count()
        self._connections = itertools.count()
        self._closed = closed
        self._ended = False

    def work(self) -> None:
        """Make requests until the load is over and nothing is due any more."""
        session: Session | None = None
        place: int | None = None
        while (due := self._next()) is not None:
            self.under_way[threading.get_ident()] = due
            session, place, answer = self._asked(session, place, due)
            self.write(answer)
            if answer.error and self._closed:
                self.over.wait(AFTER_AN_ERROR_S)
        if session:
            session.close()

    def _next(self) -> float | None:
        if self._closed:
            return None if self.over.is_set() else time.monotonic()
        while True:
            try:
                return self.due.get(timeout=0.1)
            except queue.Empty:
                if self.over.is_set():
                    return None

    def _asked(
        self, session: Session | None, place: int | None, due: float
    ) -> tuple[Session | None, int | None, Answer]:
        """Make a request on the session, which has this number, or on a new one; return what is left of it."""
        sent = time.monotonic()
        t_send = time.time() - (sent - due)
        status, size, error = 0, 0, None
        try:
            if session is None:
                place = None
                session, place = self._connect(), next(self._connections)
            status, size = session.ask(next(self._numbers))
        except (OSError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
            if session:
                session.close()
            session = None
        now = time.monotonic()
        return session, place, Answer(t_send, now - due, status, error, size, now - sent, place)

    def write(self, answer: Answer) -> None:
        """Write the row of this thread's request, which is then over, unless the end was written already."""
        with self._writing:
            self.under_way.pop(threading.get_ident(), None)
            if not self._ended:
                self._lines.write(json.dumps(asdict(answer)) + "\n")

    def finish(self) -> None:
        """Write what has no answer, and nothing after it."""
        with self._writing:
            left = list(self.under_way.values())
            with suppress(queue.Empty):  # a worker may take the last of them meanwhile
                while True:
                    left.append(self.due.get_nowait())
            for due in left:
                self._lines.write(json.dumps(asdict(unanswered(due))) + "\n")
            self._ended = True


def drive(
    connect: Callable[[], Session], rate: float, connections: int, output: Path, wait: Callable[[float], bool]
) -> None:
    """Make requests until told to stop, and write every one; what has no answer by then is written as unanswered.

    Args:
        connect: opens a connection; raises OSError when it cannot.
        rate: requests per second (open loop), or 0 (closed loop).
        connections: how many there are, each with one request under way at most.
        output: the file to append to.
        wait: waits for so many seconds, or until told to stop; returns whether it was told.
    """
    with output.open("a", encoding="utf-8", buffering=1) as lines:
        load = _Load(connect, lines, closed=not rate)
        workers = [threading.Thread(target=load.work, daemon=True) for _ in range(connections)]
        for worker in workers:
            worker.start()
        due, told = time.monotonic(), False
        while not told:
            if rate:
                load.due.put(due)
            due += 1 / rate if rate else 1.0
            told = wait(max(0.0, due - time.monotonic()))
        load.over.set()
        until = time.monotonic() + LAST_ANSWERS_S
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
        load.finish()
