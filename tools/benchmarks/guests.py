"""The two guests beside each other: seconds to their ready line, seconds of a run, and how far apart runs come out."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from bench.config.links import Link
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.provision.bare import build_bare
from bench.provision.boot import boot_argv, booted
from bench.provision.kvm import probe_kvm
from bench.workload.dirty import Dirty
from tools.benchmarks.setting import EVENTS, kept_rows, measured

if TYPE_CHECKING:
    from bench.provision.guest import Guest
    from tools.benchmarks.setting import Setting

_ROUNDS = 5
_BOOT_DEADLINE_S = 120.0
_ALIKE_S, _SHORT_S = 0.1, 0.02
"""From checkpoint to checkpoint: as both guests are held against each other, and as short as the bare one allows."""


def benchmark(setting: Setting) -> dict[str, Any]:
    """Return figures by guest and accelerator; the guests take turns, so that what disturbs one disturbs the other.

    ``boot_s``: median seconds from QEMU's start to the ready line, alone. ``run_s``: median seconds of a whole run of
    30 checkpoints, 0.1 s apart; ``short_run_s``: 0.02 s apart, of the bare guest. ``medians_s``: the median pauses of
    the runs 0.1 s apart; ``medians_spread``: their range, as a share of their middle.
    """
    bare = build_bare(print)
    pairs = [(setting.guest, "tcg"), (bare, "tcg")]
    if probe_kvm(setting.binary, bare).ok:
        pairs.append((bare, "kvm"))
    boots: dict[str, list[float]] = {}
    runs: dict[str, list[tuple[float, float]]] = {}
    short: dict[str, list[tuple[float, float]]] = {}
    for number in range(_ROUNDS):
        for guest, accel in pairs:
            name = f"{guest.kind}, {accel}"
            boots.setdefault(name, []).append(_boot_s(setting, guest, accel))
            runs.setdefault(name, []).append(_run(setting, guest, bare, accel, _ALIKE_S, number))
            if guest is bare:
                short.setdefault(name, []).append(_run(setting, guest, bare, accel, _SHORT_S, number))
    return {name: _figures(boots[name], runs[name], short.get(name, [])) for name in boots}


def _figures(boots_s: list[float], runs: list[tuple[float, float]], short: list[tuple[float, float]]) -> dict[str, Any]:
    medians = [pause_s for _, pause_s in runs]
    return {
        "runs": len(runs),
        "boot_s": statistics.median(boots_s),
        "run_s": statistics.median(seconds for seconds, _ in runs),
        **({"short_run_s": statistics.median(seconds for seconds, _ in short)} if short else {}),
        "medians_s": medians,
        "medians_spread": (max(medians) - min(medians)) / statistics.median(medians),
    }


def _boot_s(setting: Setting, guest: Guest, accel: str) -> float:
    started = time.monotonic()
    with booted(boot_argv(setting.binary, guest, accel), setting.binary.env, _BOOT_DEADLINE_S):
        return time.monotonic() - started


def _run(
    setting: Setting, guest: Guest, bare: Guest, accel: str, interval_s: float, number: int
) -> tuple[float, float]:
    """Return the seconds of a whole run, and its median pause."""
    cell = Cell(
        mem=256 << 20,
        smp=1,
        guest=guest.kind,
        accel=accel,
        workload=Dirty(working_set=4 << 20, rate=300),
        link=Link(transport="unix"),
        checkpoint=Checkpoint(interval=interval_s, count=30, warmup=3),
    )
    cell = cell.model_copy(update={"trace": cell.trace.model_copy(update={"optional": EVENTS})})
    with measured(setting, cell, number, bare) as (seconds, folder):
        return seconds, statistics.median(row["pause_s"] for row in kept_rows(folder))
