"""The steps from one version of the stored format to the next, one function each; none depends on today's columns."""

from __future__ import annotations

import pyarrow as pa

MEANT_OTHERWISE = ("pause_s", "total_s", "stop_s", "prepare_s")
"""Columns of ``checkpoints`` that version 1 measured otherwise: its pause began when the primary's disks were drained
too, some 0.6 ms after its vCPUs had stopped. (``total_s`` is the same time, added up from other parts.)"""


def add_what_the_guest_saw(table: pa.Table) -> pa.Table:
    """Version 2 of ``checkpoints``: what the guest saw of each checkpoint, which nobody asked of older runs."""
    standstill = pa.nulls(len(table), pa.float64())
    rewritten = pa.nulls(len(table), pa.bool_())
    return table.append_column("guest_standstill_s", standstill).append_column("set_rewritten", rewritten)


def add_how_it_was_served(table: pa.Table) -> pa.Table:
    """Version 3 of ``client``: how long a request took once it was sent, and over which connection it went."""
    service, connection = pa.nulls(len(table), pa.float64()), pa.nulls(len(table), pa.int32())
    return table.append_column("service_s", service).append_column("connection", connection)
