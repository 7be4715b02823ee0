"""The ledger: an append-only file, one line for every change of a run's state. What is done is not measured again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.files import append_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SCHEMA_VERSION = 1

State = Literal["planned", "started", "measured", "failed"]


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


def parse_entry(line: str) -> Entry:
    """Return the entry of one line; keys that are not known are left alone.

    Raises:
        ValueError: the line is torn, or not an entry of this schema.
    """
    tree: Any = json.loads(line)
    if not isinstance(tree, dict) or tree.pop("schema_version", None) != SCHEMA_VERSION:
        raise ValueError(f"not an entry of schema {SCHEMA_VERSION}: {line[:80]!r}")
    if tree.get("state") not in get_args(State) or not isinstance(tree.get("run_id"), str):
        raise ValueError(f"not a state of a run: {line[:80]!r}")
    try:
        return Entry(**{key: value for key, value in tree.items() if key in Entry.__dataclass_fields__})
    except TypeError as error:
        raise ValueError(f"not an entry: {line[:80]!r}") from error


class Ledger:
    """The ledger of one campaign.

    Attributes:
        path: the file.
        unreadable: how many lines could not be used; a kill in mid-write tears the last one.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.unreadable = 0
        self._clock = clock
        self._last: dict[str, Entry] = {}
        self._attempts: dict[str, int] = {}
        if path.exists():
            self._load(path.read_bytes())

    def _load(self, content: bytes) -> None:
        for line in content.decode(errors="replace").splitlines():
            try:
                self._take(parse_entry(line))
            except ValueError:
                self.unreadable += 1
        if content and not content.endswith(b"\n"):
            append_line(self.path, "")  # so that the next entry does not continue a torn line

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
    ) -> Entry:
        """Add one change of state; it is on the disk when this returns."""
        entry = Entry(self._clock(), run_id, attempt, state, phase, cause, message)
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
