"""QEMU built from source: what a build is called, what it is made of, and what is said when it cannot be made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.provisioned import script, silent

from bench.errors import ProvisionError
from bench.provision import archive, mirror, packages, source
from bench.provision.archive import Offer
from bench.provision.qemu import built_name, find_qemu
from bench.provision.source import build_name, find_built, installed_built, knows
from bench.system.places import PATCHES

HELP = """
  --prefix=PREFIX          install in PREFIX [/usr/local]
  --disable-werror         disable compilation abort on warning
  --enable-trace-backends=CHOICES
Optional features, enabled with --enable-FEATURE and
  kvm             KVM acceleration support
"""


def test_a_build_is_called_by_its_release_and_patches_in_their_order() -> None:
    assert build_name("10.2", (Path("/a/two.patch"), Path("one.diff"))) == "10.2+two+one"
    assert build_name("7.2", ()) == "7.2"
    with pytest.raises(ProvisionError, match="letters, digits"):
        build_name("7.2", (Path("a b.patch"),))
    with pytest.raises(ProvisionError, match="two patches have one name"):
        build_name("7.2", (Path("/a/fix.patch"), Path("/b/fix.patch")))


@pytest.mark.parametrize(
    ("qemu", "name"), [("built:10.2+a", "10.2+a"), ("built:/some/folder", ""), ("10.2", ""), ("/built:x/q", "")]
)
def test_a_build_is_told_from_a_folder_and_from_a_release(qemu: str, name: str) -> None:
    assert built_name(qemu) == name


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--prefix=/usr", True),
        ("--disable-werror", True),
        ("--enable-kvm", True),
        ("--enable-trace-backends=log", True),
        ("--enable-kv", False),
        ("--disable-download", False),
    ],
)
def test_an_option_is_used_where_the_release_says_that_it_has_it(option: str, *, known: bool) -> None:
    assert knows(HELP, option) is known


def test_the_projects_patches_change_qemus_sources_and_say_why() -> None:
    found = sorted(PATCHES.glob("*.patch"))
    assert [path.stem for path in found] == ["flush_blocks", "log_first", "nodelay", "tcp_padding"]
    explained = (PATCHES / "README.md").read_text()
    for path in found:
        text = path.read_text()
        assert text.partition("--- a/")[0].strip()
        assert f"| `{path.stem}` |" in explained


@pytest.mark.usefixtures("cache")
def test_a_build_that_nobody_can_make_is_refused_with_the_way_to_make_it() -> None:
    assert installed_built("10.2+mine") is None
    with pytest.raises(ProvisionError, match=r"10\.2\+mine: there is no such build") as caught:
        find_built("10.2+mine", silent)
    assert caught.value.cause == "build-unknown"
    assert "--source RELEASE --patch FILE" in caught.value.hint


def test_a_folder_of_ones_own_is_looked_through_for_its_qemu(tmp_path: Path) -> None:
    folder = tmp_path / "qemu/build"
    folder.mkdir(parents=True)
    for name, says in (("qemu-system-x86_64", "QEMU emulator version 10.9.9"), ("qemu-img", "qemu-img version 10.9.9")):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / name).chmod(0o755)
    assert find_qemu(f"built:{tmp_path / 'qemu'}", silent).path == folder / "qemu-system-x86_64"
    assert find_qemu(f"built:{folder}", silent).version == "10.9.9"
    with pytest.raises(ProvisionError, match="does not exist"):
        find_qemu(f"built:{tmp_path}", silent)


FAKE_SOURCE = """
import os, pathlib, sys
if sys.argv[1] == "source":
    pathlib.Path("qemu_10.2.2+ds-1.dsc").write_text("FAKE")
"""
FAKE_BWRAP = """
# FAKE: does what the programs inside would have left, in the folder that is bound to /build.
import pathlib, sys
words = sys.argv[1:]
work = pathlib.Path(words[words.index("/build") - 1]) / "compile"
inside = words[words.index("PATH") + 2 :]
with open({log!r}, "a") as log:
    print(*inside, file=log)
if inside[0] == "patch" and b"broken" in (work.parent / pathlib.Path(inside[-1]).name).read_bytes():
    sys.exit("1 out of 1 hunk FAILED")
if inside[-1] == "--help":
    print({help!r})
if inside[0] == "ninja":
    for name in inside[1:]:
        (work / "build" / name).write_text("#!/bin/sh")
