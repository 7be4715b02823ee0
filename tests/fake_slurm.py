"""A FAKE Slurm for tests: `sbatch`, `squeue`, `sinfo`, `scancel`, `scontrol` that only keep files and start nothing.

`srun` alone runs what it is given, here and now.

The test plays the cluster: it says what state a job is in, and runs a job's part in this process, with fake pairs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.run.part import run_part

if TYPE_CHECKING:
    import pytest

    from bench.run.tools import Tools

_SBATCH = """#!/bin/sh
case " $* " in *" --test-only "*) [ ! -e "$D/never" ] || { cat "$D/never" >&2; exit 1; }; exit 0 ;; esac
[ ! -e "$D/refuses" ] || { cat "$D/refuses" >&2; exit 1; }
n=$(($(cat "$D/next") + 1)); echo $n >"$D/next"; mkdir "$D/jobs/$n"
for word; do printf '%s\\n' "$word"; done >"$D/jobs/$n/argv"
cat "$D/first" >"$D/jobs/$n/state"
[ ! -e "$D/silent" ] || exit 1
echo $n
"""
_SQUEUE = """#!/bin/sh
[ ! -e "$D/down" ] || { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }
for job in "$D"/jobs/*; do
    [ -e "$job/state" ] || continue
    echo "${job##*/}|$(cat "$job/state")|$(sed -n 's/^--comment=//p' "$job/argv")"
done
"""
_SINFO = """#!/bin/sh
case " $* " in
*" --version "*) echo "slurm-wlm 22.05.8" ;;
*" -n "*) cat "$D/nodes" ;;
*) cat "$D/partitions" ;;
esac
"""
_SCANCEL = """#!/bin/sh
[ "$1" = --state=PENDING ] || exit 1
shift
for job; do ! grep -q ^PENDING "$D/jobs/$job/state" || echo "CANCELLED|None|" >"$D/jobs/$job/state"; done
"""
_SRUN = """#!/bin/sh
[ ! -e "$D/busy" ] || { echo 'srun: error: Unable to allocate resources: Requested nodes are busy' >&2; exit 1; }
while [ "${1#-}" != "$1" ]; do shift; done
SLURMD_NODENAME=n1 exec "$@"
"""
_SCONTROL = """#!/bin/sh
[ "$2" != config ] || exec cat "$D/config"
echo "$3" | tr ',' '\\n'
"""
_CONFIG = "Configuration data as of 2026-11-29\nSLURM_VERSION           = 22.05.8\n"


@dataclass
class FakeSlurm:
    """The cluster: a folder with a file for everything that it knows."""

    folder: Path

    def job(self, number: int | str) -> Path:
        """Return the folder of a job."""
        return self.folder / "jobs" / str(number)

    @property
    def jobs(self) -> list[str]:
        """The ids of the jobs that it knows, in their order."""
        return sorted((path.name for path in (self.folder / "jobs").iterdir()), key=int)

    def argv(self, number: int | str) -> list[str]:
        """Return what a job was submitted with."""
        return (self.job(number) / "argv").read_text().splitlines()

    def part(self, number: int | str) -> Path:
        """Return the folder of the part of a job."""
        return Path(self.argv(number)[-1])

    def put(self, number: int | str, state: str, reason: str = "None", node: str = "") -> None:
        """Say what state a job is in."""
        (self.job(number) / "state").write_text(f"{state}|{reason}|{node}\n")

    def state(self, number: int | str) -> str:
        """Return what state a job is in."""
        return (self.job(number) / "state").read_text().partition("|")[0]

    def forget(self, number: int | str) -> None:
        """Know nothing of a job any more."""
        (self.job(number) / "state").unlink()

    def set(self, name: str, text: str | None) -> None:
        """Make the cluster answer otherwise: ``never``, ``refuses``, ``down``, ``silent``, ``first``, ``nodes``."""
        path = self.folder / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)

    def run(self, number: int | str, tools: Tools, node: str = "n1", *, ends: str = "COMPLETED") -> None:
        """Run a job's part here and now, as the node would; a job that is killed leaves no word of its end."""
        self.put(number, "RUNNING", node=node)
        environ: Mapping[str, str] = {"SLURM_JOB_ID": str(number), "SLURMD_NODENAME": node}
        try:
            run_part(self.part(number), environ, tools)
        except KeyboardInterrupt:
            pass
        finally:
            self.put(number, ends, node=node)


def fake_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Put the fakes before everything else on PATH; a partition ``main`` of four nodes is there."""
    home, programs = folder / "fake-slurm", folder / "fake-slurm-bin"
    (home / "jobs").mkdir(parents=True)
    programs.mkdir()
    texts = {"sbatch": _SBATCH, "squeue": _SQUEUE, "sinfo": _SINFO, "scancel": _SCANCEL, "scontrol": _SCONTROL}
    texts["srun"] = _SRUN
    for name, text in texts.items():
        head, _, body = text.partition("\n")
        (programs / name).write_text(f"{head}\nD='{home}'\n{body}")
        (programs / name).chmod(0o755)
    for name, text in (("next", "0"), ("first", "PENDING|Resources|\n"), ("nodes", "idle\n"), ("config", _CONFIG)):
        (home / name).write_text(text)
    (home / "partitions").write_text("main*|infinite|4|idle\nshort|2:00|1|idle\nold|infinite|2|down\n")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))  # a part sets it by the node's name
    return FakeSlurm(home)
