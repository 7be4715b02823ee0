"""What a job of a cluster does: measures the runs of its block, as the main command would, into a folder of its own."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.cluster.nodes import address_of, addresses_of, own_job, own_nodes, step_on
from bench.cluster.parts import Begun, Ended, block_of, new_start, read_order, starts
from bench.cluster.script import told_s
from bench.config.hosts import FarHost, Host
from bench.config.load import Settings
from bench.errors import BenchError, HostError, StoreError
from bench.format.folder import PLAN, CampaignFolder
from bench.host.limits import available_memory, free_swap
from bench.host.links import CLIENT, PRIMARY, SECONDARY
from bench.plan.compare import build_differences
from bench.plan.estimate import require_fit
from bench.plan.plan import parse_plan
from bench.record.ledger import Ledger
from bench.record.run import is_recorded
from bench.run.agreement import by_content, campaign_plan
from bench.run.campaign import look_around
from bench.run.folder import keep_plan
from bench.run.loop import Loop
from bench.run.merge import own_lines
from bench.run.tools import real_tools
from bench.system.exits import Exit, exit_of
from bench.system.files import append_lines
from bench.system.streams import make_console
from bench.tune.journal import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.cluster.parts import Order, Start
    from bench.config.model import Cell
    from bench.plan.plan import Plan
    from bench.run.tools import Tools

_MARGIN_S = 15.0
"""Of its time that a job leaves for its own end, where it is not told to come to it."""


def run_part(part: Path, environ: Mapping[str, str], tools: Tools | None = None) -> Exit:
    """Measure what is left of a part's block, and return the exit status; how it ended is on record.

    Raises:
        BenchError: nothing was measured.
    """
    console = make_console()
    nodes = own_nodes(environ)
    order, plan = read_order(part), _plan(part)
    in_time = _in_time(order.limit_s)
    order = replace(order, cells=tuple(on_nodes(cell, nodes) for cell in order.cells))
    _own_undo_journal(nodes)
    start = _begin(part, order, plan, Begun(time.time(), own_job(environ), nodes))
    left = _left(part, plan, start)
    mine = block_of(plan, order.block, left)
    console.print(
        f"block {order.block + 1} of {order.campaign} on {', '.join(nodes)}: {len(left)} runs", soft_wrap=True
    )
    if not left:
        start.write(Ended(time.time(), Exit.DONE, whole=True))
        return Exit.DONE
    keep_plan(start.path, mine)
    try:
        loop = _loop(start, order, mine, tools or real_tools(), console, placed(nodes))
        loop.in_time = in_time
        status = loop.run()
    except BenchError as error:
        told = Ended(time.time(), exit_of(error), whole=False, message=str(error), cause=error.cause)
        start.write(replace(told, transient=error.transient))
        raise
    whole = status in (Exit.DONE, Exit.RUNS_FAILED) and not loop.cut_short
    start.write(Ended(time.time(), status, whole=whole))
    return status


def _plan(part: Path) -> Plan:
    path = part / PLAN
    try:
        return parse_plan(path.read_bytes(), part=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", cause="plan-unreadable", logs=(path,)) from error


def placed(nodes: Sequence[str]) -> dict[str, str]:
    """Return which node each part of a pair is on: both sides share the only one, a client is on the primary's."""
    names = (PRIMARY, SECONDARY, CLIENT)
    return {
        name: nodes[min(place, len(nodes) - 1) if name != CLIENT or len(nodes) > place else 0]
        for place, name in enumerate(names)
    }


def on_nodes(cell: Cell, nodes: Sequence[str], address: Callable[[str], str] = address_of) -> Cell:
    """Return a cell with the nodes of this job as its hosts, where its sides are on hosts of their own."""
    if not cell.host.far:
        return cell
    addresses = addresses_of(nodes[:3], address)
    far = {
        name: FarHost(
            transport=step_on(node),
            address=addresses[node],
            python=sys.executable,
            workdir=f"/tmp/colo-bench-{os.geteuid()}",  # noqa: S108 - of the node, which shares its user's home; the agent makes it private
        )
        for name, node in zip((PRIMARY, SECONDARY, CLIENT), nodes, strict=False)
    }
    host = Host.model_validate({"kind": cell.host.kind, **far})
    return cell.model_copy(update={"host": host})


