"""The client of the ``postgres`` workload: ``python -m bench.workload.pgbench_client``. Runs until SIGTERM.

It runs PostgreSQL's own pgbench and turns its log, a line for each transaction, into rows. pgbench writes a log into a
file in blocks, into a terminal line by line, so its log is a pseudo-terminal: a row is there when its transaction is.
What pgbench says of all of them at its end is an account beside the rows.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import tty
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.system.owner import end_with_owner
from bench.workload.http_client import LAST_ANSWERS_S, Answer, needing, until_told
from bench.workload.kept import Verdict
from bench.workload.program_client import version_of
from bench.workload.totals import read_pgbench

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LONGEST_S = 86_400
_TRY_AGAIN_S = 0.5
_POLL_S = 0.05
_CHUNK = 65536
_LAST_WORDS = 4000
_VERIFY_S = 5.0
_PLAIN = {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}  # no negotiation before the first transaction

_LINE = re.compile(
    r"(?P<client>[0-9]{1,9}) [0-9]{1,12} (?P<time>[0-9]{1,15}|skipped|failed|serialization|deadlock) [0-9]{1,6} "
    r"(?P<seconds>[0-9]{1,11}) (?P<micro>[0-9]{1,6})(?: (?P<lag>[0-9]{1,15}))?",
    re.ASCII,
)
"""``client transaction time script seconds microseconds [schedule lag]``, as "Per-Transaction Logging" of pgbench's
documentation has it (PostgreSQL 17): times in microseconds, the moment is that of the end."""


def parse_line(line: str) -> Answer | None:
    """Return the row of a line of pgbench's log; ``None`` when it is none.

    Under ``--rate`` pgbench counts a transaction's time from when it was scheduled: it holds the lag.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    ended, client = int(match["seconds"]) + int(match["micro"]) / 1e6, int(match["client"])
    if not match["time"].isdigit():
        return Answer(ended, 0.0, 0, f"pgbench: {match['time']}", 0, 0.0, client)
    took, lag = int(match["time"]), int(match["lag"] or 0)
    return Answer(ended - took / 1e6, took / 1e6, 200, None, 0, max(took - lag, 0) / 1e6, client)


class Rows:
    """Cuts a stream of pgbench's log into rows."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self._rest = b""
        self._first = self._beyond = 0

    def reconnected(self) -> None:
        """Number the connections on from here: what comes now is another pgbench's log."""
        self._rest, self._first = b"", self._beyond

    def feed(self, data: bytes) -> Iterator[Answer]:
        """Yield the rows whose lines ended in this piece."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            row = parse_line(line.decode("ascii", "replace"))
            if row:
                place = self._first + (row.connection or 0)
                self._beyond = max(self._beyond, place + 1)
                self.acknowledged += row.error is None
                yield replace(row, connection=place)


def arguments(options: argparse.Namespace, prefix: str) -> tuple[str, ...]:
    """Return pgbench's arguments."""
    paced = ("--rate", f"{options.rate:g}") if options.rate else ()
    return (
        *("-h", options.address, "-p", str(options.port), "-U", "postgres", "-n"),
        *("-c", str(options.connections), "-j", "1", "-T", str(_LONGEST_S), "-b", options.script),
        *("--log", f"--log-prefix={prefix}", "--random-seed=1", *paced),
        "postgres",
    )


class Pgbench:
    """One pgbench and its log."""

    def __init__(self, argv: Sequence[str], prefix: Path, terminal: str, errors: Path) -> None:
        with_us = end_with_owner()

        def named_after_me() -> None:
            # pgbench's log is called PREFIX.PID, and the pid of a child is known in the child alone before it starts.
            Path(f"{prefix}.{os.getpid()}").symlink_to(terminal)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            with_us()

        with errors.open("wb") as file:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **_PLAIN},
                preexec_fn=named_after_me,
            )
        self._link = Path(f"{prefix}.{self._process.pid}")
        self._errors = errors

    def status(self) -> int | None:
        """Return the exit status; ``None`` while it runs."""
        return self._process.poll()

    def words(self) -> str:
        """Return the first error of those that it last told of, which the others follow from."""
        said = self._errors.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
        return next((line for line in said if "error: " in line), said[-1] if said else "it said nothing")

    @property
    def text(self) -> str:
        """Return all that it printed."""
        return self._errors.read_text(errors="replace")

    def ask_to_end(self) -> None:
        """Let each connection end its transaction: what the alarm of ``-T`` does."""
        self._process.send_signal(signal.SIGALRM)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        with suppress(FileNotFoundError):
            self._link.unlink()


