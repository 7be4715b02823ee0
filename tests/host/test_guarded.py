"""Work that needs a pair ends when a side does, unless that side was ended on purpose."""

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


def guarded(folder: Path, *, killed: str, ended: frozenset[str] = frozenset()) -> str:
    """Run a second of work on two live processes, one of which is killed meanwhile."""

    async def scenario() -> Any:
        async with AsyncExitStack() as stack:
            processes = {}
            for side in ("primary", "secondary"):
                (folder / side).mkdir()
                sleeping = launch(f"{side}'s QEMU", ("sleep", "60"), folder=folder / side)
                processes[side] = await stack.enter_async_context(sleeping)
            unused: Any = None
            pair = Pair(unused, unused, folder, folder, local_topology(), processes, {})

            async def work() -> str:
                processes[killed].kill()
                await asyncio.sleep(0.3)
                return "done"

            return await pair.guarded(work(), ended)

    return str(asyncio.run(scenario()))


def test_a_side_that_ends_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="the secondary's QEMU was killed by SIGKILL"):
        guarded(tmp_path, killed="secondary")


def test_a_side_that_was_ended_on_purpose_does_not(tmp_path: Path) -> None:
    assert guarded(tmp_path, killed="primary", ended=frozenset({"primary"})) == "done"


def test_the_other_side_still_does(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="the secondary's QEMU"):
        guarded(tmp_path, killed="secondary", ended=frozenset({"primary"}))
