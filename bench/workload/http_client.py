"""The client of the ``http`` workload: ``python -m bench.workload.http_client``. Runs until SIGTERM or its owner's end.

Every request is one line of JSON, written when it was answered, so that nothing answered is lost. Latency is monotonic
and, in the open loop, counted from the scheduled time: a request that had to wait for its turn waited for the service.
Beside it stands how long the answer took from when the request was really sent.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_TIMEOUT_S = 30.0
LAST_ANSWERS_S = 3.5
"""How long answers are waited for at the end: colo-compare holds a packet for up to 3 s."""

AFTER_AN_ERROR_S = 0.02
"""How long the closed loop waits before it asks a server that has just failed."""

_CLOSED_LOOP_POLL_S = 0.05


@dataclass(frozen=True)
class Answer:
    """One request.

    Attributes:
        t_send: when it was due, in Unix s.
        latency_s: from then to the whole answer: the response time.
        status: as HTTP has them; 0 without an answer.
        error: why there was none.
        bytes: of the answer.
        service_s: from when it was really sent to the whole answer; ``None`` where it never was, or has no answer yet.
        connection: which of the client's connections it went over, where that carries more than one request.
    """

    t_send: float
    latency_s: float
    status: int
    error: str | None
    bytes: int
    service_s: float | None = None
    connection: int | None = None


def ask(host: str, port: int, path: str, due: float) -> Answer:
    """Make one request on a connection of its own.

    Args:
        host: where.
        port: where.
        path: what.
        due: the monotonic time at which it was to be sent.
    """
    status, size, error = 0, 0, None
    sent = time.monotonic()
    due_at = time.time() - (sent - due)
    connection = http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        status, size = response.status, len(response.read())
    except (OSError, http.client.HTTPException) as failure:
        error = f"{type(failure).__name__}: {failure}"
    finally:
        connection.close()
    now = time.monotonic()
    return Answer(due_at, now - due, status, error, size, now - sent)


def run(url: str, rate: float, connections: int, output: Path, wait: Callable[[float], bool]) -> None:
    """Send requests until told to stop, and write every answer; what has none by then is written as unanswered.

    ``rate`` is in requests per second (open loop), or 0 (closed loop); ``wait`` waits for so many seconds, or until
    told to stop, and returns whether it was told.
    """
    parts = urlsplit(url)
    host, port, path = str(parts.hostname), parts.port or 80, parts.path or "/"
    stop = threading.Event()
    asked: dict[Future[Answer], float] = {}
    with output.open("a", encoding="utf-8", buffering=1) as lines:

        def write(answer: Answer) -> None:
            lines.write(json.dumps(asdict(answer)) + "\n")

        def one(sent: float) -> Answer:
            answer = ask(host, port, path, sent)
            if answer.error and not rate:
                stop.wait(AFTER_AN_ERROR_S)
            return answer

        pool = ThreadPoolExecutor(connections)
        due = time.monotonic()
        while not stop.is_set():
            for _ in range(1 if rate else connections - len(asked)):
                sent = due if rate else time.monotonic()
                asked[pool.submit(one, sent)] = sent
            if rate:
                due += 1 / rate
            else:
                concurrent.futures.wait(asked, _CLOSED_LOOP_POLL_S, concurrent.futures.FIRST_COMPLETED)
            if wait(max(0.0, due - time.monotonic())):
                stop.set()
            for future in [future for future in asked if future.done()]:
                asked.pop(future)
                write(future.result())
        # In the open loop a request that waits for its turn was due all the same; the closed loop has no such times.
        pool.shutdown(wait=False, cancel_futures=not rate)
        due_before = {future: sent for future, sent in asked.items() if not future.cancelled()}
        done, _ = concurrent.futures.wait(due_before, LAST_ANSWERS_S)
        for future, sent in due_before.items():
            future.cancel()
            write(future.result() if future in done else unanswered(sent))


def unanswered(due: float) -> Answer:
    """Return the record of a request that the end of the run left without an answer."""
    waited_s = time.monotonic() - due
    return Answer(time.time() - waited_s, waited_s, 0, "unanswered when the run ended", 0)


def until_told() -> Callable[[float], bool]:
    """Return what waits for so many seconds, or until SIGTERM or SIGINT, and returns whether one of these has come."""
    # Blocked and waited for, not handled: a handler may not touch what the interrupted thread holds.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    return lambda seconds: signal.sigtimedwait(ends, seconds) is not None


def needing(description: str | None, **kinds: Callable[[str], object]) -> argparse.ArgumentParser:
    """Return what reads the words of a client that needs all of these."""
    parser = argparse.ArgumentParser(description=description)
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    return parser


def end() -> NoReturn:
    """End the client; what is under way has been written as unanswered: its threads need not be waited for."""
    sys.stdout.flush()
    os._exit(0)


def main() -> NoReturn:
    """Parse the command line and run until SIGTERM."""
    options = needing(__doc__, url=str, rate=float, connections=int, output=Path).parse_args()
    run(options.url, options.rate, options.connections, options.output, until_told())
    end()


if __name__ == "__main__":
    main()
