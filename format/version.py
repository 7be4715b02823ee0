"""The version of the stored format, and the steps by which what an older one wrote becomes what this one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEMA_VERSION = 3
VERSION_KEY = b"colo_bench_schema_version"
"""The key of a parquet file's metadata that holds the version, as text."""

MEANT_OTHERWISE = ("pause_s", "total_s", "stop_s", "prepare_s")
"""Columns of ``checkpoints`` that version 1 measured otherwise: its pause began when the primary's disks were drained
too, some 0.6 ms after its vCPUs had stopped. (``total_s`` is the same time, added up from other parts.)"""

Content = TypeVar("Content")


def _add_what_the_guest_saw(table: pa.Table) -> pa.Table:
    """Version 2 of ``checkpoints``: what the guest saw of each checkpoint, which nobody asked of older runs."""
    standstill = pa.nulls(len(table), pa.float64())
    rewritten = pa.nulls(len(table), pa.bool_())
    return table.append_column("guest_standstill_s", standstill).append_column("set_rewritten", rewritten)


def _add_how_it_was_served(table: pa.Table) -> pa.Table:
    """Version 3 of ``client``: how long a request took once it was sent, and over which connection it went."""
    service, connection = pa.nulls(len(table), pa.float64()), pa.nulls(len(table), pa.int32())
    return table.append_column("service_s", service).append_column("connection", connection)


UPGRADES: Mapping[tuple[str, int], Callable[[Any], Any]] = {
    ("checkpoints", 1): _add_what_the_guest_saw,
    ("client", 2): _add_how_it_was_served,
}
"""What turns a document or table of a version into one of the next; where nothing is named, nothing has changed.

The keys are what is stored (``plan``, ``ledger``, ``run``, ``checkpoints``, ``client``) and the version it was written
in. A new version raises ``SCHEMA_VERSION`` and adds its steps here, none of which depends on today's columns; ids of
runs do not hang on it.
"""


def upgrade(
    what: str,
    content: Content,
    version: object,
    steps: Mapping[tuple[str, int], Callable[[Any], Any]] = UPGRADES,
    to: int = SCHEMA_VERSION,
) -> Content:
    """Return stored content as the present version has it.

    Args:
        what: what it is, as in ``UPGRADES``.
        content: a JSON object, or a table.
        version: which version it says it is.
        steps: from each version to the next.
        to: the version that is wanted.

    Raises:
        ValueError: it is of no version that this program knows.
    """
    if type(version) is not int or not 1 <= version <= to:
        known = str(to) if to == 1 else f"1 to {to}"
        raise ValueError(f"has schema version {version}; this program reads {known}")
    for passed in range(version, to):
        step = steps.get((what, passed))
        content = step(content) if step else content
    return content


def upgrade_document(what: str, tree: object) -> dict[str, Any]:
    """Return a stored JSON object as the present version has it.

    Raises:
        ValueError: it is no object, or of no version that this program knows.
    """
    version = tree.get("schema_version", "missing") if isinstance(tree, dict) else "missing"
    whole: Any = upgrade(what, tree, version)
    return dict(whole)
