"""The ledger: an append-only file, one line for every change of a run's state. What is done is not measured again."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.errors import StoreError
from bench.format.version import SCHEMA_VERSION, upgrade_document
from bench.system.documents import lines_of, parse_json
from bench.system.files import append_lines, told
from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_SHOWN_BYTES = 120

State = Literal["planned", "started", "measured", "failed"]

_STATES = get_args(State)


@dataclass(frozen=True)
class Entry:
    """One change of state.

    Attributes:
        t: Unix seconds.
        run_id: which run.
        attempt: 0-based.
        state: what it became.
        phase: where it failed, if it did.
        cause: the short name of why.
        message: one line for a person.
        hint: what fixes it.
        evidence: the lines that prove it.
        logs: paths worth reading, from the campaign's folder on where they are in it.
    """

    t: float
    run_id: str
    attempt: int
    state: State
    phase: str | None = None
    cause: str | None = None
    message: str | None = None
    hint: str | None = None
    evidence: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    def line(self) -> str:
        """Return the line of the file, without its end."""
        fields = {"t": round(self.t, 6), "run_id": self.run_id, "attempt": self.attempt, "state": self.state}
        why = {name: getattr(self, name) for name in ("phase", "cause", "message", "hint", "evidence", "logs")}
        tree = {"schema_version": SCHEMA_VERSION, **fields} | {k: v for k, v in why.items() if v not in (None, ())}
        return json.dumps(tree, ensure_ascii=False)

    def sound(self) -> bool:
        """Whether every field is of its kind; a line that was damaged may still be JSON."""
        words = (self.phase, self.cause, self.message, self.hint)
        return (
            is_amount(self.t)
            and isinstance(self.attempt, int)
            and is_amount(self.attempt)
            and self.state in _STATES
            and isinstance(self.run_id, str)
            and all(word is None or isinstance(word, str) for word in words)
            and all(isinstance(lines, tuple) for lines in (self.evidence, self.logs))
            and all(isinstance(line, str) for line in (*self.evidence, *self.logs))
        )


_FIELDS = tuple(Entry.__dataclass_fields__)
_LISTS = ("evidence", "logs")
_PLAIN = re.compile(
    rb'\{"schema_version": %d, "t": (?P<t>[0-9]{1,12}\.[0-9]{1,9}), "run_id": "(?P<run_id>[0-9a-f]{1,64})", '
    rb'"attempt": (?P<attempt>0|[1-9][0-9]{0,8}), "state": "(?P<state>planned|started|measured)"\}' % SCHEMA_VERSION
)
"""A line as this program writes it of a run that did not fail: most of a ledger, and read many times as fast."""


def parse_entry(line: str | bytes) -> Entry:
    """Return the entry of one line; keys that are not known are left alone.

    Raises:
        ValueError: the line is torn, or not an entry of this schema.
    """
    plain = _PLAIN.fullmatch(line) if isinstance(line, bytes) else None
    if plain:
        state: Any = plain["state"].decode()
        return Entry(float(plain["t"]), plain["run_id"].decode(), int(plain["attempt"]), state)
    tree = upgrade_document("ledger", parse_json(line))
    for name in _LISTS:
        lines = tree.get(name, [])
        tree[name] = tuple(lines) if isinstance(lines, list) else lines
    entry = Entry(*map(tree.get, _FIELDS))  # type: ignore[arg-type]
    if not entry.sound():
        raise ValueError(f"not a state of a run: {line[:80]!r}")
    return entry


def read_entries(path: Path) -> tuple[list[Entry], int]:
    """Return the entries of a ledger, none where there is no file, and how many of its lines could not be used.

    Raises:
        StoreError: the file is there and cannot be read.
    """
    entries, unreadable = [], 0
    for line in lines_of(_content(path)):
        try:
            entries.append(parse_entry(line))
        except ValueError:
            unreadable += 1
    return entries, unreadable


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", cause="ledger-unreadable", logs=(path,)) from error


class Ledger:
    """The ledger of one campaign.

    A kill in mid-write tears the last line: it is cut off when the ledger is opened, and said.

    Attributes:
        path: the file.
        torn: what was cut off, empty for nothing.

    Raises:
        StoreError: it cannot be read, or another line than a torn last one is damaged.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.torn = ""
        self._clock = clock
        self._last: dict[str, Entry] = {}
        self._attempts: dict[str, int] = {}
        self._load()

    def _load(self) -> None:
        content = _content(self.path)
        *lines, torn = content.split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                self._take(parse_entry(line))
            except ValueError as error:
                raise StoreError(
                    f"{self.path}: line {number} of {len(lines)} is damaged",
                    cause="ledger-unreadable",
                    evidence=(f"line {number}: {line[:_SHOWN_BYTES].decode(errors='backslashreplace')}",),
                ) from error
        if torn:
            self.torn = torn.decode(errors="backslashreplace")
            with told(self.path):
                os.truncate(self.path, len(content) - len(torn))

    def _take(self, entry: Entry) -> None:
        self._last[entry.run_id] = entry
        if entry.state != "planned":  # what is taken from a record has no line of its start
            self._attempts[entry.run_id] = entry.attempt + 1

    def plan(self, run_ids: Iterable[str]) -> None:
        """Write down the runs that the ledger does not know yet, all at once."""
        unknown = [run_id for run_id in dict.fromkeys(run_ids) if run_id not in self._last]
        self._write([Entry(self._clock(), run_id, 0, "planned") for run_id in unknown])

    def append(
        self,
        run_id: str,
        state: State,
        attempt: int = 0,
        phase: str | None = None,
        cause: str | None = None,
        message: str | None = None,
        *,
        hint: str | None = None,
        evidence: Iterable[str] = (),
        logs: Iterable[str] = (),
    ) -> Entry:
        """Add one change of state; it is on the disk when this returns.

        Raises:
            StoreError: it could not be written.
        """
        entry = Entry(self._clock(), run_id, attempt, state, phase, cause, message, hint, tuple(evidence), tuple(logs))
        self._write([entry])
        return entry

    def _write(self, entries: list[Entry]) -> None:
        append_lines(self.path, [entry.line() for entry in entries])
        for entry in entries:
            self._take(entry)

    def adopt(self, lines: Iterable[tuple[str, Entry]]) -> None:
        """Add lines of another ledger as they are, all at once, each with what it says."""
        adopted = list(lines)
        append_lines(self.path, [text for text, _ in adopted])
        for _, entry in adopted:
            self._take(entry)

    def last(self, run_id: str) -> Entry | None:
        """Return the newest entry of a run."""
        return self._last.get(run_id)

    def done(self, run_id: str) -> bool:
        """Return whether a run is measured."""
        last = self._last.get(run_id)
        return last is not None and last.state == "measured"

    def attempts(self, run_id: str) -> int:
        """Return how many attempts were started, the ones whose start a lost ledger had included."""
        return self._attempts.get(run_id, 0)
