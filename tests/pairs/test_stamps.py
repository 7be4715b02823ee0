"""No QEMU loads another build's modules, whatever lies where it was configured to look for its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from fixtures.provisioned import silent

from bench.errors import BenchError
from bench.host.outlasting import unless_any_exited
from bench.host.process import launch
from bench.provision import qemu
from bench.provision.packages import PROVISIONED_SUITE, fetch_tree, wanted_qemu
from bench.provision.stamps import VARIABLE, foreign_modules, masking_folder
from bench.vm.features import probe_features
from bench.vm.qmp import connect

if TYPE_CHECKING:
    from bench.provision.qemu import Binary

WANTED = wanted_qemu(PROVISIONED_SUITE)
COMPILED_IN = "/usr/lib/x86_64-linux-gnu/qemu"
OWN, OTHER = b"qemu_stamp_" + b"a" * 40, b"qemu_stamp_" + b"b" * 40
FOREIGN = """
/* A module of ANOTHER build, as far as QEMU can tell: it registers itself and has another stamp. */
void register_dso_module_init(void (*)(void), int);
static void nothing(void) {}
static void __attribute__((constructor)) hello(void) { register_dso_module_init(nothing, 3); }
void qemu_stamp_0000000000000000000000000000000000000000(void) {}
void qemu_module_dummy(void) {}
"""


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A FAKE binary in a tree of its own, whose modules' folder by configuration is another one, with others' in it."""
    configured = tmp_path / "usr/lib/qemu"
    own = tmp_path / "moved/lib/qemu"
    for folder in (configured, own, tmp_path / "moved/bin"):
        folder.mkdir(parents=True)
    (configured / "a.so").write_bytes(b"\0" + OTHER + b"\0")
    (configured / "b.so").write_bytes(b"\0" + OTHER + b"\0")
    (configured / "c.so").write_bytes(b"\0" + OWN + b"\0")
    (own / "a.so").write_bytes(b"\0" + OWN + b"\0")
    path = tmp_path / "moved/bin/qemu-system-x86_64"
    path.write_bytes(b"\x7fELF\0" + os.fsencode(configured) + b"\0.so\0" + OWN + b"\0")
    return path


def test_modules_with_another_stamp_are_told_from_the_binarys_own(moved: Path) -> None:
    assert foreign_modules(moved) == {"a.so": moved.parent.parent / "lib/qemu/a.so", "b.so": None}


def test_a_binary_without_modules_comes_upon_none(moved: Path) -> None:
    moved.write_bytes(moved.read_bytes().replace(OWN, b""))
    assert foreign_modules(moved) == {}


@pytest.fixture
def astray(tmp_path: Path) -> Iterator[Path]:
    """The fetched tree once more, its QEMU made to look for modules in a folder that is another build's throughout.

    The folder's name in the binary is overwritten by one of the same length.
    """
    tree = fetch_tree(WANTED, silent)
    place = Path("/tmp") / token_hex(10)  # noqa: S108 - with it, the new name is exactly as long as the old one
    others = place / "qemu"
    assert len(str(others)) == len(COMPILED_IN)
    copy = tmp_path / "tree"
    subprocess.run(["cp", "-a", "--reflink=auto", str(tree.root), str(copy)], check=True)
    path = copy / "usr/bin/qemu-system-x86_64"
    content = path.read_bytes()
    assert COMPILED_IN.encode() + b"\0" in content
    path.write_bytes(content.replace(COMPILED_IN.encode() + b"\0", str(others).encode() + b"\0"))
    source = tmp_path / "foreign.c"
    source.write_text(FOREIGN)
    (tmp_path / "others").mkdir()
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(tmp_path / "others/ui-opengl.so"), str(source)], check=True)
    for name in ("ui-spice-core", "audio-spice", "hw-display-qxl", "chardev-spice", "ui-gtk", "audio-pa"):
        (tmp_path / f"others/{name}.so").hardlink_to(tmp_path / "others/ui-opengl.so")
    place.mkdir(mode=0o700)
    others.symlink_to(tmp_path / "others")
    try:
        yield path
    finally:
        shutil.rmtree(place)


async def load_all(binary: Binary, folder: Path) -> int:
    """Make a QEMU load every module that it knows of and return how many kinds of things it then has."""
    argv = (*binary.argv, "-machine", "none", "-nodefaults", "-display", "none")
    argv = (*argv, "-qmp", "unix:qmp.sock,server=on,wait=off")
    async with launch("q", argv, folder=folder, env=dict(binary.env)) as process:
        monitor = await unless_any_exited((process,), connect("q", folder / "qmp.sock", None, 20))
        async with monitor:
            return len(await unless_any_exited((process,), monitor.execute("qom-list-types")))


@pytest.mark.provisioned
def test_the_fetched_qemu_never_looks_where_another_builds_modules_lie(astray: Path, tmp_path: Path) -> None:
    tree = replace(fetch_tree(WANTED, silent), root=tmp_path / "tree")
    binary = qemu._from_tree(tree, qemu.PROVISIONED)
    assert binary.path == astray
    assert asyncio.run(probe_features(binary)).missing == ()
    assert asyncio.run(load_all(binary, tmp_path)) > 500
    # Without the link it dies, so that it is the link that keeps it.
    (tree.root / "usr/lib/x86_64-linux-gnu/qemu-bundle").unlink()
    with pytest.raises(BenchError) as caught:
        asyncio.run(load_all(binary, tmp_path))
    assert "Only modules from the same build can be loaded" in str(caught.value)


@pytest.mark.provisioned
def test_a_given_path_is_kept_from_another_builds_modules_too(astray: Path, tmp_path: Path) -> None:
    tree = replace(fetch_tree(WANTED, silent), root=tmp_path / "tree")
    (tree.root / "usr/lib/x86_64-linux-gnu/qemu-bundle").unlink()
    masks = masking_folder(astray, silent)
    assert masks is not None
    assert (masks / "ui-opengl.so").is_symlink()
    # Through its loader, since its libraries may not be this machine's.
    unmasked = replace(qemu._from_tree(tree, qemu.PROVISIONED), env=())
    masked = replace(unmasked, env=((VARIABLE, str(masks)),))
    assert asyncio.run(load_all(masked, tmp_path)) > 500
    with pytest.raises(BenchError, match="killed by SIGABRT"):
        asyncio.run(load_all(unmasked, tmp_path))
