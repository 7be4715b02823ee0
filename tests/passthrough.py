"""A file system of this test: a FUSE server that shows a folder as a shared folder does, without sockets and locks.

``python passthrough.py BACKING MOUNT [--locks]``; it says ``ready`` and serves until its mount is taken away. Protocol:
``include/uapi/linux/fuse.h``, version 7.31. Needs root and ``/dev/fuse``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEADER = struct.Struct("<IIQQIIII")
_POSIX_LOCKS, _ATOMIC_TRUNCATE, _BIG_WRITES, _FLOCK_LOCKS = 1 << 1, 1 << 3, 1 << 5, 1 << 10
_MODE, _SIZE, _HANDLE = 1, 8, 64
_QUIET = frozenset((2, 36, 42))  # FORGET, INTERRUPT, BATCH_FORGET: no answer is wanted


def _attributes(status: os.stat_result, inode: int) -> bytes:
    seconds = [int(one) for one in (status.st_atime, status.st_mtime, status.st_ctime)]
    whole = struct.pack("<6Q", inode, status.st_size, status.st_blocks, *seconds)
    owner = (status.st_mode, status.st_nlink, status.st_uid, status.st_gid)
    return whole + struct.pack("<10I", 0, 0, 0, *owner, 0, 4096, 0)


class Server:
    """Answers the kernel's requests from a folder."""

    def __init__(self, backing: Path, *, locks: bool) -> None:
        self._paths = {1: os.fspath(backing)}
        self._numbers = {os.fspath(backing): 1}
        self._locks = locks
        self._operations: dict[int, Callable[[int, bytes], bytes]] = {
            1: lambda node, data: self._entry(self._child(node, data)),
            3: self._getattr,
            4: self._setattr,
            9: self._mkdir,
            10: lambda node, data: self._done(os.unlink, self._child(node, data)),
            11: lambda node, data: self._done(os.rmdir, self._child(node, data)),
            12: lambda node, data: self._rename(node, data[:8], data[8:]),
            14: self._open,
            15: self._read,
            16: self._write,
            17: self._statfs,
            18: lambda _, data: self._done(os.close, *struct.unpack_from("<Q", data)),
            20: lambda _, data: self._done(os.fsync, *struct.unpack_from("<Q", data)),
            25: lambda *_: b"",
            26: self._init,
            27: lambda *_: struct.pack("<QII", 0, 0, 0),
            28: self._readdir,
            29: lambda *_: b"",
            35: self._create,
            45: lambda node, data: self._rename(node, data[:8], data[16:]),
        }

    def serve(self, device: int) -> None:
        """Answer until the mount is gone."""
        while True:
            try:
                request = os.read(device, 1 << 21)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                raise
            _, operation, unique, node, *_ = _HEADER.unpack_from(request)
            if operation in _QUIET:
                continue
            answer, failed = b"", 0
            try:
                handler = self._operations.get(operation)
                if handler is None:  # a socket (MKNOD) too
                    raise OSError(errno.EOPNOTSUPP if operation in (31, 32, 33) else errno.ENOSYS, "")
                answer = handler(node, request[_HEADER.size :])
            except OSError as error:
                failed = error.errno or errno.EIO
            os.write(device, struct.pack("<IiQ", 16 + len(answer), -failed, unique) + answer)

    def _child(self, node: int, name: bytes) -> str:
        return os.path.join(self._paths[node], os.fsdecode(name.partition(b"\0")[0]))

    def _entry(self, path: str) -> bytes:
        status = os.lstat(path)
        number = self._numbers.setdefault(path, len(self._paths) + 1)
        self._paths[number] = path
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + _attributes(status, number)

    @staticmethod
    def _done(act: Callable[..., Any], *arguments: Any) -> bytes:
        act(*arguments)
        return b""

    def _init(self, _node: int, data: bytes) -> bytes:
        flags = _ATOMIC_TRUNCATE | _BIG_WRITES | (0 if self._locks else _POSIX_LOCKS | _FLOCK_LOCKS)
        return struct.pack(
            "<4IHHIIHH8I", 7, 31, struct.unpack_from("<3I", data)[2], flags, 16, 12, 1 << 17, 1, 0, 0, *[0] * 8
        )

    def _getattr(self, node: int, data: bytes) -> bytes:
        flags, _, handle = struct.unpack_from("<IIQ", data)
        status = os.fstat(handle) if flags & 1 else os.lstat(self._paths[node])
        return struct.pack("<QII", 0, 0, 0) + _attributes(status, node)

    def _setattr(self, node: int, data: bytes) -> bytes:
        valid, _, handle, size = struct.unpack_from("<IIQQ", data)
        path = self._paths[node]
        if valid & _SIZE:
            os.truncate(handle if valid & _HANDLE else path, size)
        if valid & _MODE:
            os.chmod(path, struct.unpack_from("<I", data, 68)[0] & 0o7777)
        return struct.pack("<QII", 0, 0, 0) + _attributes(os.lstat(path), node)

    def _mkdir(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data[8:])
        os.mkdir(path, struct.unpack_from("<I", data)[0])
        return self._entry(path)

    def _rename(self, node: int, target: bytes, names: bytes) -> bytes:
        old, new, *_ = names.split(b"\0")
        before, after = self._child(node, old), self._child(struct.unpack("<Q", target)[0], new)
        os.rename(before, after)
        self._numbers.pop(after, None)
        for number, path in list(self._paths.items()):
            if path == before or path.startswith(f"{before}/"):
                self._paths[number] = after + path[len(before) :]
                self._numbers.pop(path, None)
                self._numbers[self._paths[number]] = number
        return b""

    def _open(self, node: int, data: bytes) -> bytes:
        (flags,) = struct.unpack_from("<I", data)
        return struct.pack("<QII", os.open(self._paths[node], flags & ~os.O_APPEND), 0, 0)

    def _create(self, node: int, data: bytes) -> bytes:
        flags, mode = struct.unpack_from("<II", data)
        path = self._child(node, data[16:])
        handle = os.open(path, (flags | os.O_CREAT) & ~os.O_APPEND, mode)
        return self._entry(path) + struct.pack("<QII", handle, 0, 0)

    @staticmethod
    def _read(_node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return os.pread(handle, size, offset)

    @staticmethod
    def _write(_node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return struct.pack("<II", os.pwrite(handle, data[40 : 40 + size], offset), 0)

    def _statfs(self, _node: int, _data: bytes) -> bytes:
        all_ = os.statvfs(self._paths[1])
        counts = (all_.f_blocks, all_.f_bfree, all_.f_bavail, all_.f_files, all_.f_ffree)
        return struct.pack("<5Q4I6I", *counts, all_.f_bsize, 255, all_.f_frsize, 0, *[0] * 6)

    def _readdir(self, node: int, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        answer = b""
        for position, name in enumerate([".", "..", *sorted(os.listdir(self._paths[node]))][offset:], start=offset + 1):
            word = os.fsencode(name)
            entry = struct.pack("<QQII", position, position, len(word), 0) + word
            entry += b"\0" * (-len(entry) % 8)
            if len(answer) + len(entry) > size:
                break
            answer += entry
        return answer


def main(backing: str, mount: str, *options: str) -> None:
    """Mount and serve."""
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    words = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"passthrough", os.fsencode(mount), b"fuse", 0, words.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    print("ready", flush=True)
    Server(Path(backing), locks="--locks" in options).serve(device)


def possible() -> bool:
    """Return whether this process may mount one."""
    return (
        os.geteuid() == 0
        and os.access("/dev/fuse", os.R_OK | os.W_OK)
        and "fuse" in Path("/proc/filesystems").read_text()
    )


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Show ``folder``/backing at ``folder``/mount for the length of the block."""
    backing, mount = folder / "backing", folder / "mount"
    backing.mkdir()
    mount.mkdir()
    libc = ctypes.CDLL(None)
    with Popen([sys.executable, __file__, str(backing), str(mount), *options], stdout=PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            yield mount
        finally:
            libc.umount2(os.fsencode(mount), 2)  # MNT_DETACH: what still stands in it must not keep the test
            server.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
