"""Results where neither sockets nor locks can be had: a FUSE mount of this test's own."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings
from passthrough import mounted, possible

from bench.config import load
from bench.config.load import load_grid
from bench.config.sweep import compose
from bench.errors import ConfigError, HostError, StoreError
from bench.run.campaign import run_campaign
from bench.run.folder import locked
from bench.system import owner
from bench.system.exits import Exit
from bench.system.files import has_locks
from bench.system.owner import scratch_folder, temporary_folder, temporary_places
from bench.system.sockets import socket_folder

fuse = pytest.mark.skipif(not possible(), reason="mounting a FUSE file system needs root and /dev/fuse")


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """A file system without sockets and without locks."""
    with mounted(tmp_path) as mount:
        yield mount


@fuse
def test_the_file_system_of_this_test_has_neither_sockets_nor_locks(bare: Path) -> None:
    (bare / "file").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener, pytest.raises(OSError, match="not implemented"):
        listener.bind(str(bare / "s"))
    with (bare / "file").open("r+") as file, pytest.raises(OSError, match="not supported"):
        fcntl.flock(file, fcntl.LOCK_EX)
    assert not has_locks(bare)


def test_an_ordinary_folder_has_locks(tmp_path: Path) -> None:
    assert has_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


@fuse
def test_a_campaign_is_held_there_by_one_process_all_the_same(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    with (
        locked(bare / "c"),
        pytest.raises(ConfigError, match=f"being run by process {os.getpid()}"),
        locked(bare / "c"),
    ):
        pass
    with locked(bare / "c"):
        pass


@fuse
def test_a_campaign_there_is_measured_and_continued(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        session = FakeSession()
        assert run_campaign(make_settings(bare), [make_cell()], "bench", fake_tools(session)) == Exit.DONE
    assert session.calls == []


@fuse
@pytest.mark.pair
@pytest.mark.shares
@pytest.mark.parametrize("link", ["tcp", "unix"])
def test_a_real_pair_is_measured_with_its_results_there(bare: Path, link: str) -> None:
    small = ("mem=256M", "smp=1", "accel=tcg", "checkpoint.interval=0.2", "checkpoint.count=4", "checkpoint.warmup=1")
    argv = (sys.executable, "-m", "bench", *small, f"link={link}", "on_error=retry:2", "report=false", "campaign=c")
    words = (*argv, "guest=bare", f"results={bare}")
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (bare / "c" / "runs").glob("*/run.json")
    record = json.loads(path.read_text())
    assert record["quality"]["used"] == 5
    assert not list(path.parent.rglob("*.qcow2"))


def test_sockets_go_to_the_first_folder_that_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path("/tmp")  # noqa: S108 - the one that every user has
    for unfit in (tmp_path / ("long" * 30), tmp_path / "a,b"):
        unfit.mkdir()
        monkeypatch.setenv("TMPDIR", str(unfit))
        with socket_folder("pair") as folder:
            assert folder.parent == short
            assert folder.stat().st_mode & 0o777 == 0o700
        assert not folder.exists()
        assert list(unfit.iterdir()) == []


@fuse
def test_temporary_folders_without_sockets_are_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(bare))
    with socket_folder("pair") as folder:
        assert not folder.is_relative_to(bare)
    assert list(bare.iterdir()) == []


@fuse
def test_where_no_folder_takes_sockets_each_is_named(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.system.sockets.temporary_places", lambda: (bare,))
    with pytest.raises(HostError) as caught, socket_folder("pair"):
        pass
    assert caught.value.cause == "sockets-refused"
    [said] = caught.value.evidence
    assert said in {f"{bare}: Function not implemented", f"{bare}: AF_UNIX path too long"}


def test_a_runtime_folder_that_is_relative_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert all(place.is_absolute() for place in temporary_places())


@pytest.mark.parametrize("odd", ["line\nend", "file"])
def test_a_temporary_folder_that_will_not_do_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    place = tmp_path / odd
    if odd == "file":
        place.write_text("")
        place.chmod(0o777)
        monkeypatch.setenv("TMPDIR", str(place))
        assert temporary_folder() != place
    else:
        place.mkdir()
        monkeypatch.setenv("TMPDIR", str(place))
    with socket_folder("pair") as folder:
        assert folder.parent != place


def test_a_scratch_folder_that_cannot_be_made_names_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "temporary_folder", lambda: Path("/proc"))
    with pytest.raises(StoreError, match="/proc could not be written"), scratch_folder("try"):
        pass


@pytest.mark.parametrize("given", ["results=r", "results=null"])
def test_a_place_with_a_line_end_is_refused_though_it_was_not_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    odd = tmp_path / "a\nb"
    odd.mkdir()
    monkeypatch.chdir(odd)
    monkeypatch.setattr(load, "results_folder", lambda: odd / "results")
    with pytest.raises(ConfigError, match="holds a line end or another control character") as refusal:
        load_grid(compose([given]))
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("name", ["no\N{NO-BREAK SPACE}break", "wide\N{IDEOGRAPHIC SPACE}space", "\udcff"])
def test_a_place_with_signs_that_are_no_controls_is_one(tmp_path: Path, name: str) -> None:
    assert load.Settings.model_validate({"results": str(tmp_path / name)}).results == tmp_path / name
