"""The machine is tried before it is measured, here on a program that speaks QMP and warns as QEMU does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from fake_session import make_cell

from bench.config.machine import Cache, CacheLevel, Cpu
from bench.errors import HostError
from bench.provision.guest import Guest
from bench.provision.qemu import Binary
from bench.vm.features import Features
from bench.vm.preflight import machine_key, preflight

GUEST = Guest(Path("/k"), Path("/i"), "1" * 64, "2" * 64, "9.9", ())
FEATURES = Features("reconnect-ms=1000", ("x-colo",), smp_cache=False, trace_events=frozenset())
WARNING = "qemu-system-x86_64: warning: TCG doesn't support requested feature: CPUID[eax=07h,ecx=00h].EBX.avx512f"
STDERR = f"2026-11-23T06:35:01.086819Z {WARNING}\n2026-11-23T06:35:01.087001Z {WARNING}\n"

SPEAKS_QMP = f"""#!{sys.executable}
import json, socket, sys
version = {{"qemu": {{"major": 0, "minor": 0, "micro": 0}}, "package": ""}}
greeting = {{"QMP": {{"version": version, "capabilities": []}}}}
sys.stderr.write({STDERR!r})
sys.stderr.flush()
server = socket.socket(socket.AF_UNIX)
server.bind("qmp.sock")
server.listen()
client, _ = server.accept()
client.sendall(json.dumps(greeting).encode() + b"\\n")
while chunk := client.recv(4096):
    asked = json.loads(chunk)
    client.sendall(json.dumps({{"return": {{}}, **{{k: v for k, v in asked.items() if k == "id"}}}}).encode() + b"\\n")
"""
REFUSES = "#!/bin/sh\necho \"qemu-system-x86_64: unable to find CPU model 'z80'\" >&2\nexit 1\n"


def binary(folder: Path, script: str) -> Binary:
    path = folder / "qemu"
    path.write_text(script)
    path.chmod(0o755)
    return Binary((str(path),), (), (), path, "a" * 64, "11.1.3", "path")


def test_a_warning_is_told_once_and_without_its_time(tmp_path: Path) -> None:
    found = asyncio.run(preflight(make_cell(), binary(tmp_path, SPEAKS_QMP), GUEST, FEATURES))
    assert found == (WARNING,)


def test_a_machine_that_is_refused_is_told_in_qemus_words(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="refuses the machine") as caught:
        asyncio.run(preflight(make_cell(), binary(tmp_path, REFUSES), GUEST, FEATURES))
    assert caught.value.cause == "unknown-cpu"
    assert caught.value.evidence == ("qemu-system-x86_64: unable to find CPU model 'z80'",)


def test_caches_are_refused_where_the_binary_has_none(tmp_path: Path) -> None:
    cell = make_cell(cpu=Cpu(cache=Cache(l3=CacheLevel(topology="core"))))
    with pytest.raises(HostError, match="smp-cache"):
        asyncio.run(preflight(cell, binary(tmp_path, REFUSES), GUEST, FEATURES))


def test_the_size_of_ram_makes_no_other_machine_and_the_cpu_does() -> None:
    assert machine_key(make_cell("256M")) == machine_key(make_cell("1G", dirty=True))
    assert machine_key(make_cell()) != machine_key(make_cell(cpu=Cpu(features=("+avx",))))
