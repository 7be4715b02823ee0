"""The guest with applications, alone: what is in it, what its disk begins with, what it says when something ends."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixtures import provisioned
from fixtures.provisioned import silent

from bench.errors import GuestError, ProvisionError
from bench.guest.protocol import cause_of, parse_line
from bench.provision import approot, commands
from bench.provision.approot import parse_libraries
from bench.provision.apps import Apps, build_apps, installed_apps
from bench.provision.packages import Tree
from bench.provision.state import state_image
from bench.workload.base import build_workload
from bench.workload.valkey_client import OK, Valkey, requests

if TYPE_CHECKING:
    from bench.provision.boot import Solo
    from bench.provision.qemu import Binary

CHECKOUT = Path(__file__).parents[2]
START_S = 120
LISTED = """\tlinux-vdso.so.1 (0x00007ffd2a5f0000)
\tlibssl.so.3 => /tree/usr/lib/x86_64-linux-gnu/libssl.so.3 (0x00007f1e3c000000)
\tlibc.so.6 => /tree/lib/x86_64-linux-gnu/libc.so.6 (0x00007f1e3be00000)
\t/lib64/ld-linux-x86-64.so.2 => /tree/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 (0x00007f1e3c8e0000)
"""


def test_the_loader_says_which_libraries_a_program_needs() -> None:
    names = [path.name for path in parse_libraries(LISTED, "x")]
    assert names == ["libssl.so.3", "libc.so.6", "ld-linux-x86-64.so.2"]
    assert parse_libraries("\tstatically linked\n", "x") == ()


def test_a_library_that_no_package_holds_is_told_by_name() -> None:
    with pytest.raises(ProvisionError, match=r"bin/x needs the library libgone\.so\.1"):
        parse_libraries(f"{LISTED}\tlibgone.so.1 => not found\n", "bin/x")


def test_a_link_of_the_tree_that_begins_at_the_root_is_followed_inside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/real").touch()
    (tmp_path / "far").symlink_to("/usr/near")
    (tmp_path / "usr/near").symlink_to("real")
    assert approot._real(tmp_path / "far", tmp_path) == tmp_path / "usr/real"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ProvisionError, match="leads nowhere"):
        approot._real(tmp_path / "loop", tmp_path)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("the server valkey ended with status 0", "server-ended"),
        ("the server postgres was killed (signal 9), or the guest has too little memory for it", "server-ended"),
        ("the server fio ended: the replicated disk is full", "guest-disk-full"),
        ("build: the replicated disk is full", "guest-disk-full"),
        ("build: the compiler ended with status 1", "workload-died"),
        ("dirty: not enough guest memory for bytes", "workload-died"),
    ],
)
def test_what_the_guest_says_failed_has_a_cause(said: str, cause: str) -> None:
    assert cause_of(said) == cause


def test_last_words_are_said_past_what_reads_a_program_s_reports(tmp_path: Path) -> None:
    init = (CHECKOUT / "bench/guest/apps/init").read_text()
    parts = (init[init.index(f"\n{name}() {{") :] for name in ("ended", "fio_reports"))
    functions = "".join(part[: part.index("\n}\n") + 3] for part in parts).replace("/log/", f"{tmp_path}/")
    (tmp_path / "fio").write_text("fio: io_u error on file /state/fio: Input/output error\n")
    script = f"fail() {{ echo 'colo-bench: failed' \"$1\"; }}\n{functions}\nended fio 1 | fio_reports"
    done = subprocess.run(("sh", "-c", script), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "colo-bench: failed the server fio ended with status 1\n"
    assert done.stderr == (tmp_path / "fio").read_text()


def test_a_guest_that_was_never_built_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path))
    assert installed_apps() is None


def test_a_client_s_program_that_was_not_fetched_is_refused_with_its_package(tmp_path: Path) -> None:
    apps = Apps(None, Tree(tmp_path, ()))  # type: ignore[arg-type]
    apps.require_client("")
    with pytest.raises(ProvisionError, match="wrk of the package wrk") as caught:
        apps.require_client("usr/bin/wrk")
    assert caught.value.cause == "client-missing"
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/wrk").touch()
    apps.require_client("usr/bin/wrk")


@pytest.mark.parametrize("kind", ["valkey", "redis", "nginx", "postgres"])
def test_every_program_of_a_client_is_fetched_by_a_package(kind: str) -> None:
    asked = {} if kind == "postgres" else {"client": "program", "rate": 0}
    program = build_workload({"name": kind, **asked}).client_program()
    assert program in approot.CLIENTS
    assert program in approot.APPLICATIONS.programs


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("dance", "legal: cpu stream"),
        ("cpu threads=0", "illegal value"),
        ("cpu bytes=99999999", "legal: bytes threads"),
        ("stream bytes=8", "illegal value"),
    ],
)
def test_the_control_program_refuses_what_it_does_not_know(words: str, error: str, tmp_path: Path) -> None:
    from bench.provision import apps, compiler

    compiler.compile_c([apps._PROGRAMS["control"]], tmp_path / "control", compiler.STATIC)
    finished = commands.run([str(tmp_path / "control"), *words.split()], deadline_s=20)
    assert finished.status == 1
    message = parse_line(finished.lines[0])
    assert message is not None
    assert error in message[1]["error"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("", "no compiler was named"),
        ("cc1 as dance=1", "legal: jobs files functions level"),
        ("cc1 as jobs=0", "illegal value"),
        ("cc1 as level=4", "illegal value"),
        ("cc1 as", "the sources could not be written"),  # where there is no replicated disk
    ],
)
def test_the_build_program_refuses_what_it_does_not_know(words: str, error: str, tmp_path: Path) -> None:
    from bench.provision import apps, compiler

    compiler.compile_c([apps._PROGRAMS["build"]], tmp_path / "build", compiler.STATIC)
    finished = commands.run([str(tmp_path / "build"), *words.split()], deadline_s=20)
    assert finished.status == 1
    message = parse_line(finished.lines[0])
    assert message is not None
    assert error in message[1]["error"]


@pytest.fixture(scope="module")
def apps() -> Apps:
    return build_apps(silent)


@contextmanager
def running(binary: Binary, apps: Apps, state: Path, folder: Path, *extra: str) -> Iterator[Solo]:
    overlay = folder / "disk.qcow2"
    create = (*binary.img_argv, "create", "-q", "-f", "qcow2", "-b", str(state), "-F", "qcow2", str(overlay), "4G")
    commands.check(create, what="an overlay", deadline_s=60, env=binary.env)
    disk = ("-drive", f"if=ide,file={overlay},format=qcow2", "-m", "512M", *extra)
    with provisioned.running(binary, apps.guest, *disk) as console:
        yield console


@contextmanager
def forwarded(guest_port: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield (
        port,
        (
            "-netdev",
            f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:{guest_port}",
            "-device",
            "rtl8139,netdev=n0",
        ),
    )


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_guest_is_built_once_and_records_what_is_in_it(apps: Apps) -> None:
    told: list[str] = []
    assert build_apps(told.append).guest == apps.guest == installed_apps()
    assert told == []
    assert {"valkey-server", "redis-server", "postgresql-17", "nginx", "fio"} <= set(dict(apps.guest.packages))
    assert apps.guest.kind == "apps"


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_server_that_ends_says_so_with_how(binary: Binary, apps: Apps, tmp_path: Path) -> None:
    state = state_image(apps, binary, "", silent)
    with forwarded(6379) as (port, nic), running(binary, apps, state, tmp_path, *nic) as console:
        console.send("start valkey persistence=everysec")
        console.wait("started", START_S)
        session = Valkey("127.0.0.1", port, requests("set", 1, 8))
        assert session.ask(0)[0] == OK
        session._make = lambda _: b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n"
        with pytest.raises(OSError, match="closed"):
            session.ask(1)
        session.close()
        with pytest.raises(GuestError, match="the server valkey ended with status 0"):
            console.wait("prepared", START_S)


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_guest_that_is_asked_looks_at_the_file_system_of_its_replicated_disk(
    binary: Binary, apps: Apps, tmp_path: Path
) -> None:
    with running(binary, apps, state_image(apps, binary, "", silent), tmp_path) as console:
        console.send("check 1")
        before = parse_line(console.wait("checked", START_S))
        assert before is not None
        assert "state_errors" not in before[1]  # nobody has mounted it
        console.send("start valkey persistence=off")
        console.wait("started", START_S)
        console.send("check 2")
        after = parse_line(console.wait("checked", START_S))
        assert after is not None
        assert (after[1]["asked"], after[1]["state_errors"], after[1]["state_writable"]) == (2, 0, True)


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize(
    "command",
    [
        "start fio rw=randwrite bs=65536 size=134217728 fdatasync=0",
        "start build jobs=1 files=10000 functions=40",
    ],
)
def test_a_full_disk_is_told_by_its_name(binary: Binary, apps: Apps, tmp_path: Path, command: str) -> None:
    state = state_image(apps, binary, "", silent, 64 << 20)
    with running(binary, apps, state, tmp_path) as console:
        console.send(command)
        with pytest.raises(GuestError, match="the replicated disk is full"):
            console.wait("started", START_S)


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize(
    "command",
    [
        "start cpu threads=2",
        "start stream bytes=8388608 threads=1",
        "start fio rw=randwrite bs=4096 size=4194304 fdatasync=1",
        "start build jobs=2 files=3 functions=4 level=1",
    ],
)
def test_what_has_no_client_reports_a_total_that_grows(
    binary: Binary, apps: Apps, tmp_path: Path, command: str
) -> None:
    with running(binary, apps, state_image(apps, binary, "", silent), tmp_path) as console:
        console.send(command)
        console.wait("started", START_S)
        totals: list[float] = []
        while len(set(totals)) < 3 and len(totals) < 90:  # a report a second; an emulated compiler takes several a file
            said = parse_line(console.wait("report", START_S))
            assert said
            totals.append(said[1]["total"])
        assert totals == sorted(totals)
        assert len(set(totals)) == 3
