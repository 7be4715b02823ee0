"""The client that drives a workload from outside: what its failures are laid to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from fake_session import make_cell

from bench.errors import LaunchError, WorkloadError
from bench.scenario import client
from bench.scenario.progress import Assets
from bench.workload.http import Http

ABORTED = "pgbench ended: pgbench: error: client 0 script 0 aborted in command 9 query 0: ERROR:  could not extend file"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (f'{ABORTED} "base/5/16397": No space left on device', "guest-disk-full"),
        (f'{ABORTED} "base/5/16397": Input/output error', "client-failed"),
        ("OSError: [Errno 28] No space left on device", "client-failed"),  # our own disk, which is looked at elsewhere
    ],
)
def test_a_client_that_ended_is_laid_to_a_full_disk_where_its_server_says_so(
    said: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(_: object, work: Coroutine[None, None, None]) -> None:
        work.close()
        raise LaunchError("the client ended", cause="program-exited", evidence=(said,))

    monkeypatch.setattr(client, "unless_any_exited", ended)
    process: Any = SimpleNamespace()
    with pytest.raises(WorkloadError) as caught:
        asyncio.run(client.unless_client_ended(process, asyncio.sleep(0)))
    assert (caught.value.cause, caught.value.evidence) == (cause, (said,))


def row(error: str | None) -> str:
    return json.dumps({"t_send": 1.0, "latency_s": 0.1, "status": 0 if error else 200, "error": error, "bytes": 0})


def test_a_server_that_goes_on_and_refuses_what_it_cannot_write_fails_the_run() -> None:
    refused = row("ValueError: MISCONF Errors writing to the AOF file: No space left on device")
    client._require_room([row(None), row("ConnectionResetError: ")])
    with pytest.raises(WorkloadError, match="the server refused 2 requests: the replicated disk is full") as caught:
        client._require_room([row(None), refused, refused])
    assert (caught.value.cause, caught.value.evidence) == ("guest-disk-full", (refused, refused))


def test_a_run_whose_client_came_through_qemu_s_user_mode_network_says_so() -> None:
    unused: Any = None
    assets = Assets(unused, unused, unused, "c")
    (said,) = assets.remarks(make_cell(workload=Http()))
    assert "user-mode network" in said
    assert assets.remarks(make_cell()) == assets.remarks(make_cell(workload=Http(), host={"kind": "bridged"})) == ()
