"""One injection, from the machine's snapshot to the verdict; and the undisturbed campaign that it is held against."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.plan.plan import parse_plan
from tools.faults import machine, records
from tools.faults.fault import BlockedError
from tools.faults.scene import MissedError, Scene
from tools.faults.storage import copied_cache

if TYPE_CHECKING:
    from pathlib import Path

    from tools.faults.fault import Fault

_TRIES = 5
_LATE = "the act came too late"
_UNDISTURBED_S = 400.0
_PANIC = b"Kernel panic"
_RETRY = "on_error=retry:5"
"""An emulated secondary now and then panics through no fault of ours (docs/findings.md): such a run is made again."""


class SetUpError(Exception):
    """The undisturbed campaign could not be measured: there is nothing to hold an injection against."""


@dataclass
class Outcome:
    """What one injection showed.

    Attributes:
        fault: its name.
        group: the row of the table.
        blocked: why this machine cannot do it; then nothing else is known.
        status: the broken command's exit status.
        before: complete checkpoints in the raw trace when the fault came.
        lost: complete checkpoints that are neither stored nor recoverable afterwards.
        leftovers: what was left on the machine, each thing a line.
        cause: what the ledger (or the refusal) says.
        named: whether that names the fault rightly.
        finished: whether the repeated command made the data set an undisturbed one has.
        wrong: everything else that is not as it should be.
        redone: how often it was done anew, as the guest had panicked by itself or the moment was missed.
        seconds: how long it took.
    """

    fault: str
    group: str
    blocked: str = ""
    status: int | None = None
    before: int = 0
    lost: int = 0
    leftovers: list[str] = field(default_factory=list)
    cause: str = ""
    named: bool = False
    finished: bool = False
    wrong: list[str] = field(default_factory=list)
    redone: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.lost or self.leftovers or self.wrong) and self.named and self.finished

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self) | {"ok": self.ok or bool(self.blocked)}


@dataclass(frozen=True)
class Reference:
    """An undisturbed campaign, and the same half-way.

    Attributes:
        whole: its folder, all runs measured.
        half: a copy that ends before the last run.
        measured: the run that is measured in ``half``.
        missing: the run that is not.
    """

    whole: Path
    half: Path
    measured: str
    missing: str


class References:
    """The undisturbed campaigns, one for each setting, measured when they are first asked for."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._made: dict[tuple[str, ...], Reference] = {}

    def get(self, fault: Fault) -> Reference:
        """Return the reference of a fault's setting.

        Raises:
            SetUpError: it could not be measured.
            BlockedError: this machine cannot measure it.
        """
        setting = fault.setting
        if setting not in self._made:
            self._made[setting] = _measure(self._work / f"reference-{len(self._made)}", fault)
        return self._made[setting]


def _measure(folder: Path, fault: Fault) -> Reference:
    scene = Scene(folder, fault.setting, "")
    try:
        with fault.undisturbed(scene):
            scene.start((_RETRY,))
            if not scene.ended(_UNDISTURBED_S) or scene.status != 0:
                raise SetUpError(f"the undisturbed campaign failed:\n{scene.text().decode(errors='replace')}")
    finally:
        scene.close()
    measured, missing = (run.run_id for run in parse_plan((scene.campaign / "plan.json").read_text()).runs)
    half = folder / "half"
    shutil.copytree(scene.campaign, half, symlinks=True)
    _take_back(half, missing)
    return Reference(scene.campaign, half, measured, missing)


def _take_back(campaign: Path, run_id: str) -> None:
    """Make a finished campaign one that ended before its last run began."""
    ledger = campaign / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if run_id not in line or '"planned"' in line))
    for attempt in (campaign / "runs" / run_id, *campaign.glob(f"failed/{run_id}-*")):
        shutil.rmtree(attempt)
    shutil.rmtree(campaign / "report", ignore_errors=True)
    (campaign / "index.csv").unlink()


def inject(fault: Fault, references: References, work: Path, *, chance: float = 0.0, keep: bool = False) -> Outcome:
    """Inject a fault into a campaign of its own and return what came of it.

    Args:
        fault: which.
        references: the undisturbed campaigns.
        work: a folder for everything.
        chance: between 0 and 1: where within a stage.
        keep: whether to leave the injection's folder behind when something was not as it should be.
    """
    outcome = Outcome(fault.name, fault.group)
    began = time.monotonic()
    try:
        reference = references.get(fault)
        stray: list[str] = []
        for again in range(_TRIES):
            outcome = Outcome(fault.name, fault.group, redone=again)
            folder = work / f"{fault.name}-{time.time_ns()}"
            missed = _once(fault, reference, folder, outcome, chance * (1 - again / (_TRIES - 1)), keep=keep)
            outcome.leftovers += stray
            if not missed:
                break
            stray = outcome.leftovers
        else:
            outcome.wrong.append(f"given up after {_TRIES} tries: {missed}")
    except BlockedError as error:
        outcome.blocked = str(error)
    except (SetUpError, OSError, subprocess.SubprocessError) as error:
        outcome.wrong.append(f"the injection itself failed: {error}")
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _once(fault: Fault, reference: Reference, folder: Path, outcome: Outcome, chance: float, *, keep: bool) -> str:
    """Inject once; return why it has to be done anew, empty when it counts."""
    scene = Scene(folder, fault.setting, reference.missing, chance)
    keeping = keep
    try:
        with fault.ground(scene):
            shutil.copytree(reference.half, scene.campaign, symlinks=True)
            before = machine.look(scene, copied_cache(scene))
            fault.damage(scene)
            missed = _break(fault, scene, before, outcome)
            if missed:
                keeping = False
                return missed
            _repeat(fault, scene, reference, before, outcome)
        return ""
    finally:
        scene.close()
        machine.end(scene)
        if not keeping or outcome.ok or outcome.blocked:
            shutil.rmtree(folder, ignore_errors=True)


