from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from fake_session import make_cell
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from bench.config.hosts import Host
from bench.config.load import OnError, Settings, load, load_grid, parse_on_error
from bench.config.model import Cell
from bench.errors import ConfigError
from bench.format.hosts import FAR, HOSTS
from bench.system.places import CONF, PACKAGES
from bench.workload.base import registry

LEAST: dict[str, Any] = {"mem": "1G", "smp": 2, "workload": {"name": "idle"}}


def config(**more: Any) -> DictConfig:
    return OmegaConf.create(LEAST | more)


def test_a_tree_becomes_frozen_values() -> None:
    settings, cell = load(config(repeats=3, campaign="x"))
    assert (settings.repeats, settings.campaign, cell.mem, cell.smp) == (3, "x", 1 << 30, 2)
    with pytest.raises(ValidationError):
        cell.smp = 4  # type: ignore[misc]


def test_the_results_go_to_the_checkout_unless_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(config(results=None))[0].results == PACKAGES / "results"
    assert load(config(results="here"))[0].results == tmp_path / "here"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"memm": 1}, r"unknown key memm; did you mean mem\? legal: .*mem, .*smp"),
        ({"link": {"bandwith": 1, "bandwidth": None}}, r"unknown key link.bandwith; did you mean bandwidth\?"),
        ({"workload": {"name": "idle", "rate": 3}}, "unknown key workload.rate; legal: name"),
        (
            {"workload": {"name": "nope"}},
            (
                "unknown workload 'nope'; legal: "
                "build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey"
            ),
        ),
        ({"workload": {"name": "dirty", "rate": -1}}, "workload.rate=-1: should be at least 0"),
        ({"accel": "xen"}, "accel=xen: should be 'auto', 'kvm' or 'tcg'"),
        ({"mem": "4X"}, "mem=4X: .*512M, 4G"),
        ({"mem": None}, "mem=null"),
        ({"mem": (64 << 20) + 1}, "whole number of MiB"),
        ({"mem": "16M"}, "mem=16M: should be at least 32M"),
        ({"mem": "32M", "workload": {"name": "idle"}}, "the guest's own system need 64M of RAM, mem is 32M"),
        ({"smp": 0}, "smp=0: should be at least 1"),
        ({"smp": True}, "smp=true: true is not a number"),
        ({"smp": 2.5}, "smp=2.5"),
        ({"qemu": "best"}, "legal: provisioned, a release as 10.0, system"),
        ({"on_error": "retry"}, "on_error=retry: legal: continue, stop, retry:N"),
        ({"campaign": "a/b"}, "campaign=a/b"),
        ({"campaign": ".."}, "campaign=.."),
        ({"repeats": 0}, "repeats=0"),
        ({"watch": "all"}, "watch=all: should be 'primary', 'secondary' or 'both'"),
        ({"checkpoint": {"interval": 0}}, "checkpoint.interval=0"),
        ({"deadlines": {"boot": 0}}, "deadlines.boot=0"),
        ({"link": {"bandwidth": "1gbit"}}, "they need host=netns"),
        ({"link": {"bandwidth": "1gbit", "transport": "unix"}, "host": {"kind": "netns"}}, "choose link=tcp"),
        ({"trace": {"events": ["a-b"]}}, "trace.events.0=a-b"),
        ({"tune": {"governor": "a b"}}, "tune.governor=a b"),
        ({"tune": {"swap": True}}, "tune.swap=true"),
        ({"tune": {"swap": 0}}, "tune.swap=0: should be false"),
        ({"tune": {"swap": 0.0}}, "tune.swap=0.0: should be false"),
        ({"tune": {"pinning": {"primary": "3-1"}}}, r"tune.pinning.primary=3-1: .*write 3 or 0-3,6"),
        ({"cpu": {"cache": {"l2": {"size": "1M"}}}}, "set topology too"),
    ],
)
def test_what_is_unknown_or_illegal_is_refused_by_name(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(config(**more))


def test_digits_name_a_replica() -> None:
    assert load(config(replica=2))[1].replica == "2"


def test_every_illegal_value_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"mem=4X.*\nsmp=0"):
        load(config(mem="4X", smp=0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("continue", OnError()), ("stop", OnError(stop=True)), ("retry:3", OnError(retries=3)), (OnError(), OnError())],
)
def test_on_error_is_parsed(text: object, expected: OnError) -> None:
    assert expected == parse_on_error(text)


