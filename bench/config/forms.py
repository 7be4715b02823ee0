"""What a text has to look like, with the words that a person reads when it does not."""

from __future__ import annotations

import re

from pydantic import AfterValidator


def written_as(pattern: str, legal: str) -> AfterValidator:
    """Return what refuses a text that a pattern does not match as a whole, saying in words what is legal."""
    form = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"legal: {legal}")
        return text

    return AfterValidator(check)
