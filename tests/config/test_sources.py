"""Configuration files as people write them: what cannot be used is refused by file and line, with what mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra._internal.core_plugins.file_config_source import FileConfigSource

from bench.config.load import load_grid
from bench.config.sources import make_loader
from bench.config.sweep import compose
from bench.errors import ConfigError
from bench.system.exits import Exit, exit_of

GLOBAL = "# @package _global_\n"
_ALIASES = zip("abcdef", ("x", "*a", "*b", "*c", "*d", "*e"), strict=True)
BOMB = "".join(f"{key}: &{key} [{', '.join(9 * [of])}]\n" for key, of in _ALIASES)
"""A few lines that stand for half a million values."""
Refused = Callable[..., ConfigError]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Write ``mine/experiment/x.yaml`` and return the refusal of a campaign that asks for it."""
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, *words: str, name: str = "experiment/x.yaml") -> ConfigError:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(ConfigError) as caught:
            load_grid(compose([f"{path.parent.name}=x", *words], "mine"))
        assert exit_of(caught.value) == Exit.USAGE
        assert "\n" not in caught.value.message
        assert caught.value.hint
        assert "\n" not in caught.value.hint
        return caught.value

    return write


@pytest.mark.parametrize(
    ("content", "said", "fix"),
    [
        ("mem: [256M\n", ":3: expected ',' or ']', but got '<stream end>'", "close the bracket"),
        ("\tmem: 256M\n", r":2: found character '\t' that cannot start any token", "blanks, not with tabs"),
        ("mem: 256M\nsmp: 1\nmem: 512M\n", ":4: found duplicate key mem", "keep one of the two"),
        ("mem: @x\n", ":2: found character '@' that cannot start any token", "into quotes"),
        ("mem: `x`\n", ":2: found character '`' that cannot start any token", "into quotes"),
        ("mem: 'x\n", ":3: found unexpected end of stream", "correct that line"),
        ("mem: *x\n", ":2: found undefined alias 'x'", "into quotes"),
        ("mem: 1G\n---\nmem: 2G\n", ":3: but found another document", "keep one document"),
        ("mem: !!python/name:os.system\n", ":2: could not determine a constructor", "without !"),
        ("a: b: c\n", ":2: mapping values are not allowed here", "one KEY: VALUE on a line"),
        ("checkpoint:\n  count: 3\n warmup: 1\n", ":4: ", "close the bracket"),
        ("mem: \xff\n".encode("latin-1"), ":2: it is not UTF-8", "UTF-8"),
        ("mem: \0\n", ": unacceptable character #x0000", "remove the character"),
        ("- mem\n", ": it holds a list and no keys", "KEY: VALUE"),
        ("mem: ${nope\n", ":", ""),
        ("mem: ${nope}\n", ":2: Interpolation key 'nope' not found", ""),
        ("seed: 2026-11-28\n", ":2: seed=2026-11-28: should be a valid integer", ""),
        ("memm: 1G\n", ":2: unknown key memm; did you mean mem?", ""),
        ("checkpoint:\n  count: 3\n  cuont: 4\n", ":4: unknown key checkpoint.cuont; did you mean count?", ""),
        ("smp: 2\nmem: 1X\n", ":3: mem=1X: '1X' is not a size", ""),
        ("watch: yes\n", ":2: watch=yes: should be 'primary'", ""),
        ("watch: off\n", ":2: watch=off: should be 'primary'", ""),
        ("mem: 1e9\n", ":2: mem=1e9: 1e9 is not a size", ""),
        ("mem: ~\n", ":2: mem=~: ~ is not a size", ""),
        ("hydra: {sweeper: {params: {mem: '1e9,2e9'}}}\n", ":2: mem=1e9: 1e9 is not a size", ""),
        ("hydra: {sweeper: {params: {mem: 1e9}}}\n", ":2: mem=1e9: 1e9 is not a size", ""),
        ("hydra: {sweeper: {params: {link: null}}}\n", ":2: unknown choice link=null; legal: nodelay, tcp", ""),
        ("on: 1\n", ":2: the key on is read as true or false", 'into quotes, "on":'),
        ("mem: 1G\ncheckpoint: {no: 3}\n", ":3: the key no is read as true or false", "into quotes"),
        ("~: 1\n", ":2: the key ~ is read as nothing", "into quotes"),
        ("?\n: 1\n", ":2: the key (none) is read as nothing", "a word before the :"),
        ("1e3: 1\n", ":2: the key 1e3 is read as a number", "into quotes"),
        (f"mem: 1G\n# {'x' * (1 << 20)}\n", ": it is larger than 1 MiB", "that was meant"),
        ("hydra:\n  sweeper:\n    params:\n      smp: 1\n      mem: 1G,2X\n", ":6: mem=2X: '2X' is not a size", ""),
        ("hydra:\n  sweeper:\n    grids:\n      - mem: 1G,2X\n", ":5: mem=2X: '2X' is not a size", ""),
        ("hydra:\n  sweeper:\n    parms:\n      mem: 1G\n", ":4: unknown key hydra.sweeper.parms", ""),
        ("hydra: {sweeper: {params: {mem: [256M, 512M]}}}\n", ": mem is not written as a sweep", "mem: 256M,512M"),
        ("hydra:\n  sweeper:\n    params: [mem]\n", ": it has a list where keys belong", ""),
        ("hydra:\n  sweeper:\n    grids: {mem: 1G}\n", ": it has a list where keys belong", ""),
        ("defaults: workload\n", ": its defaults are no list", ""),
        ("defaults:\n  - override /workload: nope\n", "unknown choice workload=nope", ""),
        ("hydra: null\n", ": hydra holds no keys", "params"),
        ("hydra: {sweeper: null}\n", ": hydra.sweeper holds no keys", "params"),
        ("hydra: {sweeper: word}\n", ": hydra.sweeper holds no keys", "params"),
        ("hydra: {sweeper: {arms: 3}}\n", ": each set of hydra.sweeper holds KEY: VALUES", "conf/experiment"),
        ("hydra: {sweeper: {grids: 3}}\n", ": each set of hydra.sweeper holds KEY: VALUES", "conf/experiment"),
        ("hydra:\n  sweeper:\n    params:\n      mem: 1G,,2G\n", ":5: cannot read 'mem=1G,,2G'", ""),
        ("hydra:\n  sweeper:\n    params:\n      memm: 1G,2G\n", ":5: unknown key memm; did you mean mem?", ""),
        ("hydra:\n  sweeper:\n    params:\n      workload: nope\n", ":5: unknown choice workload=nope", ""),
        ("hydra:\n  sweeper:\n    params:\n      smp: interval(1,2)\n", ":5: smp=interval(1,2): an interval", ""),
        ("hydra: {sweeper: {params: {hydra.job.name: x}}}\n", "Hydra's own settings have no effect here", ""),
        ("defaults:\n  - workload: dirty\n", ".yaml: - workload: dirty under", "write - override /workload: dirty"),
        ("defaults:\n  - /workload: dirty\n", "override workload: dirty", "- override /GROUP: CHOICE"),
        ("defaults:\n  - override workload: dirty\n", ": what it overrides", ""),
        ("link: unix\n", ":2: link=unix: a choice is no value; write - override /link: unix", ""),
        ("workload: dirty\n", ":2: workload=dirty: a choice is no value; write - override /workload: dirty", ""),
        ("hypotheses:\n  - {id: H, claim: c, factor: memory}\n", ":3: hypothesis H: unknown factor memory", ""),
        ("workload: &a\n  x: *a\n", ": an alias stands inside of what it is an alias of", "write out"),
        (BOMB, ": written out, its aliases are more than 100,000 values", "use fewer"),
        (f"mem: {3000 * '['}\n", ": it is nested too deeply", "quote a date"),
        ("defaults:\n  - /experiment: x\n", "experiment=x: its defaults lead back to itself", "take that line out"),
    ],
)  # fmt: skip
def test_a_slip_in_an_experiment_is_refused_by_file_and_line(
    refused: Refused, content: str | bytes, said: str, fix: str
) -> None:
    begin = GLOBAL if isinstance(content, str) else GLOBAL.encode()
    error = refused(begin + content)  # type: ignore[operator]
    assert said in error.message
    assert fix in error.hint
    if said.startswith(":"):
        assert "experiment/x.yaml:" in error.message


