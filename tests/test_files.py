from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.files import append_line, append_lines, write_atomic


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
