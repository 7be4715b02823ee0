"""What a person is likely to mistype: refused on one line that says what is legal, with nothing made on disk."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from bench import __main__ as entry
from bench.config.load import load_grid
from bench.errors import ConfigError
from bench.format.hosts import HOSTS
from bench.system.exits import Exit, exit_of

SIZE = "is not a size; write 512M, 4G or a number of bytes, above 0"
DURATION = "is not a duration; write 0.5, 500ms, 20s or 2min"
RATE = "is not a bit rate; write 100mbit or 1gbit"
Main = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Main:
    """The real entry in an empty folder; returns the exit status and the lines on standard error."""
    (tmp_path / "here").mkdir()

    def call(*words: str) -> tuple[int, list[str]]:
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        status = entry.main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err + shown.out
        return status, shown.err.splitlines()

    return call


VALUES = [
    ("mem=0", f"mem=0: 0 {SIZE}"),
    ("mem=-1G", f"mem=-1G: '-1G' {SIZE}"),
    ("mem=", f"mem=: '' {SIZE}"),
    ("mem=4GB", f"mem=4GB: '4GB' {SIZE}"),
    ("mem=4g", f"mem=4g: '4g' {SIZE}"),
    ("mem=4 G", f"mem=4 G: '4 G' {SIZE}"),
    ("mem='4 GiB'", f"mem=4 GiB: '4 GiB' {SIZE}"),
    ("mem=16EiB", f"mem=16EiB: '16EiB' {SIZE}"),
    ("mem=1e3M", f"mem=1e3M: '1e3M' {SIZE}"),
    ("mem=1.5G", f"mem=1.5G: '1.5G' {SIZE}"),
    ("mem=1e9", f"mem=1000000000.0: 1000000000.0 {SIZE}"),
    ("mem=null", f"mem=null: None {SIZE}"),
    ("mem=true", f"mem=true: True {SIZE}"),
    ("mem=[4G]", f"mem: ['4G'] {SIZE}"),
    ("mem=4096", "mem=4096: 4096 bytes is not a whole number of MiB; write 512M or 4G"),
    ("mem=16M", "mem=16M: should be at least 32M"),
    ("mem=100000001", "mem=100000001: 100000001 bytes is not a whole number of MiB"),
    ("devices.disk_size=10", "devices.disk_size=10: 10 bytes is not a whole number of MiB"),
    ("smp=-2", "smp=-2: should be at least 1"),
    ("smp=two", "smp=two: should be a valid integer"),
    ("smp=256", "smp=256: should be at most 255"),
    ("smp=", "smp=: should be a valid integer"),
    ("checkpoint.count=-1", "checkpoint.count=-1: should be at least 1"),
    ("checkpoint.count=0", "checkpoint.count=0: should be at least 1"),
    ("checkpoint.count=many", "checkpoint.count=many: should be a valid integer"),
    ("checkpoint.warmup=-1", "checkpoint.warmup=-1: should be at least 0"),
    ("repeats=-3", "repeats=-3: should be at least 1"),
    ("repeats=1.5", "repeats=1.5: should be a valid integer"),
    ("seed=-1", "seed=-1: should be at least 0"),
    ("seed=abc", "seed=abc: should be a valid integer"),
    ("checkpoint.interval=fast", f"checkpoint.interval=fast: 'fast' {DURATION}"),
    ("checkpoint.interval=2days", f"checkpoint.interval=2days: '2days' {DURATION}"),
    ("checkpoint.interval=-1", f"checkpoint.interval=-1: -1 {DURATION}"),
    ("checkpoint.interval=nan", f"checkpoint.interval=nan: nan {DURATION}"),
    ("checkpoint.interval=100000", "checkpoint.interval=100000: should be at most 86400"),
    ("checkpoint.interval=1h", "checkpoint.interval is at most 3000 s on demand; use checkpoint=timer"),
    ("deadlines.boot=never", f"deadlines.boot=never: 'never' {DURATION}"),
    ("deadlines.boot=inf", f"deadlines.boot=inf: inf {DURATION}"),
    ("host=netns link.bandwidth=1GB", f"link.bandwidth=1GB: '1GB' {RATE}"),
    ("host=netns link.bandwidth=100m", f"link.bandwidth=100m: '100m' {RATE}"),
    ("host=netns link.bandwidth=0", f"link.bandwidth=0: 0 {RATE}"),
    ("host=netns link.delay=-1ms", f"link.delay=-1ms: '-1ms' {DURATION}"),
    ("host=netns link.loss_percent=100", "link.loss_percent=100: should be less than 100"),
    ("host=netns link.loss_percent=1%", "link.loss_percent=1%: should be a valid number"),
    ("host=netns link.loss_percent=nan", "link.loss_percent=nan: should be a finite number"),
    ("link.quickack=true", "bandwidth, delay, loss_percent and quickack shape the veth link: they need host=netns"),
    ("accel=hvf", "accel=hvf: should be 'auto', 'kvm' or 'tcg'"),
    ("accel=KVM", "accel=KVM: should be 'auto', 'kvm' or 'tcg'"),
    ("link.transport=rdma", "link.transport=rdma: should be 'tcp', 'unix' or 'nodelay'"),
    ("devices.nic=virtio", "devices.nic=virtio: should be 'rtl8139', 'e1000' or 'virtio-net-pci'"),
    ("watch=yes", "watch=yes: should be 'primary', 'secondary' or 'both'"),
    ("dry_run=maybe", "dry_run=maybe: should be a valid boolean"),
    ("on_error=retry", "on_error=retry: legal: continue, stop, retry:N (N from 1 to 999)"),
    ("on_error=retry:-1", "on_error=retry:-1: legal: continue, stop, retry:N (N from 1 to 999)"),
    ("on_error=retry:0", "on_error=retry:0: legal: continue, stop, retry:N (N from 1 to 999)"),
    ("on_error=ignore", "on_error=ignore: legal: continue, stop, retry:N (N from 1 to 999)"),
    (
        "workload.name=dirt",
        (
            "workload: unknown workload 'dirt'; legal: "
            "build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey"
        ),
    ),
    (
        "workload.name=[dirty]",
        "workload: unknown workload ['dirty']; legal: build, cpu, dirty, fio, http, idle, nginx, postgres, redis",
    ),
    ("workload=dirty workload.rate=fast", "workload.rate=fast: should be a valid number"),
    ("workload=dirty workload.rate=nan", "workload.rate=nan: should be a finite number"),
    ("workload=dirty workload.rate=-1", "workload.rate=-1: should be at least 0"),
    ("workload=dirty workload.threads=0", "workload.threads=0: should be at least 1"),
    ("workload=dirty workload.pattern=zipf", "workload.pattern=zipf: should be 'sequential' or 'random'"),
    ("workload=dirty workload.working_set=64MB", f"workload.working_set=64MB: '64MB' {SIZE}"),
    (
        "workload=dirty workload.working_set=2G",
        "the workload and the guest's own system need 2112M of RAM, mem is 1024M",
    ),
    ("workload=http workload.path=/etc/passwd", "workload.path=/etc/passwd: should be '/index.html' or '/64k'"),
    ("workload=http workload.connections=0", "workload.connections=0: should be at least 1"),
    ("workload=http guest=apps", "guest=apps has no http; it runs in guest=linux"),
    ("workload=valkey guest=bare", "guest=bare has no valkey; legal with it: workload=idle, dirty"),
    ("workload=valkey guest=apps workload.command=del", "workload.command=del: should be 'set' or 'get'"),
    ("workload=valkey guest=apps workload.keys=0", "workload.keys=0: should be at least 1"),
    ("workload=valkey guest=apps workload.value_size=2M", "workload.value_size=2M: should be at most 1048576"),
    (
        "workload=valkey guest=apps workload.persistence=sometimes",
        "workload.persistence=sometimes: should be 'off', 'everysec' or 'always'",
    ),
    (
        "workload=valkey guest=apps workload.client=program",
        "workload.client=program: should be own; or set workload.rate=0: the program asks again",
    ),
    ("workload=nginx guest=apps workload.client=ab", "workload.client=ab: should be 'own' or 'program'"),
    ("workload=build guest=apps workload.jobs=0", "workload.jobs=0: should be at least 1"),
    ("workload=build workload.jobs=1", "guest=linux has no build; it runs in guest=apps"),
    ("workload=nginx guest=apps workload.size=large", f"workload.size=large: 'large' {SIZE}"),
    ("workload=postgres guest=apps workload.scale=0", "workload.scale=0: should be at least 1"),
    (
        "workload=postgres guest=apps workload.script=tpcc",
        "workload.script=tpcc: should be 'tpcb-like', 'simple-update' or 'select-only'",
    ),
    ("workload=fio guest=apps workload.size=3G", "workload.size=3G: should be at most 1073741824"),
    ("workload=fio guest=apps workload.block=1000", "1000 bytes is not a whole number of sectors of 512; write 4K"),
    ("workload=cpu guest=apps workload.threads=0", "workload.threads=0: should be at least 1"),
    ("workload=stream guest=apps workload.working_set=1M", "workload.working_set=1M: should be at least 8M"),
    ("guest=apps devices.disk_size=1G", "guest=apps keeps a file system of 2G on its disk"),
    ("compare.timeout=0", "compare.timeout=0: should be at least 0.001"),
    ("compare.timeout=soon", f"compare.timeout=soon: 'soon' {DURATION}"),
    ("compare.max_queue_size=0", "compare.max_queue_size=0: should be at least 1"),
    ("compare.vnet_hdr=true", "compare.vnet_hdr goes with devices.nic=virtio-net-pci; this one is rtl8139"),
    ("guest=bare tcp_timestamps=false", "guest=bare sends nothing over TCP"),
    ("tcp_timestamps=never", "tcp_timestamps=never: should be a valid boolean"),
    ("campaign=", "campaign=: legal: "),
    ("campaign=../x", "campaign=../x: legal: "),
    ("campaign='my campaign'", "campaign=my campaign: legal: "),
    ("campaign=2026_11", "campaign=202611: a number is no name; legal: letters, digits, and . _ -"),
    ("campaign=.hidden", "campaign=.hidden: legal: "),
    ("repeats=1000000", "repeats=1000000: should be at most 10000"),
    ("replica=A1", "replica=A1: legal: "),
    ("results=", "results=: legal: the path of a folder, or null"),
    ("results=[a,b]", "results: legal: the path of a folder, or null"),
    ("qemu=", "qemu=: '' names no QEMU; legal: provisioned, a release as 10.0, system,"),
    ("qemu=true", "qemu=true: should be a valid string"),
    ("qemu=qemu-system-x86_64", "names no QEMU; legal: provisioned, a release as 10.0, system,"),
    ("cpu.model='host;reboot'", "cpu.model=host;reboot: legal: "),
    ("cpu.features=avx", "cpu.features=avx: should be a list: write ["),
    ("hypotheses=some", "hypotheses=some: should be a list: write ["),
    ("budget=0", "budget=0: should be greater than 0"),
    ("max_blocks=0", "max_blocks=0: should be at least 1"),
    (
        "hypotheses=[{id:H,claim:c,factor:mem,level:[1]}]",
        "unknown key hypotheses.0.level; did you mean levels? legal: ",
    ),
    ("hypotheses=[{id:H,claim:c,factor:memory}]", "hypothesis H: unknown factor memory; legal: "),
    ("hypotheses=[{id:H,claim:c,kind:value,low:0,high:inf}]", "hypotheses.0.high=inf: should be a finite number"),
]

LINES = [
    ("mem=1e9", "mem=1e9: 1e9 is not a size; write 512M, 4G or a number of bytes, above 0"),
    ("mem=1.50", "mem=1.50: 1.50 is not a size"),
    ("mem=1e9,2e9", "mem=1e9: 1e9 is not a size"),
    ("mem=TRUE", "mem=TRUE: TRUE is not a size"),
    ("mem=4_096", "mem=4_096: 4_096 bytes is not a whole number of MiB"),
    ("smp=2.50", "smp=2.50: should be a valid integer"),
    ("budget=0.0", "budget=0.0: should be greater than 0"),
    ("interval=500ms", "unknown key interval; did you mean checkpoint.interval? legal: "),
    ("bandwidth=1gbit", "unknown key bandwidth; did you mean client_link.bandwidth or link.bandwidth? legal: "),
    ("experiment=nan", "unknown choice experiment=nan; legal: accel, cache, card_sweep, demo"),
    ("experiment=null", "unknown choice experiment=null; legal: accel, cache, card_sweep, demo"),
    ("experiment=1", "unknown choice experiment=1; legal: "),
    ("link=true", "unknown choice link=true; legal: nodelay, tcp, unix"),
    ("workload=idle,1", "unknown choice workload=1; legal: build, cpu, dirty, fio, http, idle"),
    ("launcher=null", "unknown choice launcher=null; legal: local, slurm"),
    ("compare=3", "compare=3: it has keys of its own: write compare.NAME=VALUE"),
    ("client_link=null", "client_link=null: it has keys of its own: write client_link.NAME=VALUE"),
    ("failover=kill scenario=failover", "failover=kill: it has keys of its own: write failover.NAME=VALUE"),
    ("scenario=failover failover.victim=null", "failover.victim=null: should be 'primary' or 'secondary'"),
    ("guest=1", "guest=1: should be "),
    ("start=true", "start=true: should be 'booted' or 'restored'"),
    ("launcher=slurm launcher.nodes=4", "launcher.nodes=4: should be at most 3"),
    ("launcher=slurm launcher.time=24:00:00", f"launcher.time=24:00:00: '24:00:00' {DURATION}"),
    ("host=ssh host.inventory=1", "host.inventory=1: legal: the path of a file"),
    ("host=ssh host.inventory='~nobody-of-this-name/x'", "host.inventory=~nobody-of-this-name/x: "),
    ("memory=4G", "unknown key memory; did you mean mem? legal: "),
    ("ram=4G", "unknown key ram; "),
    ("vcpus=2", "unknown key vcpus; did you mean cpu? legal: "),
    ("Mem=4G", "unknown key Mem; did you mean mem? legal: "),
    (
        "checkpoint.counts=3",
        "unknown key checkpoint.counts; did you mean count? legal: count, interval, trigger, warmup",
    ),
    ("deadlines.total=9", "unknown key deadlines.total; legal: boot, checkpoint, colo"),
    ("workload.rate=3", "unknown key workload.rate; legal: name"),
    ("onerror=stop", "unknown key onerror; did you mean on_error? legal: "),
    ("mem=\N{FULLWIDTH DIGIT FOUR}G", "cannot read 'mem=\N{FULLWIDTH DIGIT FOUR}G'"),
    ("mem=\N{ARABIC-INDIC DIGIT FOUR}G", "cannot read 'mem="),
    ("smp=\N{FULLWIDTH DIGIT TWO}", "cannot read 'smp=\N{FULLWIDTH DIGIT TWO}'"),
    ("workload=dirt", "unknown choice workload=dirt; did you mean dirty? legal: build, cpu, dirty, fio, http, idle,"),
    (
        "workload=",
        "unknown choice workload=; legal: build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey",
    ),
    ("link=udp", "unknown choice link=udp; legal: nodelay, tcp, unix"),
    ("host=docker", f"unknown choice host=docker; legal: {', '.join(sorted(HOSTS))}"),
    ("cpu=skylake", "unknown choice cpu=skylake; legal: host, max, qemu64"),
    ("devices=nvme", "unknown choice devices=nvme; legal: e1000, rtl8139, virtio"),
    ("checkpoint=manual", "unknown choice checkpoint=manual; legal: demand, timer"),
    ("trace=all", "unknown choice trace=all; legal: devices, network, phases"),
    ("experiment=Demo", "unknown choice experiment=Demo; did you mean demo? legal: accel, cache, card_sweep, demo"),
    ("results=~nobody/x", "cannot read 'results=~nobody/x'"),
    ("mem='4G", 'cannot read "mem=\'4G"'),
    ("\N{EN DASH}m mem=64M", "cannot read '\N{EN DASH}m'"),
    ('mem="4G', "cannot read 'mem=\"4G'"),
    ("mem=[4G", "cannot read 'mem=[4G'"),
    ("mem={a:1", "cannot read 'mem={a:1'"),
    ("mem=(4G", "cannot read 'mem=(4G'"),
    ("mem=4G,,8G", "cannot read 'mem=4G,,8G'"),
    ("mem:4G", "cannot read 'mem:4G'"),
    ("mem", "cannot read 'mem'"),
    ("=4G", "the configuration cannot be composed: Could not override ''"),
    ("--mem=4G", "--mem=4G: write mem=4G, without dashes"),
    ("-smp=2", "-smp=2: write smp=2, without dashes"),
    ("mem=1G,1024M", "cells 1 and 2 of the sweep are the same one"),
    ("seed=1,2", "seed holds for the whole campaign and cannot be swept"),
    ("mem=4GB", f"mem=4GB: '4GB' {SIZE}"),
    ("mem=4G smp=0", "smp=0: should be at least 1"),
    ("workload=dirty link=unix workload.working_set=2G", "the workload and the guest's own system need"),
    ("workload=valkey", "guest=linux has no valkey; it runs in guest=apps"),
]


@pytest.fixture(scope="module")
def composed() -> Callable[[str], DictConfig]:
    """What the entry composes, by the groups that were chosen: composing is slow, and these tests are about values."""
    known: dict[str, DictConfig] = {}

    def compose(groups: str) -> DictConfig:
        if groups not in known:
            [known[groups]] = entry.compose(groups.split())
        return known[groups].copy()

    return compose


@pytest.mark.parametrize(("words", "said"), VALUES, ids=[words for words, _ in VALUES])
def test_an_illegal_value_is_refused_on_one_line_that_says_what_is_legal(
    composed: Callable[[str], DictConfig], words: str, said: str
) -> None:
    first = words.startswith(("guest=", "host=", "workload=")) and " " in words
    groups, _, last = words.rpartition(" ") if first else ("", "", words)
    override = OverridesParser.create().parse_override(last)
    config = composed(groups)
    OmegaConf.update(config, str(override.key_or_group), override.value())
    with pytest.raises(ConfigError) as refusal:
        load_grid([config])
    assert exit_of(refusal.value) == Exit.USAGE
    assert said in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(("words", "said"), LINES, ids=[words for words, _ in LINES])
def test_a_mistake_is_refused_on_one_line_that_says_what_is_legal(
    main: Main, tmp_path: Path, words: str, said: str
) -> None:
    together = " " not in words or words.startswith("mem='")
    status, lines = main(*([words] if together else words.split()))
    assert status == Exit.USAGE
    assert lines[0].startswith("colo-bench: ")
    assert said in lines[0]
    assert len(lines) <= 2
    assert all(line.startswith("  fix: ") for line in lines[1:])
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("qemu=./absent/qemu results=r campaign=x mem=64M", "/here/absent/qemu does not exist"),
        ("qemu=/usr results=r campaign=x mem=64M", "/usr is a folder; name the executable in it"),
        ("results=r/s/t qemu=absent/qemu mem=64M", "/here/absent/qemu does not exist"),
        ("results=/dev/null/x mem=64M", "results: /dev/null could not be written: Not a directory"),
        ("results=/proc/nowhere mem=64M", "results: /proc could not be written: No such file or directory"),
        (f"results={'a' * 300} mem=64M", "File name too long"),
        ("mem=900T results=r", "does not fit: it needs"),
    ],
)
def test_what_this_machine_cannot_do_is_refused_on_one_line_with_nothing_made(
    main: Main, tmp_path: Path, words: str, said: str
) -> None:
    status, lines = main(*words.split())
    assert status == Exit.HOST
    assert lines[0].startswith("colo-bench: ")
    assert said in lines[0]
    assert all(line.startswith("  fix: ") for line in lines[1:])
    assert list((tmp_path / "here").iterdir()) == []