@pytest.mark.parametrize("first", ["", "# a sweep\n", "# @package x\n", "# @package _globl_\n", "#package _global_\n"])
@pytest.mark.parametrize("content", ["mem: 256M\n", ""])
def test_an_experiment_that_does_not_say_where_its_keys_belong_is_told_the_line(
    refused: Refused, first: str, content: str
) -> None:
    error = refused(first + content)
    assert error.message.startswith("mine/experiment/x.yaml: ")
    assert "# @package _global_" in error.hint


def test_a_value_of_the_users_own_group_is_refused_by_file_and_line(refused: Refused) -> None:
    error = refused("name: dirty\nrate: fast\n", name="workload/x.yaml")
    assert error.message.startswith("mine/workload/x.yaml:2: workload.rate=fast: should be a valid number")


def test_what_was_typed_is_not_looked_for_in_a_file(refused: Refused) -> None:
    assert refused(f"{GLOBAL}mem: 1G\n", "mem=1X").message.startswith("mem=1X: '1X' is not a size")


@pytest.mark.parametrize(
    ("name", "called"), [("x.yml", "mv mine/experiment/x.yml mine/experiment/x.yaml"), ("x", "x.yaml")]
)
def test_a_file_that_is_called_otherwise_is_named(refused: Refused, name: str, called: str) -> None:
    assert called in refused(f"{GLOBAL}mem: 1G\n", name=f"experiment/{name}").hint