def _own_undo_journal(nodes: Sequence[str]) -> None:
    """Keep what is changed of a node by its own name: nodes share a home, and one must not undo what another did."""
    own = state_folder().parent / "colo-bench-nodes" / nodes[0]
    os.environ["XDG_STATE_HOME"] = os.fspath(own)


def _begin(part: Path, order: Order, plan: Plan, begun: Begun) -> Start:
    """Make the folder of this start, with what is known of earlier attempts at its runs."""
    earlier = list(_lines_of_earlier_starts(part, plan))
    start = new_start(part)
    lines = [*order.known, *earlier]
    append_lines(CampaignFolder(start.path).ledger, lines)
    start.write(replace(begun, known=len(lines)))
    return start


def _lines_of_earlier_starts(part: Path, plan: Plan) -> Iterator[str]:
    whole = _recorded(starts(part), plan)
    for one in starts(part):
        begun = one.begun
        lines = own_lines(one, begun.known) if begun else ()
        yield from (text for text, entry in lines if entry.run_id not in whole)


def _left(part: Path, plan: Plan, start: Start) -> list[str]:
    whole = _recorded([one for one in starts(part) if one.path != start.path], plan)
    return [run.run_id for run in plan.runs if run.run_id not in whole]


def _recorded(earlier: Sequence[Start], plan: Plan) -> set[str]:
    """Return the runs that an earlier start has measured whole, whether or not its ledger has come to know it."""
    homes = ((run.run_id, CampaignFolder(one.path).run(run.run_id)) for one in earlier for run in plan.runs)
    return {run_id for run_id, home in homes if is_recorded(home, run_id)}


def _loop(start: Start, order: Order, plan: Plan, tools: Tools, console: Console, where: Mapping[str, str]) -> Loop:
    """Return the loop over the block, once this node is known to be able to, and to measure what the plan says."""
    settings = Settings.model_validate(
        {
            "campaign": order.campaign,
            "results": start.path.parent,
            "on_error": order.on_error,
            "watch": order.watch,
            "hypotheses": order.hypotheses,
            "repeats": 1,
            "seed": plan.seed,
        }
    )
    look_around(tools, order.cells, start.path, console)
    prepared = tools.prepare(settings, order.cells, order.campaign, lambda text: console.print(text, soft_wrap=True))
    settings, prepared = by_content(settings, prepared, plan.qemu)
    _require_same_builds(plan, campaign_plan(settings, prepared, order.campaign, order.command), where[PRIMARY])
    require_fit(plan.cells, tools.available_bytes(), available_memory()[1], free_swap())
    prepared = replace(prepared, assets={name: replace(one, nodes=where) for name, one in prepared.assets.items()})
    ledger = Ledger(CampaignFolder(start.path).ledger)
    loop = Loop(
        plan, prepared, start.path, ledger, settings.on_error, tools.measure, console, tools.tuner(), plan.repeats
    )
    loop.recover()
    loop.tuner.prepare(one.cell.tuning for one in plan.cells)
    return loop


def _require_same_builds(plan: Plan, found: Plan, node: str) -> None:
    """Return when this node has the programs of the plan.

    Raises:
        HostError: one differs.
    """
    changed = tuple(build_differences(plan, found))
    if changed:
        raise HostError(f"node {node} has other programs than the plan", cause="node-differs", evidence=changed)


def _in_time(limit_s: float, clock: Callable[[], float] = time.monotonic) -> Callable[[float], bool]:
    """Return what tells whether a run of so many seconds still ends in the time that begins now.

    The first one may always begin.
    """
    began, spare_s = clock(), told_s(limit_s) or min(_MARGIN_S, limit_s / 10)
    asked = 0

    def fits(seconds: float) -> bool:
        nonlocal asked
        asked += 1
        return asked == 1 or clock() - began + seconds + spare_s < limit_s

    return fits
