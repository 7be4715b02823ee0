"""The ledger: an append-only file, one line for every change of a run's state. What is done is not measured again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.documents import lines_of, parse_json
from bench.errors import StoreError
from bench.files import append_lines
from bench.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SCHEMA_VERSION = 1

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
    """

    t: float
    run_id: str
    attempt: int
    state: State
    phase: str | None = None
    cause: str | None = None
    message: str | None = None

    def line(self) -> str:
        """Return the line of the file, without its end."""
        fields = {"t": round(self.t, 6), "run_id": self.run_id, "attempt": self.attempt, "state": self.state}
        why = {"phase": self.phase, "cause": self.cause, "message": self.message}
        tree = {"schema_version": SCHEMA_VERSION, **fields} | {k: v for k, v in why.items() if v is not None}
        return json.dumps(tree, ensure_ascii=False)

    def sound(self) -> bool:
        """Whether every field is of its kind; a line that was damaged may still be JSON."""
        return (
            is_amount(self.t)
            and isinstance(self.attempt, int)
            and is_amount(self.attempt)
            and self.state in _STATES
            and isinstance(self.run_id, str)
            and all(word is None or isinstance(word, str) for word in (self.phase, self.cause, self.message))
        )


_FIELDS = tuple(Entry.__dataclass_fields__)


def parse_entry(line: str | bytes) -> Entry:
    """Return the entry of one line; keys that are not known are left alone.

    Raises:
        ValueError: the line is torn, or not an entry of this schema.
    """
    tree: Any = parse_json(line)
    if not isinstance(tree, dict) or tree.pop("schema_version", None) != SCHEMA_VERSION:
        raise ValueError(f"not an entry of schema {SCHEMA_VERSION}: {line[:80]!r}")
    entry = Entry(*map(tree.get, _FIELDS))  # type: ignore[arg-type]
    if not entry.sound():
        raise ValueError(f"not a state of a run: {line[:80]!r}")
    return entry


def read_entries(path: Path) -> tuple[list[Entry], int]:
    """Return the entries of a ledger, none where there is no file, and how many of its lines could not be used.

    Raises:
        StoreError: the file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", cause="ledger-unreadable", logs=(path,)) from error
    entries, unreadable = [], 0
    for line in lines_of(content):
        try:
            entries.append(parse_entry(line))
        except ValueError:
            unreadable += 1
    return entries, unreadable


class Ledger:
    """The ledger of one campaign.

    Attributes:
        path: the file.
        unreadable: how many lines could not be used; a kill in mid-write tears the last one.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Read what is there.

        Raises:
            StoreError: the file is there and cannot be read, or a torn last line cannot be ended.
        """
        self.path = path
        self._clock = clock
        self._last: dict[str, Entry] = {}
        self._attempts: dict[str, int] = {}
        entries, self.unreadable = read_entries(path)
        for entry in entries:
            self._take(entry)
        if _ends_torn(path):
            append_lines(path, [""])  # so that the next entry does not continue a torn line

    def _take(self, entry: Entry) -> None:
        self._last[entry.run_id] = entry
        if entry.state == "started":
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
    ) -> Entry:
        """Add one change of state; it is on the disk when this returns."""
        entry = Entry(self._clock(), run_id, attempt, state, phase, cause, message)
        self._write([entry])
        return entry

    def _write(self, entries: list[Entry]) -> None:
        append_lines(self.path, [entry.line() for entry in entries])
        for entry in entries:
            self._take(entry)

    def last(self, run_id: str) -> Entry | None:
        """Return the newest entry of a run."""
        return self._last.get(run_id)

    def done(self, run_id: str) -> bool:
        """Return whether a run is measured."""
        last = self._last.get(run_id)
        return last is not None and last.state == "measured"

    def attempts(self, run_id: str) -> int:
        """Return how many attempts were started."""
        return self._attempts.get(run_id, 0)


def _ends_torn(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"
