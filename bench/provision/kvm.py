"""Does KVM really run our guest here? Opening ``/dev/kvm`` proves nothing: on some machines the guest then hangs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, LaunchError
from bench.files import write_atomic
from bench.provision.boot import boot_argv, booted
from bench.provision.cache import cache_folder, text_sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

DEADLINE_S = 20.0
"""A guest is ready within two seconds where KVM works; the rest is for a busy machine."""

_DEVICE = Path("/dev/kvm")


@dataclass(frozen=True)
class Verdict:
    """What a probe found: whether something works here, and why (not), in one line."""

    ok: bool
    reason: str


def _silent(_text: str) -> None:
    pass


def probe_kvm(
    binary: Binary, guest: Guest, deadline_s: float = DEADLINE_S, progress: Callable[[str], None] = _silent
) -> Verdict:
    """Boot the guest under KVM to its ready line and return whether it got there; the answer is remembered."""
    known = cached_kvm(binary, guest)
    if known is not None:
        return known
    progress(f"probing KVM: the guest must be ready within {deadline_s:g} s")
    try:
        with booted(boot_argv(binary, guest, "kvm"), binary.env, deadline_s):
            verdict = Verdict(ok=True, reason="the guest boots under KVM")
    except LaunchError as error:
        return Verdict(ok=False, reason=f"/dev/kvm opens, but {error.message}")
    except BenchError as error:
        verdict = Verdict(ok=False, reason=f"/dev/kvm opens, but {error.message}")
    write_atomic(_answer_path(binary, guest), json.dumps(asdict(verdict)) + "\n")
    return verdict


def cached_kvm(binary: Binary, guest: Guest) -> Verdict | None:
    """Return what is known without booting anything: the remembered answer, or that ``/dev/kvm`` cannot be used."""
    obstacle = kvm_obstacle(_DEVICE)
    if obstacle:
        # Not remembered: it costs nothing to look, and a permission may be given at any time.
        return Verdict(ok=False, reason=obstacle)
    try:
        stored = json.loads(_answer_path(binary, guest).read_text())
        return Verdict(ok=bool(stored["ok"]), reason=str(stored["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
