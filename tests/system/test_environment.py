"""What our children get of the environment, seen in real children."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import GuestError
from bench.host.command import run
from bench.host.process import launch
from bench.provision import commands
from bench.provision.boot import booted
from bench.system.environment import choosing_names, helping, measured
from bench.system.owner import VARIABLE, mark

CHOOSING = {
    "LD_PRELOAD": "/nowhere/nodelay.so",
    "LD_BIND_NOW": "1",
    "GLIBC_TUNABLES": "glibc.malloc.check=0",
    "MALLOC_ARENA_MAX": "1",
    "QEMU_AUDIO_DRV": "none",
    "PYTHONHASHSEED": "7",
    "LC_ALL": "tr_TR.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "LC_NUMERIC": "de_DE.UTF-8",
    "SOURCE_DATE_EPOCH": "1",
    "TAR_OPTIONS": "--exclude=*",
    "PERL5OPT": "-Mnowhere",
    "BASH_ENV": "/nowhere/rc",
    "MKE2FS_SYNC": "1",
}
SAY = "import json, os; json.dump(dict(os.environ), open('env.json', 'w'))"


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in CHOOSING.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ANYTHING_ELSE", "1")
    return tmp_path


def launched(folder: Path) -> None:
    async def scenario() -> None:
        async with launch("one", (sys.executable, "-c", SAY), folder=folder, env={"OWN": "1"}, qemu=False) as process:
            await process.exited()

    asyncio.run(scenario())


def short(folder: Path) -> None:
    asyncio.run(run((sys.executable, "-c", f"import os; os.chdir({str(folder)!r}); {SAY}"), env={"OWN": "1"}))


def probed(folder: Path) -> None:
    argv = (sys.executable, "-c", f"import os; os.chdir({str(folder)!r}); {SAY}")
    with pytest.raises(GuestError), booted(argv, (("OWN", "1"),), 20):
        pass


@pytest.mark.parametrize("start", [launched, short, probed])
def test_what_is_measured_gets_who_and_where_it_is_its_own_and_the_mark(start: Any, around: Path) -> None:
    start(around)
    seen = json.loads((around / "env.json").read_text())
    assert set(seen) <= {"HOME", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_RUNTIME_DIR", "LC_ALL", "OWN", VARIABLE} | {
        name for name in seen if name.startswith("COLO_BENCH_")
    }
    assert (seen["LC_ALL"], seen["OWN"]) == ("C", "1")
    assert seen[VARIABLE].startswith(mark(Path("/")).split(":")[0])


def test_what_fetches_and_builds_keeps_the_proxy_and_loses_what_chooses_for_it(around: Path) -> None:
    commands.check((sys.executable, "-c", SAY), what="saying", deadline_s=20, cwd=around)
    seen = json.loads((around / "env.json").read_text())
    assert (seen["http_proxy"], seen["ANYTHING_ELSE"], seen["LC_ALL"]) == ("http://127.0.0.1:9", "1", "C")
    assert not set(seen) & (set(CHOOSING) - {"LC_ALL", "LANG", "LC_NUMERIC"})


def test_what_is_held_back_can_be_told(around: Path) -> None:
    del around
    assert {"LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "QEMU_AUDIO_DRV"} <= set(choosing_names())
    assert "PATH" not in choosing_names()


def test_what_a_program_is_given_goes_before_what_is_around(around: Path) -> None:
    del around
    own = {"LD_PRELOAD": "/ours.so", "QEMU_MODULE_DIR": "/tree"}
    for environment in (measured("m", own), helping("m", own)):
        assert own.items() <= environment.items()
        assert environment[VARIABLE] == "m"
