from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.errors import StoreError
from bench.system.files import (
    append_line,
    append_lines,
    is_file,
    is_folder,
    is_there,
    nearest,
    require_room,
    store_error,
    write_atomic,
)


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "größe\n")
    write_atomic(tmp_path / "b", b"\0\xff")
    assert (tmp_path / "a").read_bytes() == "größe\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\0\xff"


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_atomic(tmp_path / "a", text)
    assert (tmp_path / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]  # noqa: PTH208 - names are what is compared


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "a", "old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StoreError, match="No space left on device"):
        write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append(f"fsync {'folder' if Path(f'/proc/self/fd/{descriptor}').resolve().is_dir() else 'file'}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        order.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomic(tmp_path / "a", "x")
    assert order == ["fsync file", "rename", "fsync folder"]


def test_a_missing_folder_is_a_failure_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere/a could not be written"):
        write_atomic(tmp_path / "nowhere" / "a", "x")
    with pytest.raises(StoreError, match="nowhere/a could not be written"):
        append_line(tmp_path / "nowhere" / "a", "x")


def test_lines_are_added_at_the_end(tmp_path: Path) -> None:
    for text in ("one", "two"):
        append_line(tmp_path / "a", text)
    assert (tmp_path / "a").read_text() == "one\ntwo\n"


def test_a_line_with_a_line_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one line at a time"):
        append_line(tmp_path / "a", "one\ntwo")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "read-only"), (errno.EIO, "store-failed")],
)
def test_a_full_and_a_read_only_disk_are_told_apart_and_the_place_is_named(number: int, cause: str) -> None:
    error = store_error(OSError(number, os.strerror(number), "/results/c/ledger.jsonl"))
    assert (error.cause, error.transient) == (cause, False)
    assert error.message == f"/results/c/ledger.jsonl could not be written: {os.strerror(number)}"
    assert store_error(OSError(number, "x"), Path("/a")).message == "/a could not be written: x"
    assert store_error(OSError("odd")).message == "something could not be written: odd"


def test_a_line_that_a_full_disk_tore_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_line(tmp_path / "a", "one")
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StoreError) as caught:
        append_line(tmp_path / "a", "a second line")
    assert caught.value.cause == "disk-full"
    monkeypatch.undo()
    append_line(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "one\ntwo\n"


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_room(tmp_path)
    full = SimpleNamespace(f_bavail=1, f_frsize=4096, f_files=9, f_favail=9)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StoreError, match="4096 bytes free") as caught:
        require_room(tmp_path)
    assert caught.value.cause == "disk-full"


def test_a_file_takes_the_rights_that_the_user_s_mask_leaves(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_many_lines_are_added_at_once_and_none_is_nothing(tmp_path: Path) -> None:
    append_lines(tmp_path / "a", ())
    assert not (tmp_path / "a").exists()
    append_lines(tmp_path / "a", ("one", "two"))
    append_line(tmp_path / "a", "three")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\nthree\n"


def test_bytes_of_a_name_that_is_no_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    append_line(tmp_path / "a", name)
    write_atomic(tmp_path / "b", name)
    assert (tmp_path / "a").read_bytes() == b"caf\\udce9\n"
    assert (tmp_path / "b").read_bytes() == b"caf\\udce9"


@pytest.mark.parametrize("name", ["a" * 300, "file/below", "loop", "nothing"])
def test_what_cannot_be_looked_at_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    assert not any(look(path) for look in (is_there, is_folder, is_file))
    assert nearest(path) == (tmp_path / "file" if name == "file/below" else tmp_path)
