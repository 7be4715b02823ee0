"""The benchmark of an ELF kernel: what it takes out of a bzImage, and that it compares like with like."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ProvisionError
from bench.provision.guest import build_guest
from bench.provision.modules import decompress
from bench.provision.packages import GUEST, Tree, fetch_tree
from tools.benchmarks import elf_kernel, setting


def elf(*segments: tuple[int, int, int]) -> bytes:
    """Return a 64-bit ELF that is nothing but headers: kind, address and size in memory of each segment."""
    head = bytearray(64)
    head[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", head, 32, len(head))
    struct.pack_into("<HH", head, 54, 56, len(segments))
    table = (struct.pack("<IIQQQQQQ", kind, 7, 0, 0, at, 0, taken, 4096) for kind, at, taken in segments)
    return bytes(head) + b"".join(table)


def bzimage(packed: bytes, sectors: int = 39) -> bytes:
    setup = bytearray((sectors + 1) * 512)
    setup[0x1F1] = sectors
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 716, len(packed))
    return bytes(setup) + bytes(716) + packed + b"and what follows"


KERNEL = elf((1, 0x1000000, 0x2800), (1, 0x2000010, 0x1000), (4, 0x1000, 0x24))
SIZE = struct.pack("<I", len(KERNEL))


@pytest.mark.parametrize(
    "packed", [gzip.compress(KERNEL), lzma.compress(KERNEL) + SIZE, KERNEL + SIZE], ids=["gzip", "xz", "not packed"]
)
def test_the_elf_comes_out_of_a_bzimage_as_it_went_in(packed: bytes, tmp_path: Path) -> None:
    nowhere = Tree(tmp_path, ())
    assert elf_kernel.elf_of(bzimage(packed), lambda data: decompress(data, nowhere)) == KERNEL


@pytest.mark.parametrize(
    ("image", "said"),
    [(KERNEL * 9, "no bzImage"), (b"", "no bzImage"), (bzimage(b"packed otherwise" + SIZE), "is not known here")],
    ids=["an ELF", "nothing", "packed otherwise"],
)
def test_what_has_no_elf_to_take_out_is_told(image: bytes, said: str) -> None:
    with pytest.raises(ProvisionError, match=said):
        elf_kernel.elf_of(image, bytes)


def test_pages_are_those_that_segments_touch_in_memory() -> None:
    assert elf_kernel.rom_pages(KERNEL) == 3 + 2


def test_each_form_goes_first_as_often_and_is_told_with_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(_setting: object, guest: Any, number: int) -> tuple[float, float]:
        order.append(guest)
        return (14_000.0, 0.026) if guest == "e" else (70.0 + number, 0.009)

    monkeypatch.setattr(elf_kernel, "_run", run)
    figures = elf_kernel._in_turns(None, {"bzImage": "b", "ELF": "e"})  # type: ignore[arg-type, dict-item]
    assert order == ["b", "e", "e", "b"] * 3
    assert figures["ELF"] == {
        "runs": 6,
        "dirty_pages": 14_000.0,
        "dirty_pages_interval_95": [14_000.0, 14_000.0],
        "pause_s": 0.026,
        "pause_s_interval_95": [0.026, 0.026],
    }
    assert figures["bzImage"]["dirty_pages_interval_95"] == [70.0, 75.0]


@pytest.mark.provisioned
def test_the_packaged_kernel_carries_one() -> None:
    image, tree = build_guest(print).kernel.read_bytes(), fetch_tree(GUEST, print)
    found = elf_kernel.elf_of(image, lambda data: decompress(data, tree))
    assert 1_000 < elf_kernel.rom_pages(found) < 100_000


@pytest.mark.pair
@pytest.mark.shares
def test_a_secondary_has_the_pages_of_an_elf_kernel_dirty_at_every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf_kernel, "_ROUNDS", 1)
    figures = elf_kernel.benchmark(setting.provisioned())
    more = figures["ELF"]["dirty_pages"] - figures["bzImage"]["dirty_pages"]
    assert 0.8 * figures["rom_pages"] < more < 1.2 * figures["rom_pages"]
