"""The bare guest, compiled here and booted alone: its console, its rates, its beats, and what it refuses."""

from __future__ import annotations

import socket
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.provisioned import running, silent

from bench.errors import GuestError, ProvisionError
from bench.format.phases import BEAT
from bench.guest.protocol import parse_line
from bench.measure.beats import Beat, read_beats
from bench.measure.trace import read_trace
from bench.provision import bare as bare_module
from bench.provision.bare import build_bare, installed_bare
from bench.provision.kvm import probe_kvm

if TYPE_CHECKING:
    from pathlib import Path

    from bench.provision.boot import Solo
    from bench.provision.guest import Guest
    from bench.provision.qemu import Binary

MIB = 1 << 20


@pytest.fixture(scope="module")
def guest() -> Guest:
    return build_bare(silent)


def beats_of(binary: Binary, guest: Guest, line: str, log: Path, *extra: str, seconds: float = 1.5) -> list[Beat]:
    traced = ("-trace", BEAT.name, "-D", str(log), "-msg", "timestamp=on")
    with running(binary, guest, *traced, *extra) as console:
        console.send(line)
        console.wait("started", 30)
        time.sleep(seconds)
    return list(read_beats(read_trace(log, (BEAT.name,))))


def rate_of(console: Solo) -> float:
    reports = [parse_line(console.wait("report", 20)) for _ in range(3)]
    return statistics.median(report[1]["rate_mb_s"] for report in reports if report)


def test_it_is_compiled_once_and_noticed_when_it_was_changed(guest: Guest, tmp_path: Path) -> None:
    told: list[str] = []
    assert build_bare(told.append) == guest == installed_bare()
    assert told == []
    assert (guest.kind, guest.initramfs) == ("bare", None)
    for path in (guest.kernel, guest.kernel.with_name("sha256")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / guest.kernel.name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ProvisionError, match="changed after it was compiled") as caught:
        bare_module._load(tmp_path)
    assert caught.value.cause == "guest-image-broken"


def test_the_same_sources_give_the_same_bytes(guest: Guest, tmp_path: Path) -> None:
    bare_module._build(tmp_path / "again")
    assert (tmp_path / "again" / guest.kernel.name).read_bytes() == guest.kernel.read_bytes()


@pytest.mark.provisioned
@pytest.mark.parametrize(
    ("smp", "words"),
    [(1, "rate=20"), (4, "rate=40 pattern=random threads=4 seed=7"), (2, "rate=12.5 threads=5")],
)
def test_it_dirties_memory_at_the_asked_rate(binary: Binary, guest: Guest, smp: int, words: str) -> None:
    with running(binary, guest, "-smp", str(smp)) as console:
        console.send(f"start dirty bytes={16 * MIB} {words}")
        assert parse_line(console.wait("started", 30)) == ("started", {"workload": "dirty"})
        assert rate_of(console) == pytest.approx(float(words.split(maxsplit=1)[0].removeprefix("rate=")), rel=0.1)


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize("pattern", ["sequential", "random"])
def test_every_vcpu_writes_its_whole_share_round_and_round(
    binary: Binary, guest: Guest, pattern: str, tmp_path: Path
) -> None:
    line = f"start dirty bytes={12 * MIB} rate=0 threads=3 pattern={pattern} beat=20"
    beats = beats_of(binary, guest, line, tmp_path / "trace.log", "-smp", "3")
    first, last = beats[0].written, beats[-1].written
    assert len(first) == 3
    assert all(now - then > 1024 for then, now in zip(first, last, strict=True))


@pytest.mark.provisioned
def test_its_beats_tell_its_clock_which_keeps_the_host_s_time(binary: Binary, guest: Guest, tmp_path: Path) -> None:
    beats = beats_of(binary, guest, "start idle beat=10", tmp_path / "trace.log", seconds=3)
    assert all(one.written == () for one in beats)
    assert len(beats) > 100
    half = len(beats) // 2  # each of some 1.5 s: the clock is right to 0.2 %, whichever way it is wrong
    early, late = (min(one.ahead_us for one in part) for part in (beats[:half], beats[half:]))
    assert abs(late - early) < 3_000


