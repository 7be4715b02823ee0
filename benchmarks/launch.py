"""Launch-to-COLO and teardown, ours beside a bare script with the same argv that does only the necessary QMP steps."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.driver import CheckpointCounter
from bench.pair.argv import IMAGES, primary_argv, secondary_argv
from bench.pair.console import open_console
from bench.pair.features import known_events
from bench.pair.host import Hosts, LocalHost
from bench.pair.pair import concrete_spec, open_pair
from bench.pair.procedure import boot_steps, checkpoint_delay_ms, colo_steps, trace_steps
from bench.pair.readback import read_colo, read_machines
from benchmarks.setting import EVENTS, Setting, idle_cell

if TYPE_CHECKING:
    from bench.config.model import Cell

_ROUNDS = 3
_POLL_S = 0.02


def benchmark(setting: Setting, sizes: tuple[str, ...] = ("256M", "512M", "1G")) -> dict[str, Any]:
    """Return seconds by size: alternating ours and bare, medians, and the median of the differences."""
    figures = {}
    for size in sizes:
        rounds = [(asyncio.run(ours(setting, idle_cell(size))), bare(setting, idle_cell(size))) for _ in range(_ROUNDS)]
        figures[size] = {
            "rounds": _ROUNDS,
            **{f"ours_{part}_s": statistics.median(one[0][part] for one in rounds) for part in ("launch", "teardown")},
            **{f"bare_{part}_s": statistics.median(one[1][part] for one in rounds) for part in ("launch", "teardown")},
            "overhead_s": statistics.median(sum(one[0].values()) - sum(one[1].values()) for one in rounds),
        }
    return figures


async def ours(setting: Setting, cell: Cell) -> dict[str, float]:
    """Launch, read back, boot, trace and reach COLO as a run does; return seconds."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="colo-bench-benchmark-") as name:
        async with open_pair(cell, setting.binary, setting.guest, setting.features, Path(name)) as pair:
            await read_machines(pair)
            async with open_console(pair.folder / "primary" / "serial.sock") as console:
                await pair.carry_out(boot_steps())
                await console.ready(cell.deadlines.boot)
                events, _ = known_events(cell.trace.model_copy(update={"events": EVENTS}), setting.features)
                await pair.carry_out(trace_steps(events))
                await pair.reach_colo(cell.deadlines.colo)
                pair.monitor("primary").subscribe(CheckpointCounter().observe)
                await read_colo(pair, checkpoint_delay_ms(pair.spec))
            reached = time.monotonic()
    return {"launch": reached - started, "teardown": time.monotonic() - reached}


def bare(setting: Setting, cell: Cell) -> dict[str, float]:
    """Do what the note's person does, by the shortest script; return seconds."""
    started = time.monotonic()
    environment = {**os.environ, **dict(setting.binary.env)}
    with tempfile.TemporaryDirectory(prefix="colo-bench-bare-") as name:
        hosts = Hosts(LocalHost(), LocalHost())
        spec = concrete_spec(cell, setting.binary, setting.guest, setting.features, hosts, frozenset())
        sides = {"primary": primary_argv(spec), "secondary": secondary_argv(spec)}
        children = []
        try:
            for side, argv in sides.items():
                home = Path(name) / side
                home.mkdir()
                for image in IMAGES[side]:
                    size = str(cell.devices.disk_size)
                    create = (*setting.binary.img_argv, "create", "-q", "-f", "qcow2", image, size)
                    subprocess.run(create, cwd=home, env=environment, check=True)
                children.append(subprocess.Popen(argv, cwd=home, env=environment, stdin=subprocess.DEVNULL))
            monitors = {side: _Bare(Path(name) / side / "qmp.sock") for side in sides}
            monitors["primary"].execute("cont", {})
            while b"colo-bench: ready" not in (Path(name) / "primary" / "serial.log").read_bytes():
                time.sleep(_POLL_S)
            for step in colo_steps(spec):
                monitors[step.side].execute(step.command, dict(step.arguments))
            while monitors["primary"].execute("query-migrate", {})["status"] != "colo":
                time.sleep(_POLL_S)
            reached = time.monotonic()
        finally:
            for child in children:
                child.kill()
                child.wait()
    return {"launch": reached - started, "teardown": time.monotonic() - reached}


class _Bare:
    """QMP with nothing but a socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                time.sleep(_POLL_S)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self.execute("qmp_capabilities", {})

    def execute(self, command: str, arguments: dict[str, Any]) -> Any:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = json.loads(self._lines.readline())
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise RuntimeError(message["error"]["desc"])
