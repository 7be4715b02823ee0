"""Slurm by its own commands: plain text that has been the same for many releases, and nothing of its accounting.

What it says is a hint. What became of a block, the part itself says (:mod:`bench.cluster.parts`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cluster.script import argv, environment
from bench.errors import HostError
from bench.system.owner import VARIABLE, end_with_owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.cluster.script import Job
    from bench.config.launcher import Launcher

_DEADLINE_S = 60.0
_OPTIONS = ("SBATCH_", "SCANCEL_", "SCONTROL_", "SINFO_", "SQUEUE_")
"""What the names of variables begin with that are options of Slurm's commands: SQUEUE_PARTITION hides jobs of ours."""

_UNREACHABLE = re.compile(
    r"unable to contact slurm controller|connection refused|socket timed out|zero bytes were transmitted"
    r"|unable to establish (config|control)|protocol authentication error|munge",
    re.IGNORECASE,
)

OVER = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
"""The states that a job does not leave again; one that is requeued goes back to PENDING without being in them."""

_UNUSABLE = ("down", "drain", "drng", "fail", "unk")
"""How ``sinfo`` abbreviates the states of nodes that start no job and will not by themselves."""

NEVER = re.compile(
    r"\(?(AccountNotAllowed|BadConstraints|InvalidAccount|InvalidQOS|PartitionDown|PartitionInactive"
    r"|PartitionNodeLimit|PartitionTimeLimit|QOSNotAllowed|(Assoc|QOS)Max\w+PerJob(Limit)?)\)?"
)
"""Reasons for which a job waits and that waiting does not end: what one job asks for is beyond a limit of each."""


@dataclass(frozen=True)
class Seen:
    """What Slurm says of a job.

    Attributes:
        state: as ``squeue`` spells it; empty when it knows no such job (any more).
        reason: why it waits, or why it ended.
        nodes: where it is or was.
        comment: what it was submitted with.
    """

    state: str
    reason: str = ""
    nodes: str = ""
    comment: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing of it runs or will."""
        return not self.state or self.state in OVER

    @property
    def waits(self) -> bool:
        """Whether it is to be started, for the first time or again."""
        return self.state == "PENDING"

    @property
    def cancelled(self) -> bool:
        """Whether a person has ended it."""
        return self.state == "CANCELLED"

    @property
    def hopeless(self) -> bool:
        """Whether it waits for what will not come."""
        return self.waits and bool(NEVER.fullmatch(self.reason))


class UnreachableError(HostError):
    """The cluster's controller does not answer: nothing is known of any job for now."""

    cause = "slurm-unreachable"


@dataclass(frozen=True)
class Said:
    """How a command of Slurm's ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def why(self) -> str:
        """What it said of its failure, in one line."""
        lines = [line.partition(": error: ")[2] or line for line in (self.err or self.out).splitlines()]
        return " ".join("; ".join(lines).split()) or f"exit status {self.status}"


def require_slurm(*, srun: bool = False) -> None:
    """Return where Slurm's commands are there.

    Args:
        srun: whether that one is needed too: jobs of several nodes start what is on each by it.

    Raises:
        HostError: one is missing.
    """
    for name in ("sbatch", "squeue", "sinfo", "scancel", "scontrol", *(("srun",) if srun else ())):
        if shutil.which(name) is None:
            raise HostError(f"launcher=slurm needs `{name}`, which is not on PATH", cause="slurm-missing")


def plain(around: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Slurm's commands do what their arguments say.

    Without our mark, too: it would go into a job with the rest, and whoever reaps would end the job by it.
    """
    return {name: value for name, value in around.items() if name != VARIABLE and not name.startswith(_OPTIONS)}