def run(options: argparse.Namespace, program: Sequence[str]) -> int:
    """Run pgbench until told to stop; return the exit status.

    A server that takes no connection yet is asked again, and each refusal is a row; once a transaction was done, an end
    of pgbench is an error, but where a side is to be lost (``--again``): a service's clients connect anew then.
    """
    told_within = until_told()
    log, terminal = os.openpty()
    tty.setraw(terminal)
    prefix = Path("pgbench").absolute()  # in the folder that the client was given
    argv = (*program, *arguments(options, str(prefix)))
    who = {"program": "pgbench", "version": version_of(program, ("--version",))}
    rows, served = Rows(), False
    with options.output.open("a", encoding="utf-8", buffering=1) as lines:

        def drain(seconds: float) -> bool:
            """Write what is there, after waiting so long for it; return whether there was any."""
            ready, _, _ = select.select([log], [], [], seconds)
            found = list(rows.feed(os.read(log, _CHUNK))) if ready else []
            for row in found:
                lines.write(json.dumps(asdict(row)) + "\n")
            return bool(ready)

        while True:
            began = time.time()
            pgbench = Pgbench(argv, prefix, os.ttyname(terminal), prefix.with_suffix(".err"))
            try:
                told = False
                while not told and pgbench.status() is None:
                    served = drain(_POLL_S) or served
                    told = told_within(0)
                if told:
                    _finish(pgbench, drain)
                    lines.writelines(_last_lines(pgbench, who | {"began": began}))
                    lines.writelines(_kept(program, options, rows.acknowledged))
                    return 0
                while drain(0):
                    served = True
                if served and not options.again:
                    sys.stderr.write(f"pgbench ended: {pgbench.words()}\n")
                    return 1
                lines.writelines(_last_lines(pgbench, who | {"began": began}))
                rows.reconnected()
                refused = Answer(time.time(), 0.0, 0, f"pgbench: {pgbench.words()}", 0)
                lines.write(json.dumps(asdict(refused)) + "\n")
            finally:
                pgbench.end()
            if told_within(_TRY_AGAIN_S):
                lines.writelines(_kept(program, options, rows.acknowledged))
                return 0


def _last_lines(pgbench: Pgbench, known: Mapping[str, object]) -> Iterator[str]:
    """Yield the account of all transactions, where pgbench came to tell of them."""
    if totals := read_pgbench(pgbench.text):
        yield json.dumps({**known, "ended": time.time(), "totals": totals}) + "\n"


def _kept(program: Sequence[str], options: argparse.Namespace, acknowledged: int) -> Iterator[str]:
    """Yield what became of what was acknowledged, where that is to be looked at."""
    if options.verify:
        yield json.dumps({"kept": asdict(verify(program, options, acknowledged))}) + "\n"


def verify(program: Sequence[str], options: argparse.Namespace, acknowledged: int) -> Verdict:
    """Return how many of the acknowledged transactions left no row in the history, which was empty at the start.

    psql lies beside pgbench.
    """
    psql = (*program[:-1], str(Path(program[-1]).with_name("psql")))
    where = ("-h", options.address, "-p", str(options.port), "-U", "postgres", "-X", "-A", "-t")
    try:
        said = subprocess.run(
            (*psql, *where, "-c", "select count(*) from pgbench_history", "postgres"),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERIFY_S,
            check=False,
            env={**os.environ, **_PLAIN},
        )
        rows = int(said.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verdict(error=f"psql: {error}")
    except ValueError:
        return Verdict(error=f"psql: {(said.stderr or said.stdout).strip()}")
    lost = max(acknowledged - rows, 0)
    words = (f"{acknowledged} transactions were acknowledged, the history has {rows} rows",) if lost else ()
    return Verdict(acknowledged, lost, words)


def _finish(pgbench: Pgbench, drain: Callable[[float], bool]) -> None:
    pgbench.ask_to_end()
    until = time.monotonic() + LAST_ANSWERS_S
    while pgbench.status() is None and time.monotonic() < until:
        drain(_POLL_S)
    while drain(0):
        pass


def main() -> int:
    """Parse the command line and run until SIGTERM."""
    parser = needing(__doc__, address=str, port=int, rate=float, connections=int, script=str, output=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    return run(options, options.program)


if __name__ == "__main__":
    sys.exit(main())
