"""``run.json``: the record of a measured run. It is written last, so one that is there and whole means a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from bench.format.folder import RunFolder
from bench.format.version import SCHEMA_VERSION, upgrade_document
from bench.system.documents import parse_json

if TYPE_CHECKING:
    from pathlib import Path


def read_record(home: Path, run_id: str) -> dict[str, Any] | None:
    """Return the record in a run's folder; ``None`` where there is none, or none that is whole and of this run."""
    try:
        tree = upgrade_document("run", parse_json(RunFolder(home).record.read_bytes()))
    except (OSError, ValueError):
        return None
    return tree if tree.get("run_id") == run_id else None


class _Head(BaseModel):
    """What tells whose record it is; the rest of the document is parsed, and no object is made of it."""

    model_config = ConfigDict(strict=True)

    schema_version: int
    run_id: str


def is_recorded(home: Path, run_id: str) -> bool:
    """Return whether a run's folder holds a whole record of it; several times as fast as reading the record."""
    try:
        head = _Head.model_validate_json(RunFolder(home).record.read_bytes())
    except OSError:
        return False
    except ValueError:  # damaged, or with what only the other parser takes
        return read_record(home, run_id) is not None
    return 1 <= head.schema_version <= SCHEMA_VERSION and head.run_id == run_id


def quality_ok(record: dict[str, Any]) -> bool | None:
    """Return the record's verdict on its data, ``None`` where it has none."""
    quality = record.get("quality")
    ok = quality.get("ok") if isinstance(quality, dict) else None
    return ok if isinstance(ok, bool) else None


def quality_failures(record: dict[str, Any]) -> tuple[str, ...]:
    """Return why the record does not trust its data, one line each."""
    quality = record.get("quality")
    failures = quality.get("failures") if isinstance(quality, dict) else None
    return tuple(str(one) for one in failures) if isinstance(failures, list) else ()
