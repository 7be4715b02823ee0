"""The survivor of a failover gets a new secondary: the steps as values, and fake QEMUs that are joined or are not."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fake_qmp import SILENCE, event, fake_qmp, send
from fake_session import make_cell
from pydantic import ValidationError

from bench.config.factors import identity
from bench.config.links import Compare
from bench.errors import HostError, LaunchError
from bench.host.host import Here
from bench.host.links import PRIMARY, SECONDARY, Link, planned_addresses
from bench.host.process import launch
from bench.host.topology import Node, Topology
from bench.scenario.redundancy import NAME, join_again, joined_spec, joining_steps, planned_joining
from bench.scenario.takeover import Course
from bench.system.sockets import socket_folder
from bench.vm.procedure import NO_TIMER_MS, poke
from bench.vm.qmp import connect
from bench.vm.spec import Ports, planned_spec
from bench.workload.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bench.config.model import Cell
    from bench.vm.procedure import Side

FREE = Ports(*range(1, 8))
LAST = ["migrate-set-capabilities", "migrate-set-parameters", "migrate"]


def asking(victim: str = "secondary", guest: str = "linux", **more: Any) -> Cell:
    asked = {"victim": victim, "redundancy": True}
    return make_cell(guest=guest, scenario="failover", failover=asked, **more)


def joining(survivor: Side, guest: str = "linux", **more: Any) -> list[tuple[str, str]]:
    spec = planned_spec(asking(guest=guest, **more), None, None)
    steps = joining_steps(joined_spec(spec, survivor, FREE, "<new>"), survivor)
    return [(one.side, one.command) for one in steps]


def test_whether_it_is_asked_for_is_in_no_id_where_it_is_not() -> None:
    plain = make_cell(scenario="failover", failover={"redundancy": False})
    assert plain == make_cell(scenario="failover")
    assert "redundancy" not in identity(plain)["failover"]
    assert identity(asking())["failover"]["redundancy"] is True


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"failover": {"how": "cut", "redundancy": True}, "host": {"kind": "netns"}}, "failover.how=kill or stop"),
        ({"failover": {"victim": "secondary", "redundancy": True}, "workload": Http()}, "a workload without a client"),
        ({"failover": {"redundancy": True}, "host": {"kind": "ssh"}}, "hosts of this machine"),
        ({"failover": {"redundancy": True}, "link": {"tls": True}}, "link.tls=false"),
        ({"failover": {"redundancy": True}, "qemu_secondary": "10.0"}, "one QEMU for both sides"),
    ],
)
def test_what_cannot_be_joined_again_is_refused_with_what_it_needs(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"failover.redundancy=true needs {words}")):
        make_cell(**{"scenario": "failover", **fields})


def test_the_survivor_is_the_primary_of_the_new_pair_and_listens_where_it_did() -> None:
    spec = replace(planned_spec(asking(), None, None), addresses=planned_addresses("netns"))
    kept = joined_spec(spec, "primary", FREE, "<new>")
    assert (kept.ports.mirror, kept.ports.compare) == (spec.ports.mirror, spec.ports.compare)
    assert (kept.ports.migration, kept.ports.nbd, kept.sockets) == (FREE.migration, FREE.nbd, "<new>")
    turned = joined_spec(spec, "secondary", FREE, "<new>")
    for link in (Link.MIGRATION, Link.COMPARE):
        assert turned.address(PRIMARY, link) == spec.address(SECONDARY, link)
        assert turned.address(SECONDARY, link) == spec.address(PRIMARY, link)
    assert turned.ports == FREE


@pytest.mark.parametrize("survivor", ["primary", "secondary"])
def test_a_guest_without_disk_and_card_is_joined_by_the_migration_alone(survivor: Side) -> None:
    steps = joining(survivor, "bare")
    assert [command for side, command in steps if side == PRIMARY] == ["trace-event-set-state", *LAST]
    assert ("secondary", "migrate-incoming") in steps


def test_a_primary_copies_its_disk_and_compares_packets_again_as_documented() -> None:
    commands = [command for side, command in joining("primary") if side == PRIMARY]
    assert commands == [
        *("trace-event-set-state", "drive-mirror", "stop", "block-job-cancel"),
        *("human-monitor-command", "x-blockdev-change"),
        *(["object-add"] * 5),
        *LAST,
    ]


def test_a_secondary_gets_a_primary_s_sockets_first_and_its_filters_before_its_rewriter() -> None:
    steps = joining("secondary")
    assert steps[:7] == [("primary", "trace-event-set-state"), *[("primary", "chardev-add")] * 6]
    spec = joined_spec(planned_spec(asking(), None, None), "secondary", FREE, "<new>")
    added = [dict(one.arguments) for one in joining_steps(spec, "secondary") if one.command == "object-add"]
    assert [one["id"] for one in added] == ["m0", "redire0", "redire1", "iothread1", "comp0"]
    assert [one.get("position") for one in added] == ["id=rew0"] * 3 + [None] * 2


def test_the_new_comparer_is_set_as_the_old_one_was() -> None:
    devices = {"nic": "virtio-net-pci"}
    cell = asking(devices=devices, compare=Compare(timeout=0.1, max_queue_size=64, vnet_hdr=True))
    spec = joined_spec(planned_spec(cell, None, None), "primary", FREE, "<new>")
    added = {dict(one.arguments).get("id"): dict(one.arguments) for one in joining_steps(spec, "primary")}
    comparer = added["comp0"]
    assert (comparer["compare_timeout"], comparer["max_queue_size"], comparer["vnet_hdr_support"]) == (100, 64, True)
    assert added["m0"]["vnet_hdr_support"] is True


def test_a_plan_shows_the_steps_to_the_first_checkpoint() -> None:
    shown = planned_joining(planned_spec(asking(), None, None), "secondary")
    assert shown[-1] == poke().text()
    assert any("nbd://127.0.0.1:<free:nbd>/parent0" in line for line in shown)


class Fake(Here):
    """This machine, where every QEMU is a fake one, of which ``started`` keeps the processes."""

    def __init__(self, reply: Callable[[str, dict[str, Any]], Any], program: tuple[str, ...]) -> None:
        self._reply, self._program = reply, program
        self.started: list[Any] = []

    async def run(self, *_: Any, **__: Any) -> str:
        return ""

    def start(self, name: str, argv: tuple[str, ...], folder: Path, **_: Any) -> Any:
        return self._started(name, argv, folder)

    @asynccontextmanager
    async def _started(self, name: str, argv: tuple[str, ...], folder: Path) -> AsyncIterator[Any]:
        path = argv[argv.index("-qmp") + 1].removeprefix("unix:").partition(",")[0]
        async with fake_qmp(Path(path), self._reply), launch(name, self._program, folder=folder) as process:
            self.started.append(process)
            yield process


def joined_again(
    folder: Path,
    survivor: Side,
    guest: str = "bare",
    answer: Callable[[str, dict[str, Any]], Any] = lambda _command, _arguments: None,
    program: tuple[str, ...] = ("sleep", "60"),
    survives: tuple[str, ...] = ("sleep", "60"),
) -> tuple[Course, list[str], list[Any]]:
    """Let a fake survivor be joined by a fake secondary; return the course, what both were asked, what was started.

    ``answer`` gives a reply of its own, or None.
    """
    said: list[str] = []
    survivors: list[asyncio.StreamWriter] = []
    victim: Side = "primary" if survivor == "secondary" else "secondary"

    def pause() -> None:
        for name in ("STOP", "RESUME"):
            for writer in survivors:
                send(writer, event(name, 1, 0))

    def reply(command: str, arguments: dict[str, Any]) -> Any:
        said.append(command)
        own = answer(command, arguments)
        if own is not None:
            return own
        if command == "migrate" or (arguments.get("x-checkpoint-delay") == NO_TIMER_MS and "migrate" in said):
            pause()
        job = {"device": "resync", "ready": True, "type": "mirror"}
        return {
            "query-migrate": {"status": "colo"},
            "query-status": {"running": True},
            "query-block-jobs": [] if "block-job-cancel" in said else [job],
            "human-monitor-command": "",
        }.get(command, {})

    fake = Fake(reply, program)

    async def scenario() -> Course:
        nodes = {name: Node(name, fake, known) for name, known in planned_addresses("local").items()}
        cell = asking(victim, guest)
        binary = SimpleNamespace(argv=("qemu",), img_argv=("qemu-img",), env=(), path=Path("/nowhere/qemu"))
        async with AsyncExitStack() as stack:
            processes = {}
            for side in (PRIMARY, SECONDARY):
                (folder / side).mkdir()
                argv = survives if side == survivor else ("sleep", "60")
                starting = launch(f"{side}'s QEMU", argv, folder=folder / side)
                processes[side] = await stack.enter_async_context(starting)
            clients = await stack.enter_async_context(fake_qmp(folder / "survivor.sock", reply))
            monitor = await stack.enter_async_context(await connect(survivor, folder / "survivor.sock", None, 5))
            survivors.extend(clients)
            pair = SimpleNamespace(
                spec=planned_spec(cell, None, None),
                binary=binary,
                binaries={PRIMARY: binary, SECONDARY: binary},
                folder=folder,
                topology=Topology(nodes),
                processes=processes,
                monitor=lambda _side: monitor,
            )
            run: Any = SimpleNamespace(cell=cell, pair=pair)
            course = Course(survivor, (1.0, 1.0), success=True)
            await join_again(run, course)
            assert not processes[victim].alive()
            assert processes[survivor].alive()
            return course

    return asyncio.run(scenario()), said, fake.started


@pytest.mark.parametrize("survivor", ["primary", "secondary"])
@pytest.mark.parametrize("guest", ["bare", "linux"])
def test_the_first_checkpoint_of_the_new_pair_ends_it_and_nothing_of_it_is_left(
    tmp_path: Path, survivor: Side, guest: str
) -> None:
    course, said, (newcomer,) = joined_again(tmp_path, survivor, guest)
    assert course.redundancy_s is not None
    assert course.redundancy_s > 0
    assert set(course.redundancy) == {"steps", "at"}
    began, ended = course.redundancy["at"]
    assert began < ended
    done = [one["step"].split()[1] for one in course.redundancy["steps"]]
    assert done[-2:] == ["migrate", "migrate-set-parameters"]
    assert set(done) <= set(said)
    assert ("drive-mirror" in done) is (guest == "linux")
    assert ("chardev-add" in done) is (guest == "linux" and survivor == "secondary")
    assert newcomer.name == f"{NAME}'s QEMU"
    assert not newcomer.alive()


def test_the_time_of_a_joining_ends_before_what_was_started_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def slow_to_go(purpose: str) -> Iterator[Path]:
        with socket_folder(purpose) as folder:
            yield folder
            time.sleep(0.5)

    monkeypatch.setattr("bench.scenario.redundancy.socket_folder", slow_to_go)
    course, _, _ = joined_again(tmp_path, "primary")
    began, ended = course.redundancy["at"]
    assert course.redundancy_s is not None
    assert ended - began < course.redundancy_s + 0.3


def test_what_qemu_refuses_is_on_record_in_its_own_words_and_fails_nothing(tmp_path: Path) -> None:
    def answer(command: str, _arguments: dict[str, Any]) -> Any:
        if command == "migrate":
            raise ValueError("COLO cannot be entered twice")
        return None

    course, _, (newcomer,) = joined_again(tmp_path, "secondary", answer=answer)
    assert (course.success, course.redundancy_s) == (True, None)
    assert course.redundancy["cause"] == "qmp-refused"
    assert course.redundancy["reason"] == "the secondary refused `migrate`: COLO cannot be entered twice"
    assert course.redundancy["steps"][-1]["said"] == course.redundancy["reason"]
    assert not newcomer.alive()


def test_a_migration_that_fails_is_no_redundancy(tmp_path: Path) -> None:
    failed = {"query-migrate": {"status": "failed"}}
    course, _, _ = joined_again(tmp_path, "primary", answer=lambda command, _: failed.get(command))
    assert (course.redundancy_s, course.redundancy["cause"]) == (None, "migration-failed")


def test_a_disk_that_is_not_copied_is_no_redundancy(tmp_path: Path) -> None:
    none: dict[str, Any] = {"query-block-jobs": []}
    course, _, _ = joined_again(tmp_path, "primary", "linux", answer=lambda command, _: none.get(command))
    assert course.redundancy_s is None
    assert course.redundancy["reason"] == "the copy of the disk to the new secondary ended early"


KILLED = ("sh", "-c", "kill -9 $$")


def test_a_new_secondary_that_somebody_kills_says_nothing_of_colo(tmp_path: Path) -> None:
    silent = {"query-migrate": SILENCE}
    with pytest.raises(LaunchError, match=f"{NAME}'s QEMU was killed by SIGKILL"):
        joined_again(tmp_path, "secondary", "bare", lambda command, _: silent.get(command), KILLED)


def test_a_survivor_that_somebody_kills_before_it_is_joined_says_nothing_of_colo(tmp_path: Path) -> None:
    silent = {"trace-event-set-state": SILENCE}
    with pytest.raises(LaunchError, match="secondary's QEMU was killed by SIGKILL"):
        joined_again(tmp_path, "secondary", "bare", lambda command, _: silent.get(command), survives=KILLED)


def test_an_image_that_cannot_be_made_is_none_of_colo_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> str:
        raise HostError("no room for an image")

    monkeypatch.setattr(Fake, "run", refuse)
    with pytest.raises(HostError, match="no room"):
        joined_again(tmp_path, "secondary")


def test_a_new_secondary_that_ends_is_told_from_the_survivor(tmp_path: Path) -> None:
    silent = {"query-migrate": SILENCE}
    course, _, _ = joined_again(tmp_path, "secondary", "bare", lambda command, _: silent.get(command), ("false",))
    assert course.redundancy_s is None
    assert NAME in course.redundancy["reason"]
