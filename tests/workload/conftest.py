"""A key-value store that is FAKE, for whoever asks for it by its fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_valkey import FakeValkey, fake_valkey


@pytest.fixture
def server() -> Iterator[FakeValkey]:
    with fake_valkey() as one:
        yield one
