"""Real pairs that are made to fail, and what the failure is called."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import make_cell
from fixtures.pairs import DEADLINE_S, TRIES

from bench.errors import LaunchError
from bench.host.links import SECONDARY
from bench.provision.guest import build_guest
from bench.provision.programs import nodelay_library
from bench.provision.qemu import find_qemu
from bench.vm.argv import COLO, secondary_argv
from bench.vm.features import probe_features
from bench.vm.pair import open_pair

if TYPE_CHECKING:
    from bench.vm.spec import PairSpec

pytestmark = pytest.mark.pair


def half_the_memory(spec: PairSpec) -> tuple[str, ...]:
    small = spec.cell.model_copy(update={"mem": spec.cell.mem // 2})
    return secondary_argv(replace(spec, cell=small))


def test_sides_of_different_size_are_told_from_both_sides_words(tmp_path: Path) -> None:
    sides = {**COLO, SECONDARY: replace(COLO[SECONDARY], argv=half_the_memory)}
    binary, guest = find_qemu("provisioned", lambda _: None), build_guest(lambda _: None)

    async def scenario() -> None:
        features = await probe_features(binary)
        async with open_pair(make_cell("256M"), binary, guest, features, tmp_path, sides=sides) as pair:
            await pair.guarded(pair.reach_colo(60))

    with pytest.raises(LaunchError) as caught:
        asyncio.run(scenario())
    assert (caught.value.cause, caught.value.transient) == ("sides-differ", False)
    assert any("Size mismatch" in line for line in caught.value.evidence)
    assert tmp_path / "secondary" / "stderr.log" in caught.value.logs


def working_in(folder: Path) -> int | None:
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                return int(entry.name)
    return None


def stopped_primary(results: Path) -> tuple[int, int, dict[str, Any]]:
    """Stop the primary once checkpoints complete; return its pid, the command's status and its last ledger entry."""
    small = (
        "mem=256M",
        "smp=1",
        "guest=bare",
        "accel=tcg",
        "link=unix",
        "checkpoint.interval=0.2",
        "checkpoint.count=200",
    )
    small += ("on_error=continue",)
    argv = (
        sys.executable,
        "-m",
        "bench",
        *small,
        "deadlines.qmp=3",
        "report=false",
        "campaign=stopped",
        f"results={results}",
    )
    ledger = results / "stopped" / "ledger.jsonl"
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        give_up = time.monotonic() + DEADLINE_S
        pid = None
        while command.poll() is None and pid is None:
            assert time.monotonic() < give_up
            time.sleep(0.1)
            for log in results.glob("stopped/runs/*/qmp.jsonl"):
                if log.read_text().count('"event":"RESUME"') > 5:
                    pid = working_in(log.parent / "primary")
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
        status = command.wait(DEADLINE_S)
    return pid or 0, status, json.loads(ledger.read_text().splitlines()[-1])


def test_a_primary_that_somebody_stopped_is_said_to_hang_and_is_gone_afterwards(tmp_path: Path) -> None:
    for number in range(TRIES):
        pid, status, entry = stopped_primary(tmp_path / str(number))
        if entry["cause"] != "guest-panic":  # an emulated secondary now and then does (docs/findings.md)
            break
    assert (entry["cause"], entry["phase"], status) == ("qemu-hung", "measure", 1)
    assert f"process {pid}" in entry["message"]
    assert "state T: stopped by a signal" in entry["message"]
    assert "did not answer" in entry["evidence"][0] or "did not end" in entry["evidence"][0]
    assert not Path(f"/proc/{pid}").exists()
    campaign = tmp_path / str(number) / "stopped"
    logs = [campaign / path for path in entry["logs"]]
    assert len(logs) == 2
    assert all(log.exists() for log in logs)
    assert list(campaign.glob("failed/*/primary/trace.log"))


def test_a_library_that_is_preloaded_into_the_harness_does_not_reach_the_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary, guest = find_qemu("provisioned", lambda _: None), build_guest(lambda _: None)
    library = nodelay_library(lambda _: None)
    # Under link=tcp this one would take away what the link is measured for: 40 ms of a pause.
    monkeypatch.setenv("LD_PRELOAD", str(library))

    async def scenario() -> dict[str, bool]:
        features = await probe_features(binary)
        async with open_pair(make_cell("256M"), binary, guest, features, tmp_path) as pair:
            await pair.guarded(pair.reach_colo(60))
            return {side: str(library) in process.maps() for side, process in pair.processes.items()}

    assert asyncio.run(scenario()) == {"primary": False, "secondary": False}