@pytest.mark.parametrize("text", ["retry:0", "retry:", "Retry:1", "retry:1000", "", None])
def test_an_illegal_on_error_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="retry:N"):
        parse_on_error(text)


def test_a_campaign_wide_setting_cannot_vary_over_the_grid() -> None:
    with pytest.raises(ConfigError, match=r"repeats holds for the whole campaign .*\(here: 1, 2\)"):
        load_grid([config(repeats=1), config(repeats=2)])


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", ".", "..", ".x", "", "a\0", "a\n", "a\nb", "-x", "x" * 65, "ä"])
@pytest.mark.parametrize("key", ["campaign", "experiment"])
def test_a_name_that_would_lead_out_of_its_folder_is_refused(key: str, name: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({key: name})


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[31m", "", "~nobody-of-that-name/x"])
def test_a_results_folder_that_cannot_be_named_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="results="):
        load(config(results=name))


def test_a_results_folder_is_used_as_it_is_named_and_the_campaign_lies_right_in_it(tmp_path: Path) -> None:
    settings, _ = load(config(results=f"{tmp_path}/../x y", campaign="c"))
    assert (settings.results / str(settings.campaign)).parent == settings.results == tmp_path / ".." / "x y"


def test_watched_names_the_sides() -> None:
    assert Settings().watched == frozenset()
    assert Settings(watch="primary").watched == {"primary"}
    assert Settings(watch="both").watched == {"primary", "secondary"}


@pytest.mark.parametrize(
    "group", ["cache", "checkpoint", "cpu", "devices", "host", "link", "trace", "tune", "workload"]
)
def test_every_choice_of_every_group_is_legal(group: str) -> None:
    choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert choices
    for choice in choices:
        tree = OmegaConf.load(CONF / group / f"{choice}.yaml")
        guest = registry()[choice].guests[0] if group == "workload" else "linux"
        if (group, choice) == ("host", "ssh"):
            tree.primary = tree.secondary = {"ssh": "far", "address": "10.0.0.1"}
        load(config(**{group: tree, "guest": guest}))


def test_every_workload_has_a_file_that_lists_all_its_keys() -> None:
    for name, kind in registry().items():
        tree = OmegaConf.load(CONF / "workload" / f"{name}.yaml")
        assert set(tree) == set(kind.model_fields)


def test_every_word_for_a_kind_of_hosts_is_told_of_and_has_a_file() -> None:
    words = set(get_args(Host.model_fields["kind"].annotation))
    assert set(HOSTS) == words == {path.stem for path in (CONF / "host").glob("*.yaml")}


# What has nothing else to set: a sweep of another choice's keys leaves it as one cell.
_BESIDE = {"kind", "buffer", "share", "cpus", "chase"}
OWN = {
    **{("host", path.stem): {"kind"} for path in (CONF / "host").glob("*.yaml") if path.stem not in FAR},
    **{(group, name): {"kind"} for group, name in (("cache", "none"), ("launcher", "local"))},
    ("cache", "ways"): {"kind", "ways"},
    ("cache", "antagonist"): _BESIDE,
    ("cache", "control"): _BESIDE,
}


def test_the_files_list_every_key_so_that_a_misspelt_one_is_refused() -> None:
    tree = OmegaConf.load(CONF / "config.yaml")
    groups = {"cache", "checkpoint", "cpu", "devices", "host", "launcher", "link", "trace", "tune", "workload"}
    top = set(tree) - {"defaults", "hydra"} | groups
    assert top == set(Cell.model_fields) | (set(Settings.model_fields) - {"experiment", "by_size"})
    fields = Settings.model_fields | Cell.model_fields
    for group in groups - {"workload"}:
        for path in (CONF / group).glob("*.yaml"):
            whole = OWN.get((group, path.stem)) or set(fields[group].annotation.model_fields)  # type: ignore[union-attr]
            assert set(OmegaConf.load(path)) == whole, path
    assert set(tree.deadlines) == set(fields["deadlines"].annotation.model_fields)  # type: ignore[union-attr]


def test_a_cell_survives_being_written_and_read() -> None:
    cell = make_cell(dirty=True, link={"transport": "nodelay"}, cpu={"features": ["+kvmclock"]})
    assert cell == Cell.model_validate(cell.model_dump(mode="json"))
