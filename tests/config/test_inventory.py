"""The hosts of an inventory: from a file and from keys, how they are reached, what a run's identity says of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import make_cell
from pydantic import ValidationError

from bench.config.factors import factor_levels, identity
from bench.config.hosts import FarHost, Host
from bench.config.inventory import with_inventory
from bench.config.load import load_grid
from bench.config.model import Cell
from bench.config.sweep import compose
from bench.errors import ConfigError, HostError
from bench.host.links import CLIENT, PRIMARY, SECONDARY, Link, addresses_on
from bench.host.reach import reach_of
from bench.host.topology import Node
from bench.plan.estimate import require_side
from bench.provision.qemu import Binary
from bench.run.far_checks import (
    accelerated,
    check_clock,
    check_disk,
    check_kvm_device,
    check_memory,
    check_mtu,
    check_speed,
)
from bench.vm.placed import binary_on, require_equal, with_binary
from bench.vm.spec import planned_spec

ALPHA = {"ssh": "alpha", "address": "10.0.0.1"}
BETA = {"ssh": "me@beta:2222", "address": "10.0.0.2"}
FAR = {"kind": "ssh", "primary": ALPHA, "secondary": BETA}


def filled(**given: Any) -> Any:
    return with_inventory({"kind": "ssh", "inventory": None, **given})


def test_a_file_names_the_hosts_and_a_key_that_is_given_wins(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yaml"
    file.write_text("primary: {ssh: alpha, address: 10.0.0.1}\nsecondary: {ssh: beta, address: 10.0.0.2}\n")
    tree = filled(inventory=str(file), secondary={"ssh": None, "address": "10.9.9.9"})
    assert tree["primary"] == ALPHA
    assert tree["secondary"] == {"ssh": "beta", "address": "10.9.9.9"}
    assert tree["client"] is None
    assert Host.model_validate(tree).secondary == FarHost(ssh="beta", address="10.9.9.9")


def test_keys_alone_are_an_inventory_too() -> None:
    host = Host.model_validate(filled(primary=ALPHA, secondary=BETA | {"qemu": None}))
    assert (host.primary, host.secondary) == (FarHost(**ALPHA), FarHost(**BETA))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("primary: {ssh: a, address: 10.0.0.1}\n", "no secondary"),
        ("primaries: {}\n", "knows no primaries"),
        ("- alpha\n", "is no table of hosts"),
        ("primary: {ssh: [\n", r"hosts\.yaml:2: "),
        ("primary:\n\tssh: a\n", r"hosts\.yaml:2: found character '\\t' that cannot start any token"),
        ("primary: {ssh: a}\nprimary: {ssh: b}\n", r"hosts\.yaml:2: found duplicate key primary"),
        ("secondary: {}\nprimary: {on: a}\n", r"hosts\.yaml:2: the key on is read as true or false"),
        ("primary: &a {ssh: *a}\n", "an alias stands inside of what it is an alias of"),
        (f"primary: {3000 * '['}\n", "it is nested too deeply"),
        ("primary: {ssh: a\0}\n", "unacceptable character #x0000"),
        (f"primary: {'x' * (1 << 20)}\n", "it is larger than 1 MiB"),
        ("primary: {}\nthird: {}\n", r"hosts\.yaml:2 knows no third"),
        ("primary: alpha\n", "is no table of hosts"),
    ],
)
def test_a_file_that_is_no_inventory_is_refused_with_what_it_lacks(
    tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "hosts.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        filled(inventory=str(file))
    assert caught.value.cause == "inventory-missing"
    assert "primary: {ssh: ALIAS" in caught.value.hint


def test_without_any_host_both_are_named() -> None:
    with pytest.raises(ConfigError, match="no primary and no secondary"):
        filled()


def test_other_kinds_are_left_as_they_are() -> None:
    assert with_inventory({"kind": "netns"}) == {"kind": "netns"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "10.0.0.1"},
        {"ssh": "a", "transport": ["env"], "address": "10.0.0.1"},
        {"ssh": "-oProxyCommand=x", "address": "10.0.0.1"},
        {"ssh": "a b", "address": "10.0.0.1"},
        {"ssh": "a", "address": "alpha"},
        {"ssh": "a", "address": "10.0.0.1", "python": "python3"},
        {"ssh": "a", "address": "10.0.0.1", "workdir": "here"},
        {"ssh": "a"},
    ],
)
def test_a_host_that_cannot_be_reached_one_way_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FarHost.model_validate(wrong)


def test_hosts_are_those_of_ssh_alone() -> None:
    with pytest.raises(ValidationError, match="those of host=ssh"):
        Host.model_validate({"kind": "netns", "primary": ALPHA})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"link": {"transport": "unix"}}, "does not reach another host"),
        ({"link": {"bandwidth": "1gbit"}}, "they need host=netns"),
        ({"tune": {"thp": "never"}}, "change this machine"),
    ],
)
def test_what_does_not_cross_machines_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make_cell(host=FAR, **change)


def test_a_link_between_real_hosts_is_shaped_where_an_interface_of_each_side_is_named() -> None:
    named = {"primary": ALPHA | {"interface": "eth1"}, "secondary": BETA | {"interface": "eth2"}}
    cell = make_cell(host=FAR | named, link={"bandwidth": "1gbit"})
    assert identity(cell) == identity(make_cell(host={"kind": "ssh"}, link={"bandwidth": "1gbit"}))
    assert Cell.model_validate(cell.model_dump(mode="json")).link == cell.link  # a record names no hosts
    with pytest.raises(ValidationError, match=r"host\.secondary\.interface say what to shape"):
        make_cell(host=FAR | {"primary": named["primary"]}, link={"delay": "1ms"})
    with pytest.raises(ValidationError, match=r"link\.quickack is a route of the veth link"):
        make_cell(host=FAR | named, link={"quickack": True})
    with pytest.raises(ValidationError, match="name those of the sides"):
        Host.model_validate(FAR | {"client": named["primary"]})
    with pytest.raises(ValidationError, match="a network interface"):
        FarHost.model_validate(ALPHA | {"interface": "-eth1"})


def test_which_hosts_they_are_is_no_part_of_what_is_measured() -> None:
    cell, other = make_cell(host=FAR), make_cell(host=FAR | {"primary": ALPHA | {"ssh": "gamma"}})
    assert identity(cell)["host"] == {"kind": "ssh"}
    assert identity(cell) == identity(other)
    assert factor_levels(cell)["host.kind"] == "ssh"
    assert identity(make_cell())["host"] == {"kind": "local"}
    assert Cell.model_validate(cell.model_dump(mode="json")).host == Host(kind="ssh")


@pytest.mark.parametrize(
    ("ssh", "expected"),
    [
        ("alpha", ("alpha", None)),
        ("me@alpha", ("me@alpha", None)),
        ("me@alpha:2222", ("me@alpha", 2222)),
        ("[fd00::1]:2222", ("fd00::1", 2222)),
        ("fd00::1", ("fd00::1", None)),
    ],
)
def test_a_destination_is_what_ssh_takes(ssh: str, expected: tuple[str, int | None]) -> None:
    assert FarHost(ssh=ssh, address="10.0.0.1").destination == expected


def test_ssh_is_asked_nothing_and_notices_a_cut_link() -> None:
    reach = reach_of(FarHost(**BETA))
    command = reach.command(("/usr/bin/python3", "-c", "print('a b')"))
    assert command[0] == "ssh"
    for option in ("BatchMode=yes", "ServerAliveInterval=1", "ServerAliveCountMax=3", "ControlPath=none"):
        assert option in command
    assert command[-5:-1] == ("-p", "2222", "--", "me@beta")
    assert command[-1] == """/usr/bin/python3 -c 'print('"'"'a b'"'"')'"""
    assert reach.shown(("id",))[:2] == ("ssh", "-p")


def test_another_transport_gets_words() -> None:
    reach = reach_of(FarHost(transport=("srun", "-w", "n1"), address="10.0.0.1"))
    assert reach.command(("python", "-c", "a b")) == ("srun", "-w", "n1", "python", "-c", "a b")
    assert reach.title == "srun -w n1"


def test_the_data_addresses_are_where_sides_meet_and_the_loopback_stays_the_primary_s() -> None:
    known = addresses_on(make_cell(host=FAR).host)
    assert known[PRIMARY][Link.MIGRATION] == known[PRIMARY][Link.COMPARE] == "10.0.0.1"
    assert known[SECONDARY][Link.MIGRATION] == "10.0.0.2"
    assert known[PRIMARY][Link.INSIDE] == known[PRIMARY][Link.CLIENT] == known[CLIENT][Link.CLIENT] == "127.0.0.1"
    apart = addresses_on(make_cell(host=FAR | {"client": {"ssh": "c", "address": "10.0.0.3"}}).host)
    assert apart[CLIENT][Link.CLIENT] == apart[PRIMARY][Link.CLIENT] == "10.0.0.1"
    assert "10.0.0.1" not in apart[SECONDARY].values()  # no address of that host, where nothing is forwarded


BINARY = Binary(("qemu",), ("qemu-img",), (), Path("/usr/bin/qemu"), "0" * 64, "11.1.3", "path")


def test_two_builds_are_refused_where_one_was_asked_for() -> None:
    older = replace(BINARY, version="10.0.2")
    require_equal({PRIMARY: BINARY, SECONDARY: BINARY}, asked_apart=False)
    require_equal({PRIMARY: BINARY}, asked_apart=False)
    require_equal({PRIMARY: BINARY, SECONDARY: older}, asked_apart=True)
    with pytest.raises(HostError, match=r"11\.1\.3 .*10\.0\.2") as caught:
        require_equal({PRIMARY: BINARY, SECONDARY: older}, asked_apart=False)
    assert caught.value.cause == "far-qemu-differs"


def test_the_build_of_a_host_s_own_qemu_is_that_host_s() -> None:
    class Far:
        async def run(self, argv: tuple[str, ...], *_: object) -> str:
            return {"--version": "QEMU emulator version 10.0.2\n", "--": f"{'b' * 64}  /opt/qemu\n"}[argv[1]]

    node = Node(PRIMARY, Far(), {}, qemu="/opt/qemu")  # type: ignore[arg-type]
    found = asyncio.run(binary_on(node, BINARY))
    assert (found.version, found.sha256, found.argv) == ("10.0.2", "b" * 64, ("/opt/qemu",))


def test_each_side_runs_the_binary_of_its_host() -> None:
    spec = planned_spec(make_cell(host=FAR), BINARY, None)
    own = replace(BINARY, argv=("/opt/qemu",))
    assert with_binary(spec, SECONDARY, own).program(SECONDARY) == ("/opt/qemu",)
    assert with_binary(spec, PRIMARY, BINARY).program(PRIMARY) == ("qemu",)


def test_a_host_that_has_kvm_is_asked_for_the_secondary_s_ram_twice_before_the_accelerator_is_chosen() -> None:
    asked, emulated = make_cell("4G", host=FAR, accel="auto"), make_cell("4G", host=FAR, accel="tcg")
    available = 8 << 30

    def fits(side: str, cell: Cell, *, kvm: bool, swap: int = 0) -> bool:
        return check_memory(side, accelerated(cell, kvm=kvm), available, swap).status == "ok"

    assert not fits(SECONDARY, asked, kvm=True)
    assert fits(SECONDARY, asked, kvm=True, swap=4 << 30)  # what its first checkpoint writes may lie there
    assert fits(SECONDARY, asked, kvm=False)
    assert fits(SECONDARY, emulated, kvm=True)
    assert fits(PRIMARY, asked, kvm=True)


def test_a_side_that_does_not_fit_into_its_host_is_told_by_whose_and_by_how_much() -> None:
    cell = make_cell("4G", host=FAR, accel="kvm")
    with pytest.raises(HostError, match=r"'s host: 2\.0 GiB available, a secondary of 4 GiB needs 8\.") as caught:
        require_side(SECONDARY, cell, 2 << 30, 0)
    assert caught.value.cause == "host-memory"
    assert require_side(PRIMARY, cell, 2 << 30, 0).startswith("2.0 GiB available, a primary of 4 GiB needs")
    assert require_side(SECONDARY, cell, None, 0) == "that system does not say how much is available"


def test_what_the_doctor_finds_is_told_with_what_mends_it() -> None:
    found = [
        check_kvm_device(PRIMARY, there=False, usable=False),
        check_kvm_device(PRIMARY, there=True, usable=False),
        check_kvm_device(PRIMARY, there=True, usable=True),
        check_memory(SECONDARY, make_cell("1G", host=FAR, accel="tcg"), 1 << 30, 0),
        check_memory(SECONDARY, make_cell("1G", host=FAR, accel="tcg"), 4 << 30, 0),
        check_disk(PRIMARY, 1 << 20, "/w"),
        check_clock(PRIMARY, 5.0, 0.0001, synchronised=False),
        check_clock(PRIMARY, 0.0, 0.0001, synchronised=True),
        check_speed("primary to secondary", "10.0.0.2:20000", 1e8),
        check_speed("primary to secondary", "10.0.0.2:20000", 9e9),
        check_mtu({PRIMARY: 1500, SECONDARY: 9000}),
        check_mtu({PRIMARY: 1500, SECONDARY: 1500}),
    ]
    statuses = ["warn", "warn", "ok", "fail", "ok", "fail", "warn", "ok", "warn", "ok", "warn", "ok"]
    assert [one.status for one in found] == statuses
    assert [one.name for one in found if one.status == "fail" and not one.fix] == []
    assert "+5.000000 s from ours" in found[6].text


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("secondary:\n  ssh: b\n  address: 10.1\n", [], ":4: host.secondary.address=10.1: "),
        ("secondary: {ssh: b, address: 10.0.0.2, adress: 1}\n", [], ":2: unknown key host.secondary.adress"),
        ("secondary:\n  ssh: b\n  address: 10.1\n", ["host.secondary.address=x"], "host.secondary.address=x: legal: "),
    ],
)
def test_a_value_of_an_inventory_is_refused_by_file_and_line_unless_it_was_typed(
    tmp_path: Path, content: str, words: list[str], said: str
) -> None:
    file = tmp_path / "hosts.yaml"
    file.write_text(f"primary: {{ssh: a, address: 10.0.0.1}}\n{content}")
    with pytest.raises(ConfigError) as refusal:
        load_grid(compose(["host=ssh", f"host.inventory={file}", *words]))
    assert refusal.value.message.startswith(said if words else f"{file}{said}")


def test_an_inventory_may_come_from_a_pipe() -> None:
    read, write = os.pipe()
    os.write(
        write, b"\xef\xbb\xbfprimary: {ssh: alpha, address: 10.0.0.1}\r\nsecondary: {ssh: b, address: 10.0.0.2}\r\n"
    )
    os.close(write)
    assert filled(inventory=f"/dev/fd/{read}")["primary"] == ALPHA
    os.close(read)
