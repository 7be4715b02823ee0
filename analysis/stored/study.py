"""One or more campaigns of one plan as one study: more blocks, never a mixture of different plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.errors import DifferentPlansError
from analysis.stored.factors import flatten
from analysis.stored.load import in_order_measured, load_campaign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analysis.stored.load import Campaign, Run
    from analysis.stored.records import Plan


def load_study(folders: Sequence[Path]) -> Campaign:
    """Read campaigns and join those of one plan, block after block.

    Raises:
        NotACampaignError: a folder is none.
        NothingMeasuredError: a campaign holds no run that can be read.
        DifferentPlansError: they do not measure the same cells with the same machines, or hold the same data twice.
    """
    first, *others = [load_campaign(folder) for folder in folders]
    for other in others:
        first = join(first, other)
    return first


def join(one: Campaign, other: Campaign) -> Campaign:
    """Return both campaigns as one; the blocks of ``other`` come after those of ``one``.

    Raises:
        DifferentPlansError: the plans differ, or a run's data is in both.
    """
    changed = list(differences(one.plan, other.plan))
    if changed:
        raise DifferentPlansError(
            f"{one.plan.campaign} and {other.plan.campaign} are different plans and cannot be combined: "
            + "; ".join(changed)
        )
    if {run.sha256 for run in one.runs} & {run.sha256 for run in other.runs}:
        raise DifferentPlansError(f"{one.plan.campaign} and {other.plan.campaign} hold the same data: give each once")
    blocks = 1 + max(run.block for run in one.plan.runs)
    folders = 1 + max((run.folder for run in one.runs), default=0)
    runs = tuple(_later(run, blocks, len(one.plan.runs), folders) for run in other.runs)
    planned = tuple(
        run.model_copy(update={"block": run.block + blocks, "order": run.order + len(one.plan.runs)})
        for run in other.plan.runs
    )
    return replace(
        one,
        plan=one.plan.model_copy(
            update={
                "campaign": f"{one.plan.campaign} + {other.plan.campaign}",
                "command": "\n".join(dict.fromkeys((one.plan.command, other.plan.command))),
                "runs": (*one.plan.runs, *planned),
                "looks": _looks(one.plan, other.plan, blocks),
            }
        ),
        plan_sha256=f"{one.plan_sha256} + {other.plan_sha256}",
        runs=in_order_measured((*one.runs, *runs)),
        unread=(*one.unread, *other.unread),
        failures=(*one.failures, *other.failures),
        attempts=(*one.attempts, *other.attempts),
        unfinished=(*one.unfinished, *other.unfinished),
        notes=(*one.notes, *other.notes),
    )


def _looks(one: Plan, other: Plan, blocks: int) -> tuple[int, ...]:
    """Return the looks at both: who looked at one and then measured the other has looked before."""
    if not one.looks and not other.looks:
        return ()
    last = 1 + max(run.block for run in other.runs)
    return (*(one.looks or (blocks,)), *(blocks + look for look in other.looks or (last,)))


def _later(run: Run, blocks: int, order: int, folders: int) -> Run:
    moved = {"block": run.record.block + blocks, "order": run.record.order + order}
    return replace(run, record=run.record.model_copy(update=moved), folder=run.folder + folders)


def differences(one: Plan, other: Plan) -> Iterator[str]:
    """Yield one line for each thing in which two plans differ; seeds, repeats and names are not among them."""
    old, new = ({cell.cell_id: cell for cell in plan.cells} for plan in (one, other))
    factors = [[flatten(cell.cell) for cell in plan.cells] for plan in (one, other)]
    if old.keys() != new.keys():
        for path in dict.fromkeys(path for side in factors for cell in side for path in cell):
            before, after = (sorted({str(cell.get(path, "-")) for cell in side}) for side in factors)
            if before != after:
                yield f"{path}: {', '.join(before)} against {', '.join(after)}"
        yield from (f"only in {one.campaign}: {old[cell].label}" for cell in old if cell not in new)
        yield from (f"only in {other.campaign}: {new[cell].label}" for cell in new if cell not in old)
    if one.hypotheses_sha256 != other.hypotheses_sha256:
        yield "the hypotheses"
    for name in sorted(one.qemu.keys() | other.qemu.keys()):
        first, second = (plan.qemu.get(name, {}).get("sha256", "none")[:12] for plan in (one, other))
        if first != second:
            yield f"QEMU ({name}): {first} against {second}"
    for key in ("kernel_sha256", "initramfs_sha256"):
        first, second = str(one.guest.get(key, ""))[:12], str(other.guest.get(key, ""))[:12]
        if first != second:
            yield f"guest {key.removesuffix('_sha256')}: {first} against {second}"
