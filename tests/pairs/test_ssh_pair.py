"""Real pairs on other hosts: over OpenSSH to two stand-in hosts of this machine, and over no transport at all."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fake_hosts import gone_within
from fixtures.pairs import DEADLINE_S, PHASES, TRIES, checkpoints, command, records, undisturbed

from bench.config.hosts import Host
from bench.config.links import Link
from bench.host.snapshot import take_snapshot
from bench.host.topology import open_topology
from bench.provision.qemu import PROVISIONED, installed_qemu
from tools.lab.clock import ShiftedClock, no_shifted_clock, shifted_clock
from tools.lab.hosts import Lab, agents_of, inventory_of, lab, marked_below, no_lab, ssh_of

pytestmark = pytest.mark.pair

shares = pytest.mark.shares
needs_hosts = pytest.mark.skipif(bool(no_lab()), reason=no_lab() or "there are stand-in hosts")
BARE = (
    *("guest=bare", "mem=128M", "smp=1", "accel=tcg", "workload=idle", "checkpoint.interval=0.15"),
    *("checkpoint.count=6", "checkpoint.warmup=2", "hypotheses=none", "host=ssh"),
)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if no_lab():
        pytest.skip(no_lab())
    with lab(tmp_path_factory.mktemp("hosts"), ("primary", "secondary", "client")) as stand_ins:
        yield stand_ins


def inventory(folder: Path, sides: dict[str, dict[str, Any]]) -> str:
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump(sides))
    return f"host.inventory={path}"


def over_ssh(hosts: Lab, folder: Path, **more: dict[str, Any]) -> str:
    """Return the word of an inventory of the stand-in hosts; this user's own ssh configuration is left alone."""
    ssh_of(hosts, folder)
    return inventory(folder, {side: one for side, one in inventory_of(hosts, **more).items() if side != "client"})


def here(folder: Path, **more: dict[str, Any]) -> str:
    """Return the word of an inventory whose hosts are this machine, without any transport."""
    side = {"transport": ["env"], "address": "127.0.0.1", "python": sys.executable}
    sides = {name: {**side, "workdir": str(folder / name), **more.get(name, {})} for name in ("primary", "secondary")}
    return inventory(folder, sides)


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def measured(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder / "results", *BARE, *words),
        cwd="/",
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


LATE = "not as asked for"
"""What is said of checkpoints that begin late, as on any busy machine; nothing else may be wrong with a record."""


def whole(folder: Path, name: str, *words: str) -> Path:
    """Measure, and return a campaign whose runs nothing has disturbed."""

    def one(_: Path, *all_words: str) -> None:
        done = measured(folder, *all_words)
        assert done.returncode == 0, done.stdout + done.stderr

    return undisturbed(folder / "results", name, *words, measure=one, but=LATE)


def check_record(campaign: Path, reached: str, **off_s: float) -> dict[str, Any]:
    (record,) = records(campaign)
    table = checkpoints(campaign, record)
    assert (table[list(PHASES)].sum(axis=1) - table["pause_s"]).abs().max() < 1e-9
    assert set(table["trigger"]) == {"demand"}
    assert (~table["warmup"]).sum() == 6
    assert record["cell"]["host"] == {"kind": "ssh"}
    assert set(record["hosts"]) == {"primary", "secondary"}
    for side, host in record["hosts"].items():
        assert reached in host["reached"]
        assert host["before"]["cpus"] == take_snapshot().cpus  # one machine
        offset_s, unsure_s = record["clocks"][side]
        assert abs(offset_s - off_s.get(side, 0.0)) <= unsure_s + 0.001  # one machine, one clock
    home = campaign / "runs" / record["run_id"]
    for side in ("primary", "secondary"):
        assert (home / side / "trace.log").stat().st_size > 0
        assert {"stderr.log", "serial.log", "argv.json"} <= {path.name for path in (home / side).iterdir()}
        assert not list((home / side).glob("*.qcow2"))
    return record


def test_a_pair_without_any_transport_is_measured_as_any_other(tmp_path: Path) -> None:
    check_record(whole(tmp_path, "plain", here(tmp_path)), "env")
    for side in ("primary", "secondary"):
        assert gone_within(1, tmp_path / side)


def with_clock(folder: Path, side: str, clock: ShiftedClock) -> dict[str, Any]:
    """Return what has a side's agent and QEMU see another clock than this machine's: a library before each of them."""
    binary = installed_qemu(PROVISIONED)
    assert binary
    programs = folder / f"{side}-programs"
    programs.mkdir()
    python = (sys.executable,)
    for name, argv in (("python", python), ("qemu-system-x86_64", binary.argv), ("qemu-img", binary.img_argv)):
        environ = (*(() if argv is python else binary.env), *clock.environ.items())
        words = ("env", *(f"{key}={value}" for key, value in environ), *argv)
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (programs / name).chmod(0o755)
    return {"python": str(programs / "python"), "qemu": str(programs / "qemu-system-x86_64")}


