"""A whole run but for its measurement, ours beside a bare script with the same argv that does only what it must."""

from __future__ import annotations

import errno
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.host.topology import local_topology
from bench.vm.argv import COLO
from bench.vm.pair import concrete_spec
from bench.vm.procedure import colo_steps
from tools.benchmarks.setting import EVENTS, Setting, idle_cell, measured

if TYPE_CHECKING:
    from bench.config.model import Cell

_ROUNDS = 4  # even, so that each goes first as often as the other
_POLL_S = 0.02
_CONNECT_S = 30


def benchmark(setting: Setting, sizes: tuple[str, ...] = ("256M", "512M", "1G")) -> dict[str, Any]:
    """Return seconds by size: medians of both, and the median of the differences of a round.

    Which goes first changes every round, so that what the first leaves behind (a warm page cache, a hot CPU) is not
    always to the same one's advantage.
    """
    figures = {}
    for size in sizes:
        cell, rounds = _cell(size), []
        for number in range(_ROUNDS):
            both = {}
            for one in (ours, bare) if number % 2 == 0 else (bare, ours):
                both[one] = one(setting, cell)
            rounds.append(both)
        figures[size] = {
            "rounds": _ROUNDS,
            "ours_s": statistics.median(both[ours] for both in rounds),
            "bare_s": statistics.median(both[bare] for both in rounds),
            "overhead_s": statistics.median(both[ours] - both[bare] for both in rounds),
        }
    return figures


def _cell(size: str) -> Cell:
    cell = idle_cell(size)
    return cell.model_copy(update={"trace": cell.trace.model_copy(update={"events": EVENTS})})


def ours(setting: Setting, cell: Cell) -> float:
    """Measure a run as a campaign does, and return its seconds without the measurement itself.

    What is left is everything that a run costs beside its checkpoints: host snapshots, launch, read-back, boot, traces,
    reaching COLO, teardown, and turning traces into tables and the record.
    """
    with measured(setting, cell) as (whole_s, folder):
        measure_s: float = json.loads((folder / "run.json").read_text())["timings"]["measure_s"]
    return whole_s - measure_s


def bare(setting: Setting, cell: Cell) -> float:
    """Do what the note's person does, by the shortest script, up to COLO and down again; return seconds."""
    environment = {**os.environ, **dict(setting.binary.env)}
    with tempfile.TemporaryDirectory(prefix="colo-bench-bare-") as name:
        started = time.monotonic()
        spec = concrete_spec(cell, setting.binary, setting.guest, setting.features, local_topology(), frozenset())
        spec = replace(spec, sockets=name)
        sides = {side: machine.argv(spec) for side, machine in COLO.items()}
        children, monitors = [], {}
        try:
            for side, argv in sides.items():
                home = Path(name) / side
                home.mkdir()
                for image in COLO[side].images:
                    size = str(cell.devices.disk_size)
                    create = (*setting.binary.img_argv, "create", "-q", "-f", "qcow2", image, size)
                    subprocess.run(create, cwd=home, env=environment, check=True)
                children.append(subprocess.Popen(argv, cwd=home, env=environment, stdin=subprocess.DEVNULL))
            for side in sides:
                monitors[side] = _Bare(Path(name) / side / "qmp.sock")
            monitors["primary"].execute("cont", {})
            while b"colo-bench: ready" not in (Path(name) / "primary" / "serial.log").read_bytes():
                time.sleep(_POLL_S)
            for step in colo_steps(spec):
                monitors[step.side].execute(step.command, dict(step.arguments))
            while monitors["primary"].execute("query-migrate", {})["status"] != "colo":
                time.sleep(_POLL_S)
        finally:
            for monitor in monitors.values():
                monitor.close()
            for child in children:
                child.kill()
                child.wait()
        return time.monotonic() - started


class _Bare:
    """QMP with nothing but a socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        give_up = time.monotonic() + _CONNECT_S
        while self._socket.connect_ex(str(path)):
            if time.monotonic() > give_up:
                self._socket.close()
                raise FileNotFoundError(errno.ENOENT, "QEMU made no monitor", str(path))
            time.sleep(_POLL_S)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self.execute("qmp_capabilities", {})

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, arguments: dict[str, Any]) -> Any:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = json.loads(self._lines.readline())
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise RuntimeError(message["error"]["desc"])
