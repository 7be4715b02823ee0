"""The servers' own benchmark programs as clients: ``python -m bench.workload.program_client``. Runs until SIGTERM.

A program tells of no single request but of all of them at its end, so that its lines of the client's log are accounts:
whether the server was there, and what the program came to. valkey-benchmark makes a number of requests and cannot be
asked for its figures before: it is run round after round of about a second, and the last round, which the end of the
run cuts, counts for nothing. wrk runs until it is interrupted.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.owner import end_with_owner
from bench.workload.http_client import LAST_ANSWERS_S, ask, needing, until_told
from bench.workload.totals import read_valkey_benchmark, read_wrk, version_in
from bench.workload.valkey_client import Valkey, requests

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from bench.workload.totals import Totals

_POLL_S = 0.02
_TRY_AGAIN_S = 0.5
_ROUND_S = 1.0
_FEWEST_PER_CONNECTION, _MOST, _GROWS = 8, 1_000_000, 10
_LONGEST, _REQUEST_TIMEOUT = "86400s", "30s"
_FOUND = 200
_VERSION_S = 20.0
_LAST_WORDS = 2000


class ValkeyBenchmark:
    """valkey-benchmark, or redis-benchmark that it was once, round after round.

    Attributes, as of any program: ``name``: its own; ``asks_version``: the arguments by which it tells its version;
    ``ends``: whether it comes to an end by itself, and is then run again.
    """

    name = "valkey-benchmark"
    asks_version = ("--version",)
    ends = True

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._count = 0

    def try_server(self) -> str:
        """Return why the server did not answer one request of ours; empty where it did."""
        options = self._options
        try:
            session = Valkey(options.address, options.port, requests(options.command, 1, options.value_bytes))
            session.ask(0)
            if options.command == "get":  # its own keys have the names of ours
                session.fill(options.keys, options.value_bytes)
            session.close()
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def arguments(self, per_s: float) -> tuple[str, ...]:
        """Return those of a round that lasts about a second; what a few requests say of many is believed in part."""
        options = self._options
        fewest = _FEWEST_PER_CONNECTION * options.connections
        most = min(_GROWS * self._count, _MOST) if self._count else fewest
        self._count = min(max(fewest, round(per_s * _ROUND_S)), most)
        where = ("-h", options.address, "-p", str(options.port), "-c", str(options.connections))
        what = ("-t", options.command, "-r", str(options.keys), "-d", str(options.value_bytes))
        return (*where, *what, "-n", str(self._count), "--csv")

    def read(self, text: str) -> Totals | None:
        """Return what the round came to."""
        return read_valkey_benchmark(text, self._count)


class RedisBenchmark(ValkeyBenchmark):
    """redis-benchmark."""

    name = "redis-benchmark"


class Wrk:
    """wrk, once: it keeps its connections, and each asks again when it was answered."""

    name = "wrk"
    asks_version = ("-v",)
    ends = False

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def try_server(self) -> str:
        """Return why the server did not answer one request of ours; empty where it did."""
        options = self._options
        answer = ask(options.address, options.port, options.path, time.monotonic())
        return answer.error or ("" if answer.status == _FOUND else f"HTTP status {answer.status}")

    def arguments(self, per_s: float) -> tuple[str, ...]:
        """Return those of the one run."""
        del per_s
        options = self._options
        url = f"http://{options.address}:{options.port}{options.path}"
        load = ("-t", "1", "-c", str(options.connections))
        return (*load, "-d", _LONGEST, "--timeout", _REQUEST_TIMEOUT, "--latency", url)

    def read(self, text: str) -> Totals | None:
        """Return its summary."""
        return read_wrk(text)


PROGRAMS: dict[str, type[ValkeyBenchmark | Wrk]] = {one.name: one for one in (ValkeyBenchmark, RedisBenchmark, Wrk)}


class _Round:
    """A benchmark program at work; it goes with us."""

    def __init__(self, argv: Sequence[str], output: Path) -> None:
        with_us = end_with_owner()

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            with_us()

        with output.open("wb") as file:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, preexec_fn=prepare
            )
        self._output = output

    def ended_before(self, told_within: Callable[[float], bool]) -> bool:
        """Wait until it ends or we are told to; return whether it was the first to."""
        while self._process.poll() is None:
            if told_within(_POLL_S):
                return False
        return True

    def finish(self) -> None:
        """Ask it for what it has come to, and wait for that."""
        self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_ANSWERS_S)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    @property
    def status(self) -> int:
        """Return how it ended."""
        return self._process.wait()

    @property
    def text(self) -> str:
        """Return what it printed."""
        return self._output.read_text(errors="replace")


def version_of(program: Sequence[str], arguments: Sequence[str]) -> str:
    """Return the version that a program says it has; empty where it says none."""
    try:
        said = subprocess.run(
            (*program, *arguments), capture_output=True, text=True, errors="replace", timeout=_VERSION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return version_in(said.stdout + said.stderr)


def run(bench: ValkeyBenchmark | Wrk, program: Sequence[str], output: Path) -> int:
    """Run a benchmark program until told to stop; return the exit status."""
    told_within = until_told()
    who = {"program": bench.name, "version": version_of(program, bench.asks_version)}
    printed = Path(f"{bench.name}.out").absolute()  # in the folder that the client was given
    with output.open("a", encoding="utf-8", buffering=1) as lines:

        def tell(account: dict[str, Any]) -> None:
            lines.write(json.dumps(who | account) + "\n")

        while error := bench.try_server():
            tell({"up": False, "error": error})
            if told_within(_TRY_AGAIN_S):
                return 0
        tell({"up": True, "error": None})
        per_s = 0.0
        while True:
            began, one = time.time(), _Round((*program, *bench.arguments(per_s)), printed)
            try:
                by_itself = one.ended_before(told_within)
                if not by_itself:
                    one.finish()
            finally:
                one.end()
            totals = bench.read(one.text)
            if totals:
                per_s = totals["requests_per_s"]
                tell({"began": began, "ended": time.time(), "totals": totals})
            if not by_itself:
                return 0
            if not (bench.ends and totals and one.status == 0):
                break
    sys.stderr.write(f"{bench.name} ended: {one.text.strip()[-_LAST_WORDS:]}\n")
    return 1


def main() -> int:
    """Parse the command line and run until SIGTERM."""
    parser = needing(__doc__, address=str, port=int, connections=int, output=Path)
    parser.add_argument("--program", choices=sorted(PROGRAMS), required=True)
    parser.add_argument("--command", choices=("set", "get"), default="set")
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--value-bytes", type=int, default=1)
    parser.add_argument("--path", default="/")
    parser.add_argument("argv", nargs="+", help="what runs the program")
    options = parser.parse_args()
    return run(PROGRAMS[options.program](options), options.argv, options.output)


if __name__ == "__main__":
    sys.exit(main())
