"""Starts the analysis, which is another program: for the report at the end, and for what is decided so far."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.format.folder import CampaignFolder
from bench.host.ending import how_ended
from bench.run.analysis import PROGRAM, analyse
from bench.system.children import family
from bench.system.environment import helping
from bench.system.exits import Exit
from bench.system.family import signal_child
from bench.system.places import PACKAGES, same_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.console import Console

_REPORT_DEADLINE_S = 600


def write_report(folder: Path, console: Console) -> bool:
    """Have the report written by the analysis, which knows nothing of this process, and print where it is.

    Raises:
        StoreError: this machine does not let it be written, or not be finished.
    """
    later = f"the data are stored: python -m analysis {folder} builds it"
    try:
        done = analyse(os.fspath(folder), deadline_s=_REPORT_DEADLINE_S)
    except subprocess.TimeoutExpired:
        words = f"the report took longer than {_REPORT_DEADLINE_S} s"
        raise StoreError(words, cause="report-unfinished", hint=later) from None
    if done.status == Exit.HOST:
        raise StoreError(_what(done.err), hint=f"make room or access; {later}")
    if done.status < 0:
        raise StoreError(f"building the report {how_ended(done.status)}", cause="report-unfinished", hint=later)
    if done.status:
        console.print(f"the report failed:\n{done.err.strip()}", soft_wrap=True)
        return False
    for line in _first_screen(_told(folder)):
        console.print(line, soft_wrap=True)
    console.print(f"report: {folder / 'report' / 'report.html'}", soft_wrap=True)
    return True


def _what(said: str) -> str:
    """Return what is wrong, of what the analysis says: its other lines are what would mend it for who called it."""
    return said.strip().partition("\n")[0].removeprefix("colo-bench: ")


def _told(folder: Path) -> dict[str, Any]:
    """Return what the analysis came to; nothing where it left no file that can be read."""
    try:
        return dict(json.loads(CampaignFolder(folder).verdicts.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _first_screen(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the page says first, in the same words; each verdict where nothing was asked of the pause."""
    yield from told.get("overhead", {}).get("said", [])
    if not told.get("question"):
        yield from (f"{one['id']}: {one['sentence']}" for one in told.get("verdicts", []))
        return
    yield from ("", told["question"])
    yield from (f"  {line}" for line in told.get("answers", []))
    yield from (*told.get("explained", []), " ".join([told.get("sure", ""), *told.get("surer", [])]), "")


async def verdicts_so_far(folder: Path) -> list[dict[str, Any]]:
    """Return the verdicts on what is measured so far, as ``verdicts.json`` has them; nothing else is built.

    Raises:
        StoreError: they could not be had; the message has what the analysis said.
    """
    with family(PACKAGES, same_modules(), around=helping) as born:
        child = await asyncio.create_subprocess_exec(
            *(*PROGRAM, os.fspath(folder), "--only", "verdicts"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            **born,
        )
        try:
            _, said = await asyncio.wait_for(child.communicate(), _REPORT_DEADLINE_S)
        except TimeoutError:
            raise StoreError(f"no verdicts within {_REPORT_DEADLINE_S} s", cause="report-unfinished") from None
        finally:
            if child.returncode is None:
                signal_child(child, signal.SIGKILL)
                await child.wait()
    if child.returncode:
        words = _what(said.decode(errors="replace")) or how_ended(child.returncode)
        raise StoreError(f"no verdicts: {words}", cause="report-unfinished")
    return list(_told(folder).get("verdicts", []))
