"""What merging the parts of 100,000 runs costs. SIMULATED: no job ran and no pair was booted; the parts are made here.

Real are the plan, the ledgers, the folders and the merge. `python -m tools.benchmarks cluster` prints the figures.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster.parts import PARTS, Begun, Start, block_of, part_name
from bench.format.folder import PLAN, CampaignFolder
from bench.plan.plan import GuestBuild, QemuBuild, make_plan, parse_plan, plan_json
from bench.record.ledger import Entry, Ledger
from bench.run.merge import merge_part
from tools.benchmarks.long_campaign import not_waiting_for_the_disk, small_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.plan.plan import Plan

RUNS, PARTS_OF_IT = 100_000, 50


def benchmark(runs: int = RUNS, parts: int = PARTS_OF_IT) -> dict[str, Any]:
    """Return the figures of that many runs in that many parts, and of a fifth of them in as many."""
    small, large = (simulate(each, parts) for each in (runs // 5, runs))
    ratio = (large["merge_cpu_s"] / large["runs"]) / (small["merge_cpu_s"] / small["runs"])
    return {
        "simulated": "no job ran, no pair was booted: folders with an empty record, ledgers as jobs write them",
        **large,
        "merge_cpu_per_10000_runs_s": large["merge_cpu_s"] * 10_000 / large["runs"],
        "cost_of_a_run_to_that_in_a_fifth_of_the_campaign": ratio,
    }


def simulate(runs: int, parts: int, folder: Path | None = None) -> dict[str, Any]:
    """Make a campaign whose parts are all there, merge them, and return the seconds and bytes that it took.

    Args:
        runs: how many, a multiple of ``parts``.
        parts: how many blocks, each one part.
        folder: where; None for a temporary one.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="colo-bench-cluster-") as name:
            return simulate(runs, parts, Path(name))
    began = time.perf_counter()
    plan = _plan(runs // parts, parts)
    planned_s = time.perf_counter() - began
    home = folder / "simulated"
    home.mkdir()
    text = plan_json(plan)
    CampaignFolder(home).plan.write_text(text)
    for block in range(parts):
        _part(home, plan, block)
    with not_waiting_for_the_disk():
        began = time.perf_counter()
        ledger = Ledger(CampaignFolder(home).ledger)
        ledger.plan(run.run_id for run in plan.runs)
        ledger_s = time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        for block in range(parts):
            merge_part(home, ledger, home / PARTS / part_name(block, 0))
        merge_s, merge_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    again = Ledger(CampaignFolder(home).ledger)
    read_s = time.perf_counter() - began
    began = time.perf_counter()
    read = parse_plan(text)
    merged = sum(again.done(run.run_id) for run in read.runs)
    if merged != len(read.runs):
        raise AssertionError(f"the simulation went wrong: {merged} of {len(read.runs)} runs merged")
    return {
        "runs": len(plan.runs),
        "parts": parts,
        "plan_made_s": planned_s,
        "plan_read_s": time.perf_counter() - began,
        "plan_bytes": len(text),
        "ledger_planned_s": ledger_s,
        "merge_s": merge_s,
        "merge_cpu_s": merge_cpu_s,
        "ledger_read_s": read_s,
        "ledger_bytes": CampaignFolder(home).ledger.stat().st_size,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _plan(cells: int, parts: int) -> Plan:
    asked = [small_cell(index) for index in range(cells)]
    qemu = {"provisioned": QemuBuild("simulated", "a" * 64, "provisioned")}
    guest = GuestBuild("simulated", "b" * 64, "c" * 64)
    return make_plan("simulated", asked, repeats=parts, seed=1, qemu=qemu, guest=guest)


def _part(home: Path, plan: Plan, block: int) -> None:
    part = home / PARTS / part_name(block, 0)
    start = Start(part / "begun-0")
    mine = [run for run in plan.runs if run.block == block]
    CampaignFolder(start.path).runs.mkdir(parents=True)
    (part / PLAN).write_text(plan_json(block_of(plan, block, (run.run_id for run in mine))))
    for run in mine:
        folder = CampaignFolder(start.path).run(run.run_id)
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"schema_version": 2, "run_id": run.run_id}))
    lines = (entry.line() for run in mine for entry in _entries(run.run_id, run.order))
    CampaignFolder(start.path).ledger.write_text("".join(f"{line}\n" for line in lines))
    start.write(Begun(1.0, str(block), (f"n{block % 4}",)))


def _entries(run_id: str, order: int) -> Iterator[Entry]:
    yield Entry(1e9 + order, run_id, 0, "planned")
    yield Entry(1e9 + order + 0.25, run_id, 0, "started")
    yield Entry(1e9 + order + 0.75, run_id, 0, "measured")
