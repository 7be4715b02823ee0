"""What a run's client wrote of its requests, as columns and figures; and how any log of JSON lines is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import StoreError
from bench.host.clock import SAME_CLOCK
from bench.measure.accounts import as_client, program_figures, stretch
from bench.measure.gap import HTTP_ERROR
from bench.measure.log_lines import COLUMNS, SERVICE, is_account, is_answer, is_kept
from bench.measure.trace import Problem
from bench.system.documents import lines_of, parse_json
from bench.system.logs import read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.host.clock import Offset
    from bench.measure.checkpoints import Assembly

_QUANTILES = (("p50_s", 0.5), ("p95_s", 0.95), ("p99_s", 0.99))


def read_json_lines(
    path: Path, is_sound: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return the sound objects of a file of JSON lines, compressed or not, and an account of the lines that are none.

    Raises:
        StoreError: the file is there and cannot be read.
    """
    entries, torn = [], []
    for line in lines_of(_content(path)):
        try:
            entry = parse_json(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and is_sound(entry):
            entries.append(entry)
        else:
            torn.append(line.decode(errors="replace")[:200])
    return entries, [Problem(f"{path.name}: torn line", len(torn), torn[0])] if torn else []


def _content(path: Path) -> bytes:
    try:
        return read_log(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", logs=(path,)) from error


def client_answers(path: Path) -> tuple[dict[str, list[Any]] | None, list[Problem]]:
    """Return the client's answers as columns, in the order of sending, and torn lines.

    ``None`` where no client ran, and of one that tells of no single request.
    """
    if not path.exists():
        return None, []
    lines, torn = read_json_lines(path, lambda one: is_answer(one) or is_account(one) or is_kept(one))
    entries = [one for one in lines if is_answer(one)]
    if not entries and any("program" in one for one in lines):
        return None, torn
    entries.sort(key=lambda one: one["t_send"])
    return {name: [entry.get(name) for entry in entries] for name in COLUMNS}, torn


def client_figures(
    answers: dict[str, list[Any]] | None, assembly: Assembly, clock: Offset = SAME_CLOCK
) -> dict[str, Any] | None:
    """Return a client's figures: requests, errors, rate, and quantiles of the answered requests' latency in seconds.

    The same quantiles of the service time where the client tells it.
    The rate is that of the answers from the first sending to the last one, or to the last answer where that is later:
    once nothing is asked any more, what stays unanswered takes none of the time.
    ``clock`` is the primary's by the client's.
    """
    if answers is None:
        return None
    times, latencies = np.array(answers["t_send"]), np.array(answers["latency_s"])
    outcomes = zip(answers["error"], answers["status"], strict=True)
    answered = np.array([error is None and status < HTTP_ERROR for error, status in outcomes], dtype=bool)
    figures: dict[str, Any] = {
        "requests": len(times),
        "errors": int((~answered).sum()) if len(times) else 0,
        "checkpoints_during": _checkpoints_during(times, assembly, clock),
    }
    if not len(times) or not answered.any():
        return figures
    span_s = float(max(times.max(), (times + latencies)[answered].max()) - times.min())
    good = latencies[answered]
    figures["requests_per_s"] = round(int(answered.sum()) / span_s, 6) if span_s > 0 else None
    figures |= {name: float(np.quantile(good, share)) for name, share in _QUANTILES}
    return figures | {"max_s": float(good.max())} | _service_figures(answers[SERVICE], answered)


def kept_by_server(path: Path) -> dict[str, Any] | None:
    """Return what became of what the server had acknowledged; ``None`` where the client did not look."""
    found = read_json_lines(path, is_kept)[0] if path.exists() else []
    return dict(found[-1]["kept"]) if found else None


def with_program(
    path: Path, figures: dict[str, Any] | None, assembly: Assembly, clock: Offset = SAME_CLOCK
) -> dict[str, Any] | None:
    """Return a client's figures with what its benchmark program says of itself; that alone where it has no rows."""
    accounts = read_json_lines(path, is_account)[0] if path.exists() else []
    if not accounts:
        return figures
    told = program_figures(accounts)
    if figures is None:
        during = _checkpoints_during(np.array(stretch(accounts)), assembly, clock)
        figures = {**as_client(told), "checkpoints_during": during}
    return figures | {"program": told}


def _checkpoints_during(times: np.ndarray[Any, np.dtype[np.float64]], assembly: Assembly, clock: Offset) -> int:
    if not len(times):
        return 0
    first, last = (t * 1e6 for t in clock.span(times.min(), times.max()))
    return sum(bool(first <= one.request_us <= last) for one in assembly.checkpoints)


def _service_figures(
    services: Sequence[float | None], answered: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[str, float]:
    good = [service for service, well in zip(services, answered, strict=True) if well and service is not None]
    return {f"service_{name}": float(np.quantile(good, share)) for name, share in _QUANTILES} if good else {}
