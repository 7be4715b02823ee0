"""What differs between the plan that a campaign was started with and the one that is asked for now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.config.factors import identity
from bench.errors import PlanChangedError, StoreError
from bench.plan.label import factor_texts
from bench.plan.lengthen import first_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.plan.plan import Plan, QemuBuild


def require_same(stored: Plan, asked: Plan) -> None:
    """Return when both plans measure the same runs, but for the number of blocks: one may go on where the other ends.

    Raises:
        PlanChangedError: they do not; the message shows every difference.
        StoreError: they are said to, but a stored run is not what its id stands for: the file was changed.
    """
    both = min(stored.repeats, asked.repeats)
    stored, asked = first_blocks(stored, both), first_blocks(asked, both)
    changed = tuple(differences(stored, asked))
    if changed:
        raise PlanChangedError(
            f"campaign {stored.campaign} exists with another plan; stored -> asked for:",
            evidence=changed,
            hint="choose another campaign=NAME: what is compared has to be measured in the same blocks; "
            "more repeats, or a larger budget, of the plan it was started with would continue it",
        )
    odd = next(_mistaken(stored, asked), None)
    if odd:
        raise StoreError(
            f"the plan.json of campaign {stored.campaign} was changed after it was written: {odd}",
            hint="use another campaign= name, or move this folder away",
            cause="plan-unreadable",
        )


def _mistaken(stored: Plan, asked: Plan) -> Iterator[str]:
    """Yield what of the stored plan contradicts its own run ids, which say what is measured."""
    meant = {run.run_id: run for run in asked.runs}
    for run in stored.runs:
        if (run.cell_id, run.block) != (meant[run.run_id].cell_id, meant[run.run_id].block):
            yield f"run {run.run_id} has another cell or block"
    cells = {one.cell_id: identity(one.cell) for one in asked.cells}
    for one in stored.cells:
        if cells.get(one.cell_id) != identity(one.cell):
            yield f"cell {one.cell_id} is another configuration"


def differences(stored: Plan, asked: Plan) -> Iterator[str]:
    """Yield one line per setting, factor or hash that differs; nothing when the runs are the same."""
    if {run.run_id for run in stored.runs} == {run.run_id for run in asked.runs}:
        return
    named = [f"seed: {stored.seed} -> {asked.seed}"] if stored.seed != asked.seed else []
    named += [*_factor_differences(stored, asked), *build_differences(stored, asked)]
    # Other run ids are another experiment, even where nobody can say which of their inputs changed.
    yield from named or ["the run ids differ, and no setting, factor or hash of the two plans tells why"]


def _factor_differences(stored: Plan, asked: Plan) -> Iterator[str]:
    old, new = _values(stored), _values(asked)
    changed = [path for path in {**old, **new} if set(old.get(path, ())) != set(new.get(path, ()))]
    for path in changed:
        yield f"{path}: {', '.join(old.get(path, ('-',)))} -> {', '.join(new.get(path, ('-',)))}"
    if changed:
        return
    before, after = ({one.cell_id: one.label for one in plan.cells} for plan in (stored, asked))
    yield from (f"no longer asked for: {label}" for cell_id, label in before.items() if cell_id not in after)
    yield from (f"new: {label}" for cell_id, label in after.items() if cell_id not in before)


def _values(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the values that each factor takes over the plan, in order of appearance."""
    values: dict[str, dict[str, None]] = {}
    for one in plan.cells:
        for path, text in factor_texts(one.cell).items():
            values.setdefault(path, {})[text] = None
    return {path: tuple(texts) for path, texts in values.items()}


def build_differences(stored: Plan, asked: Plan) -> Iterator[str]:
    """Yield one line per program whose content differs: a QEMU, the guest's kernel and image, the library."""
    for name in sorted(stored.qemu.keys() | asked.qemu.keys()):
        old, new = stored.qemu.get(name), asked.qemu.get(name)
        if (old and old.sha256) != (new and new.sha256):
            yield f"QEMU ({name}): {_build_text(old)} -> {_build_text(new)}"
    for key in ("kernel_sha256", "initramfs_sha256"):
        before, after = getattr(stored.guest, key), getattr(asked.guest, key)
        if before != after:
            yield f"guest {key.removesuffix('_sha256')}: {before[:12]} -> {after[:12]}"
    optional = {"bare": "bare guest", "apps": "guest with applications", "nodelay": "nodelay library"}
    for key, what in optional.items():
        was, now = getattr(stored, f"{key}_sha256"), getattr(asked, f"{key}_sha256")
        if was != now:
            yield f"{what}: {(was or '-')[:12]} -> {(now or '-')[:12]}"


def _build_text(build: QemuBuild | None) -> str:
    return f"{build.version} {build.sha256[:12]}" if build else "-"
