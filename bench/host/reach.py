"""How a far host is reached, and what it means when it is not: the words of ssh and of shells, in causes."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import HostError

if TYPE_CHECKING:
    from bench.config.hosts import FarHost

SSH = (
    "ssh",
    *("-T", "-a", "-x"),
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=1"),
    *("-o", "ServerAliveCountMax=3"),
    # A master would outlive us, and one of the user's would carry our frames among other things.
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "RequestTTY=no"),
)
"""OpenSSH's own client, asked nothing and telling us within 4 s of a link that is cut; the rest is the user's own."""

FULL = "far-disk-full"
"""The cause of whatever finds a far disk full."""

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_NOT_THERE = (126, 127)
_FULL_WORDS = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


@dataclass(frozen=True)
class Reach:
    """How an agent is started on a host.

    Attributes:
        transport: the command that gives standard input and output there; empty: none, on this machine.
        python: the interpreter's absolute path there.
        workdir: where the agent, what is shipped and the runs' folders lie there; ``~`` is its user's home.
        one_line: whether the transport hands one line to a shell, as ssh does, instead of words to a program.
        lease_s: after how long without a sign of life the agent ends everything.
        title: what messages and records call the host.
    """

    transport: tuple[str, ...] = ()
    python: str = "/usr/bin/python3"
    workdir: str = "~/.colo-bench"
    one_line: bool = False
    lease_s: float = 10.0
    title: str = ""

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return what runs ``argv`` there."""
        return (*self.transport, shlex.join(argv)) if self.one_line else (*self.transport, *argv)

    def shown(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a person types to run ``argv`` there: without the options that only we need."""
        return ("ssh", *self.transport[len(SSH) :], shlex.join(argv)) if self.one_line else self.command(argv)


def reach_of(far: FarHost) -> Reach:
    """Return how an inventory's host is reached: by its transport, else by ssh."""
    if far.transport:
        return Reach(far.transport, far.python, far.workdir, title=far.title)
    destination, port = far.destination
    options = ("-p", str(port)) if port else ()
    return Reach((*SSH, *options, "--", destination), far.python, far.workdir, one_line=True, title=far.title)


@dataclass(frozen=True)
class _Rule:
    cause: str
    what: str
    pattern: re.Pattern[str]


def _rule(cause: str, what: str, *patterns: str) -> _Rule:
    return _Rule(cause, what, re.compile("|".join(patterns)))


_RULES = (
    _rule("ssh-host-key", "its host key has changed", r"REMOTE HOST IDENTIFICATION HAS CHANGED"),
    _rule("ssh-host-key", "its host key is not known", r"Host key verification failed", r"No \S+ host key is known"),
    _rule(
        "ssh-refused",
        "it accepts none of our keys",
        r"Permission denied \(",
        r"Too many authentication failures",
        r"Load key .*: (?:Permission denied|error in libcrypto|invalid format)",
    ),
    _rule(
        "ssh-unreachable",
        "it cannot be reached",
        r"Could not resolve hostname",
        r"Connection refused",
        r"No route to host",
        r"Network is unreachable",
        r"(?:Connection|Operation) timed out",
        r"Connection (?:closed|reset) by",
        r"Connection to .* timed out",
        r"kex_exchange_identification",
    ),
    _rule(
        "far-python",
        "it has no such Python",
        r"(?:python\S*|/bin/\S+): (?:No such file|[Nn]ot found|command not found|Permission denied)",
        r"(?:not found|No such file or directory|Unknown command).*python",
        r"python\S*: (?:not found|No such file or directory)",
    ),
)


def refused_error(name: str, reach: Reach, status: int | None, words: tuple[str, ...]) -> HostError:
    """Return the error of a host on which no agent came up.

    Args:
        name: the node's.
        reach: how it was to be reached.
        status: with which the command ended; ``None``: it did not.
        words: what it said, or what the agent's first lines did.
    """
    where = f"the {name}'s host {reach.title}".rstrip()
    said = tuple(filter(str.strip, words))
    first, _, rest = said[0].partition(" ") if said else ("", "", "")
    if status == 0 and first == "old":
        return HostError(f"{where} has Python {rest}, 3.9 or newer is needed", cause="far-python")
    if status == 0 and first == "refused":
        cause = FULL if rest.endswith(_FULL_WORDS) else "far-workdir"
        return HostError(f"{where}: its workdir cannot be used: {rest}", cause=cause, evidence=said)
    for rule in _RULES:
        if any(rule.pattern.search(line) for line in said):
            return HostError(f"{where}: {rule.what}", cause=rule.cause, evidence=said[-8:])
    if status in _NOT_THERE:
        return HostError(f"{where} has no Python at {reach.python}", cause="far-python", evidence=said[-8:])
    if status is None:
        return HostError(f"{where} did not answer in time", cause="ssh-unreachable", evidence=said[-8:])
    return HostError(f"{where}: no agent came up there (status {status})", cause="far-agent", evidence=said[-8:])


def cut_error(name: str, reach: Reach, status: int | None, words: tuple[str, ...]) -> HostError:
    """Return the error of a connection that ended under way.

    ssh says so when a link is cut, and nothing when the program at its other end was killed.
    """
    said = tuple(filter(str.strip, words))
    silent = status is not None and status >= 0 and not said
    if silent or (not reach.one_line and status in _KILLED):
        what = f"the agent on the {name}'s host was ended (status {status})"
        return HostError(what, cause="agent-killed", evidence=said[-4:])
    return HostError(f"the connection to the {name}'s host was cut", cause="connection-cut", evidence=said[-4:])
