"""What the lines of a run's own logs have to hold: a damaged line may still be JSON, and must not become a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.system.units import is_amount

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER = ("t_send", "latency_s", "status", "error", "bytes")
"""The keys that every line of ``client.jsonl`` has."""

SERVICE, CONNECTION = "service_s", "connection"
"""Keys that came later, and may be null: how long an answer took from when it was really asked for, and over which of
the client's connections, where that carries more than one request."""

COLUMNS = (*ANSWER, SERVICE, CONNECTION)
"""The columns of ``client.parquet``."""

_LATEST_S = 1e11
_LARGEST_STATUS = 1000
_LONGEST_DELAY_MS = 1 << 32
_LARGEST_BYTES = 1 << 62
_MOST_CONNECTIONS = 1 << 31


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
        set(entry) - {SERVICE, CONNECTION} == set(ANSWER)
        and (entry.get(SERVICE) is None or is_amount(entry[SERVICE], _LATEST_S))
        and (entry.get(CONNECTION) is None or _is_whole(entry[CONNECTION], _MOST_CONNECTIONS))
        and is_amount(entry["t_send"], _LATEST_S)
        and is_amount(entry["latency_s"], _LATEST_S)
        and _is_whole(entry["status"], _LARGEST_STATUS)
        and isinstance(entry["error"], str | None)
        and _is_whole(entry["bytes"], _LARGEST_BYTES)
    )


def is_account(entry: Mapping[str, Any]) -> bool:
    """Return whether an object is what :mod:`bench.workload.program_client` writes of a benchmark program.

    Either whether the server answered (``up``, ``error``), or what a run came to (``began``, ``ended``, ``totals``).
    """
    if not isinstance(entry.get("program"), str) or not isinstance(entry.get("version"), str):
        return False
    said = set(entry) - {"program", "version"}
    if said == {"up", "error"}:
        return isinstance(entry["up"], bool) and isinstance(entry["error"], str | None)
    return (
        said == {"began", "ended", "totals"}
        and is_amount(entry["began"], _LATEST_S)
        and is_amount(entry["ended"], _LATEST_S)
        and isinstance(entry["totals"], dict)
        and {"requests", "requests_per_s"} <= set(entry["totals"])
        and all(is_amount(value) for value in entry["totals"].values())
    )


def is_kept(entry: Mapping[str, Any]) -> bool:
    """Return whether an object tells what became of what a server had acknowledged (:mod:`bench.workload.kept`)."""
    said = entry.get("kept")
    return (
        set(entry) == {"kept"}
        and isinstance(said, dict)
        and set(said) == {"checked", "lost", "examples", "error"}
        and all(_is_whole(said[name], _LARGEST_BYTES) for name in ("checked", "lost"))
        and isinstance(said["examples"], list)
        and all(isinstance(one, str) for one in said["examples"])
        and isinstance(said["error"], str)
    )


def _is_whole(value: object, below: float) -> bool:
    return isinstance(value, int) and is_amount(value, below)