def clocks_off(folder: Path, **by_s: float) -> dict[str, ShiftedClock]:
    """Return a clock for each side that is off by so much."""
    clocks = {}
    for side, seconds in by_s.items():
        (folder / f"{side}-clock").mkdir()
        clocks[side] = shifted_clock(folder / f"{side}-clock")
        clocks[side].shift(seconds)
    return clocks


@contextmanager
def going_faster(clock: ShiftedClock, from_s: float, rate: float) -> Iterator[None]:
    """Have a clock gain so much of the time that passes, in steps that nobody can tell from a slew."""
    over, began = threading.Event(), time.monotonic()

    def go() -> None:
        while not over.wait(0.005):
            clock.shift(from_s + rate * (time.monotonic() - began))

    gaining = threading.Thread(target=go)
    gaining.start()
    try:
        yield
    finally:
        over.set()
        gaining.join()


@pytest.mark.skipif(bool(no_shifted_clock()), reason=no_shifted_clock() or "there is a compiler")
@pytest.mark.parametrize(
    ("primary_s", "secondary_s", "rate"), [(0.05, 0.0, 0.0), (0.0, 5.0, 0.0), (-5.0, 0.05, 0.0), (0.05, 5.0, 0.0002)]
)
def test_hosts_whose_clocks_are_apart_give_the_same_labels_and_phases_that_add_up(
    tmp_path: Path, primary_s: float, secondary_s: float, rate: float
) -> None:
    off_s = {"primary": primary_s, "secondary": secondary_s}
    clocks = clocks_off(tmp_path, **off_s)
    sides = here(tmp_path, **{side: with_clock(tmp_path, side, clock) for side, clock in clocks.items()})
    with going_faster(clocks["secondary"], secondary_s, rate):
        campaign = whole(tmp_path, "apart", sides)
    gained_s = rate * 60 * TRIES
    record = check_record(campaign, "env", **off_s) if not rate else None
    if record is None:  # how far it had come when it was asked is nobody's to say
        (record,) = records(campaign)
        assert off_s["secondary"] < record["clocks"]["secondary"][0] < off_s["secondary"] + gained_s
    table = checkpoints(campaign, record)
    assert set(table["trigger"]) == {"demand"}
    assert (table[list(PHASES)].sum(axis=1) - table["pause_s"]).abs().max() < 1e-9


