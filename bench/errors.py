"""What can go wrong, said once: every failure has a phase, a cause, a hint, and the logs that prove it.

The causes are those of :mod:`bench.failures`; ``docs/failures.md`` is made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.failures.catalogue import CATALOGUE
from bench.failures.cause import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from bench.failures.cause import Trait


def printable(text: str) -> str:
    """Return a text that does nothing to a terminal: a guest's console or a log may hold control sequences."""
    return "".join(
        letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )


class BenchError(Exception):
    """A failure that the project understands.

    Attributes:
        phase: where it happened.
        cause: a short, stable name from the catalogue, such as ``qmp-timeout``.
        message: what happened, for a person.
        hint: what fixes it: the catalogue's fix where none is given.
        transient: whether trying the same run again may succeed: as the catalogue has it where not given.
        evidence: the log lines that prove it.
        logs: paths worth reading.
    """

    phase: Phase = Phase.MEASURE
    cause: str = "bug"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        cause: str | None = None,
        phase: Phase | None = None,
        transient: bool | None = None,
        evidence: tuple[str, ...] = (),
        logs: tuple[Path, ...] = (),
    ) -> None:
        self.message = "\n".join(map(printable, message.strip().splitlines()))
        super().__init__(self.message)
        self.cause = cause or type(self).cause
        self.phase = phase or type(self).phase
        # A name that the catalogue lacks is a bug that the tests find; here it must not hide what went wrong.
        known = CATALOGUE.get(self.cause)
        self.hint = (known.fix if known else "") if hint is None else hint
        self.transient = (known is not None and known.transient) if transient is None else transient
        self.evidence = tuple(map(printable, evidence))
        self.logs = logs

    def has(self, trait: Trait) -> bool:
        """Return whether that is so of its cause."""
        known = CATALOGUE.get(self.cause)
        return known is not None and trait in known.traits

    def __str__(self) -> str:
        """Return the cause and the fix, one line each, and the lines that prove it."""
        lines = [self.message]
        lines += [f"  | {line}" for line in self.evidence]
        lines += [f"  fix: {self.hint}"] if self.hint else []
        lines += [f"  log: {path}" for path in self.logs]
        return "\n".join(lines)


class ConfigError(BenchError):
    """The configuration names an unknown key or an illegal value."""

    phase = Phase.PLAN
    cause = "bad-configuration"


class PlanChangedError(BenchError):
    """A campaign of this name exists with another plan."""

    phase = Phase.PLAN
    cause = "plan-changed"


class HostError(BenchError):
    """This machine cannot do what was asked: memory, disk, privilege, a kernel feature."""

    phase = Phase.HOST
    cause = "command-failed"


class ProvisionError(BenchError):
    """QEMU or the guest could not be fetched, built or verified."""

    phase = Phase.PROVISION
    cause = "provision-failed"


class LaunchError(BenchError):
    """A process did not come up, or ended too early."""

    phase = Phase.LAUNCH
    cause = "qemu-exited"


class QmpError(BenchError):
    """A QMP command failed or was not answered in time."""

    phase = Phase.HANDSHAKE
    cause = "qmp-lost"


class ReadbackError(BenchError):
    """The running VM is not what was asked for."""

    phase = Phase.HANDSHAKE
    cause = "readback-mismatch"


class ColoError(BenchError):
    """The pair did not reach, or did not stay in, the COLO state."""

    phase = Phase.COLO_START
    cause = "colo-stuck"


class GuestError(BenchError):
    """The guest did not boot to its ready line, or panicked."""

    phase = Phase.GUEST
    cause = "guest-not-ready"


class WorkloadError(BenchError):
    """The guest workload or its client failed."""

    phase = Phase.WORKLOAD
    cause = "workload-failed"


class MeasureError(BenchError):
    """Checkpoints could not be triggered, completed or read."""

    phase = Phase.MEASURE
    cause = "checkpoint-stuck"


class TeardownError(BenchError):
    """A process could not be ended."""

    phase = Phase.TEARDOWN
    cause = "process-stuck"


class StoreError(BenchError):
    """Results could not be written or read back."""

    phase = Phase.STORE
    cause = "store-failed"
