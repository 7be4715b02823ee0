"""Files on another host, and what is shipped there: the real agent at the other end of two pipes."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_hosts import on_agent

from bench.errors import HostError, StoreError
from bench.host import shipping
from bench.host.reach import FULL
from bench.system.files import require_left

if TYPE_CHECKING:
    from bench.host.remote import Remote


def test_what_a_host_refuses_is_told_with_its_own_path_and_whose_it_is(work: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()

    async def scenario(host: Remote) -> None:
        host.adopt(near)
        with pytest.raises(HostError, match=r"/none/a could not be written on the primary's host: No such file") as put:
            host.put(near / "none/a", "text")
        assert (put.value.cause, str(near) in put.value.message) == ("far-workdir", False)
        full = OSError(errno.ENOSPC, "No space left on device")
        assert host.refused("a could not be written", full).cause == "far-disk-full"
        with pytest.raises(StoreError, match="the disk of w on the primary's host is full") as room:
            require_left("w on the primary's host", 0, None, FULL)
        assert "host.primary.workdir=DIR" in room.value.hint
        with pytest.raises(HostError, match=r"/none/b could not be made on the primary's host: No such file"):
            host.make_folder(near / "none/b")
        with pytest.raises(HostError, match=r"no file could be made in .*/none on the primary's host: No such file"):
            host.has_locks(near / "none")

    on_agent(work, scenario)


def test_files_are_put_got_and_removed(work: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()
    long = os.urandom(2_500_000)

    async def scenario(host: Remote) -> None:
        host.adopt(near)
        host.make_folder(near / "primary")
        far = Path(host.there(str(near / "primary")))
        assert stat.S_IMODE(os.stat(far).st_mode) == 0o700  # noqa: PTH116
        host.put(near / "primary/a", "text")
        host.put(near / "primary/b", long)
        assert host.get(near / "primary/a") == b"text"
        assert host.get(near / "primary/b") == long  # in several pieces
        assert [one.name for one in os.scandir(far) if one.name.startswith(".")] == []
        host.remove(near / "primary/a")
        host.remove(near / "primary/a")
        with pytest.raises(FileNotFoundError):
            host.get(near / "primary/a")
        host.require_room(near)
        assert host.has_locks(near)

    on_agent(work, scenario)


def test_paths_of_folders_that_have_a_counterpart_are_replaced_and_no_others(work: Path, tmp_path: Path) -> None:
    run, sockets = tmp_path / "run", tmp_path / "s"
    run.mkdir()

    async def scenario(host: Remote) -> None:
        host.adopt(run)
        host.adopt(sockets, sockets=True)
        far, short = host.there(str(run)), host.there(str(sockets))
        assert host.there(f"file={run}/primary/a.qcow2,id=x") == f"file={far}/primary/a.qcow2,id=x"
        assert host.there(f"unix:{sockets}/primary/qmp.sock,server=on") == f"unix:{short}/primary/qmp.sock,server=on"
        assert host.there(f"{run}:{sockets}") == f"{far}:{short}"
        for other in (f"{run}ning", f"{run}.old/x", "/usr/bin/qemu"):
            assert host.there(other) == other
        assert len(f"{short}/secondary/migration.sock") < 107

    on_agent(work, scenario)


def test_what_is_provided_is_shipped_once_and_found_by_its_own_path(work: Path, tmp_path: Path) -> None:
    entry = tmp_path / "packages-0123456789ab"
    (entry / "bin").mkdir(parents=True)
    (entry / "bin/tool").write_text("#!/bin/sh\necho shipped $0\n")
    (entry / "bin/tool").chmod(0o755)
    (entry / "bin/link").symlink_to("tool")
    os.mkfifo(entry / "bin/device")  # for this user to make

    async def scenario(host: Remote) -> str:
        await host.provide((entry,))
        return await host.run((str(entry / "bin/link"),))

    far = work / "cache" / entry.name
    assert on_agent(work, scenario) == f"shipped {far}/bin/link\n"
    first = (far / "bin/tool").stat()
    assert on_agent(work, scenario) == f"shipped {far}/bin/link\n"
    assert (far / "bin/tool").stat().st_ino == first.st_ino
    assert sorted(path.name for path in (far / "bin").iterdir()) == ["link", "tool"]
    assert sorted(path.name for path in (work / "cache").iterdir()) == [entry.name, f"{entry.name}.complete"]


def test_what_is_shipped_is_on_the_disk_before_it_is_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, place = tmp_path / "new", tmp_path / "place"
    synced: list[bool] = []
    new.mkdir()
    monkeypatch.setattr(os, "sync", lambda: synced.append(place.is_dir()))
    monkeypatch.setattr(sys, "argv", ["-c", str(new), str(place)])
    exec(shipping._MOVE, {})  # noqa: S102 - as the far Python runs it
    assert synced == [True]


def test_what_another_run_has_shipped_meanwhile_stays_where_it_is_used(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "packages-0123456789ab"
    entry.mkdir()
    (entry / "tool").write_text("whole\n")
    far, pack = work / "cache" / entry.name, shipping.pack

    def slowly(path: Path, size: int) -> Iterator[bytes]:
        yield from pack(path, size)
        far.mkdir()
        (far / "tool").write_text("of another run\n")
        far.with_name(f"{far.name}.complete").write_text("1\n")

    monkeypatch.setattr(shipping, "pack", slowly)

    async def scenario(host: Remote) -> None:
        await host.provide((entry,))

    on_agent(work, scenario)
    assert (far / "tool").read_text() == "of another run\n"
