"""Why a process ended: by its status, its guest's last words, its own, its peer's, and the kernel's."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from bench.errors import BenchError, GuestError, LaunchError
from bench.failures.words import Diagnosis, diagnose, distinct
from bench.format.folder import SERIAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.host.process import Process


def ended_error(process: Process, status: int, peers: Iterable[Process] = ()) -> BenchError:
    """Return the error that says why a process ended, with this status; a negative one is a signal.

    The words of its peers may explain it too: of two sides that differ, either may be the one that ends.
    """
    others = tuple(one for one in peers if one is not process)
    what = f"the {process.name} {how_ended(status)}"
    cause = "program-exited"
    if process.qemu:
        panic = process.panic()
        if panic:
            return panic_error(process, panic)
        if status == -signal.SIGKILL:
            return _killed_error(process)
        if status >= 0:
            known = diagnose(process.words()) or diagnose(line for one in others for line in one.words())
            if known:
                return recognised(what, known, (process, *others))
        cause = "qemu-killed" if status < 0 else "qemu-exited"
    return LaunchError(what, cause=cause, evidence=process.tail(), logs=(process.stderr_path,))


def how_ended(status: int) -> str:
    """Return an exit status in words: ``was killed by SIGTERM``, ``exited with status 1``."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal without a name
        return f"was killed by signal {-status}"


def panic_error(process: Process, panic: tuple[str, ...]) -> BenchError:
    """Return the error of a guest that panicked."""
    return GuestError(
        f"the guest of the {process.name} panicked",
        cause="guest-panic",
        evidence=panic,
        logs=(process.folder / SERIAL,),
    )


def recognised(what: str, known: Diagnosis, processes: Iterable[Process]) -> BenchError:
    """Return the error of what was recognised in QEMU's words, quoting them."""
    logs = tuple(one.stderr_path for one in processes if set(known.lines) & set(distinct(one.words())))
    return LaunchError(f"{what}: {known.meaning}", cause=known.cause, evidence=known.lines, logs=logs)


def _killed_error(process: Process) -> BenchError:
    proof = process.oom_proof()
    by_whom = "the kernel killed the {}: out of memory" if proof else "the {} was killed by SIGKILL"
    return LaunchError(
        by_whom.format(process.name),
        cause="qemu-oom-killed" if proof else "qemu-killed",
        evidence=(*proof, *process.tail()),
        logs=(process.stderr_path,),
    )
