"""A real Slurm of several nodes on this machine, for a while: Debian's packages, our own folder, loopback.

All daemons are children in the foreground, so that they can be waited for, and nothing outside of the folder is
touched, but for one of a short name where the sockets of munged and of Slurm's step daemons are: an address holds 107
bytes. Settings that worked with Slurm 22.05 and 24.11.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.system.owner import end_with_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scancel")
_UP_S = 60.0
_CGROUPS_OFF = (23, 11)

_CONF = """\
ClusterName=colo
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={short}/munge.sock,cred_expire=20
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={short}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/linear
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=5
MinJobAge=300
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=brief Nodes=n1 MaxTime=2 State=UP
"""


def missing() -> str:
    """Return why there can be no cluster here; empty where there can."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed (make cluster-deps)"
    return "" if os.geteuid() == 0 else "a node's daemon starts jobs as root"


@dataclass
class Cluster:
    """The cluster.

    Attributes:
        folder: everything of it but its sockets.
        nodes: how many.
        short: what has sockets in it.
        daemons: by name: ``munged``, ``slurmctld``, ``n1`` and so on.
    """

    folder: Path
    nodes: int
    short: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """The configuration of all its daemons."""
        return self.folder / "slurm.conf"

    @property
    def environ(self) -> Mapping[str, str]:
        """What a command needs to be a user of this cluster."""
        return {"SLURM_CONF": str(self.conf)}

    def say(self, *argv: str) -> str:
        """Return what a command of Slurm's says."""
        done = subprocess.run(
            argv, env={**os.environ, **self.environ}, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    def states(self) -> dict[str, tuple[str, str]]:
        """Return each job's state and node."""
        rows = (line.split("|") for line in self.say("squeue", "-h", "-t", "all", "-o", "%i|%T|%N").splitlines())
        return {row[0]: (row[1], row[2]) for row in rows}

    def processes(self, job: str = "") -> list[int]:
        """Return the processes of a job, or of all of this cluster, but for its daemons."""
        others = {os.getpid(), *(child.pid for child in self.daemons.values())}
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                around = {} if process.pid in others else process.environ()
                its_job = around.get("SLURM_JOB_ID")
                if around.get("SLURM_CONF") == str(self.conf) and its_job and job in ("", its_job):
                    found.append(process.pid)
        return found

    def begun(self, job: str) -> int:
        """Return the process of a job that is ours: the one that Slurm's own step daemon started.

        Raises:
            LookupError: there is none.
        """
        for pid in self.processes(job):
            with suppress(psutil.Error):
                if "bench.part" in psutil.Process(pid).cmdline():
                    return pid
        raise LookupError(f"job {job} has no process of ours")

    def kill_node(self, node: str, job: str) -> None:
        """End a node as a power cut would: its daemon, what watches its job, and the job."""
        doomed = self.processes(job)
        steps = set()
        for pid in doomed:
            with suppress(psutil.Error):
                watcher = psutil.Process(pid).parent()
                if watcher and "slurmstepd" in " ".join(watcher.cmdline()):
                    steps.add(watcher.pid)
        self.daemons[node].kill()
        for pid in (*steps, *doomed):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemons.pop(node).wait()


def until(what: Callable[[], bool], seconds: float, words: str) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not come to hold.
    """
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"{words}: not within {seconds:g} s")
        time.sleep(0.1)


def _ports(count: int) -> int:
    """Return the first of so many neighbouring ports of loopback that are free now."""
    for first in range(26800, 31000, count):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as one:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", port))
            return first
    raise OSError("no free ports")


def _version() -> tuple[int, ...]:
    said = subprocess.run(["slurmd", "-V"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


@contextmanager
def cluster(folder: Path, nodes: int = 4) -> Iterator[Cluster]:
    """Provide a cluster for the length of the block; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="cbt-", ignore_cleanup_errors=True) as short:
        made = _configured(folder, nodes, Path(short))
        try:
            _start(made)
            yield made
        finally:
            _stop(made)


def _configured(folder: Path, nodes: int, short: Path) -> Cluster:
    made = Cluster(folder, nodes, short)
    (folder / "state").mkdir(parents=True)
    (folder / "munge").mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    first = _ports(nodes + 1)
    made.conf.write_text(
        _CONF.format(
            folder=folder,
            short=short,
            host=socket.gethostname().partition(".")[0],
            user=pwd.getpwuid(os.geteuid()).pw_name,
            port=first,
            first=first + 1,
            last=first + nodes,
            nodes=nodes,
        )
    )
    plugin = "disabled" if _version() >= _CGROUPS_OFF else "cgroup/v1"
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
    return made


def _start(made: Cluster) -> None:
    socket_path, own = made.short / "munge.sock", made.folder / "munge"
    named = {"key-file": own / "key", "socket": socket_path, "pid-file": own / "pid", "seed-file": own / "seed"}
    munged = ("munged", "-F", "--force", *(f"--{name}={path}" for name, path in named.items()))
    _launch(made, "munged", (*munged, f"--log-file={own / 'log'}"))
    _come_up(made, socket_path.exists, 10, "munged listens")
    _launch(made, "slurmctld", ("slurmctld", "-D", "-i", "-f", str(made.conf)))
    for number in range(1, made.nodes + 1):
        (made.short / f"spool-n{number}").mkdir()
        _launch(made, f"n{number}", ("slurmd", "-D", "-N", f"n{number}", "-f", str(made.conf)))
    idle = f"idle {made.nodes}"
    _come_up(made, lambda: made.say("sinfo", "-h", "-p", "main", "-o", "%T %D").strip() == idle, _UP_S, "nodes idle")


def _come_up(made: Cluster, what: Callable[[], bool], seconds: float, words: str) -> None:
    try:
        until(what, seconds, words)
    except TimeoutError as error:
        said = (line for path in sorted(made.folder.glob("*.err")) for line in path.read_text().splitlines()[-2:])
        raise TimeoutError("; ".join((str(error), *said))) from error


def _launch(made: Cluster, name: str, argv: tuple[str, ...]) -> None:
    with (made.folder / f"{name}.err").open("wb") as err:
        made.daemons[name] = subprocess.Popen(
            argv,
            env={**os.environ, **made.environ},
            stdin=subprocess.DEVNULL,
            stdout=err,
            stderr=err,
            preexec_fn=end_with_owner(),
        )


def _stop(made: Cluster) -> None:
    if "slurmctld" in made.daemons:
        with suppress(subprocess.SubprocessError):
            made.say("scancel", "-u", str(os.geteuid()))
            # Step daemons belong to nobody once their node's daemon is gone: jobs end first.
            with suppress(TimeoutError):
                until(
                    lambda: not {"RUNNING", "COMPLETING"} & {one for one, _ in made.states().values()}, 10, "jobs end"
                )
    for child in made.daemons.values():
        child.terminate()
    for child in made.daemons.values():
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pid in made.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
