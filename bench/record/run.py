"""``run.json``: the record of a measured run. It is written last, so one that is there and whole means a whole run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1


def read_record(home: Path, run_id: str) -> dict[str, Any] | None:
    """Return the record in a run's folder; ``None`` where there is none, or none that is whole and of this run."""
    try:
        tree: Any = json.loads((home / "run.json").read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(tree, dict) and tree.get("schema_version") == SCHEMA_VERSION and tree.get("run_id") == run_id
    return tree if whole else None
