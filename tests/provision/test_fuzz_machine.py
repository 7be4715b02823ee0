"""What programs, the kernel and our own cache say: read as far as it makes sense, and never guessed at."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from fuzzing import NASTY, QUICK, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ProvisionError
from bench.failures.words import distinct
from bench.host.snapshot import drift, take_snapshot
from bench.measure.transfer import Sample, bytes_sent, parse_ss
from bench.provision.kvm import parse_answer
from bench.provision.modules import decompress, depends
from bench.provision.packages import Tree

SS = (
    b"0 0 127.0.0.1:41022 127.0.0.1:9998 \n\t cubic wscale:7,7 rto:204 bytes_sent:123456 bytes_retrans:16 segs_out:9\n"
    b"0 0 [::1]:41024 [::1]:9998 \n\t cubic bytes_sent:1000\n"
)


@QUICK
@given(st.one_of(damaged(SS), st.binary(max_size=60)), st.sampled_from([9998, 41022, 0]))
def test_the_byte_counter_is_a_number_or_none(content: bytes, port: int) -> None:
    with trial("ss output") as one:
        sent = one.attempt(parse_ss, content.decode(errors="replace"), port)
        assert sent is None or isinstance(sent, int)


SAMPLES = st.builds(Sample, st.floats(0, 100), st.floats(0, 100), st.integers(0, 1 << 64))


@QUICK
@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), max_size=5), st.lists(SAMPLES, max_size=6))
def test_bytes_of_a_checkpoint_are_never_negative(spans: list[tuple[int, int]], samples: list[Sample]) -> None:
    with trial("byte counter samples") as one:
        found = bytes_sent(spans, samples)
        one.accepted = any(each is not None for each in found)
        assert len(found) == len(spans)
        assert all(each is None or each >= 0 for each in found)


PROC = {
    "proc/cpuinfo": b"processor\t: 0\nmodel name\t: A CPU\ncpu MHz\t\t: 2600.000\nflags\t\t: fpu hypervisor\n",
    "proc/stat": b"cpu  100 2 30 4000 5 0 1 2 0 0\ncpu0 100 2 30 4000 5 0 1 2 0 0\n",
    "proc/loadavg": b"0.50 0.40 0.30 2/300 4242\n",
    "proc/meminfo": b"MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\nSwapTotal: 10 kB\nSwapFree: 9 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": b"performance\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": b"2600000\n",
    "sys/kernel/mm/transparent_hugepage/enabled": b"always [madvise] never\n",
    "sys/class/thermal/thermal_zone0/temp": b"45000\n",
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    roots = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("damaged")
    for root in roots:
        for name, content in PROC.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return roots


@given(st.sampled_from(sorted(PROC)), st.data())
def test_a_strange_proc_file_becomes_none_not_an_error(
    roots: tuple[Path, Path], name: str, data: st.DataObject
) -> None:
    whole, root = roots
    absent = root / "absent"
    (root / name).write_bytes(data.draw(st.one_of(damaged(PROC[name]), NASTY)))
    try:
        with trial("/proc and /sys") as one:
            found = take_snapshot(root, now=1.0)
            one.accepted = found != take_snapshot(absent, now=1.0)
            json.dumps(found.to_json(), allow_nan=False)
            assert all(isinstance(line, str) for line in drift(take_snapshot(whole, now=0.0), found, 1.0))
            assert all(isinstance(line, str) for line in drift(found, take_snapshot(whole, now=2.0)))
    finally:
        (root / name).write_bytes(PROC[name])


@QUICK
@given(st.one_of(damaged(b"2026-11-23T06:35:01.086819Z qemu: warning: a\nqemu: warning: a\n"), st.binary(max_size=40)))
def test_warnings_are_each_told_once_and_on_one_line(content: bytes) -> None:
    with trial("QEMU's stderr") as one:
        found = distinct(content.decode(errors="replace").splitlines())
        one.accepted = bool(found)
        assert len(set(found)) == len(found)
        assert all(line.strip() and "\n" not in line for line in found)


@QUICK
@given(
    st.one_of(
        damaged(json.dumps({"ok": True, "reason": "it booted", "until": None}).encode()),
        st.dictionaries(st.sampled_from(["ok", "reason", "until"]), json_values(3)).map(
            lambda one: json.dumps(one).encode()
        ),
        NASTY,
    )
)
def test_a_remembered_answer_is_yes_or_no_in_so_many_words_or_forgotten(content: bytes) -> None:
    with trial("probe's remembered answer") as one:
        answer = one.attempt(parse_answer, content)
        if answer is not None:
            tree = json.loads(content)
            assert (answer[0].ok, answer[0].reason) == (tree["ok"], tree["reason"])
            assert type(answer[0].ok) is bool


MODULE = b"\x7fELF" + bytes(range(256)) * 4 + b"\0license=GPL\0depends=mii,libata-core\0name=8139cp\0"


@given(st.sampled_from([gzip.compress(MODULE, mtime=0), lzma.compress(MODULE), MODULE]), st.data())
def test_a_damaged_module_is_refused_or_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, packed: bytes, data: st.DataObject
) -> None:
    content = data.draw(damaged(packed))
    tree = Tree(tmp_path_factory.getbasetemp() / "absent", ())
    with trial("kernel module") as one:
        found = one.attempt(decompress, content, tree)
        if found is not None:
            assert all(name.isascii() and "/" not in name for name in one.attempt(depends, found) or ())


@pytest.mark.parametrize("content", [gzip.compress(MODULE)[:-9] + b"\0" * 9, b"\x1f\x8b\x08\0" + b"\xff" * 40])
def test_a_module_whose_compressed_data_is_damaged_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ProvisionError, match="damaged"):
        decompress(content, Tree(tmp_path, ()))


@pytest.mark.parametrize("names", [b"\xff\xfe", "mü".encode(), b"../../etc/passwd"])
def test_a_module_that_names_what_no_module_is_called_is_refused(names: bytes) -> None:
    with pytest.raises(ProvisionError, match="damaged"):
        depends(b"\0depends=" + names + b"\0")


@pytest.mark.parametrize(
    "tree", [{"ok": "no", "reason": "x"}, {"ok": 1, "reason": "x"}, {"ok": True}, [], {"ok": True, "reason": 1}]
)
def test_an_answer_of_the_wrong_kind_is_forgotten(tree: Any) -> None:
    assert parse_answer(json.dumps(tree).encode()) is None
