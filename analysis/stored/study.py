"""One or more campaigns of one plan as one study: more blocks, never a mixture of different plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from analysis.errors import DifferentPlansError
from analysis.format.factors import flatten
from analysis.stored.load import in_order_measured, load_campaign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from analysis.stored.campaign import Campaign, Failure, Run, Unread
    from analysis.stored.records import Plan, PlannedRun, RunRecord

Told = TypeVar("Told", "Failure", "Unread")


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
        raise DifferentPlansError(f"{one.plan.campaign} and {other.plan.campaign} hold the same data")
    blocks = 1 + max(run.block for run in one.plan.runs)
    folders = 1 + max((run.folder for run in one.runs), default=0)
    order = len(one.plan.runs)

    def later(planned: PlannedRun) -> PlannedRun:
        return planned.model_copy(update={"block": planned.block + blocks, "order": planned.order + order})

    def moved(told: Iterable[Told]) -> Iterator[Told]:
        return (replace(each, planned=later(each.planned)) for each in told)

    runs = tuple(_later(run, blocks, order, folders) for run in other.runs)
    return replace(
        one,
        plan=one.plan.model_copy(
            update={
                "campaign": f"{one.plan.campaign} + {other.plan.campaign}",
                "command": "\n".join(dict.fromkeys((one.plan.command, other.plan.command))),
                "experiment": _experiment(one.plan, other.plan),
                "runs": (*one.plan.runs, *map(later, other.plan.runs)),
                "looks": _looks(one, other, blocks),
                "until_known": one.plan.until_known,
            }
        ),
        plan_sha256=f"{one.plan_sha256} + {other.plan_sha256}",
        runs=in_order_measured((*one.runs, *runs)),
        unread=(*one.unread, *moved(other.unread)),
        failures=(*one.failures, *moved(other.failures)),
        attempts=(*one.attempts, *moved(other.attempts)),
        unfinished=(*one.unfinished, *map(later, other.unfinished)),
        without=in_order_measured((*one.without, *(_later(run, blocks, order, folders) for run in other.without))),
        notes=(*one.notes, *other.notes),
    )


def _experiment(one: Plan, other: Plan) -> str | None:
    """Return the experiment of both; where they differ, each in the order of the campaigns."""
    if one.experiment == other.experiment:
        return one.experiment
    return " + ".join(plan.experiment or "none" for plan in (one, other))


def _looks(one: Campaign, other: Campaign, blocks: int) -> tuple[int, ...]:
    """Return the looks that there may have been: who looked at one and then measured the other has looked before.

    Campaigns that were measured side by side, as on several nodes, and that nobody looked at, are one look.
    """
    if not one.plan.looks and not other.plan.looks and not _apart(one, other):
        return ()
    last = 1 + max(run.block for run in other.plan.runs)
    return (*(one.plan.looks or (blocks,)), *(blocks + look for look in other.plan.looks or (last,)))


def _apart(one: Campaign, other: Campaign) -> bool:
    """Tell whether one campaign was over when the other began, so that its results could have been known."""
    (began, ended), (began_later, ended_later) = (
        (min(run.record.started_at for run in each.runs), max(run.record.finished_at for run in each.runs))
        for each in (one, other)
    )
    return ended <= began_later or ended_later <= began


def _later(run: Run, blocks: int, order: int, folders: int) -> Run:
    return run.of_study(_record_later(run.record, blocks, order), run.folder + folders)


def _record_later(record: RunRecord, blocks: int, order: int) -> RunRecord:
    return record.model_copy(update={"block": record.block + blocks, "order": record.order + order})


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
    for (words, first), second in zip(guests(one).items(), guests(other).values(), strict=True):
        if first != second:
            yield f"{words}: {first[:12] or 'none'} against {second[:12] or 'none'}"


def guests(plan: Plan) -> dict[str, str]:
    """Return the hashes of what runs in a plan's machines, and beside them; empty where it has no such thing."""
    hashes = {
        "guest kernel": plan.guest.get("kernel_sha256"),
        "guest initramfs": plan.guest.get("initramfs_sha256"),
        "bare guest": plan.bare_sha256,
        "guest with applications": plan.apps_sha256,
        "nodelay library": plan.nodelay_sha256,
    }
    return {words: str(sha256 or "") for words, sha256 in hashes.items()}