@pytest.mark.provisioned
@pytest.mark.shares
def test_what_it_cannot_do_is_one_clear_line_and_the_console_lives_on(binary: Binary, guest: Guest) -> None:
    refused = {
        "nonsense": "unknown command; legal: start",
        "start dance": "legal with the bare guest: idle dirty",
        'start "$(reboot)" \x01': "unknown workload",
        "start dirty bytes=many": "illegal value for bytes",
        'start dirty "size=1': "unknown key; legal: bytes rate pattern",
        "start dirty pattern=zigzag": "illegal value for pattern",
        "start dirty rate=-1": "illegal value for rate",
        "start dirty bytes=4096 threads=2": "each thread needs a page",
        f"start dirty bytes={250 * MIB}": "does not fit: 251",
        f"start dirty bytes={5 << 30}": "does not fit: 251",
    }
    with running(binary, guest) as console:
        for line, words in refused.items():
            console.send(line)
            with pytest.raises(GuestError, match=words):
                console.wait("started", 20)
        console.send("start dirty bytes=8192 rate=1")
        console.wait("started", 20)
        console.send("start idle")
        with pytest.raises(GuestError, match="dirty was started before"):
            console.wait("started", 20)


def asked(console: Solo, word: str, answer: str, number: int) -> dict[str, Any]:
    console.send(f"{word} {number}")
    said = parse_line(console.wait(answer, 20))
    assert said is not None
    return said[1]


@pytest.mark.provisioned
def test_it_says_how_far_it_has_come_each_time_that_it_is_asked(binary: Binary, guest: Guest) -> None:
    with running(binary, guest) as console:
        before = asked(console, "alive", "alive", 3)
        assert (before["asked"], before["pages"]) == (3, 0)
        console.send(f"start dirty bytes={MIB} rate=40 poll=2")
        console.wait("started", 30)
        time.sleep(0.5)
        after = asked(console, "alive", "alive", 4)
        assert after["asked"] == 4
        assert after["clock_us"] > before["clock_us"]
        assert after["pages"] > 0


@pytest.mark.provisioned
@pytest.mark.shares
@pytest.mark.parametrize(
    ("pages", "words"),
    [(1024, "threads=3"), (1024, "threads=5 pattern=random seed=9"), (1024, "pattern=random threads=2"), (1, "")],
)
def test_its_memory_holds_what_its_counters_say_while_every_vcpu_writes(
    binary: Binary, guest: Guest, pages: int, words: str
) -> None:
    with running(binary, guest, "-smp", "3") as console:
        assert asked(console, "check", "checked", 1) == {"asked": 1, "pages": 0, "wrong": 0, "held": True}
        console.send(f"start dirty bytes={pages * 4096} rate=20 {words}")
        console.wait("started", 30)
        for number in range(2, 8):
            time.sleep(0.1)  # before, while and after the set is rewritten for the first time
            found = asked(console, "check", "checked", number)
            assert found == {"asked": number, "pages": pages, "wrong": 0, "held": True}


def remember(path: Path, address: int, value: bytes) -> None:
    """Write into a guest's memory from outside, over the protocol of gdb."""
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as replies:
        sock.connect(str(path))
        for packet in (f"M{address:x},{len(value):x}:{value.hex()}", "D"):
            sock.sendall(f"+${packet}#{sum(packet.encode()) % 256:02x}".encode())
            said = b""
            while not said.endswith(b"$OK#9a"):
                said += replies.read(1) or pytest.fail(f"gdb's stub said {said!r}")


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_page_that_another_hand_wrote_is_wrong(binary: Binary, guest: Guest, tmp_path: Path) -> None:
    path = tmp_path / "gdb.sock"
    stub = ("-chardev", f"socket,id=gdb0,path={path},server=on,wait=off", "-gdb", "chardev:gdb0")
    with running(binary, guest, *stub) as console:
        console.send(f"start dirty bytes={4 * MIB} rate=0.01")
        console.wait("started", 30)
        assert asked(console, "check", "checked", 1)["wrong"] == 0
        for page in (700, 900):
            remember(path, 16 * MIB + page * 4096, b"\xef\xbe\xad\xde")
        assert asked(console, "check", "checked", 2)["wrong"] == 2


@pytest.mark.provisioned
@pytest.mark.shares
def test_a_set_may_fill_the_ram_below_3_gib_and_no_more(binary: Binary, guest: Guest) -> None:
    with running(binary, guest, "-m", "4G") as console:
        console.send(f"start dirty bytes={3057 * MIB}")
        with pytest.raises(GuestError, match="or 3 GiB"):
            console.wait("started", 20)


@pytest.mark.provisioned
def test_kvm_runs_it_or_says_why_not(binary: Binary, guest: Guest) -> None:
    verdict = probe_kvm(binary, guest)
    if not verdict.ok:
        pytest.skip(f"KVM does not run the bare guest here: {verdict.reason}")
    with running(binary, guest, "-smp", "2", accel="kvm") as console:
        console.send(f"start dirty bytes={4 * MIB} rate=8 threads=2")
        console.wait("started", 30)
        assert rate_of(console) == pytest.approx(8, rel=0.2)
