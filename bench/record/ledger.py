"""The ledger: an append-only file, one line for every change of a run's state. What is done is not measured again."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.errors import StoreError
from bench.files import append_line, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SCHEMA_VERSION = 1
_SHOWN_BYTES = 120

State = Literal["planned", "started", "measured", "failed"]

_TEXT = (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "t": (int, float),
    "attempt": (int,),
    **dict.fromkeys(("phase", "cause", "message", "hint"), _TEXT),
    **dict.fromkeys(("evidence", "logs"), (list,)),
}


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
        tree = {"schema_version": SCHEMA_VERSION, **fields} | {k: v for k, v in why.items() if v}
        # A path or a log may hold bytes that are no text.
        return json.dumps(tree, ensure_ascii=False).encode(errors="replace").decode()


def parse_entry(line: str) -> Entry:
    """Return the entry of one line; keys that are not known are left alone.

    Raises:
        ValueError: the line is torn, or not an entry of this schema.
    """
    try:
        tree: Any = json.loads(line)
    except RecursionError as error:
        raise ValueError(f"nested too deeply: {line[:80]!r}") from error
    if not isinstance(tree, dict) or tree.pop("schema_version", None) != SCHEMA_VERSION:
        raise ValueError(f"not an entry of schema {SCHEMA_VERSION}: {line[:80]!r}")
    if tree.get("state") not in get_args(State) or not isinstance(tree.get("run_id"), str):
        raise ValueError(f"not a state of a run: {line[:80]!r}")
    for key, kinds in _KINDS.items():
        if key in tree and (isinstance(tree[key], bool) or not isinstance(tree[key], kinds)):
            raise ValueError(f"{key} is not what it has to be: {line[:80]!r}")
    for key in ("evidence", "logs"):
        tree[key] = tuple(str(one) for one in tree.get(key, ()))
    try:
        return Entry(**{key: value for key, value in tree.items() if key in Entry.__dataclass_fields__})
    except TypeError as error:
        raise ValueError(f"not an entry: {line[:80]!r}") from error


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
        if path.exists():
            self._load()

    def _load(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            words = f"{self.path} cannot be read: {error.strerror}"
            raise StoreError(words, cause="ledger-unreadable", logs=(self.path,)) from error
        *lines, torn = content.split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                self._take(parse_entry(line.decode()))
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
        if entry.state == "started":
            self._attempts[entry.run_id] = entry.attempt + 1

    def plan(self, run_ids: Iterable[str]) -> None:
        """Write down the runs that the ledger does not know yet."""
        for run_id in run_ids:
            if run_id not in self._last:
                self.append(run_id, "planned")

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
        append_line(self.path, entry.line())
        self._take(entry)
        return entry

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
