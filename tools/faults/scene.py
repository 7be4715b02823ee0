"""One command under fault: the main command in a session, folder and TMPDIR of its own, and where it has come to."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import secrets
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.owner import SCRATCH, end_with_owner, temporary_places
from bench.system.places import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tools.lab.clock import ShiftedClock
    from tools.lab.hosts import Lab
    from tools.lab.slurm import Cluster

TOKEN = "COLO_BENCH_FAULT"  # noqa: S105 - a variable's name; every process of a scene has it in its environment
CAMPAIGN = "faulted"
SMALL = ("mem=256M", "smp=1", "accel=tcg", "checkpoint.interval=0.1", "checkpoint.warmup=1", "on_error=continue")
COUNT = 5
BLOCKS = 2

_POLL_S = 0.002
_MOMENT_S = 120.0
_STAGE = re.compile(rb": ([a-z-]+) \(about [^)]*\)\s*$", re.MULTILINE)
_REPORTING = b": pauses of pairs under "
_STOP, _RESUME = (f'"side":"primary","event":"{event}"'.encode() for event in ("STOP", "RESUME"))

_DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _own_life() -> Callable[[], None]:
    """Return what a command does before it starts: it ends with this process, and ignores no signal by inheritance.

    A shell's background job ignores SIGINT, and ``nohup`` ignores SIGHUP: what they start would too.
    """
    with_owner = end_with_owner()

    def begin() -> None:
        with_owner()
        for number in _DEADLY:
            signal.signal(number, signal.SIG_DFL)

    return begin


class MissedError(Exception):
    """The moment to act never came: the command ended before, or took too long."""


@dataclass(frozen=True)
class Beside:
    """What is there of ours on machines beside this one, each thing as a line for a person."""

    processes: frozenset[str] = frozenset()
    sockets: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


class Scene:
    """The main command about to be broken.

    Attributes:
        folder: holds everything of this injection.
        results: what ``results=`` is.
        campaign: the campaign's folder.
        temporary: the command's TMPDIR.
        run_id: the run that is still to be measured.
        token: marks every process of the scene.
        env: what the command's environment has beside this process's own.
        chance: between 0 and 1: where within a stage to act.
        held: sockets that an act has taken, closed when the scene ends.
        words: what the command is given because of what the scene stands on.
        hosts: where the pair's sides are, when that is on stand-in hosts.
        cluster: whose jobs measure, when some do.
        clock: that the command sees, when that is not the machine's.
        beside: each tells what is there of ours elsewhere.
        settles_s: how long what was killed may take to go.
        output: what the last command printed.
    """

    def __init__(self, folder: Path, setting: Sequence[str], run_id: str, chance: float = 0.0) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.campaign = self.results / CAMPAIGN
        self.temporary = folder / "tmp"
        self.run_id = run_id
        self.token = secrets.token_hex(8)
        self.chance = chance
        self.held: list[Any] = []
        self.words: list[str] = []
        self.hosts: Lab | None = None
        self.cluster: Cluster | None = None
        self.clock: ShiftedClock | None = None
        self.beside: list[Callable[[], Beside]] = []
        self.settles_s = 10.0
        self.output = folder / "output-0.txt"
        path = os.pathsep.join((str(PACKAGES), *filter(None, (os.environ.get("PYTHONPATH"),))))
        self.env = {TOKEN: self.token, "TMPDIR": str(self.temporary), "PYTHONPATH": path}
        self._setting = tuple(setting)
        self._process: subprocess.Popen[bytes] | None = None
        self._terminal: int | None = None
        self._commands = 0
        for one in (self.results, self.temporary):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def run(self) -> Path:
        """The folder of the run under way: the campaign's own, or that of the job that measures it."""
        own = self.campaign / "runs" / self.run_id
        if own.exists():
            return own
        starts = self.campaign.glob(f"parts/*/begun-*/runs/{self.run_id}")
        return max(starts, key=lambda path: path.stat().st_mtime_ns, default=own)

    def command(self, overrides: Sequence[str] = ()) -> list[str]:
        """Return the main command's argv."""
        sizes = (f"checkpoint.count={COUNT}", f"repeats={BLOCKS}", f"campaign={CAMPAIGN}", f"results={self.results}")
        return [sys.executable, "-m", "bench", "report=false", *SMALL, *sizes, *self._setting, *self.words, *overrides]

    def start(self, overrides: Sequence[str] = (), *, terminal: bool = False) -> None:
        """Start the command; on a terminal of its own when asked for."""
        self.output = self.folder / f"output-{self._commands}.txt"
        self._commands += 1
        argv, env = self.command(overrides), {**os.environ, **self.env}
        if terminal:
            self._start_on_terminal(argv, env)
            return
        with self.output.open("wb") as out:
            self._process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_own_life(),
            )

    def _start_on_terminal(self, argv: list[str], env: dict[str, str]) -> None:
        master, slave = pty.openpty()
        begin = _own_life()

        def take_terminal() -> None:
            begin()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env={**env, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(slave)
        os.set_blocking(master, False)
        self._terminal = master

    def close_terminal(self) -> None:
        """Close the terminal, as closing its window does."""
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def pump(self) -> None:
        """Take what the command wrote to its terminal: nobody may wait for a reader."""
        while self._terminal is not None:
            try:
                said = os.read(self._terminal, 1 << 16)
            except OSError:  # nothing to read now, or the other end is closed
                return
            if not said:
                return
            with self.output.open("ab") as out:
                out.write(said)

    @property
    def pid(self) -> int:
        """The command's process id."""
        if self._process is None:
            raise RuntimeError("the command was not started")
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The command's exit status (negative: the signal), ``None`` while it runs."""
        return None if self._process is None else self._process.poll()

    def until(self, come: Callable[[], bool], what: str, deadline_s: float = _MOMENT_S) -> None:
        """Wait until something has come.

        Raises:
            MissedError: the command ended before, or the deadline passed.
        """
        give_up = time.monotonic() + deadline_s
        while not come():
            self.pump()
            if self.status is not None:
                raise MissedError(f"the command ended (status {self.status}) before {what}")
            if time.monotonic() > give_up:
                raise MissedError(f"{what} did not come within {deadline_s:g} s")
            time.sleep(_POLL_S)

    def ended(self, deadline_s: float) -> bool:
        """Wait for the command's end and return whether it came; when not, it is killed."""
        give_up = time.monotonic() + deadline_s
        while self.status is None and time.monotonic() < give_up:
            self.pump()
            time.sleep(_POLL_S * 5)
        self.pump()
        if self.status is not None:
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End the command, and with it all that it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Let go of everything that this process holds for the scene."""
        self.kill()
        self.close_terminal()
        for one in self.held:
            one.close()
        self.held.clear()

    def text(self) -> bytes:
        """Return what the command has printed so far."""
        with suppress(FileNotFoundError):
            return self.output.read_bytes()
        return b""

    def stage(self) -> str:
        """Return the stage that the command came to last: ``prepare`` before the first, ``report`` after the last."""
        text = self.text()
        if _REPORTING in text:
            return "report"
        stages = _STAGE.findall(text)
        return stages[-1].decode() if stages else "prepare"

    def listens(self) -> bool:
        """Return whether the command catches SIGTERM by now: from then on it ends in good order."""
        status = (Path("/proc") / str(self.pid) / "status").read_text()
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def qmp(self) -> bytes:
        """Return what was said over QMP in the run under way."""
        with suppress(OSError):
            return (self.run / "qmp.jsonl").read_bytes()
        return b""

    def pauses(self) -> tuple[int, int]:
        """Return how often the primary has stopped and run again by its QMP events."""
        said = self.qmp()
        return said.count(_STOP), said.count(_RESUME)

    def paused(self) -> bool:
        """Return whether the primary's guest stands still: its first RESUME, at its start, follows no STOP."""
        said = self.qmp()
        return said.rfind(_STOP) > said.rfind(_RESUME)

    def side(self, side: str) -> int:
        """Return the process id of one side's QEMU, which works in its own folder.

        Raises:
            MissedError: it does not run.
        """
        pid = self.working_in(self.run / side)
        if pid is None:
            raise MissedError(f"the {side} does not run")
        return pid

    def sockets(self, name: str) -> list[Path]:
        """Return the sockets of this name that the command's pair has made."""
        places = (self.temporary, *temporary_places())
        return [path for place in places for path in place.glob(f"{SCRATCH}pair-*-{self.pid}-*/{name}")]

    def working_in(self, folder: Path) -> int | None:
        """Return a process of this scene that works in a folder."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if (entry / "cwd").readlink() == folder:
                        return int(entry.name)
        return None

    def ledger(self) -> list[dict[str, Any]]:
        """Return the readable lines of the campaign's ledger."""
        entries = []
        with suppress(OSError):
            for line in (self.campaign / "ledger.jsonl").read_bytes().splitlines():
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        entries.append(entry)
        return entries
