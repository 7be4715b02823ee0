"""What the page may not be believed in: each doubt that its data leave, in a sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analysis.format.hosts import FAR
from analysis.report.checks import by_itself, without_controls
from analysis.text import listed, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from analysis.stored.campaign import Run
    from analysis.verdicts.results import Results

_FEW_CHECKPOINTS = 20


def threats(results: Results) -> Iterator[str]:
    """Yield them."""
    if "tcg" in results.cells.accels:
        yield (
            "Emulation: vCPUs, device models and the copying of pages share the same host CPUs, and a vCPU is far "
            "slower than under KVM. Absolute times do not carry over; the effect of vCPUs may not either."
        )
    hosts = {str(run.record.cell.get("host", {}).get("kind", "local")) for run in results.campaign.runs}
    if hosts - FAR:
        both = "In some pairs both" if hosts & FAR else "Both"
        said = f"{both} virtual machines ran on one host and competed for it"
        yield f"{said}; two hosts take that away and add a network."
    found = results.diagnostics
    if found.drifting_hosts:
        yield f"{plural(found.drifting_hosts, 'run')} saw the host change while measured; a table above says how."
    if not found.controls:
        yield (
            f"The noise floor is unknown: {without_controls(results)}, so nothing here shows how far "
            "apart equals come out, and an effect may be called material that equals could have as well."
        )
    begins = Counter(run.record.pause_begins for run in results.campaign.runs)
    if len(begins) > 1:
        told = listed([f"in {plural(count, 'run')} {when}" for when, count in sorted(begins.items())])
        yield f"Pauses begin {told}: what that makes counts as a difference between runs, blocks and cells."
    yield from _unsettled(results)
    few = int(results.per_cell["runs"].min())
    if few < 6:  # noqa: PLR2004 - the first R with a 95 % interval
        yield f"Only {plural(few, 'run')} in some cells: too few for a 95 % interval of a cell."
    short = int(results.runs["checkpoints"].min())
    if short < _FEW_CHECKPOINTS:
        yield (
            f"Few checkpoints per run, {short} in the shortest: tails (p95, p99), second modes and dependence hardly "
            "show in so few, and nothing says what a longer run would have come to."
        )
    measured = (*results.campaign.runs, *results.campaign.without)
    if results.campaign.attempts:
        # Campaigns of one seed hold runs of one id: joined, in blocks of their own.
        failing = {(attempt.planned.run_id, attempt.planned.block) for attempt in results.campaign.attempts}
        retried = len(failing & {(run.record.run_id, run.record.block) for run in measured})
        again = f", and {plural(retried, 'run')} was measured on a later attempt" if retried else ""
        again = again.replace("runs was", "runs were")
        failed = plural(len(results.campaign.attempts), "attempt")
        yield f"{failed} failed{again}; where a verdict hangs on lost runs it says so."
    if not results.campaign.plan.hypotheses:
        differences = "differences between cells are descriptions, not tests"
        what = "the verdicts here are exploratory" if results.findings else differences
        yield f"No hypothesis was declared before the data: {what}."
    yield f"{_measured_on(measured)}: others may differ by more than any interval here says."


def _measured_on(runs: Sequence[Run]) -> str:
    records = [run.record for run in runs]
    seen = [each for one in records for each in one.machines]
    kernels = {each.get("kernel") for each in seen}
    # Of campaigns that are joined the records tell only such machines apart as differ; and one without a name that has
    # another kernel than before may have been started anew, or be another one.
    known = len(kernels) == 1 or all(each.get("node") for each in seen)
    machine = _MACHINES[known and len({run.folder for run in runs}) == 1]
    counted: list[tuple[tuple[str, str], Collection[object]]] = [
        (machine, {tuple(map(each.get, _MACHINE)) for each in seen}),
        *([(_KERNELS, kernels)] if len(kernels) > 1 else []),
        (("guest", "guests"), {tuple(map(one.versions.get, _GUEST)) for one in records}),
        (("binary", "binaries"), {sha256 for one in records for _, sha256 in one.binaries}),
    ]
    said = ", ".join(f"{len(found)} {many}" if len(found) > 1 else f"one {one}" for (one, many), found in counted)
    return f"{said[:1].upper()}{said[1:]}"


_MACHINES = {True: ("machine", "machines"), False: ("kind of machine", "kinds of machine")}
_KERNELS = ("host kernel", "host kernels")
_MACHINE = ("cpu_model", "node")
_GUEST = ("kernel_sha256", "initramfs_sha256", "applications_sha256")


def _unsettled(results: Results) -> Iterator[str]:
    """Say which verdicts hang on a choice."""
    for name, word in by_itself(results).items():
        others = [one for one in results.diagnostics.sensitivity if one.hypothesis == name and one.word != word]
        if others:
            yield (
                f"{name} is {word} by itself, but " + ", ".join(f"{one.word} with {one.choice}" for one in others) + "."
            )