"""


@pytest.fixture
def fake_tools(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - set before
    """FAKE programs: nothing is fetched, unpacked or compiled; returns where they note what was run inside."""
    folder, log = tmp_path / "bin", tmp_path / "inside"
    folder.mkdir()
    script(folder / "apt-get", FAKE_SOURCE)
    script(folder / "apt-config", "")
    script(folder / "mmdebstrap", "")
    script(folder / "bwrap", FAKE_BWRAP.format(log=str(log), help=HELP))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(mirror, "mirror", lambda: "http://mirror.example/debian")
    monkeypatch.setattr(archive, "mirror", lambda: "http://mirror.example/debian")
    monkeypatch.setattr(archive, "archive_keyring", lambda: tmp_path / "keys")
    monkeypatch.setattr(archive, "known_offers", lambda _kind: (Offer("sid", "1:10.2.2+ds-1"),))
    tree = packages.Tree(tmp_path / "tree", (("gcc", "14"),))
    (tree.root / "usr/bin").mkdir(parents=True)
    monkeypatch.setattr(source, "fetch_tree", lambda _wanted, _progress: tree)
    return log


def test_a_build_is_made_once_and_again_when_a_patch_changes(fake_tools: Path, tmp_path: Path) -> None:
    patch = tmp_path / "mine.patch"
    patch.write_text("one")
    first = source.build("10.2", (patch,), silent)
    ran = fake_tools.read_text().splitlines()
    assert [line.split()[0] for line in ran] == [
        "dpkg-source",
        "patch",
        "../qemu/configure",
        "../qemu/configure",
        "ninja",
    ]
    assert "--with-pkgversion=1:10.2.2+ds-1-mine --prefix=/usr --enable-kvm --enable-trace-backends=log" in ran[3]
    assert sorted(path.name for path in first.folder.iterdir()) == [
        "build.json",
        "mine.patch",
        "qemu-img",
        "qemu-system-x86_64",
    ]
    assert source.build("10.2", (patch,), silent) == first
    assert fake_tools.read_text().splitlines() == ran
    patch.write_text("two")
    second = source.build("10.2", (patch,), silent)
    assert second.folder != first.folder


@pytest.mark.usefixtures("fake_tools")
def test_a_built_file_that_was_changed_is_noticed() -> None:
    built = source.build("10.2", (), silent)
    (built.folder / "qemu-img").write_text("other")
    with pytest.raises(ProvisionError, match="was changed afterwards") as caught:
        source.build("10.2", (), silent)
    assert caught.value.cause == "cache-broken"


@pytest.mark.usefixtures("fake_tools")
def test_a_patch_that_does_not_apply_leaves_nothing_but_its_log(cache: Path, tmp_path: Path) -> None:
    patch = tmp_path / "mine.patch"
    patch.write_text("broken")
    with pytest.raises(ProvisionError, match="patch ended with status 1") as caught:
        source.build("10.2", (patch,), silent)
    assert caught.value.cause == "build-failed"
    assert caught.value.evidence == ("1 out of 1 hunk FAILED",)
    assert caught.value.logs[0].read_text() == "1 out of 1 hunk FAILED\n"
    assert not list(cache.glob("built-*"))


@pytest.mark.usefixtures("fake_tools")
def test_who_waited_for_another_takes_the_source_that_it_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    offer, locked = Offer("sid", "1:10.2.2+ds-1"), source.locked
    fetched: list[int] = []

    @contextmanager
    def taken(name: str, progress: Callable[[str], None]) -> Iterator[None]:
        monkeypatch.setattr(source, "locked", locked)
        fetched.append(source._fetched(offer, progress).stat().st_ino)  # the other process, which came first
        with locked(name, progress):
            yield

    monkeypatch.setattr(source, "locked", taken)
    assert source._fetched(offer, silent).stat().st_ino == fetched[0]


@pytest.mark.parametrize("name", ["nofile.patch", "folder.patch", f"{'a' * 300}.patch"])
def test_a_patch_that_cannot_be_read_is_refused_before_anything_is_fetched(
    cache: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.patch").mkdir()
    with pytest.raises(ProvisionError, match=r"\.patch cannot be read: ") as caught:
        source.build("10.2", (tmp_path / name,), silent)
    assert caught.value.cause == "build-unknown"
    assert not cache.exists()


def test_without_bubblewrap_nothing_is_fetched(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProvisionError) as caught:
        source.build("10.2", (), silent)
    assert caught.value.cause == "tools-missing"
    assert "install -y bubblewrap" in caught.value.hint
    assert not list(cache.glob("*-*"))


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.usefixtures("cache")
def test_what_compiles_sees_only_its_tree_and_no_network(tmp_path: Path) -> None:
    for name in ("tree", "folder/compile/build", "source"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "source/seen").touch()
    inside = source._Inside(packages.Tree(tmp_path / "tree", ()), tmp_path / "folder", tmp_path / "source", "x")
    busybox = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists()), None)
    if busybox is None:
        pytest.skip("no static program to run inside")
    shutil.copy(busybox, tmp_path / "tree/busybox")
    assert inside.run("/busybox", "ls", "/source") == "seen"
    assert "eth" not in inside.run("/busybox", "cat", "/proc/net/dev")
    assert inside.run("/busybox", "pwd") == "/build/compile/build"
