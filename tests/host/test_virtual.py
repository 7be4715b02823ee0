"""Which KVM a host has, from what its kernel tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.format.hosts import KVM_TEXT
from bench.host.virtual import Kvm, read_kvm, this_kvm
from bench.plan.label import accel_text

if TYPE_CHECKING:
    from pathlib import Path


def host(folder: Path, flags: str, **parameters: str) -> Kvm:
    (folder / "cpuinfo").write_text(f"processor : 0\nmodel name : x\nflags\t\t: fpu {flags} sse2\nbugs :\n")
    for path, value in parameters.items():
        module, name = path.split("__")
        file = folder / "module" / module / "parameters" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return read_kvm(folder / "cpuinfo", folder / "module")


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        ("vmx ept", "hardware", "KVM"),
        ("svm", "hardware", "KVM"),
        ("vmx hypervisor", "nested", "KVM, nested"),
        ("hypervisor", "software", "KVM without hardware virtualization"),
        ("", "software", "KVM without hardware virtualization"),
    ],
)
def test_the_kind_is_that_of_the_cpu_s_flags(tmp_path: Path, flags: str, kind: str, words: str) -> None:
    found = host(tmp_path, flags)
    assert (found.kind, KVM_TEXT[found.kind]) == (kind, words)


def test_the_module_and_the_parameters_that_matter_are_read(tmp_path: Path) -> None:
    found = host(tmp_path, "vmx", kvm__tdp_mmu="Y", kvm__other="1", kvm_intel__ept="Y", kvm_intel__pml="N")
    assert found.module == "kvm_intel"
    assert found.parameters == {"kvm.tdp_mmu": "Y", "kvm_intel.ept": "Y", "kvm_intel.pml": "N"}
    assert found.to_json()["dirty_pages"] == "log"


def test_a_host_that_tells_nothing_has_none(tmp_path: Path) -> None:
    assert read_kvm(tmp_path / "none", tmp_path / "none") == Kvm("software", "", {})


def test_a_pair_s_words_are_those_of_this_host_s_kvm() -> None:
    assert accel_text("kvm") == KVM_TEXT[this_kvm().kind]