def _break(fault: Fault, scene: Scene, before: machine.Machine, outcome: Outcome) -> str:
    """Run the command that is broken; return why the injection does not count, empty when it does."""
    missed = _disturb(fault, scene, outcome)
    if not scene.ended(fault.deadline_s):
        outcome.wrong.append(f"the broken command did not end within {fault.deadline_s:g} s")
    outcome.status = scene.status
    for one in scene.held:
        one.close()
    scene.held.clear()
    inside = fault.moment is not None and fault.moment.inside
    if inside and not missed and records.complete_by_trace(_attempt(scene)) != outcome.before:
        missed = _LATE
    outcome.leftovers += machine.settled(before, scene, copied_cache(scene), files=not fault.dies)
    if missed or _panicked(scene):
        return missed or "the guest panicked by itself"
    if scene.status not in fault.exits:
        outcome.wrong.append(f"exit status {scene.status}, not {' or '.join(map(str, sorted(fault.exits)))}")
    if b"Traceback (most recent call last)" in scene.text():
        outcome.wrong.append("a traceback was shown")
    return ""


def _disturb(fault: Fault, scene: Scene, outcome: Outcome) -> str:
    """Start the command and act at the moment; return how the moment was missed, empty when it was not."""
    scene.start(fault.overrides, terminal=fault.terminal)
    if fault.moment is None:
        return ""
    try:
        fault.moment.wait(scene)
        outcome.before = records.complete_by_trace(scene.run)
        fault.act(scene)
    except (MissedError, ProcessLookupError) as error:
        return str(error)
    return "" if fault.moment.hit(scene) else _LATE


def _attempt(scene: Scene) -> Path:
    """Return where the broken run's files are: still in their place, or set aside."""
    aside = sorted(scene.campaign.glob(f"failed/{scene.run_id}-*"), key=lambda path: int(path.name.split("-")[-1]))
    return scene.run if scene.run.exists() or not aside else aside[-1]


def _panicked(scene: Scene) -> bool:
    """Return whether a guest of the broken run panicked by itself."""
    logs = scene.campaign.glob(f"*/{scene.run_id}*/*/serial.log")
    return any(_PANIC in log.read_bytes() for log in logs)


def _repeat(fault: Fault, scene: Scene, reference: Reference, before: machine.Machine, outcome: Outcome) -> None:
    """Look at what was left, then repeat the command and hold its data set against the undisturbed one."""
    traced, left = records.by_trace(scene.campaign), _last(scene)
    ledger_before = scene.ledger()
    refused = scene.text().decode(errors="replace")
    kept = None if fault.reruns else records.fingerprint(scene.campaign / "runs" / reference.measured)
    fault.remedy(scene)
    scene.start((_RETRY,))
    if not scene.ended(_UNDISTURBED_S) or scene.status != 0:
        tail = " | ".join(scene.text().decode(errors="replace").splitlines()[-4:])
        outcome.wrong.append(f"the repeated command did not finish (status {scene.status}): {tail}")
    outcome.leftovers += machine.settled(before, scene, copied_cache(scene))
    outcome.cause, outcome.named = _named(fault, scene, left, ledger_before, refused)
    unrecovered = records.recover(scene.campaign)
    outcome.lost = records.lost(scene.campaign, traced)
    wrong = records.differences(scene.campaign, reference.whole)
    wrong += [unrecovered] if unrecovered else []
    if kept is not None and records.fingerprint(scene.campaign / "runs" / reference.measured) != kept:
        wrong.append("what had been measured before the fault was measured again")
    if not fault.reruns:
        wrong += [f"{run_id} is measured twice in the ledger" for run_id in records.measured_twice(scene.ledger())]
    outcome.finished = scene.status == 0 and not wrong
    outcome.wrong += wrong


def _last(scene: Scene) -> dict[str, Any]:
    """Return the newest line on the missing run in the ledger."""
    lines = [entry for entry in scene.ledger() if entry.get("run_id") == scene.run_id]
    return lines[-1] if lines else {}


def _named(
    fault: Fault, scene: Scene, left: dict[str, Any], before: list[dict[str, Any]], refused: str
) -> tuple[str, bool]:
    """Return what is said of the fault, and whether that is right."""
    if fault.says:
        found = re.search(fault.says, refused)
        return (found[0] if found else "not told"), found is not None
    if left.get("state") == "failed":
        cause = str(left.get("cause"))
        return cause, cause in fault.causes
    if left.get("state") == "measured":
        return "measured", fault.may_succeed
    if left.get("state") == "started" and fault.dies:
        # A harness that was killed can write nothing; the next start has to say what it found.
        said = [one for one in scene.ledger()[len(before) :] if one.get("run_id") == scene.run_id]
        first = next((one for one in said if one.get("attempt") == left.get("attempt")), {})
        return str(first.get("cause") or first.get("state") or "nothing"), (
            first.get("state") == "measured" or first.get("cause") in fault.causes
        )
    # A command that never came to the run leaves it as it was.
    early = fault.moment is not None and fault.moment.early
    return str(left.get("state", "nothing")), early and left.get("state") == "planned"
