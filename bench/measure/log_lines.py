"""What the lines of a run's own logs have to hold: a damaged line may still be JSON, and must not become a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER = ("t_send", "latency_s", "status", "error", "bytes")
"""The keys of a line of ``client.jsonl``, which are the columns of ``client.parquet``."""

_LATEST_S = 1e11
_LARGEST_STATUS = 1000
_LONGEST_DELAY_MS = 1 << 32
_LARGEST_BYTES = 1 << 62


def is_qmp_entry(entry: Mapping[str, Any]) -> bool:
    """Return whether an object is a command or an event as :mod:`bench.vm.qmp` writes it into ``qmp.jsonl``."""
    if not is_amount(entry.get("t"), _LATEST_S) or not isinstance(entry.get("side"), str):
        return False
    return _is_event(entry) if "event" in entry else _is_command(entry)


def _is_event(entry: Mapping[str, Any]) -> bool:
    stamp = entry.get("timestamp")
    return (
        isinstance(entry["event"], str)
        and "command" not in entry
        and isinstance(stamp, dict)
        and _is_whole(stamp.get("seconds"), _LATEST_S)
        and _is_whole(stamp.get("microseconds"), 1_000_000)
    )


def _is_command(entry: Mapping[str, Any]) -> bool:
    arguments = entry.get("arguments")
    return (
        isinstance(entry.get("command"), str)
        and isinstance(arguments, dict)
        and is_amount(entry.get("seconds", 0), _LATEST_S)
        and _is_whole(arguments.get("x-checkpoint-delay", 0), _LONGEST_DELAY_MS)
    )


def is_answer(entry: Mapping[str, Any]) -> bool:
    """Return whether an object is an answer as :mod:`bench.workload.http_client` writes it into ``client.jsonl``."""
    return (
        set(entry) == set(ANSWER)
        and is_amount(entry["t_send"], _LATEST_S)
        and is_amount(entry["latency_s"], _LATEST_S)
        and _is_whole(entry["status"], _LARGEST_STATUS)
        and isinstance(entry["error"], str | None)
        and _is_whole(entry["bytes"], _LARGEST_BYTES)
    )


def _is_whole(value: object, below: float) -> bool:
    return isinstance(value, int) and is_amount(value, below)
