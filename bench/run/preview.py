"""What a plan will be able to tell: the analysis works it out from the noise of earlier campaigns on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from bench.config.factors import factors_told
from bench.host.snapshot import take_snapshot
from bench.plan.estimate import duration_text
from bench.plan.plan import declared
from bench.run.analysis import analyse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.config.load import Settings
    from bench.config.model import Cell

_DEADLINE_S = 120
_USUAL = 6
"""Blocks of which it is told what they see, beside as many as the budget has room for."""

_ACCELS = {"kvm": "KVM", "tcg": "emulation (TCG)"}
_MACHINE = ("cpu_model", "cpus", "memory_total_bytes")
_NOTHING = "not known before the first blocks: "


def preview(settings: Settings, cells: Sequence[Cell], block_s: float) -> list[str]:
    """Return what will be seen, one line for each trend that is asked; why it is not known where nothing tells."""
    if not settings.hypotheses:
        return []
    if cells[0].accel != "auto":
        return _foreseen(settings, cells, block_s)
    # Which it will be is found out at the start: what is known of either is told.
    found = [
        (words, _foreseen(settings, [cell.model_copy(update={"accel": accel}) for cell in cells], block_s))
        for accel, words in _ACCELS.items()
    ]
    known = [(words, lines) for words, lines in found if not lines or not lines[-1].startswith(_NOTHING)]
    return [f"under {words}: {line}" for words, lines in known for line in lines] or found[0][1]


def _foreseen(settings: Settings, cells: Sequence[Cell], block_s: float) -> list[str]:
    now = take_snapshot()
    room = min(max(int(settings.budget // block_s), 1), settings.max_blocks)
    blocks = sorted({min(_USUAL, room), room}) if settings.until_known else [settings.blocks]
    asked = {
        "cells": factors_told(cells),
        "hypotheses": declared(settings.hypotheses),
        "accel": cells[0].accel,
        "machine": {name: getattr(now, name) for name in _MACHINE},
        "blocks": blocks,
        "every": settings.until_known,
    }
    earlier = ("expect", "--earlier", os.fspath(settings.results))
    try:
        done = analyse(*earlier, given=json.dumps(asked), deadline_s=_DEADLINE_S)
        if done.status:
            return [f"{_NOTHING}{' '.join(done.err.split())}"]
        return list(_lines(json.loads(done.out), block_s))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return [f"{_NOTHING}{' '.join(str(error).split())}"]


def _lines(told: dict[str, Any], block_s: float) -> Iterator[str]:
    for one in told["short"]:
        together = f" with the {one['family'] - 1} decided together with it" if one["family"] > 1 else ""
        yield f"{one['id']}: so few blocks cannot decide it{together}, whatever they show; repeats={one['blocks']} can"
    if not told["sees"]:
        if not told["campaigns"]:
            like = "under this accelerator, with this guest and transport"
            yield f"{_NOTHING}no earlier campaign on this machine, {like}, repeats a cell"
        return
    by_id: dict[str, list[str]] = {}
    blind: dict[str, list[str]] = {}
    for one in told["sees"]:
        took = f"in {one['blocks']} block{'s' * (one['blocks'] != 1)} ({duration_text(one['blocks'] * block_s)})"
        if one["smallest"] is None:
            blind.setdefault(one["id"], []).append(took)
        else:
            by_id.setdefault(one["id"], []).append(f"{100 * one['smallest']:.1f} % {took}")
    for name in dict.fromkeys(one["id"] for one in told["sees"]):
        said = [f"effects per doubling above {', '.join(by_id[name])}, with 80 % power"] if name in by_id else []
        said += [f"nothing {', '.join(blind[name])}: too few for any word"] if name in blind else []
        yield f"{name}: {'; '.join(said)}"
    yield f"by the noise of {', '.join(told['campaigns'])}: runs of a cell differ by {100 * told['sd']:.1f} %"
