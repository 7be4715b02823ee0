"""QEMU's own words, as real ones said them, and what they mean."""

from __future__ import annotations

import pytest

from bench.failures.words import diagnose, distinct

SAID = [
    ("unknown-cpu", "qemu-system-x86_64: unable to find CPU model 'z80'"),
    (
        "unknown-cpu",
        "qemu-system-x86_64: can't apply global qemu64-x86_64-cpu.foo=on: Property 'qemu64-x86_64-cpu.foo' not found",
    ),
    ("unknown-cpu", "qemu-system-x86_64: CPU model 'host' requires KVM or HVF"),
    ("unknown-device", "qemu-system-x86_64: -device nope: 'nope' is not a valid device model name"),
    ("unknown-option", "qemu-system-x86_64: -frobnicate: invalid option"),
    ("unknown-option", "qemu-system-x86_64: -device rtl8139,speed=3: Property 'rtl8139.speed' not found"),
    ("unknown-option", "qemu-system-x86_64: -chardev socket,id=a,nope=1: Invalid parameter 'nope'"),
    ("unknown-option", 'qemu-system-x86_64: unsupported machine type: "nope"'),
    (
        "port-taken",
        (
            "qemu-system-x86_64: -chardev socket,id=mirror0,host=127.0.0.1,port=20000,server=on,wait=off: "
            "Failed to bind socket: Address already in use"
        ),
    ),
    (
        "port-taken",
        (
            "qemu-system-x86_64: -netdev user,id=hn0,hostfwd=tcp:127.0.0.1:20000-:80: "
            "Could not set up host forwarding rule 'tcp:127.0.0.1:20000-:80'"
        ),
    ),
    ("qemu-no-memory", "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"),
    ("sides-differ", "qemu-system-x86_64: Size mismatch: pc.ram: 0x40000000 != 0x20000000: Invalid argument"),
    ("sides-differ", "qemu-system-x86_64: Unknown savevm section or instance '0000:00:03.0/rtl8139' 0."),
    ("nbd-export-missing", "Requested export not available"),
    ("nbd-export-missing", "server reported: export 'parent0' not present"),
    (
        "nbd-export-missing",
        "the secondary refused `nbd-server-add`: Cannot find device='parent0' nor node-name='parent0'",
    ),
    ("replication-missing", "Unknown driver 'replication'"),
    ("privilege-missing", "qemu-system-x86_64: -netdev tap,id=hn0: could not open /dev/net/tun: Permission denied"),
    ("kvm", "qemu-system-x86_64: failed to initialize kvm: Permission denied"),
    ("netns-lost", "nsenter: cannot open /proc/4711/ns/net: No such file or directory"),
    (
        "qemu-missing",
        (
            "/x/qemu-system-x86_64: error while loading shared libraries: libpixman-1.so.0: "
            "cannot open shared object file: No such file or directory"
        ),
    ),
    ("disk-full", "qemu-system-x86_64: Could not write to file: No space left on device"),
    ("read-only", "qemu-img: disk.qcow2: Could not create file: Read-only file system"),
    ("releases-apart", "load of migration failed: Invalid argument: MIG_CMD 0x8 deprecated (len 0x0)"),
]


@pytest.mark.parametrize(("cause", "line"), SAID)
def test_words_are_turned_into_their_cause_and_quoted(cause: str, line: str) -> None:
    stamped = ["qemu-system-x86_64: warning: nothing", f"2026-11-23T06:35:01.086819Z {line}"]
    found = diagnose(stamped)
    assert found is not None
    assert (found.cause, found.lines) == (cause, (line,))


@pytest.mark.parametrize(
    "line",
    [
        "qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID[eax=07h,ecx=00h].EBX.avx512f",
        "qemu-system-x86_64: filter mirror send failed(Operation not permitted)",
        "qemu-system-x86_64: Can't receive COLO message: Input/output error",
        "qemu-system-x86_64: load of migration failed: Input/output error",
        "qemu-system-x86_64: load of migration failed: Invalid argument",
        "",
    ],
)
def test_what_a_sound_pair_or_a_lost_peer_says_is_no_diagnosis(line: str) -> None:
    assert diagnose([line]) is None


def test_a_primary_that_could_not_save_says_so_also_when_its_peer_is_gone() -> None:
    line = "qemu-system-x86_64: failed to save SaveStateEntry with id(name): 2(ram): -5"
    assert diagnose([line]) is None
    found = diagnose([line], weak=True)
    assert found is not None
    assert (found.cause, found.lines) == ("sides-differ", (line,))


def test_a_thing_said_often_is_told_once() -> None:
    said = [f"2026-11-23T06:35:01.08{n:04}Z qemu: cannot set up guest memory {n % 2}" for n in range(40)]
    found = diagnose(said)
    assert found is not None
    assert found.lines == ("qemu: cannot set up guest memory 0", "qemu: cannot set up guest memory 1")
    assert distinct(["", "  ", "2026-11-23T06:35:01.086819Z ", "a", "a"]) == ("a",)
