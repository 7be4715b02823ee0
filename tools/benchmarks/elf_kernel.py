"""What an ELF kernel adds to a checkpoint: the Linux guest by its bzImage and by the ELF inside that, in turns."""

from __future__ import annotations

import statistics
import struct
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.stats import median_interval
from bench.config.procedure import Checkpoint
from bench.errors import ProvisionError
from bench.provision.cache import file_sha256
from bench.provision.modules import decompress
from bench.provision.packages import GUEST, fetch_tree
from tools.benchmarks.setting import EVENTS, idle_cell, kept_rows, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.provision.guest import Guest
    from tools.benchmarks.setting import Setting

_ROUNDS = 6  # the fewest that have a 95 % interval
_VCPUS = 2  # emulated secondaries with one now and then panic (docs/findings.md, section 6)
_PAGE = 4096
_LOAD = 1


def benchmark(setting: Setting) -> dict[str, Any]:
    """Return figures by the kernel's form: medians over runs of their median dirty pages and pause, with intervals.

    ``rom_pages``: how many pages of the guest's RAM the ELF takes, which QEMU keeps as a ROM and writes at each reset.
    """
    tree = fetch_tree(GUEST, print)
    with tempfile.TemporaryDirectory(prefix="colo-bench-benchmark-") as name:
        kernel = Path(name) / "vmlinux"
        elf = elf_of(setting.guest.kernel.read_bytes(), lambda packed: decompress(packed, tree))
        kernel.write_bytes(elf)
        guest = replace(setting.guest, kernel=kernel, kernel_sha256=file_sha256(kernel))
        return {"rom_pages": rom_pages(elf), **_in_turns(setting, {"bzImage": setting.guest, "ELF": guest})}


def elf_of(image: bytes, unpack: Callable[[bytes], bytes]) -> bytes:
    """Return the ELF that a bzImage carries (Linux, ``Documentation/arch/x86/boot.rst``: ``payload_offset``).

    Raises:
        ProvisionError: it is no bzImage, or ``unpack`` does not know how its ELF is packed.
    """
    if image[0x202:0x206] != b"HdrS":
        raise ProvisionError("the guest's kernel is no bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = ((image[0x1F1] or 4) + 1) * 512 + offset
    packed = image[begin : begin + length]
    # The kernel's build puts the unpacked size behind what it packed, except where gzip has done so itself.
    elf = unpack(packed if packed.startswith(b"\x1f\x8b") else packed[:-4])
    if not elf.startswith(b"\x7fELF"):
        raise ProvisionError("the ELF inside the guest's kernel is packed in a way that is not known here")
    return elf


def rom_pages(elf: bytes) -> int:
    """Return how many pages the segments of a 64-bit ELF take in the guest's RAM."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    headers = (struct.unpack_from("<IIQQQQQ", elf, table + size * number) for number in range(count))
    pages: int = sum(-(-(at % _PAGE + taken) // _PAGE) for kind, _, _, _, at, _, taken in headers if kind == _LOAD)
    return pages


def _in_turns(setting: Setting, guests: dict[str, Guest]) -> dict[str, Any]:
    forms = tuple(guests)
    runs: dict[str, list[tuple[float, float]]] = {form: [] for form in forms}
    for number in range(_ROUNDS):
        for form in forms[:: -1 if number % 2 else 1]:
            runs[form].append(_run(setting, guests[form], number))
    return {form: _figures(of_form) for form, of_form in runs.items()}


def _figures(runs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    pages, pauses_s = (median_interval(values) for values in zip(*runs, strict=True))
    return {
        "runs": len(runs),
        "dirty_pages": pages.estimate,
        "dirty_pages_interval_95": [pages.low, pages.high],
        "pause_s": pauses_s.estimate,
        "pause_s_interval_95": [pauses_s.low, pauses_s.high],
    }


def _run(setting: Setting, guest: Guest, number: int) -> tuple[float, float]:
    """Return the median dirty pages and the median pause of an idle run."""
    cell = idle_cell("512M")
    trace = cell.trace.model_copy(update={"optional": EVENTS})
    checkpoint = Checkpoint(interval=0.1, count=20, warmup=3)
    cell = cell.model_copy(update={"smp": _VCPUS, "checkpoint": checkpoint, "trace": trace})
    with measured(replace(setting, guest=guest), cell, number) as (_, folder):
        rows = kept_rows(folder)
    return statistics.median(row["dirty_pages"] for row in rows), statistics.median(row["pause_s"] for row in rows)