def say(command: Sequence[str], env: Mapping[str, str] | None = None) -> Said:
    """Run a command of Slurm's.

    Raises:
        UnreachableError: the controller does not answer, or not in time.
        HostError: the command cannot be started.
    """
    try:
        done = subprocess.run(
            command,
            env=plain(os.environ if env is None else env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE_S,
            preexec_fn=end_with_owner(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"`{command[0]}` did not answer within {_DEADLINE_S:g} s") from error
    except OSError as error:
        raise HostError(f"`{command[0]}` cannot be started: {error.strerror}", cause="slurm-missing") from error
    said = Said(done.returncode, done.stdout, done.stderr)
    if said.status and _UNREACHABLE.search(said.err):
        raise UnreachableError(f"`{command[0]}`: {said.why}")
    return said


def submit(asked: Job, launcher: Launcher) -> str:
    """Submit a job and return its id.

    Raises:
        HostError: Slurm refused it; the message has its words.
    """
    said = say(argv(asked, launcher), environment(os.environ))
    job = said.out.strip().partition(";")[0]
    if said.status or not job.isdecimal():
        raise HostError(f"Slurm refused the job: {said.why}", cause="job-refused")
    return job


def never_starts(asked: Job, launcher: Launcher) -> str:
    """Return why Slurm would never start a job, by ``sbatch --test-only``; empty where it would."""
    program, *options = argv(asked, launcher)
    said = say((program, "--test-only", *options), environment(os.environ))
    return said.why if said.status else ""


def look() -> dict[str, Seen]:
    """Return what Slurm says of this user's jobs, by id; those that are over too, for some minutes.

    Raises:
        UnreachableError: nothing is known for now.
    """
    said = say(("squeue", "-h", "-t", "all", "-u", str(os.geteuid()), "-o", "%i|%T|%r|%N|%k"))
    if said.status:
        raise UnreachableError(f"`squeue`: {said.why}")
    return parse_seen(said.out)


def parse_seen(text: str) -> dict[str, Seen]:
    """Return what lines of ``squeue`` say, by job."""
    rows = (line.strip().split("|", maxsplit=4) for line in text.splitlines())
    return {row[0]: Seen(*map(_known, row[1:])) for row in rows if len(row) == 5}  # noqa: PLR2004 - as look() asks for


def _known(word: str) -> str:
    return "" if word in {"None", "(null)", "N/A"} else word


def cancel_waiting(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue; one that has begun meanwhile goes on."""
    if jobs:
        say(("scancel", "--state=PENDING", *jobs))


@dataclass(frozen=True)
class Partition:
    """What a partition offers.

    Attributes:
        name: without the mark of the default one.
        default: whether it is that.
        longest_s: the longest that a job may take; None for any time.
        nodes: how many it has that are not down for good.
        up: whether jobs are started in it.
    """

    name: str
    default: bool
    longest_s: float | None
    nodes: int
    up: bool = True


def partitions() -> tuple[Partition, ...]:
    """Return the partitions.

    Raises:
        UnreachableError: nothing is known for now.
    """
    said = say(("sinfo", "-h", "-o", "%P|%l|%D|%t|%a"))
    if said.status:
        raise UnreachableError(f"`sinfo`: {said.why}")
    return parse_partitions(said.out)


def parse_partitions(text: str) -> tuple[Partition, ...]:
    """Return what lines of ``sinfo`` say: one for each state of the nodes of a partition."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, longest, count, state, can = (line.strip().split("|") + [""] * 4)[:5]
        if not name or not count.isdecimal():
            continue
        usable = 0 if state.rstrip("*~#!%$@^-+").startswith(_UNUSABLE) else int(count)
        plain = name.removesuffix("*")
        before = found.get(plain)
        nodes = usable + (before.nodes if before else 0)
        found[plain] = Partition(plain, name.endswith("*"), parse_limit_s(longest), nodes, can in {"", "up"})
    return tuple(found.values())


def parse_limit_s(text: str) -> float | None:
    """Return seconds from Slurm's ``[DAYS-]HOURS:MINUTES:SECONDS``, or less of it; None for no limit."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts) or (dash and not days.isdecimal()):
        return None
    numbers = [float(part) for part in parts]
    if dash:  # days-hours[:minutes[:seconds]]
        return float(days) * 86400 + sum(each * unit for each, unit in zip(numbers, (3600, 60, 1), strict=False))
    if len(numbers) == 1:
        return numbers[0] * 60
    return sum(each * unit for each, unit in zip(reversed(numbers), (1, 60, 3600), strict=False))


def version() -> str:
    """Return the release of the commands here; empty where they do not say."""
    return _release_in(say(("sinfo", "--version")).out)


def controller_version() -> str:
    """Return the release of the controller; empty where it does not say.

    Raises:
        UnreachableError: it does not answer.
    """
    said = say(("scontrol", "show", "config"))
    return _release_in("".join(line for line in said.out.splitlines() if line.startswith("SLURM_VERSION")))


def _release_in(text: str) -> str:
    found = re.search(r"\b[0-9]{2}\.[0-9]{2}(\.[0-9]+)?", text)
    return found[0] if found else ""


def is_usable(node: str) -> bool:
    """Return whether a node (or each of several, as Slurm writes them) is up."""
    said = say(("sinfo", "-h", "-N", "-n", node, "-o", "%t"))
    states = [line.strip() for line in said.out.splitlines()]
    return bool(states) and not any(one.startswith(_UNUSABLE) or one.endswith("*") for one in states)