@needs_hosts
def test_a_client_on_a_third_host_asks_the_guest_from_there(hosts: Lab, tmp_path: Path) -> None:
    ssh_of(hosts, tmp_path)
    words = (
        *("mem=256M", "smp=1", "accel=tcg", "checkpoint.interval=0.3", "checkpoint.count=6", "checkpoint.warmup=2"),
        *("workload=http", "workload.rate=20", "link=nodelay", "host=ssh", "hypotheses=none", "campaign=third"),
    )
    done = subprocess.run(
        command(tmp_path / "results", *words, inventory(tmp_path, inventory_of(hosts))),
        cwd="/",
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = records(tmp_path / "results/third")
    assert {one["node"] for one in record["hosts"].values()} == {f"cbt-{side}" for side in hosts.sides}
    asked = pd.read_parquet(tmp_path / f"results/third/runs/{record['run_id']}/client.parquet")
    assert asked["error"].isna().sum() > 10
    assert set(asked["error"].dropna()) <= {"unanswered when the run ended"}  # how many is a busy host's
    assert "client" in record["clocks"]
    home = tmp_path / f"results/third/runs/{record['run_id']}"
    argv = " ".join(json.loads((home / "primary/argv.json").read_text())["argv"])
    assert f"hostfwd=tcp:{hosts.address('primary')}:" in argv  # and not the loopback, which is another host's
    assert (home / "client.parquet").is_file()
    for side in hosts.sides:
        assert gone_within(5, hosts.work(side))


@needs_hosts
def test_a_pair_over_ssh_is_measured_as_any_other_and_nothing_is_left(hosts: Lab, tmp_path: Path) -> None:
    campaign = whole(tmp_path, "ssh", over_ssh(hosts, tmp_path))
    record = check_record(campaign, "cbt-")
    assert {one["node"] for one in record["hosts"].values()} == {"cbt-primary", "cbt-secondary"}
    argv = json.loads((campaign / f"runs/{record['run_id']}/secondary/argv.json").read_text())
    assert any("203.0.113.11" in word for word in argv["argv"])
    assert str(hosts.work("secondary")) in argv["qemu"]
    for side in ("primary", "secondary"):
        assert gone_within(5, hosts.work(side))
    again = measured(tmp_path, over_ssh(hosts, tmp_path), f"campaign={campaign.name}")
    assert again.returncode == 0
    assert len(records(campaign)) == 1


@needs_hosts
@pytest.mark.skipif(bool(no_shifted_clock()), reason=no_shifted_clock() or "there is a compiler")
def test_a_pair_over_ssh_one_of_whose_hosts_is_5_s_off_is_measured_as_any_other(hosts: Lab, tmp_path: Path) -> None:
    off_s = {"primary": 0.0, "secondary": 5.0}
    clocks = clocks_off(tmp_path, **off_s)
    sides = {side: with_clock(tmp_path, side, clock) for side, clock in clocks.items()}
    check_record(whole(tmp_path, "off", over_ssh(hosts, tmp_path, **sides)), "cbt-", **off_s)


@needs_hosts
def test_a_link_between_hosts_is_shaped_where_its_interfaces_are_named_and_is_put_back(
    hosts: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_of(hosts, tmp_path)
    monkeypatch.setenv("PATH", environment(tmp_path)["PATH"])
    sides = {side: inventory_of(hosts)[side] | {"interface": "da0"} for side in ("primary", "secondary")}

    def queues() -> list[str]:
        enter = (("nsenter", "-t", str(hosts.pids[side]), "-n", "--") for side in sides)
        return [subprocess.check_output((*one, "tc", "qdisc", "show", "dev", "da0"), text=True) for one in enter]

    async def shaped() -> list[str]:
        async with open_topology(Host.model_validate({"kind": "ssh", **sides}), Link(bandwidth="100mbit"), tmp_path):
            return queues()

    before = queues()
    assert ["rate 100Mbit" in one for one in asyncio.run(shaped())] == [True, True]
    assert queues() == before


@shares
@needs_hosts
def test_the_doctor_looks_at_both_hosts_and_between(hosts: Lab, tmp_path: Path) -> None:
    words = ("host=ssh", over_ssh(hosts, tmp_path), "mem=128M", "smp=1", "guest=bare")
    done = subprocess.run(
        [sys.executable, "-m", "bench.doctor", "--quick", "--json", *words],
        cwd="/",
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for side in ("primary", "secondary"):
        assert "Python" in found[f"{side} host"]["text"]
        assert found[f"{side} memory"]["status"] == "ok"
        assert re.match(r"[+-]0\.0", found[f"{side} clock"]["text"])
    for way in ("primary to secondary", "secondary to primary"):
        assert found[way]["status"] in {"ok", "warn"}, found[way]
        assert "Gbit/s" in found[way]["text"]
    assert "primary 1500, secondary 1500" in found["MTU"]["text"]


def measuring(folder: Path, *words: str) -> subprocess.Popen[str]:
    words = ("on_error=continue", "checkpoint.count=400", "campaign=cut", *words)
    argv = [
        word for word in command(folder / "results", *BARE) if not word.startswith(("on_error", "checkpoint.count"))
    ]
    return subprocess.Popen(
        [*argv, *words],
        cwd="/",
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_checkpoints(folder: Path, process: subprocess.Popen[str], word: str = "RESUME", count: int = 30) -> Path:
    """Wait until QMP has said a word so often in a run under way, and return its folder."""
    give_up = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up and process.poll() is None:
        for log in (folder / "results/cut/runs").glob("*/qmp.jsonl"):
            if log.read_text().count(f'"{word}"') > count:
                return log.parent
        time.sleep(0.1)
    raise AssertionError(f"no run came to its checkpoints: {process.communicate(timeout=10)[0]}")


def last_failure(folder: Path) -> dict[str, Any]:
    lines = (folder / "results/cut/ledger.jsonl").read_text().splitlines()
    return next(one for one in map(json.loads, reversed(lines)) if one["state"] == "failed")


def struck(
    hosts: Lab,
    folder: Path,
    blow: Callable[[], object],
    mend: Callable[[], object],
    word: str = "RESUME",
    count: int = 30,
) -> dict[str, Any]:
    """Return the failure that a blow to a run under way ends in; what was struck is mended, whatever comes."""
    process = measuring(folder, over_ssh(hosts, folder))
    try:
        wait_for_checkpoints(folder, process, word, count)
        blow()
        said, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        mend()
    assert process.returncode == 1, said
    return last_failure(folder)


@shares
@needs_hosts
def test_a_cut_connection_is_named_its_traces_are_here_and_nothing_is_left_there(hosts: Lab, tmp_path: Path) -> None:
    failure = struck(hosts, tmp_path, partial(hosts.cut, "primary"), partial(hosts.join, "primary"))
    assert failure["cause"] == "connection-cut", failure
    assert failure["hint"]
    for side in ("primary", "secondary"):
        assert gone_within(20, hosts.work(side)), marked_below(hosts.work(side))
    (kept,) = (tmp_path / "results/cut/failed").iterdir()
    trace = (kept / "primary/trace.log").read_text()
    assert trace.count("Receive 'vmstate-loaded' message") >= 5


@shares
@needs_hosts
def test_a_connection_that_is_cut_before_there_is_a_checkpoint_is_named_too(hosts: Lab, tmp_path: Path) -> None:
    cut, join = partial(hosts.cut, "secondary"), partial(hosts.join, "secondary")
    assert struck(hosts, tmp_path, cut, join, "qmp_capabilities", 1)["cause"] == "connection-cut"
    for side in ("primary", "secondary"):
        assert gone_within(20, hosts.work(side)), marked_below(hosts.work(side))


@shares
@needs_hosts
def test_a_host_that_dies_is_named_and_the_same_command_goes_on_when_it_is_back(hosts: Lab, tmp_path: Path) -> None:
    failure = struck(hosts, tmp_path, partial(hosts.kill, "secondary"), partial(hosts.restart, "secondary"))
    assert failure["cause"] in {"connection-cut", "colo-exit"}, failure
    again = measured(tmp_path, over_ssh(hosts, tmp_path), "campaign=after")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "removed on the secondary's host what a killed agent had left" in again.stdout
    for side in ("primary", "secondary"):
        assert gone_within(20, hosts.work(side))


@shares
@needs_hosts
def test_a_full_disk_there_is_named(hosts: Lab, tmp_path: Path) -> None:
    with hosts.small_disk("secondary", "8M"):
        done = measured(tmp_path, over_ssh(hosts, tmp_path), "campaign=full")
    assert done.returncode in {1, 3}, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "host.primary.workdir=DIR" in done.stderr


@shares
@needs_hosts
def test_another_build_there_is_named(hosts: Lab, tmp_path: Path) -> None:
    other = tmp_path / "qemu-system-x86_64"
    other.write_text("#!/bin/sh\necho 'QEMU emulator version 9.9.9 (Debian 1:9.9.9)'\n")
    other.chmod(0o755)
    done = measured(tmp_path, over_ssh(hosts, tmp_path, secondary={"qemu": str(other)}), "campaign=apart")
    assert done.returncode in {1, 3}, done.stdout + done.stderr
    assert "the secondary's 9.9.9" in done.stderr
    assert "so that ours is shipped" in done.stderr


@shares
@needs_hosts
def test_a_killed_agent_is_named_and_nothing_is_left(hosts: Lab, tmp_path: Path) -> None:
    def kill() -> None:
        (agent,) = agents_of(hosts.work("secondary"))
        os.kill(agent, signal.SIGKILL)

    assert struck(hosts, tmp_path, kill, lambda: None)["cause"] == "agent-killed"
    assert not marked_below(hosts.work("secondary"))
    assert gone_within(20, hosts.work("primary"))


@shares
@needs_hosts
def test_a_killed_harness_leaves_nothing_on_either_host(hosts: Lab, tmp_path: Path) -> None:
    process = measuring(tmp_path, over_ssh(hosts, tmp_path))
    try:
        wait_for_checkpoints(tmp_path, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)
    finally:
        process.kill()
    for side in ("primary", "secondary"):
        assert gone_within(20, hosts.work(side))


@shares
@needs_hosts
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"ssh": "root@198.51.100.99:2299"}, "ssh-unreachable"),
        ({"ssh": "cbt-stranger"}, "ssh-refused"),
        ({"ssh": "cbt-changed"}, "ssh-host-key"),
        ({"python": "/proc/none/python3"}, "far-python"),
        ({"address": "203.0.113.99"}, "far-address"),
        ({"workdir": "/proc/none"}, "far-workdir"),
        ({"qemu": "/bin/true"}, "far-qemu"),
    ],
)
def test_what_is_wrong_with_a_host_is_told_before_anything_is_started(
    hosts: Lab, tmp_path: Path, change: dict[str, Any], cause: str
) -> None:
    from bench.failures.catalogue import CATALOGUE

    done = measured(tmp_path, over_ssh(hosts, tmp_path, secondary=change), "campaign=wrong")
    assert done.returncode in {1, 3}, done.stdout + done.stderr
    assert "secondary" in done.stderr + done.stdout
    assert CATALOGUE[cause].fix in done.stderr + done.stdout
    assert not list((tmp_path / "results").glob("wrong/runs/*/run.json"))
