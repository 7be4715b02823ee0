"""What QEMU's own words mean: lines of its standard error or of a QMP reply in, a cause out.

The words are those of QEMU's source: `softmmu/vl.c`, `qdev-monitor.c`, `util/qemu-sockets.c`, `migration/savevm.c`,
`migration/ram.c`, `nbd/client.c`, `block.c`, `net/slirp.c`, `physmem.c`; of the loader, and of `nsenter`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z ")
_EVIDENCE_LINES = 4


@dataclass(frozen=True)
class Rule:
    """How one cause is recognised.

    Attributes:
        cause: its name in the catalogue.
        meaning: the message, for a person.
        pattern: what a line of this cause holds.
        weak: whether a side whose peer merely went away says the same: believed only when nothing else explains it.
    """

    cause: str
    meaning: str
    pattern: re.Pattern[str]
    weak: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """What was recognised: the cause, what it means, and the lines that say so."""

    cause: str
    meaning: str
    lines: tuple[str, ...]


def _rule(cause: str, meaning: str, *patterns: str, weak: bool = False) -> Rule:
    return Rule(cause, meaning, re.compile("|".join(patterns)), weak)


RULES = (
    _rule(
        "port-taken",
        "a port was taken by another program before QEMU could bind it",
        r"Address already in use",
        r"Could not set up host forwarding rule",
    ),
    _rule(
        "qemu-no-memory",
        "QEMU could not get memory from the host",
        r"cannot set up guest memory",
        r"Cannot allocate memory",
        r"Insufficient free host memory",
        r"[Ff]ailed to allocate memory",
    ),
    _rule("disk-full", "QEMU met a full disk", r"No space left on device"),
    _rule("read-only", "QEMU met a read-only file system", r"Read-only file system"),
    _rule(
        "unknown-cpu",
        "QEMU does not know the CPU model or a feature of it",
        r"[Uu]nable to find CPU model",
        r"CPU model '[^']*' requires KVM",
        r"Property '[\w.-]+-cpu\.[^']*' not found",
        r"CPU feature \S+ not found",
    ),
    _rule(
        "unknown-device",
        "QEMU does not know a device",
        r"is not a valid device model name",
        r"expects a(?: pluggable|n? \S*) ?device type",
        r"[Uu]nsupported NIC model",
    ),
    _rule(
        "replication-missing",
        "this QEMU was built without the replication block driver",
        r"Unknown (?:driver|protocol) '?replication",
        r"[Dd]river 'replication' (?:can|is not|not)",
        r"Invalid parameter 'replication'",
    ),
    _rule(
        "unknown-option",
        "QEMU does not know an option or a property",
        r": invalid option",
        r"Invalid parameter '",
        r"Parameter '[^']*' is unexpected",
        r"Property '[^']*' not found",
        r"[Uu]nsupported machine type",
        r"invalid accelerator",
        r"There is no option group",
    ),
    _rule(
        "nbd-export-missing",
        "the secondary does not export the disk that the primary replicates to",
        r"[Rr]equested export not available",
        r"export '[^']*' not (?:present|found)",
        r"No export with name",
        r"Cannot find device='?parent0",
    ),
    _rule(
        "sides-differ",
        "the secondary is not the same machine as the primary",
        r"Size mismatch",
        r"Length mismatch",
        r"Unknown savevm section",
        r"Unknown ramblock",
        r"Mismatched RAM page size",
        r"Machine type received is '",
    ),
    _rule(
        "releases-apart",
        "the secondary's QEMU does not take COLO from a primary of an older release",
        r"MIG_CMD 0x[0-9a-f]+ deprecated",
    ),
    _rule(
        "privilege-missing",
        "QEMU may not make the tap device",
        r"could not (?:open|configure) /dev/net/tun.*(?:not permitted|denied)",
    ),
    _rule(
        "kvm",
        "KVM does not work here",
        r"failed to initialize kvm",
        r"Could not access KVM",
        r"KVM internal error",
        r"kvm run failed",
    ),
    _rule("netns-lost", "the network namespace of a side is gone", r"nsenter: cannot open .*ns/net"),
    _rule("qemu-missing", "a library of QEMU is missing", r"error while loading shared libraries"),
    _rule(
        "sides-differ",
        "the secondary did not take the primary's state",
        r"failed to save SaveStateEntry with id\(name\)",
        r"load of migration failed: Invalid argument",
        weak=True,
    ),
)
"""Tried in this order: the first that a line holds decides, since the later ones are the wider ones."""


def diagnose(lines: Iterable[str], *, weak: bool = False) -> Diagnosis | None:
    """Return what the lines say went wrong, or ``None`` when they hold nothing that is known.

    Args:
        lines: QEMU's, oldest first.
        weak: also believe words that a side says when its peer merely went away.
    """
    said = tuple(lines)
    for rule in RULES:
        if rule.weak and not weak:
            continue
        proof = tuple(line for line in said if rule.pattern.search(line))
        if proof:
            return Diagnosis(rule.cause, rule.meaning, distinct(proof)[:_EVIDENCE_LINES])
    return None


def distinct(lines: Iterable[str]) -> tuple[str, ...]:
    """Return each thing said once, without its time: QEMU says some of them for every vCPU."""
    said = (_STAMP.sub("", line).strip() for line in lines)
    return tuple(dict.fromkeys(line for line in said if line))
