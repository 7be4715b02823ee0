"""Hosts for the tests: an agent of the real kind on this machine, without ssh."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from bench.host.reach import Reach
from bench.host.remote import Remote, open_remotes
from tools.lab.hosts import marked_below


def plain(work: Path, **fields: Any) -> Reach:
    """Return how an agent on this machine is reached: without any transport."""
    return Reach(python=sys.executable, workdir=str(work), title="here", **fields)


def on_agent(work: Path, scenario: Any, **fields: Any) -> Any:
    """Return what a coroutine function makes of a host with an agent."""

    async def main() -> Any:
        async with open_remotes({"primary": plain(work, **fields)}) as remotes:
            return await scenario(remotes["primary"])

    return asyncio.run(main())


def agent_pid(remote: Remote) -> int:
    return int(remote.facts["pid"])


def gone_within(seconds: float, work: Path) -> bool:
    """Wait until nothing of a work folder's agents runs and no run's folder is left; return whether that came."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if not marked_below(work) and not any((work / "runs").glob("*")):
            return True
        time.sleep(0.05)
    return False
