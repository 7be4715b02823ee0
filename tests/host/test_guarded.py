"""Work that needs a pair ends when a side does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.errors import LaunchError
from bench.host.process import launch
from bench.host.topology import local_topology
from bench.vm.pair import Pair


@pytest.mark.parametrize("killed", ["primary", "secondary"])
def test_a_side_that_ends_ends_the_work(killed: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            processes = {}
            for side in ("primary", "secondary"):
                (tmp_path / side).mkdir()
                sleeping = launch(f"{side}'s QEMU", ("sleep", "60"), folder=tmp_path / side)
                processes[side] = await stack.enter_async_context(sleeping)
            unused: Any = None
            pair = Pair(unused, unused, tmp_path, tmp_path, local_topology(), processes, {})

            async def work() -> None:
                processes[killed].kill()
                await asyncio.sleep(0.3)

            await pair.guarded(work())

    with pytest.raises(LaunchError, match=f"the {killed}'s QEMU was killed by SIGKILL"):
        asyncio.run(scenario())
