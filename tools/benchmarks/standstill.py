"""What bounds the standstill of a machine that QEMU stops and continues, by the bare guest's own clock; no pair."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.format.phases import BEAT, RUNSTATE
from bench.measure.beats import Beat, read_beats
from bench.measure.trace import read_trace
from bench.provision.bare import build_bare
from bench.provision.boot import boot_argv, booted
from bench.provision.kvm import probe_kvm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.provision.guest import Guest
    from tools.benchmarks.setting import Setting

_ROUNDS = 60
_STOPPED_S, _RUNNING_S = 0.03, 0.05
_NEAR = 3
_SLACK_US = 1_000
_QUANTILES = (0.05, 0.25, 0.5, 0.75)

Event = tuple[str, int]


def benchmark(setting: Setting) -> dict[str, Any]:
    """Return by accelerator, in us, the quantiles 5, 25, 50 and 75 % of when each thing is said to have happened.

    ``begin``: the guest's last store after ``runstate_set`` away from running; ``stop``: QMP's STOP after that.
    ``end``: the guest's next store after QMP's RESUME; ``reply``: the answer to ``cont``, sent when the vCPUs have been
    told to run.
    """
    bare = build_bare(print)
    accels = ["tcg", *(["kvm"] if probe_kvm(setting.binary, bare).ok else [])]
    return {accel: _quantiles(_measured(setting, bare, accel)) for accel in accels}


def _quantiles(rows: Sequence[dict[str, int]]) -> dict[str, list[float]]:
    return {name: np.quantile([row[name] for row in rows], _QUANTILES).round().tolist() for name in rows[0]}


def _measured(setting: Setting, bare: Guest, accel: str) -> list[dict[str, int]]:
    with tempfile.TemporaryDirectory(prefix="colo-bench-benchmark-") as name:
        log, path = Path(name) / "trace.log", Path(name) / "qmp.sock"
        traced = ("-trace", BEAT.name, "-trace", RUNSTATE, "-D", str(log), "-msg", "timestamp=on")
        argv = boot_argv(setting.binary, bare, accel, ("-qmp", f"unix:{path},server=on,wait=off", *traced))
        with booted(argv, setting.binary.env, 60) as console, socket.socket(socket.AF_UNIX) as line:
            line.connect(str(path))
            qmp = _Qmp(line)
            console.send("start dirty bytes=4194304 rate=0 beat=5")
            console.wait("started", 30)
            replies_us = [qmp.stop_and_continue() for _ in range(_ROUNDS)]
        states = [(kind.values[-1], time_us) for time_us, kind in read_trace(log, (RUNSTATE,))]
        return _rows(read_beats(read_trace(log, (BEAT.name,))), states, qmp.events, replies_us)


class _Qmp:
    """QMP with nothing but a socket, which keeps the events."""

    def __init__(self, line: socket.socket) -> None:
        self.events: list[Event] = []
        self._file = line.makefile("rw")
        self._file.readline()
        self._execute("qmp_capabilities")

    def stop_and_continue(self) -> int:
        """Stop and continue the machine; return when ``cont`` was answered, in us since the epoch."""
        self._execute("stop")
        time.sleep(_STOPPED_S)
        replied_us = self._execute("cont")
        time.sleep(_RUNNING_S)
        return replied_us

    def _execute(self, command: str) -> int:
        self._file.write(json.dumps({"execute": command}) + "\n")
        self._file.flush()
        while "return" not in (message := json.loads(self._file.readline())):
            stamp = message["timestamp"]
            self.events.append((message["event"], stamp["seconds"] * 1_000_000 + stamp["microseconds"]))
        return round(time.time() * 1e6)


def _rows(
    beats: Sequence[Beat], states: Sequence[Event], events: Sequence[Event], replies_us: Sequence[int]
) -> list[dict[str, int]]:
    stops, resumes = ([time_us for name, time_us in events if name == wanted] for wanted in ("STOP", "RESUME"))
    left = [time_us for name, time_us in states if name == "paused"]
    rows = []
    for left_us, stop_us, resume_us, reply_us in zip(left, stops, resumes, replies_us, strict=True):
        before = [one for one in beats if one.time_us <= left_us][-_NEAR:]
        after = [one for one in beats if one.time_us > left_us][:_NEAR]
        if before and after:
            begin_us, end_us = _hole(left_us, before, after)
            rows.append(
                {
                    "begin": begin_us - left_us,
                    "stop": stop_us - left_us,
                    "end": end_us - resume_us,
                    "reply": reply_us - resume_us,
                }
            )
    return rows


def _hole(left_us: int, before: Sequence[Beat], after: Sequence[Beat]) -> tuple[int, int]:
    """Return when, on the host's clock, the guest's stores stopped and went on."""
    ahead_us = min(one.ahead_us for one in before)
    unknown_us = max(min(one.ahead_us for one in after) - ahead_us, 0)
    at_us = left_us - ahead_us
    holes = [
        (one.hole_us, one.ended_us) for one in after if -_SLACK_US <= one.ended_us - at_us <= one.hole_us + _SLACK_US
    ]
    hole_us, ended_us = max(holes, default=(0, at_us))
    end_us = ended_us + ahead_us + unknown_us
    return end_us - unknown_us - hole_us, end_us
