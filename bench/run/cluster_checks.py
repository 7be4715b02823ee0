"""What a cluster has for a campaign's jobs: one list, which the doctor, a dry run and each submission go through.

The doctor then asks a node too, by a job of a few seconds, whether it sees what this machine sees.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from bench.cluster import slurm
from bench.cluster.nodes import ask_nodes
from bench.cluster.parts import SCRIPT, parts_folder
from bench.cluster.room import limit_s, partition_of, require_longest, require_time
from bench.cluster.script import TEXT, Job
from bench.errors import BenchError
from bench.plan.estimate import duration_text, estimate
from bench.run.beforehand import Check, check_results, failed, file_system, is_network, require
from bench.system.files import nearest, passing_folder, told, write_atomic
from bench.system.owner import SCRATCH, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.cluster.slurm import Partition
    from bench.config.launcher import Launcher
    from bench.config.load import Settings
    from bench.config.model import Cell

_OLDEST = (22, 5)
_FREE_S = 20
_OWN = "take the commands of this cluster's own release, as its site has them (module load slurm)"
_INSTALL = "install colo-bench and its environment in a folder that this machine and all nodes have at one path"
_SHARE = "launcher.workdir=DIR, a folder that this machine and all nodes have at one path"


class Wanted:
    """What a campaign asks of its cluster; what that offers is asked once.

    Attributes:
        launcher: as asked for.
        block_s: what the longest block is expected to take.
        place: the folder that parts are written to.
    """

    def __init__(self, launcher: Launcher, block_s: float, place: Path) -> None:
        self.launcher = launcher
        self.block_s = block_s
        self.place = place

    @cached_property
    def partition(self) -> Partition:
        """The partition that the jobs go to.

        Raises:
            HostError: there is none, it is not up, or it has too few nodes.
        """
        return partition_of(self.launcher, slurm.partitions())

    @property
    def limit_s(self) -> float:
        """The time limit of a job."""
        return limit_s(self.launcher, self.block_s, self.partition)


def wanted_by(settings: Settings, cells: Sequence[Cell], campaign: str) -> Wanted:
    """Return what a whole block of these cells asks for."""
    folder = settings.results / campaign
    place = folder / parts_folder(folder, settings.launcher.workdir)
    return Wanted(settings.launcher, sum(estimate(cell).seconds for cell in cells), place)


def _commands(wanted: Wanted) -> Check:
    slurm.require_slurm(srun=wanted.launcher.nodes > 1)
    return Check("Slurm", "ok", f"its commands are here, {slurm.version() or 'of a release that they do not say'}")


def _controller(_wanted: Wanted) -> Check:
    own, its = slurm.version(), slurm.controller_version()
    text = f"it answers, {its}" if its else "it answers"
    if its and _release(its) < _OLDEST:
        fix = "ask whoever runs the cluster; older releases than 22.05 were not tried"
        return Check("controller", "warn", text, fix)
    if own and its and _release(own) != _release(its):
        return Check("controller", "warn", f"{text}, and the commands here are {own}", _OWN)
    return Check("controller", "ok", text)


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", version)[:2]))


def _partition(wanted: Wanted) -> Check:
    found, asked = wanted.partition, wanted.launcher.nodes
    longest = "any time" if found.longest_s is None else f"{duration_text(found.longest_s)} at most"
    nodes = "1 node" if found.nodes == 1 else f"{found.nodes} nodes"
    return Check("partition", "ok", f"{found.name}: up, {nodes} that are up, {longest}; a job asks for {asked}")


def _time(wanted: Wanted) -> Check:
    limit = wanted.limit_s
    require_time(wanted.launcher, limit, wanted.block_s)
    require_longest(wanted.partition, limit)
    return Check("job time", "ok", f"{duration_text(limit)} for a block of about {duration_text(wanted.block_s)}")


def _place(wanted: Wanted) -> Check:
    found = replace(check_results(wanted.place), name="shared folder")
    if found.status == "fail":
        return found
    kind = file_system(nearest(wanted.place))
    if is_network(kind):  # here it has to be one
        return replace(found, status="ok", fix="")
    text = f"{found.text}: a disk of this machine, as it seems; do the nodes have it too?"
    return replace(found, status="warn", text=text, fix=_SHARE)


_LOOKS: tuple[tuple[str, Callable[[Wanted], Check]], ...] = (
    ("Slurm", _commands),
    ("controller", _controller),
    ("partition", _partition),
    ("job time", _time),
    ("shared folder", _place),
)


def checks(wanted: Wanted) -> Iterator[Check]:
    """Look at everything that Slurm tells without a job; after what makes the rest senseless, nothing more."""
    for name, look in _LOOKS:
        try:
            yield look(wanted)
        except BenchError as error:
            yield failed(name, error)
            if name != "job time":
                return


def require_cluster(wanted: Wanted) -> tuple[Check, ...]:
    """Return the warnings of the same list.

    Raises:
        BenchError: what fails it, first of all.
    """
    found = tuple(look(wanted) for _, look in _LOOKS)
    require(found)
    return tuple(one for one in found if one.status == "warn")


def node_checks(wanted: Wanted) -> Iterator[Check]:
    """Ask Slurm whether it would ever start a job, and a node, by one of a few seconds, what it sees."""
    try:
        place = nearest(wanted.place)
        with told(place), passing_folder(place, f".{SCRATCH}try-", f"-{this_process()}") as folder:
            write_atomic(folder / SCRIPT, TEXT)
            why = slurm.never_starts(Job(folder, "colo-bench-try", "", wanted.limit_s), wanted.launcher)
            if why:
                fix = "launcher.partition=, launcher.account= and launcher.time= are what a site mostly asks for"
                yield Check("submission", "fail", f"Slurm would never start a job: {why}", fix, "job-never-starts")
                return
            yield Check("submission", "ok", "Slurm would start a job (sbatch --test-only)")
            yield from _ask_nodes(wanted, folder)
    except BenchError as error:
        yield failed("node", error)


def _ask_nodes(wanted: Wanted, folder: Path) -> Iterator[Check]:
    name = "here"
    slurm.require_slurm(srun=True)
    write_atomic(folder / name, "1\n")
    said, answers = ask_nodes(wanted.launcher, folder, name, _FREE_S)
    if said.status and not answers:
        if re.search(r"unable to allocate|immediate|busy|timed out", said.err, re.IGNORECASE):
            fix = "later: srun -N1 --exclusive .venv/bin/python -m bench.doctor"
            yield Check("node", "warn", f"none was free within {_FREE_S} s to be asked: {said.why}", fix)
        else:
            yield Check("node", "fail", f"it cannot run {sys.executable}: {said.why}", _INSTALL)
    for answer in answers:
        back = (folder / f"{name}.{answer['node']}").exists()
        yield check_node(answer, folder.parent, back=back)


def check_node(answer: dict[str, object], place: Path, *, back: bool) -> Check:
    """Return whether a node can measure a block."""
    node, name = answer["node"], f"node {answer['node']}"
    if not answer["seen"] or not back:
        way = "it does not see what is written here" if not answer["seen"] else "what it writes is not seen here"
        return Check(name, "fail", f"{place} is not shared with {node}: {way} {answer['wrong']}".strip(), _SHARE)
    if answer["wrong"]:
        return Check(name, "fail", f"colo-bench cannot be run there: {answer['wrong']}", _INSTALL)
    kvm = "/dev/kvm opens" if answer["kvm"] else "no /dev/kvm for us: emulation, accel=tcg"
    return Check(name, "ok", f"it sees {place}, and what it writes is seen here; {answer['cpus']} CPUs, {kvm}")
