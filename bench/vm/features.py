"""What a QEMU binary can do, asked of the binary itself: never of its version number."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from qemu.qmp import ExecuteError

from bench.errors import HostError, LaunchError, QmpError
from bench.format.phases import MARKERS, NEEDED
from bench.host.host import HERE
from bench.host.outlasting import unless_any_exited
from bench.vm.qmp import connect, well_formed
from bench.vm.scratch import probe_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.config.procedure import Trace
    from bench.host.host import Host
    from bench.provision.qemu import Binary

_PROBE_DEADLINE_S = 20.0

_SANDBOX_PARTS = ("obsolete", "elevateprivileges", "spawn", "resourcecontrol")

COLO_OBJECTS = ("colo-compare", "filter-mirror", "filter-redirector", "filter-rewriter")
"""The kinds of objects that compare and copy the pair's packets."""


@dataclass(frozen=True)
class Features:
    """What one binary understands.

    Attributes:
        reconnect: the option that makes a client socket reconnect every second.
        colo_capabilities: the migration capabilities that COLO needs on both sides.
        smp_cache: whether ``-machine smp-cache`` sets cache sizes.
        trace_events: every trace event that can be switched on.
        missing: what COLO needs and the binary lacks, in words.
        sandbox: the value of ``-sandbox``; empty where the binary was built without.
        machines: the names of its machines, the one that it calls ``pc`` first.
        tls: whether it can encrypt what goes to the other side by a key that both have.
        mapped_ram: whether it can save a machine so that each page has its place in the file.
    """

    reconnect: str
    colo_capabilities: tuple[str, ...]
    smp_cache: bool
    trace_events: frozenset[str]
    missing: tuple[str, ...] = ()
    sandbox: str = ""
    machines: tuple[str, ...] = ()
    tls: bool = False
    mapped_ram: bool = False


MODERN = Features(
    reconnect="reconnect-ms=1000",
    colo_capabilities=("x-colo", "return-path"),
    smp_cache=True,
    trace_events=frozenset(),
    sandbox="on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    tls=True,
    mapped_ram=True,
)
"""What a plan assumes of a binary that is not there to be asked."""


def reconnect_option(schema: Iterable[dict[str, Any]]) -> str:
    """Return how this binary spells "reconnect every second" (``query-qmp-schema``: a member of ChardevSocket)."""
    members = {member.get("name") for entity in schema for member in entity.get("members", ())}
    return "reconnect-ms=1000" if "reconnect-ms" in members else "reconnect=1"


def missing_parts(
    schema: Iterable[dict[str, Any]], object_types: Iterable[str], capabilities: Iterable[str]
) -> tuple[str, ...]:
    """Return what COLO needs and this binary was built without, in words."""
    enum_values = {value for entity in schema for value in entity.get("values", ())}
    types, known = set(object_types), set(capabilities)
    missing = [f"block driver {name}" for name in ("replication", "quorum", "nbd") if name not in enum_values]
    missing += [f"object {name}" for name in COLO_OBJECTS if name not in types]
    missing += [] if "x-colo" in known else ["migration capability x-colo"]
    return tuple(missing)


def sandbox_option(parameters: Iterable[str]) -> str:
    """Return the strictest value of ``-sandbox`` that a binary with these parameters takes; empty when it has none.

    COLO, user networking, NBD and both accelerators do with all of it: no obsolete system call, no change of user or
    group, no other program, no change of priority or CPUs. What a preloaded library does is no system call of these.
    """
    known = set(parameters)
    parts = (f"{name}=deny" for name in _SANDBOX_PARTS if name in known)
    return ",".join(("on", *parts)) if "enable" in known else ""


