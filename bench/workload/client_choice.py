"""Which client drives a server: ours, with a row for each request, or its own benchmark program, with totals alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from bench.system.frozen import LATER

if TYPE_CHECKING:
    from pydantic import ValidationInfo


def _closed_loop(value: str, info: ValidationInfo) -> str:
    if value == "program" and info.data.get("rate"):
        raise ValueError("should be own; or set workload.rate=0: the program asks again as soon as it was answered")
    return value


ClientChoice = Annotated[Literal["own", "program"], AfterValidator(_closed_loop), LATER]
"""A field that comes after ``rate``: a program is a closed loop."""
