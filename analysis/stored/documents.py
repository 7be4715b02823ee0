"""A stored JSON document as a record of the present version, or why it cannot be one."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from analysis.format.version import upgrade_document
from analysis.stored.records import LedgerLine, Plan, Record, RunRecord
from analysis.stored.tables import UnusableError, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KINDS: Mapping[type[Record], str] = {Plan: "plan", LedgerLine: "ledger", RunRecord: "run"}
AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(path: Path, model: type[AnyRecord]) -> AnyRecord:
    """Return the record that a file holds.

    Args:
        path: the file.
        model: one of the kinds of records that are stored.

    Raises:
        UnusableError: it is missing or not readable, no JSON, of another version, or says what the format does not.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnusableError(f"{path.name} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableError(f"{path.name} is not readable: {one_line(error)}") from error
    return as_record(text, path.name, model)


def as_record(content: str | bytes, name: str, model: type[AnyRecord]) -> AnyRecord:
    """Return the record that a document, or a line of one, of that name holds.

    Raises:
        UnusableError: as :func:`read_record`.
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
        raw: Any = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"{name} is not JSON: {one_line(error)}") from error
    try:
        raw = upgrade_document(_KINDS[model], raw)
    except ValueError as error:
        raise UnusableError(f"{name} {error}") from error
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise UnusableError(f"{name}: {where}: {first['msg']}") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
