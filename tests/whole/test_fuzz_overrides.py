"""The command line and the configuration: whatever is typed is a campaign, or a refusal in words."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import GUEST
from fuzzing import SLOW_AND_WIDE, json_values, trial
from hypothesis import assume, given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import __main__ as entry
from bench.config.load import load, load_grid
from bench.plan.plan import QemuBuild, make_plan, parse_plan, plan_json
from bench.system import exits
from bench.system.exits import Exit
from bench.system.places import CONF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.config.load import Settings
    from bench.config.model import Cell

KEYS = (
    "mem",
    "smp",
    "accel",
    "qemu",
    "replica",
    "repeats",
    "seed",
    "campaign",
    "results",
    "on_error",
    "watch",
    "hypotheses",
    "workload",
    "workload.name",
    "workload.rate",
    "workload.working_set",
    "workload.path",
    "link",
    "link.transport",
    "link.delay",
    "link.bandwidth",
    "link.loss_percent",
    "host",
    "host.kind",
    "cpu",
    "cpu.model",
    "cpu.features",
    "cpu.cache.l2.size",
    "devices",
    "devices.nic",
    "devices.disk_size",
    "checkpoint",
    "checkpoint.count",
    "checkpoint.interval",
    "trace",
    "trace.events",
    "deadlines",
    "deadlines.boot",
    "experiment",
    "memm",
    "hydra.mode",
    "",
    ".",
)
WORDS = (
    "",
    "1",
    "0",
    "-1",
    "2.0",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "true",
    "null",
    "4G",
    "4GB",
    "1G,2G",
    "'4G'",
    '"4G"',
    "'4G",
    "[4G",
    "{a:1}",
    "{a:1",
    "[1,2]",
    "[]",
    "{}",
    "dirty",
    "idle,http",
    "tcp,unix",
    "udp",
    "netns",
    "retry:2",
    "retry:-1",
    "${mem}",
    "${nope}",
    "${oc.env:HOME}",
    "${oc.env:NOPE}",
    "${",
    "range(1,3)",
    "choice(1,2)",
    "glob(*)",
    "interval(1,2)",
    "sort(3,1)",
    "int('x')",
    "4G,",
    ",",
    "../x",
    "/etc/passwd",
    "~nobody-at-all/x",
    "a b",
    "é",
    "\N{FULLWIDTH DIGIT FOUR}G",
    "9" * 30,
    "1_000",
    "50us",
    "2.3ms",
    "100mbit",
    "demo",
    "procedure",
    "[{id:H,claim:c,factor:mem,foo:1}]",
    "[{id:H,claim:c,factor:mem,levels:[[1]]}]",
    "[{id:H,claim:c,kind:value,low:0,high:inf}]",
    "@x",
    "\\",
    "$(x)",
)
OVERRIDES = st.one_of(
    st.builds(
        "{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), st.sampled_from(KEYS), st.sampled_from(WORDS)
    ),
    st.builds(
        "{}={}".format,
        st.sampled_from(KEYS),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    ),
    st.text("memsp=.,:[]{}()'\"$~+@/ 0123456789GM", max_size=14).filter(lambda text: not text.startswith("-")),
)
GOOD = st.sampled_from(
    [
        "mem=512M",
        "mem=1G,2G",
        "smp=1,2",
        "workload=dirty",
        "workload=dirty,idle",
        "link=unix",
        "checkpoint.count=3",
        "campaign=x",
        "repeats=2",
        "on_error=retry:2",
        "experiment=demo",
        "dry_run=true",
        "results=here/and/there",
        "deadlines.boot=2.3min",
        "+replica=b",
    ]
)
QEMUS = {name: QemuBuild("11", "a" * 64, "x") for name in ("provisioned", "system")}


def survives(settings: Settings, cells: tuple[Cell, ...]) -> None:
    """An accepted campaign can be planned, written down and read back."""
    named = {name for cell in cells for name in (cell.qemu, cell.qemu_secondary) if name}
    qemus = QEMUS | {name: QemuBuild("11", "a" * 64, "x") for name in named}
    few = cells[:4]
    made = make_plan("c", few, repeats=1, seed=settings.seed, qemu=qemus, guest=GUEST, hypotheses=settings.hypotheses)
    assert parse_plan(plan_json(made)) == made
    assert settings.results.is_absolute()
    assert ".." not in (settings.campaign or "").split("/")


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty working directory, and an entry that measures nothing."""
    folder = tmp_path_factory.mktemp("nowhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(signal, "signal", lambda *_: None)
        yield folder


def call(words: list[str], patch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return the exit status of a command line and what it wrote to standard error."""
    said: list[str] = []

    def measure(settings: Settings, cells: tuple[Cell, ...], _command: str) -> Exit:
        survives(settings, cells)
        return Exit.DONE

    patch.setattr(entry, "run_campaign", measure)
    patch.setattr(sys, "argv", ["bench", *words])
    patch.setattr(exits, "tell", said.append)
    patch.setattr(exits.traceback, "print_exc", lambda: said.append(repr(sys.exc_info()[1])))
    return entry.main(), "\n".join(said)


@SLOW_AND_WIDE
@given(st.lists(GOOD | OVERRIDES, min_size=1, max_size=3))
def test_a_command_line_is_a_campaign_or_refused_in_words(nowhere: Path, words: list[str]) -> None:
    with trial("command line") as one, pytest.MonkeyPatch.context() as patch:
        status, said = call(words, patch)
        one.accepted = status == Exit.DONE
        assert status in (Exit.DONE, Exit.USAGE), said
        assert bool(said) == (status == Exit.USAGE)
        assert len(said.splitlines()) < 12
        assert list(nowhere.iterdir()) == []


def leaves(tree: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = (
        [path for key, value in tree.items() for path in leaves(value, (*at, str(key)))]
        if isinstance(tree, dict)
        else []
    )
    return [*([at] if at else []), *below]


CHOSEN = {
    "cpu": "qemu64",
    "devices": "rtl8139",
    "workload": "dirty",
    "link": "tcp",
    "host": "netns",
    "checkpoint": "demand",
    "trace": "phases",
}


def whole() -> dict[str, Any]:
    """The configuration of a cell that every key can be set in."""
    tree: Any = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    own = {key: value for key, value in tree.items() if key not in ("defaults", "hydra")}
    groups = {
        group: OmegaConf.to_container(OmegaConf.load(CONF / group / f"{one}.yaml")) for group, one in CHOSEN.items()
    }
    return own | groups


WHOLE = whole()
VALUES = st.one_of(
    json_values(5),
    st.sampled_from([word for word in WORDS if "${" not in word]),
    st.integers(-1, 300),
    st.floats(-1, 1e5),
)


@given(st.dictionaries(st.sampled_from(leaves(WHOLE)), VALUES, min_size=1, max_size=3))
def test_a_configuration_is_cells_that_can_be_planned_or_refused_in_words(changes: dict[tuple[str, ...], Any]) -> None:
    tree = json.loads(json.dumps(WHOLE))
    for path, value in changes.items():
        beside: Any = tree
        for part in path[:-1]:
            beside = beside.get(part) if isinstance(beside, dict) else None
        if isinstance(beside, dict):
            beside[path[-1]] = value
    try:
        config = OmegaConf.create(tree)
    except OmegaConfBaseException:
        assume(False)  # noqa: FBT003
    with trial("configuration") as one:
        loaded = one.attempt(lambda: load_grid([config]))
        if loaded is not None:
            survives(*loaded)
            assert load(config)[1] == loaded[1][0]


@given(
    st.dictionaries(st.text(max_size=6) | st.integers() | st.booleans(), VALUES, max_size=3),
    st.sampled_from(leaves(WHOLE)),
)
def test_keys_that_nobody_knows_are_refused_by_name(more: dict[Any, Any], path: tuple[str, ...]) -> None:
    tree = json.loads(json.dumps(WHOLE))
    beside: Any = tree
    for part in path[:-1]:
        beside = beside[part]
    beside |= {key: value for key, value in more.items() if str(key) not in beside and key not in ("", "hydra")}
    try:
        config = OmegaConf.create(tree)
    except OmegaConfBaseException:
        assume(False)  # noqa: FBT003
    with trial("configuration") as one:
        loaded = one.attempt(lambda: load_grid([config]))
        assert loaded is None or not {key for key in more if key not in ("", "hydra")} - set(map(str, beside))