@pytest.mark.parametrize(("made", "said"), [(None, "No such file or directory"), ("file", "Not a directory")])
def test_a_folder_that_is_none_is_refused_as_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if made:
        (tmp_path / "mine").write_text("")
    with pytest.raises(ConfigError, match=f"--config-dir mine: {said}"):
        make_loader("mine")


def test_an_experiment_of_ones_own_is_composed(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(
        "\N{ZERO WIDTH NO-BREAK SPACE}"
        + GLOBAL
        + "smp: 3\nhydra:\n  sweeper:\n    params:\n      mem: 256M,512M\n      workload: idle\n"
    )
    settings, cells = load_grid(compose(["experiment=mine"], str(tmp_path)))
    assert settings.experiment == "mine"
    assert [(cell.mem >> 20, cell.smp) for cell in cells] == [(256, 3), (512, 3)]


def test_the_real_command_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "x.yaml"
    path.parent.mkdir()
    path.write_text(GLOBAL + "mem: [256M\n")
    argv = (sys.executable, "-m", "bench", "dry_run=true", "--config-dir", os.fspath(tmp_path), "experiment=x")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0].startswith(f"colo-bench: {path}:3: expected ',' or ']'")
    assert len(done.stderr.splitlines()) == 2


def test_a_name_too_long_is_no_choice(refused: Refused) -> None:
    assert "unknown choice" in refused(f"{GLOBAL}mem: 1G\n", f"link={'a' * 300}").message


def test_a_folder_of_the_current_one_that_is_closed_offers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.config.sources.os.access", lambda path, _mode: path != Path("conf"))
    assert compose(["mem=1G"])


def test_a_folder_inside_that_is_closed_is_refused_by_name(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_source: object, config_path: str, _wanted: object) -> list[str]:
        raise PermissionError(13, "Permission denied", config_path)

    monkeypatch.setattr(FileConfigSource, "list", closed)
    error = refused(f"{GLOBAL}mem: 1G\n", "link=nope")
    assert error.message.endswith("/conf: Permission denied")


def test_a_folder_whose_name_hydra_would_take_for_a_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match="reference"):
        make_loader("a ${b}/mine")


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        ("qemu=2.10", "qemu", ["2.10"]),
        ("qemu=2.10,3.0", "qemu", ["2.10", "3.0"]),
        ("qemu=system qemu_secondary=10.10", "qemu_secondary", ["10.10"]),
        ("replica=1e3", "replica", ["1e3"]),
        ("smp=1,2_0", "smp", [1, 20]),
    ],
)
def test_a_name_that_looks_like_a_number_is_as_it_was_typed(words: str, key: str, expected: list[object]) -> None:
    _, cells = load_grid(compose(["mem=1G", "smp=1", *words.split()]))
    assert [getattr(cell, key) for cell in cells] == expected


def test_names_of_a_campaign_may_be_numbers() -> None:
    words = ["campaign=2026_11", "launcher=slurm", "launcher.account=12345", "launcher.partition=1.50", "results=2026"]
    settings, _ = load_grid(compose(words))
    launcher = settings.launcher
    assert (settings.campaign, launcher.account, launcher.partition) == ("2026_11", "12345", "1.50")
    assert settings.results == Path("2026").absolute()


@pytest.mark.parametrize(
    "written",
    [
        "qemu: 2.10\n",
        "hydra: {sweeper: {params: {qemu: 2.10}}}\n",
        "hydra: {sweeper: {grids: [{smp: '2,10', mem: 1G}, {mem: 2G, qemu: 2.10}]}}\n",
    ],
)
def test_a_release_of_an_experiment_is_as_it_was_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(GLOBAL + written)
    _, cells = load_grid(compose(["experiment=mine"], str(tmp_path)))
    assert cells[-1].qemu == "2.10"


def test_a_grid_s_number_is_not_taken_from_another_grid(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(GLOBAL + "hydra: {sweeper: {grids: [{mem: 1G, smp: '20,22'}, {mem: 2G, smp: 2}]}}\n")
    _, cells = load_grid(compose(["experiment=mine"], str(tmp_path)))
    assert [(cell.mem >> 30, cell.smp) for cell in cells] == [(1, 20), (1, 22), (2, 2)]
