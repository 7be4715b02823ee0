from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path

import pytest
from fixtures.provisioned import silent

from bench.errors import ProvisionError
from bench.provision import qemu
from bench.provision.cache import file_sha256, text_sha256
from bench.provision.qemu import Binary, find_qemu, installed_qemu
from bench.provision.real import real_program
from bench.system.family import marked
from bench.system.owner import this_process

VERSION = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)"


def fake(path: Path, says: str, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a QEMU and its qemu-img."""
    fake(tmp_path / "bin/qemu-img", "qemu-img version 11.1.3")
    return fake(tmp_path / "bin/qemu-system-x86_64", VERSION).parent


@pytest.fixture
def provisioned() -> Binary:
    return find_qemu("provisioned", silent)


def test_a_given_path_is_used_with_the_qemu_img_beside_it(installed: Path) -> None:
    path = installed / "qemu-system-x86_64"
    binary = find_qemu(str(path), silent)
    assert binary == Binary(
        argv=(str(path),),
        img_argv=(str(installed / "qemu-img"),),
        env=(),
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        version="11.1.3 (Debian 1:11.1.3+ds-1)",
        source="path",
    )
    assert installed_qemu(str(path)) == binary


def test_the_systems_qemu_is_found_on_path_and_hashed_behind_its_links(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "qemu-system-x86_64").symlink_to(installed / "qemu-system-x86_64")
    monkeypatch.setenv("PATH", f"{links}{os.pathsep}{os.environ['PATH']}")
    binary = find_qemu("system", silent)
    assert binary.source == "system"
    assert binary.argv == (str(links / "qemu-system-x86_64"),)
    assert binary.path == installed / "qemu-system-x86_64"
    assert binary.img_argv == (str(installed / "qemu-img"),)


def test_a_version_without_a_distributions_own_is_read_too(tmp_path: Path) -> None:
    fake(tmp_path / "qemu-img", "qemu-img version 10.2.0")
    assert find_qemu(str(fake(tmp_path / "q", "QEMU emulator version 10.2.0")), silent).version == "10.2.0"


def test_qemu_img_comes_from_path_when_it_is_not_beside_the_binary(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{installed}{os.pathsep}{os.environ['PATH']}")
    binary = find_qemu(str(fake(tmp_path / "own/qemu-system-x86_64", VERSION)), silent)
    assert binary.img_argv == (str(installed / "qemu-img"),)


@pytest.mark.parametrize("apt", [True, False])
def test_what_is_not_on_path_is_named_by_its_package_and_apt_only_where_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    apt: bool,  # noqa: FBT001 - a case
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if apt:
        fake(tmp_path / "apt-get", "")
    with pytest.raises(ProvisionError, match="not on PATH") as no_qemu:
        find_qemu("system", silent)
    with pytest.raises(ProvisionError, match="no qemu-img") as no_img:
        find_qemu(str(fake(tmp_path / "own/qemu-system-x86_64", VERSION)), silent)
    for caught, what, debian in (
        (no_qemu, "qemu-system-x86) and qemu-img", "qemu-system-x86 qemu-utils"),
        (no_img, "qemu-img", "qemu-utils"),
    ):
        expected = f"apt-get install -y {debian}" if apt else f"{what} by this system's package manager"
        assert expected in caught.value.hint
        assert ("apt-get" in caught.value.hint) == apt


def test_what_is_no_qemu_is_told_so_before_its_qemu_img_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProvisionError, match="is not a QEMU") as caught:
        find_qemu(str(fake(tmp_path / "own/qemu-system-x86_64", "something else 1.0")), silent)
    assert caught.value.cause == "qemu-unfit"


def test_what_is_not_there_or_cannot_be_run_is_told_apart(tmp_path: Path, installed: Path) -> None:
    with pytest.raises(ProvisionError, match="does not exist") as missing:
        find_qemu(str(tmp_path / "none"), silent)
    assert missing.value.cause == "qemu-missing"
    with pytest.raises(ProvisionError, match="is a folder"):
        find_qemu(str(installed), silent)
    (installed / "qemu-system-x86_64").chmod(0o600)
    with pytest.raises(ProvisionError, match="may not be run") as caught:
        find_qemu(str(installed / "qemu-system-x86_64"), silent)
    assert caught.value.cause == "qemu-not-executable"


def test_a_program_that_is_no_qemu_is_refused_with_what_it_said(installed: Path) -> None:
    fake(installed / "qemu-system-x86_64", "something else")
    with pytest.raises(ProvisionError, match="is not a QEMU") as caught:
        find_qemu(str(installed / "qemu-system-x86_64"), silent)
    assert caught.value.evidence == ("something else",)


def test_a_file_that_the_kernel_cannot_run_is_refused(installed: Path) -> None:
    (installed / "qemu-system-x86_64").write_bytes(b"\x7fELFgarbage")
    with pytest.raises(ProvisionError, match="does not run") as caught:
        find_qemu(str(installed / "qemu-system-x86_64"), silent)
    assert caught.value.cause == "qemu-not-executable"


def test_a_wrong_qemu_img_is_refused(installed: Path) -> None:
    fake(installed / "qemu-img", "no image tool")
    with pytest.raises(ProvisionError, match="is not a qemu-img"):
        find_qemu(str(installed / "qemu-system-x86_64"), silent)


@pytest.mark.parametrize("name", ["qemu-system-x86_64", "qemu-img"])
def test_a_program_that_was_given_too_little_is_no_wrong_program(installed: Path, name: str) -> None:
    fake(installed / name, "error while loading shared libraries: libz.so.1: cannot open it: Too many open files")
    with pytest.raises(ProvisionError, match=f"{name} could not be started") as caught:
        find_qemu(str(installed / "qemu-system-x86_64"), silent)
    assert caught.value.cause == "file-limit"
    assert "ulimit -n" in str(caught.value)


def test_a_missing_provisioned_qemu_is_not_fetched_when_only_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    assert installed_qemu(qemu.PROVISIONED) is None


def test_a_library_is_preloaded_by_variable_into_a_system_binary(installed: Path) -> None:
    binary = find_qemu(str(installed / "qemu-system-x86_64"), silent).preloading(Path("/lib/n.so"))
    assert binary.env == (("LD_PRELOAD", "/lib/n.so"),)


def test_a_library_is_preloaded_by_the_loaders_option_into_the_provisioned_binary() -> None:
    binary = Binary(
        ("/t/ld.so", "--library-path", "/t/lib", "/t/q"), ("/t/img",), (), Path("/t/q"), "0", "1", "provisioned"
    )
    assert binary.preloading(Path("/lib/n.so")).argv == (
        "/t/ld.so",
        "--preload",
        "/lib/n.so",
        "--library-path",
        "/t/lib",
        "/t/q",
    )


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_provisioned_qemu_says_its_version_and_hash(provisioned: Binary) -> None:
    assert int(provisioned.version.split(".")[0]) >= 11
    assert hashlib.sha256(provisioned.path.read_bytes()).hexdigest() == provisioned.sha256
    assert installed_qemu("provisioned") == provisioned


def wrapper(path: Path, binary: Binary, *, exec_: bool, note: str = "") -> Path:
    words = shlex.join(["env", *(f"{name}={value}" for name, value in binary.env), *binary.argv])
    path.write_text(f'#!/bin/sh\n# {note}\n{"exec " if exec_ else ""}{words} "$@"\n')
    path.chmod(0o755)
    return path


def of_this_process() -> list[str]:
    return [one.folder for one in marked() if one.owner == this_process()]


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_wrapper_is_hashed_with_the_program_that_it_runs(provisioned: Binary, tmp_path: Path) -> None:
    script = wrapper(tmp_path / "q", provisioned, exec_=True)
    real = real_program(script)
    assert real is not None
    assert real.program == provisioned.path
    assert provisioned.env[0][0] in real.added
    fake(tmp_path / "qemu-img", "qemu-img version 11.1.3")
    first = find_qemu(str(script), silent)
    assert first.sha256 == text_sha256(file_sha256(script), provisioned.sha256, real.added)
    assert first.sha256 == find_qemu(str(script), silent).sha256
    assert find_qemu(str(wrapper(script, provisioned, exec_=True, note="other")), silent).sha256 != first.sha256
    assert of_this_process() == []


@pytest.mark.provisioned
@pytest.mark.shares
def test_what_a_second_script_or_a_file_that_one_reads_does_is_in_the_hash(provisioned: Binary, tmp_path: Path) -> None:
    inner, outer, settings = wrapper(tmp_path / "inner", provisioned, exec_=True), tmp_path / "outer", tmp_path / "conf"
    settings.write_text("")
    outer.write_text(f'#!/bin/sh\n. {settings}\nexec {inner} "$@"\n')
    outer.chmod(0o755)
    fake(tmp_path / "qemu-img", "qemu-img version 11.1.3")
    found = [find_qemu(str(outer), silent).sha256]
    inner.write_text(inner.read_text().replace('"$@"', '"$@" -name other'))
    found.append(find_qemu(str(outer), silent).sha256)
    settings.write_text("export LD_BIND_NOW=1\n")
    found.append(find_qemu(str(outer), silent).sha256)
    assert len(set(found)) == 3


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize("how", ["", "setsid -f"])
def test_a_wrapper_that_does_not_exec_is_told_so_and_leaves_nothing(
    provisioned: Binary, tmp_path: Path, how: str
) -> None:
    script = wrapper(tmp_path / "q", provisioned, exec_=False)
    script.write_text(script.read_text().replace("\nenv ", f"\n{how} env "))
    fake(tmp_path / "qemu-img", "qemu-img version 11.1.3")
    with pytest.raises(ProvisionError, match="starts QEMU as another process") as caught:
        find_qemu(str(script), silent)
    assert caught.value.cause == "qemu-wrapper"
    assert "exec" in caught.value.hint
    assert of_this_process() == []


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_binary_of_its_own_keeps_the_hash_of_its_file(provisioned: Binary, tmp_path: Path) -> None:
    loader = Path(provisioned.argv[0])
    assert real_program(loader) is None  # a loader without a program comes up as nothing
    script = wrapper(tmp_path / "q", provisioned, exec_=True)
    (tmp_path / "link").symlink_to(script)
    real = real_program(tmp_path / "link")
    assert real is not None
    assert real.program == provisioned.path


@pytest.mark.parametrize(
    ("given", "said"),
    [("/" + "a" * 300, ": File name too long\n"), ("~nobody-of-this-name/qemu", "determine home directory")],
)
def test_a_path_that_cannot_be_looked_at_is_refused(given: str, said: str) -> None:
    with pytest.raises(ProvisionError, match=said) as caught:
        installed_qemu(given)
    assert caught.value.cause == "qemu-missing"


@pytest.mark.parametrize(("source", "said"), [("provisioned", "COLO_BENCH_CACHE"), ("path", "qemu=provisioned")])
def test_a_tree_of_ours_that_may_not_be_run_lies_on_a_disk_mounted_noexec(
    tmp_path: Path, source: str, said: str
) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_text("")
    with pytest.raises(ProvisionError, match="Permission denied") as caught:
        qemu._answered(Binary((str(program),), (), (), program, "", "", source))
    assert said in caught.value.hint
