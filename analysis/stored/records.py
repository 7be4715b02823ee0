"""The stored JSON documents as frozen, typed values: ``plan.json``, the lines of ``ledger.jsonl``, ``run.json``.

Keys that the report does not need are left alone, so that the writer may add some within one schema version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analysis.format.factors import Level
from analysis.format.hosts import ACCEL_TEXT, KVM_TEXT
from analysis.format.hypotheses import Declared

if TYPE_CHECKING:
    from collections.abc import Iterable

RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A run's name, safe as a folder name: it never leads out of ``runs/``."""


def _written_out(value: Any) -> Any:
    """Return a text without lone surrogates, which stand for bytes that are no UTF-8 and which no report can hold."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(lambda value: _written_out(str(value)))]
Message = Annotated[str | None, BeforeValidator(_written_out)]


class Record(BaseModel):
    """A stored document: immutable, tolerant of keys that nobody here reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class PlannedRun(Record):
    """One line of the plan."""

    run_id: RunId
    block: int
    order: int
    cell_id: str
    label: str


class PlannedCell(Record):
    """One configuration of the plan.

    ``at_default`` has, by dotted path, the defaults that ``cell`` leaves out and that another cell of the plan sets.
    """

    cell_id: str
    label: str
    cell: dict[str, Any]
    at_default: dict[str, Level] = {}


class Hypothesis(Declared, Record):
    """What the campaign is to decide, as ``docs/hypotheses.md`` describes it."""


class Plan(Record):
    """What was to be measured, in which order, written before the first boot."""

    campaign: str
    seed: int | None = None
    repeats: int | None = None
    command: str = ""
    experiment: str | None = None
    runs: tuple[PlannedRun, ...]
    cells: tuple[PlannedCell, ...] = ()
    qemu: dict[str, dict[str, Any]] = {}
    guest: dict[str, Any] = {}
    bare_sha256: str | None = None
    apps_sha256: str | None = None
    nodelay_sha256: str | None = None
    hypotheses: tuple[dict[str, Any], ...] = ()
    hypotheses_sha256: str = ""
    looks: tuple[Annotated[int, Field(ge=1)], ...] = ()
    until_known: bool = False
    rules: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _no_run_twice(self) -> Plan:
        if len({run.run_id for run in self.runs}) != len(self.runs):
            raise ValueError("two runs are the same one")
        if list(self.looks) != sorted(self.looks):
            raise ValueError("no look is after fewer blocks than the one before it")
        return self


class LedgerLine(Record):
    """One change of a run's state; strict, so that the report counts the lines that the campaign goes by."""

    model_config = ConfigDict(strict=True)

    t: Annotated[float, Field(ge=0, lt=1e18)]
    run_id: RunId
    attempt: Annotated[int, Field(ge=0, lt=10**18)]
    state: Literal["planned", "started", "measured", "failed"]
    phase: Message = None
    cause: Message = None
    message: Message = None


class Problem(Record):
    """Something in the evidence that could not be used, or looks wrong."""

    what: Text
    count: int = 1
    example: Text = ""


class Quality(Record):
    """The run's own verdict on its data; differences are pause by trace against pause by QMP events, in seconds."""

    ok: bool
    failures: tuple[Text, ...] = ()
    problems: tuple[Problem, ...] = ()
    qmp_median_difference_s: float | None = None
    qmp_max_difference_s: float | None = None
    notes: tuple[Text, ...] = ()


class HostRecord(Record):
    """The host before and after the run, and what drifted during it."""

    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    drift: tuple[Any, ...] = ()


class KvmRecord(Record):
    """Which KVM a pair ran under: ``hardware``, ``nested`` or ``software``; empty where it was not asked."""

    kind: str = ""


_SIDES = ("primary", "secondary")

NO_NODE = "no named node"
"""Where a run was that no cluster measured, beside others that one did."""


class RunRecord(Record):
    """What ``run.json`` says of one measured run. Times are Unix seconds."""

    run_id: RunId
    campaign: str
    block: int
    order: int
    attempt: int = 0
    cell_id: str
    cell: dict[str, Any]
    label: str
    takes_checkpoints: bool = True
    started_at: float
    finished_at: float
    schema_version: int = 1
    accel: Literal["tcg", "kvm"]
    nodes: dict[str, str] = {}
    kvm: KvmRecord = KvmRecord()
    versions: dict[str, Any] = {}
    timings: dict[str, float] = {}
    entry: dict[str, float | None] = {}
    failover: dict[str, Any] | None = None
    cache: dict[str, float] = {}
    clocks: dict[str, tuple[float, float]] = {}
    triggers: dict[str, float | None] = {}
    compare: dict[str, float | None] = {}
    costs: dict[str, Any] = {}
    transport: dict[str, Any] = {}
    workload: dict[str, Any] = {}
    client: dict[str, Any] | None = None
    hypotheses_sha256: str = ""
    host: HostRecord = HostRecord()
    hosts: dict[str, Any] = {}
    quality: Quality

    def clock_between(self, node: str, other: str) -> float:
        """Return the clock of ``other`` minus that of ``node``, in seconds; one that is not named is the harness's."""
        return self.clocks.get(other, (0.0, 0.0))[0] - self.clocks.get(node, (0.0, 0.0))[0]

    @property
    def node(self) -> str:
        """The node of a cluster that the pair was on, or the two; empty where the record names none."""
        return ", ".join(dict.fromkeys(self.nodes[side] for side in ("primary", "secondary") if side in self.nodes))

    def host_of(self, side: str) -> HostRecord:
        """Return what is known of the machine that a side was on: the harness's own, where no other one is named."""
        own = self.hosts.get(side)
        return HostRecord.model_validate(own) if isinstance(own, dict) and "before" in own else self.host

    @property
    def machines(self) -> tuple[dict[str, Any], ...]:
        """What is known, from before the run, of each machine that a side was on, and its name as ``node``."""
        far = [(self.host_of(side).before, self.hosts[side].get("node")) for side in _SIDES if side in self.hosts]
        return tuple({**before, "node": node} for before, node in far or [(self.host.before, self.node)])

    @property
    def pause_begins(self) -> str:
        """When a pause begins by its table, in words."""
        if self.schema_version > 1:
            return "when the run state changes"
        return "when the disks are drained too (version 1; some 0.6 ms later under emulation)"

    @property
    def under(self) -> str:
        """What the pair ran under, in words: which KVM, too."""
        text = ACCEL_TEXT[self.accel]
        return KVM_TEXT.get(self.kvm.kind, text) if self.accel == "kvm" else text

    @property
    def binaries(self) -> tuple[tuple[str, str], ...]:
        """Version and hash of the QEMUs that the sides ran: one where it is the same, as in most campaigns."""
        names = ("qemu", "qemu_secondary")
        found = ((str(self.versions.get(name, "")), str(self.versions.get(f"{name}_sha256", ""))) for name in names)
        return tuple(dict.fromkeys(one for one in found if any(one)))


def under_text(records: Iterable[RunRecord]) -> str:
    """Return what pairs ran under, in words, each once: an emulated pause must never be taken for one under KVM."""
    return " and ".join(dict.fromkeys(one.under for one in sorted(records, key=lambda one: one.accel)))
