"""The nodes of a job: what they are called, how one is reached from the others, what one says of itself."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from typing import TYPE_CHECKING

from bench.cluster import slurm
from bench.cluster.script import environment
from bench.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.config.launcher import Launcher

_LOOPBACK = "127."

_NODE = """
import json, os, sys
folder, name = sys.argv[1:]
seen, written, wrong = os.path.exists(os.path.join(folder, name)), False, ""
node = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
try:
    with open(os.path.join(folder, name + "." + node), "w") as file:
        file.write(node)
    written = True
except OSError as error:
    wrong = error.strerror
try:
    import bench.part
except ImportError as error:
    wrong = str(error)
print(json.dumps({"node": node, "seen": seen, "written": written, "wrong": wrong,
    "kvm": os.access("/dev/kvm", os.R_OK | os.W_OK), "cpus": os.cpu_count()}))
"""


def own_job(environ: Mapping[str, str]) -> str:
    """Return the id of the job that this process is in; empty where it is in none."""
    return environ.get("SLURM_JOB_ID", "")


def own_nodes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the nodes of the job that this process is in, in the order of Slurm's list."""
    listed = environ.get("SLURM_JOB_NODELIST", "")
    return hostnames(listed) if listed else (environ.get("SLURMD_NODENAME") or os.uname().nodename,)


def step_on(node: str) -> tuple[str, ...]:
    """Return what starts a program on a node of this job: a step of it, which shares the node and ends with the job."""
    return ("srun", "--overlap", "--unbuffered", "--nodes=1", "--ntasks=1", "-w", node)


def ask_nodes(launcher: Launcher, folder: Path, name: str, free_s: int) -> tuple[slurm.Said, list[dict[str, object]]]:
    """Have as many nodes as a job gets say what they see, by a job of a few seconds, and return their answers.

    Args:
        launcher: as asked for.
        folder: that nodes are to share, where each leaves a file.
        name: of a file in it.
        free_s: how long it is waited for nodes that are free.
    """
    chosen = {"partition": launcher.partition, "account": launcher.account}
    command = (
        *("srun", "--quiet", f"--nodes={launcher.nodes}", "--ntasks-per-node=1", "--time=1", f"--immediate={free_s}"),
        *("--chdir=/", "--input=none", *(f"--{key}={value}" for key, value in chosen.items() if value)),
        *(sys.executable, "-P", "-c", _NODE, str(folder), name),
    )
    said = slurm.say(command, environment(os.environ))
    return said, list(_answers(said.out))


def _answers(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        try:
            tree = json.loads(line)
        except ValueError:
            continue
        if isinstance(tree, dict) and "node" in tree:
            yield tree


def address_of(node: str) -> str:
    """Return the IPv4 address by which a node is reached from the others.

    Raises:
        HostError: it has none that is known here.
    """
    said = slurm.say(("scontrol", "show", "node", node))
    found = re.search(r"NodeAddr=(\S+)", said.out)
    name = found[1] if found else node
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        words = f"node {node} has no IPv4 address that is known here ({name}: {error.strerror or error})"
        raise HostError(
            words, cause="job-never-starts", hint="launcher.nodes=1: both sides on the job's node"
        ) from error


def addresses_of(nodes: Sequence[str], address: Callable[[str], str] = address_of) -> dict[str, str]:
    """Return where each of a job's nodes is reached from the others.

    A node's own name means loopback on it where ``/etc/hosts`` is as Debian writes it; then its address is the one by
    which it goes to the others.

    Raises:
        HostError: one has no address that is known here.
    """
    found = {node: address(node) for node in nodes}
    other = next((one for one in found.values() if not one.startswith(_LOOPBACK)), None)
    return {node: _own_address(other) if other and one.startswith(_LOOPBACK) else one for node, one in found.items()}


def _own_address(other: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # nothing is sent
        sock.connect((other, 9))
        return str(sock.getsockname()[0])


def hostnames(listed: str) -> tuple[str, ...]:
    """Return the nodes that Slurm's short form stands for: ``n[1-2]``.

    Raises:
        UnreachableError: Slurm does not say.
    """
    if "[" not in listed:
        return tuple(filter(None, listed.split(",")))
    said = slurm.say(("scontrol", "show", "hostnames", listed))
    if said.status or not said.out.split():
        raise slurm.UnreachableError(f"`scontrol show hostnames {listed}` names no node: {said.why}")
    return tuple(said.out.split())
