"""Faults of other hosts: the way to them, the way between them, the agent on one, its disk, its keys, its programs.

The hosts are stand-ins on this machine (:mod:`tools.lab.hosts`), and ssh is real. What is left behind is looked for on
each of them too.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from bench.provision.bare import installed_bare
from bench.provision.qemu import PROVISIONED, installed_qemu
from bench.vm.placed import cache_entries
from tools.faults.fault import (
    BETWEEN,
    HOST,
    LASTING,
    QUICK_DEADLINES,
    SOME_FAILED,
    BlockedError,
    Fault,
    Moment,
    during,
)
from tools.faults.harness import send
from tools.faults.scene import Beside, MissedError
from tools.faults.storage import special
from tools.lab.hosts import SIDES, Lab, agents_of, inventory_of, lab, no_lab, ssh_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tools.faults.fault import Act
    from tools.faults.scene import Scene

FAR = ("host=ssh", "guest=bare", "mem=128M", "checkpoint.count=25", "checkpoint.interval=0.2")
"""The bare guest boots at once, and more checkpoints than elsewhere: what was traced there follows every second."""

_SETTLES_S = 25.0
"""An agent whose link was cut waits for 10 s before it ends everything."""

_DISK = "700m"
_INVENTORY = "hosts.yaml"


def hosts_of(scene: Scene) -> Lab:
    """Return the hosts of a scene that stands on some.

    Raises:
        MissedError: it does not.
    """
    if scene.hosts is None:
        raise MissedError("the scene has no other hosts")
    return scene.hosts


@contextmanager
def _hosts(scene: Scene, small: str = "") -> Iterator[None]:
    """Have two hosts that were measured on before, and reach them by ssh; one of them with a small disk if need be."""
    why = no_lab()
    if why:
        raise BlockedError(why)
    folder = scene.folder.with_name(f"{scene.folder.name}-hosts")
    programs = folder / "programs"
    programs.mkdir(parents=True, mode=0o700)
    try:
        with lab(folder) as hosts, _disk(hosts, small):
            for side in hosts.sides:
                _shipped(hosts.seen(side, hosts.work(side)))
            ssh_of(hosts, programs)
            scene.env["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
            scene.hosts, scene.settles_s = hosts, _SETTLES_S
            scene.beside.append(partial(_told, hosts))
            scene.words.append(f"host.inventory={scene.folder / _INVENTORY}")
            _inventory(scene, inventory_of(hosts))
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _disk(hosts: Lab, side: str) -> Iterator[None]:
    if not side:
        yield
        return
    with hosts.small_disk(side, _DISK):
        yield


@contextmanager
def _no_transport(scene: Scene) -> Iterator[None]:
    """Have this machine for both hosts, with agents and without ssh: the same runs, nobody disturbed."""
    reached = {"transport": ["env"], "address": "127.0.0.1", "python": sys.executable}
    places = {side: scene.folder / side for side in SIDES}
    for place in places.values():
        _shipped(place)
    scene.words.append(f"host.inventory={scene.folder / _INVENTORY}")
    _inventory(scene, {side: {**reached, "workdir": str(place)} for side, place in places.items()})
    yield


def _inventory(scene: Scene, tree: dict[str, Any]) -> None:
    (scene.folder / _INVENTORY).write_text(yaml.safe_dump(tree))


def _shipped(work: Path) -> None:
    """Put what a run needs of our cache into a work folder, as an earlier run has."""
    binary, guest = installed_qemu(PROVISIONED), installed_bare()
    if binary is None or guest is None:
        raise BlockedError("QEMU or the bare guest has not been fetched")
    words = (*binary.argv, *binary.img_argv, *(value for _, value in binary.env), str(guest.kernel))
    for path in cache_entries(words):
        target = work / "cache" / path.name
        if path.is_dir():
            shutil.copytree(path, target, symlinks=True, ignore=special, copy_function=_linked)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _linked(str(path), str(target))
        target.with_name(f"{path.name}.complete").write_text("1\n")
    work.chmod(0o700)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)


def _told(hosts: Lab) -> Beside:
    def lines(what: str, found: Callable[[str], set[Any]]) -> frozenset[str]:
        return frozenset(f"on the {side}'s host: {what} {one}" for side in hosts.sides for one in found(side))

    return Beside(lines("process", hosts.processes), lines("listening on", hosts.listening), lines("file", hosts.files))


def _greeted(scene: Scene) -> None:
    scene.until(lambda: scene.qmp().count(b'"qmp_capabilities"') > 1, "both monitors")


_BEFORE = Moment("before COLO", _greeted, lambda scene: b'"migrate"' not in scene.qmp())


def _traced(scene: Scene) -> bytes:
    """Return the primary's trace so far, read on its host: what is relayed from there comes when a pause is over."""
    hosts = hosts_of(scene)
    logs = hosts.seen("primary", hosts.work("primary")).glob("runs/*/*/primary/trace.log")
    return b"".join(log.read_bytes() for log in logs)


_STOPS, _RUNS = b"Change 'run' => 'stop'", b"Change 'stop' => 'run'"
_DURING = Moment(
    "during a checkpoint",
    during(lambda scene: _traced(scene).count(_STOPS)),
    hit=lambda scene: (trace := _traced(scene)).rfind(_STOPS) > trace.rfind(_RUNS),
)

_MOMENTS = {"before": _BEFORE, "during": _DURING, "between": BETWEEN}