def known_events(trace: Trace, features: Features) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the events to switch on, sorted, and the optional globs that this binary has nothing for.

    The events that bound a checkpoint's phases are always among them: without them nothing is measured. Those that
    bound parts of phases are on together: where one is asked for, the others are switched on where they are there.

    Raises:
        HostError: a glob that is not optional names no event of this binary.
    """
    chosen: set[str] = set()
    missing: dict[str, bool] = {}
    bounds = tuple(dict.fromkeys(kind.event for marker in MARKERS for kind in marker.kinds))
    asked = any(fnmatchcase(event, glob) for event in bounds for glob in (*trace.events, *trace.optional))
    more = tuple(event for event in bounds if asked and event not in trace.optional)
    for optional, globs in ((False, (*NEEDED, *trace.events)), (True, (*trace.optional, *more))):
        for glob in globs:
            found = {event for event in features.trace_events if fnmatchcase(event, glob)}
            chosen |= found
            missing |= {} if found else {glob: optional}
    refused = [glob for glob, optional in missing.items() if not optional]
    if refused:
        close = {name for glob in refused for name in get_close_matches(glob, features.trace_events)}
        raise HostError(
            f"this QEMU has no trace event {', '.join(refused)}",
            cause="trace-event-unknown",
            hint=f"close: {', '.join(sorted(close)) or 'none'}; `-trace help` lists all of them",
        )
    return tuple(sorted(chosen)), tuple(missing)


def common_machine(first: Features, second: Features) -> str:
    """Return a machine that two binaries both know, the one that either calls ``pc``.

    Raises:
        HostError: there is none, so that no guest can move from one to the other.
    """
    known = set(first.machines) & set(second.machines)
    for name in (*first.machines[:1], *second.machines[:1]):
        if name in known:
            return name
    own = " and ".join(one.machines[0] if one.machines else "none" for one in (first, second))
    raise HostError(
        f"the two QEMUs have no machine in common: their pc is {own}",
        cause="machine-missing",
        hint="choose releases that are nearer to each other",
    )


async def probe_features(binary: Binary, host: Host = HERE) -> Features:
    """Start the binary without a machine and ask it.

    Raises:
        LaunchError: the binary does not start.
        QmpError: it does not answer, or not as QEMU does.
    """
    with probe_folder("features") as folder:
        host.adopt(folder)
        none = ("-machine", "none", "-nodefaults", "-display", "none")
        argv = (*binary.argv, *none, "-qmp", "unix:qmp.sock,server=on,wait=off")
        async with host.start("probe", argv, folder, env=dict(binary.env), grace_s=2.0) as process:
            monitor = await unless_any_exited(
                (process,), connect("probe", folder / "qmp.sock", None, _PROBE_DEADLINE_S, host=host)
            )
            async with monitor:
                with well_formed("what the binary says of itself"):
                    return await unless_any_exited((process,), _ask(monitor.execute))


async def _ask(execute: Any) -> Features:
    schema = await execute("query-qmp-schema")
    objects = [name for name in COLO_OBJECTS if await _has_type(execute, name)]
    capabilities = [entry["capability"] for entry in await execute("query-migrate-capabilities")]
    machines = await execute("query-machines")
    events = await execute("trace-event-get-state", {"name": "*"})
    return Features(
        reconnect=reconnect_option(schema),
        colo_capabilities=await _colo_capabilities(execute, capabilities),
        smp_cache=await _has_smp_cache(execute, machines),
        machines=tuple(one["name"] for one in sorted(machines, key=lambda one: one.get("alias") != "pc")),
        trace_events=frozenset(event["name"] for event in events if event["state"] != "unavailable"),
        missing=missing_parts(schema, objects, capabilities),
        sandbox=await _sandbox(execute),
        tls=await _has_type(execute, "tls-creds-psk"),
        mapped_ram="mapped-ram" in capabilities,
    )


async def _has_type(execute: Any, name: str) -> bool:
    """Ask for the properties of a device of this name: only a kind that there is can be refused for being no device.

    The plainer questions will not do: ``qom-list-types`` loads every module, and ``qom-list-properties`` makes a
    colo-compare and destroys it unfinished, of which QEMU up to 10.0 dies.
    """
    try:
        await execute("device-list-properties", {"typename": name})
    except QmpError as error:
        if error.cause != "qmp-refused":
            raise
        return not (isinstance(error.__cause__, ExecuteError) and error.__cause__.error_class == "DeviceNotFound")
    return True


async def _colo_capabilities(execute: Any, known: list[str]) -> tuple[str, ...]:
    """Newer QEMU refuses ``x-colo`` without ``return-path``; older QEMU opens its own: let the binary say."""
    if "x-colo" not in known:
        return ("x-colo",)
    try:
        await execute("migrate-set-capabilities", {"capabilities": [{"capability": "x-colo", "state": True}]})
    except QmpError as error:
        if error.cause != "qmp-refused":
            raise
        return ("x-colo", "return-path")
    return ("x-colo",)


async def _has_smp_cache(execute: Any, machines: list[dict[str, Any]]) -> bool:
    pc = next((m["name"] for m in machines if m.get("alias") == "pc"), None)
    if pc is None:
        raise LaunchError(
            "this QEMU has no machine 'pc'", cause="machine-missing", hint="use a qemu-system-x86_64 binary"
        )
    properties = await execute("qom-list-properties", {"typename": f"{pc}-machine"})
    return any(entry["name"] == "smp-cache" for entry in properties)


async def _sandbox(execute: Any) -> str:
    try:
        options = await execute("query-command-line-options", {"option": "sandbox"})
    except QmpError as error:
        if error.cause != "qmp-refused":
            raise
        return ""  # built without seccomp: the option is not there
    return sandbox_option(parameter["name"] for option in options for parameter in option["parameters"])
