"""Applies a tuning to the host, and takes it back: at the end, on failure, and after a crash."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.config.tuning import Tuning
from bench.errors import BenchError, HostError
from bench.process.interrupt import held_back
from bench.tune.journal import UndoJournal, state_folder
from bench.tune.settings import Machine, changes, require_cpus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.tune.journal import Note
    from bench.tune.settings import Change

_NONE = Tuning()
_RESTORE = f"{sys.executable} -m bench.restore"
"""For sudo, whose PATH knows nothing of an environment."""


def _of_host(tune: Tuning) -> Tuning:
    """Return what of it changes the host itself, and needs root."""
    return tune.model_copy(update={"pinning": _NONE.pinning})


class Tuner:
    """Holds the host in the state that the run under way asks for.

    The tuning stays from run to run while they ask for the same; another one begins with the host as it was.
    """

    def __init__(self, machine: Machine | None = None, journal: UndoJournal | None = None) -> None:
        self._machine = machine or Machine()
        self._journal = journal or UndoJournal(state_folder())
        self._stack = ExitStack()
        self._holding = False
        self._current = _NONE
        self._made: tuple[Change, ...] = ()
        self._said: list[str] = []

    def prepare(self, tunes: Iterable[Tuning]) -> None:
        """Check everything that will be asked for, and take hold of the host if any of it changes that.

        Raises:
            HostError: this machine or this user cannot, or another process is tuning this host.
        """
        wanted = list(dict.fromkeys(tunes))
        self.require_possible(wanted)
        if any(_of_host(tune) != _NONE for tune in wanted) and not self._holding:
            self._stack.enter_context(self._journal.held())
            self._holding = True
            self._take_back()

    def require_possible(self, tunes: Iterable[Tuning]) -> None:
        """Return when this machine has all that will be asked for, and this user may set it.

        Raises:
            HostError: one of it cannot be.
        """
        for tune in tunes:
            for side in ("primary", "secondary"):
                require_cpus(f"tune.pinning.{side}", tune.pinning.side(side), self._machine)
            if changes(tune, self._machine):
                self._require_privilege()

    def ensure(self, tune: Tuning) -> tuple[Change, ...]:
        """Bring the host into the state that a run asks for, and return what is changed for it; prepared before.

        Raises:
            HostError: a setting could not be made; what was made before it has been taken back.
            StoreError: an old value could not be written down; the same.
        """
        if _of_host(tune) == self._current:
            return self._made
        self._take_back()
        wanted = changes(tune, self._machine)
        if wanted:
            self._require_privilege()
        try:
            for change in wanted:
                self._journal.note(change, self._machine.boot_id())
                self._machine.put(change.kind, change.what, change.new)
        except BenchError:
            self._take_back()
            raise
        self._current, self._made = _of_host(tune), wanted
        return wanted

    def restore(self) -> list[str]:
        """Put everything back and let go of the host; return one line for each thing that was not as we had set it.

        Raises:
            HostError: a setting could not be put back; the journal keeps it.
        """
        with self._stack:
            self._take_back()
            self._holding = False
        return self._said

    def _take_back(self) -> None:
        self._current, self._made = _NONE, ()
        if self._holding and self._journal.path.exists():
            self._said += undo(self._journal, self._machine, quiet=True)

    def _require_privilege(self) -> None:
        if not self._machine.privileged():
            raise HostError(
                "tune.governor, tune.thp, tune.swap and cache.ways change this host, which needs root",
                cause="privilege-missing",
                hint=f"run it as root (sudo {sys.executable} -m bench ...), or use tune=none; tune.pinning needs none",
            )


def undo(journal: UndoJournal, machine: Machine, *, quiet: bool = False) -> list[str]:
    """Put back what the journal holds, newest first, and return one line for a person for each; the caller holds it.

    A setting that is no longer what we made it was changed by somebody else since, and is left alone.

    Raises:
        HostError: something could not be put back; the journal keeps that.
    """
    said: list[str] = []
    kept: list[Note] = []
    failures: list[HostError] = []
    with held_back():  # a second Ctrl-C must not leave the host half restored
        for note in reversed(journal.notes()):
            try:
                line, put_back = _put_back(note, machine)
            except HostError as error:
                failures.append(error)
                kept.insert(0, note)
                continue
            said += [line] if line and not (quiet and put_back) else []
        if kept or journal.path.exists():
            journal.keep(kept)
    if failures:
        first = failures[0]
        raise HostError(
            f"this host is not as it was: {first.message}",
            cause=first.cause,
            hint=f"sudo {_RESTORE}",
            evidence=tuple(one.message for one in failures[1:]),
            logs=(journal.path,),
        )
    return said


def _put_back(note: Note, machine: Machine) -> tuple[str, bool]:
    """Put one setting back; return what to say of it, and whether it is that."""
    change = note.change
    if note.boot_id != machine.boot_id():
        return f"{change.what}: the host was started anew since it was set, which undid that", False
    now = machine.value(change.kind, change.what)
    if now == change.old or (change.kind == "swap" and now != change.new):
        return "", False
    if now != change.new:
        return f"{change.what} is {now or 'gone'} now and not {change.new}, as we had set it: left alone", False
    machine.put(change.kind, change.what, change.old)
    return f"{change.what}: {change.new} -> {change.old}, as it was", True


def undo_leftovers(journal: UndoJournal | None = None, machine: Machine | None = None) -> list[str]:
    """Put back what a killed campaign had changed, if its owner is gone; return lines for a person. Never raises."""
    journal, machine = journal or UndoJournal(state_folder()), machine or Machine()
    if not journal.notes():
        return []
    try:
        with journal.held():
            return [f"left by a killed campaign: {line}" for line in undo(journal, machine)]
    except BenchError as error:
        return [] if error.cause == "tune-locked" else [str(error)]