def _on(act: Callable[[Lab], None]) -> Act:
    return lambda scene: act(hosts_of(scene))


def _kill_agent(hosts: Lab, side: str) -> None:
    agents = agents_of(hosts.work(side))
    if not agents:
        raise MissedError(f"there is no agent on the {side}'s host")
    for pid in agents:
        os.kill(pid, signal.SIGKILL)


def _program(scene: Scene, key: str, text: str) -> None:
    """Have the inventory name a program of ours for the secondary's host."""
    path = scene.folder / f"its-{key}"
    path.write_text(text)
    path.chmod(0o755)
    _inventory(scene, inventory_of(hosts_of(scene), secondary={key: str(path)}))


def _plain(scene: Scene) -> None:
    _inventory(scene, inventory_of(hosts_of(scene)))


def _far(**fields: Any) -> Fault:
    chosen: dict[str, Any] = {"ground": _hosts, "undisturbed": _no_transport, "setting": FAR, **fields}
    return Fault(**chosen)


def _links() -> Iterator[Fault]:
    cut = frozenset({"connection-cut"})
    for side in SIDES:
        for when, moment in _MOMENTS.items():
            yield _far(
                name=f"far-cut-{side}-{when}",
                group="the ssh connection to a host cut",
                does=f"the cable by which the {side}'s host is reached is cut {moment.name}",
                causes=cut,
                moment=moment,
                act=_on(partial(Lab.cut, side=side)),
                remedy=_on(partial(Lab.join, side=side)),
            )
    for when in ("during", "between"):
        yield _far(
            name=f"far-data-cut-{when}",
            group="the link between the hosts down",
            does=f"the cable between the hosts is cut {_MOMENTS[when].name}",
            causes=frozenset({"link-down"}),
            moment=_MOMENTS[when],
            act=_on(partial(Lab.cut, side="secondary", kind="d")),
            remedy=_on(partial(Lab.join, side="secondary", kind="d")),
            overrides=QUICK_DEADLINES,
        )
    for side in SIDES:
        yield _far(
            name=f"far-host-gone-{side}",
            group="a host gone",
            does=f"the {side}'s host dies, network and all, between checkpoints; it is back for the next command",
            causes=cut,
            moment=BETWEEN,
            act=_on(partial(Lab.kill, side=side)),
            remedy=_on(partial(Lab.restart, side=side)),
            dies=True,
        )


def _parts() -> Iterator[Fault]:
    for side in SIDES:
        yield _far(
            name=f"far-agent-killed-{side}",
            group="the agent on a host killed",
            does=f"SIGKILL of the agent on the {side}'s host between checkpoints",
            causes=frozenset({"agent-killed"}),
            moment=BETWEEN,
            act=_on(partial(_kill_agent, side=side)),
            dies=True,
        )
    for side in SIDES:
        yield _far(
            name=f"far-disk-full-{side}",
            group="the disk of one host full",
            does=f"the disk of the {side}'s host is full from between two checkpoints on",
            causes=frozenset({"disk-full", "far-disk-full"}),
            exits=frozenset({SOME_FAILED, HOST}),
            moment=LASTING,
            act=_on(partial(Lab.fill, side=side)),
            ground=partial(_hosts, small=side),
            remedy=_on(partial(Lab.resize, side=side, size=_DISK)),
            overrides=QUICK_DEADLINES,
        )
    yield _far(
        name="far-harness-killed",
        group="SIGKILL of the harness, its pair on other hosts",
        does="SIGKILL of the harness between checkpoints",
        causes=frozenset({"interrupted"}),
        exits=frozenset({-signal.SIGKILL}),
        moment=BETWEEN,
        act=send(signal.SIGKILL),
        dies=True,
    )


def _refusals() -> Iterator[Fault]:
    refused: dict[str, Any] = {"exits": frozenset({HOST})}
    yield _far(
        name="far-key-refused",
        group="a host that refuses our key",
        does="no key of ours is accepted any more when the campaign is continued",
        says=r"it accepts none of our keys",
        damage=_on(lambda hosts: hosts.admit("strange")),
        remedy=_on(lambda hosts: hosts.admit()),
        **refused,
    )
    yield _far(
        name="far-host-key-changed",
        group="a host whose key has changed",
        does="the secondary's host has another key than it had when the campaign is continued",
        says=r"its host key has changed",
        damage=_on(lambda hosts: hosts.know(mistaken="secondary")),
        remedy=_on(lambda hosts: hosts.know()),
        **refused,
    )
    yield _far(
        name="far-other-build",
        group="a host with other programs",
        does="the inventory names a QEMU of another version on the secondary's host",
        says=r"the secondary's 9\.9\.9",
        damage=lambda scene: _program(
            scene, "qemu", "#!/bin/sh\necho 'QEMU emulator version 9.9.9 (Debian 1:9.9.9)'\n"
        ),
        remedy=_plain,
        **refused,
    )
    yield _far(
        name="far-other-architecture",
        group="a host with other programs",
        does="the kernel of the secondary's host says that it is no x86-64 machine (setarch i686)",
        says=r"is i686: the guest and the fetched QEMU are x86_64's",
        damage=lambda scene: _program(
            scene, "python", f'#!/bin/sh\nexec /usr/bin/setarch i686 {sys.executable} "$@"\n'
        ),
        remedy=_plain,
        **refused,
    )


def faults() -> Iterator[Fault]:
    """Yield every fault of other hosts."""
    yield from _links()
    yield from _parts()
    yield from _refusals()
