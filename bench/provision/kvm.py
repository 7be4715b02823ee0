"""Does KVM really run our guest here? Opening ``/dev/kvm`` proves nothing: on some machines the guest then hangs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, LaunchError
from bench.provision.boot import boot_argv, booted
from bench.provision.cache import cache_folder, text_sha256
from bench.system.documents import parse_json
from bench.system.files import write_atomic
from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

DEADLINE_S = 20.0
"""A guest is ready within two seconds where KVM works; the rest is for a busy machine."""

DOUBT_HOLDS_S = 86400.0
"""A time-out is no proof: the machine may have been busy. Yet where KVM always hangs, not each start should pay it."""

_DEFINITE = ("guest-stopped", "qemu-aborted")
"""Causes that prove that KVM does not run this guest: its own error, the guest's panic, QEMU's abort."""

_DEVICE = Path("/dev/kvm")


@dataclass(frozen=True)
class Verdict:
    """What a probe found: whether something works here, why (not) in one line, and the cause where it has a name."""

    ok: bool
    reason: str
    cause: str = ""


def probe_kvm(
    binary: Binary,
    guest: Guest,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Verdict:
    """Boot the guest under KVM to its ready line and return whether it got there.

    What is proved is remembered; what another day may change, a time-out above all, is remembered for
    :data:`DOUBT_HOLDS_S` by the clock (Unix s). A QEMU that cannot be started is asked again next time.
    """
    known = cached_kvm(binary, guest, clock)
    if known is not None:
        return known
    progress(f"probing KVM: the guest must be ready within {deadline_s:g} s")
    answer = _answer_path(binary, guest)
    until = None
    try:
        with booted(boot_argv(binary, guest, "kvm"), binary.env, deadline_s, answer.with_suffix(".log")):
            verdict = Verdict(ok=True, reason="the guest boots under KVM")
    except LaunchError as error:
        return Verdict(ok=False, reason=f"/dev/kvm opens, but {error.message}")
    except BenchError as error:
        reason = f"/dev/kvm opens, but {error.message}"
        if error.cause not in _DEFINITE:
            until = clock() + DOUBT_HOLDS_S
            reason += f" (asked again after a day, or after rm {answer}: it may pass)"
        reason += "".join(f"; what it said: {log}" for log in error.logs)
        verdict = Verdict(ok=False, reason=reason)
    write_atomic(answer, json.dumps(asdict(verdict) | {"until": until}) + "\n")
    return verdict


def cached_kvm(binary: Binary, guest: Guest, clock: Callable[[], float] = time.time) -> Verdict | None:
    """Return what is known without booting anything: the remembered answer, or that ``/dev/kvm`` cannot be used."""
    obstacle = kvm_obstacle(_DEVICE)
    if obstacle:
        # Not remembered: it costs nothing to look, and a permission may be given at any time.
        return Verdict(ok=False, reason=obstacle)
    try:
        answer = parse_answer(_answer_path(binary, guest).read_bytes())
    except OSError:
        return None
    if answer is None:
        return None
    verdict, until = answer
    return verdict if until is None or (is_amount(until) and clock() < until) else None


def parse_answer(content: bytes) -> tuple[Verdict, Any] | None:
    """Return a remembered answer and until when it holds (Unix s, ``None``: always); ``None`` when it is damaged."""
    try:
        tree = parse_json(content)
    except ValueError:
        return None
    if not isinstance(tree, dict) or not isinstance(tree.get("ok"), bool) or not isinstance(tree.get("reason"), str):
        return None
    cause = tree.get("cause", "")
    verdict = Verdict(ok=tree["ok"], reason=tree["reason"], cause=cause if isinstance(cause, str) else "")
    # An answer without `until` is an older one, whose failures may have been time-outs.
    return verdict, tree.get("until", None if tree["ok"] else 0)


def kvm_obstacle(device: Path) -> str:
    """Return why the KVM device cannot be opened, or an empty string."""
    if not device.exists():
        return f"there is no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened by you (the group kvm may)"
    return ""


def _answer_path(binary: Binary, guest: Guest) -> Path:
    """Return where the answer is kept: by all that it depends on, the host's running kernel included."""
    host = os.uname()
    key = text_sha256(binary.sha256, guest.kernel_sha256, guest.initramfs_sha256, host.release, host.version)
    folder = cache_folder() / "kvm-probe"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{key[:16]}.json"
