"""Logs in both forms: what is read is the same, and a plain log goes only when the other form is proved."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import StoreError
from bench.system import logs
from bench.system.logs import compress_log, log_exists, open_log, packed_path, read_log


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=5000), st.integers(1, 700))
def test_a_compressed_log_reads_as_the_plain_one_did(tmp_path: Path, content: bytes, chunk: int) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(content)
    sizes = compress_log(path)
    assert not path.exists()
    assert sizes.before == len(content)
    assert sizes.after == packed_path(path).stat().st_size
    assert read_log(path) == content
    with open_log(path) as file:
        assert b"".join(iter(lambda: file.read(chunk), b"")) == content
    assert [one.name for one in tmp_path.iterdir()] == ["trace.log.zst"]
    packed_path(path).unlink()


def test_mode_and_time_of_the_log_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "qmp.jsonl"
    path.write_text("said\n")
    path.chmod(0o640)
    before = path.stat()
    compress_log(path)
    after = packed_path(path).stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_where_a_kill_left_both_forms_the_plain_one_is_read_and_compressed_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(b"whole")
    packed_path(path).write_bytes(b"half")
    assert read_log(path) == b"whole"
    compress_log(path)
    assert read_log(path) == b"whole"


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"x" * len(data)])
def test_a_damaged_compressed_log_is_an_error_and_not_a_shorter_log(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(bytes(range(256)) * 100)
    compress_log(path)
    packed_path(path).write_bytes(damage(packed_path(path).read_bytes()))  # type: ignore[operator]
    with pytest.raises(OSError, match=r"trace\.log|[Zz][Ss][Tt][Dd]|[Tt]runcated"):
        read_log(path)


def test_a_log_that_does_not_read_back_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(b"whole")
    monkeypatch.setattr(logs, "_unpacked_sha256", lambda _: "another")
    with pytest.raises(StoreError, match="does not read back"):
        compress_log(path)
    assert [one.name for one in tmp_path.iterdir()] == ["trace.log"]


def test_a_full_disk_leaves_the_log_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(b"whole")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        compress_log(path)
    assert [one.name for one in tmp_path.iterdir()] == ["trace.log"]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert not log_exists(tmp_path / "qmp.jsonl")
    assert read_log(tmp_path / "qmp.jsonl") == b""
    with pytest.raises(FileNotFoundError), open_log(tmp_path / "qmp.jsonl"):
        pass
