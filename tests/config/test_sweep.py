"""Keys that only some of the swept choices have, and options anywhere on the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.commandline import parse
from bench.config.load import load_grid
from bench.config.sweep import compose
from bench.errors import ConfigError
from bench.workload.dirty import Dirty


def cells(*words: str) -> list[tuple[int, str, int]]:
    """Return memory in MiB, workload and working set in MiB of every cell."""
    found = []
    for cell in load_grid(compose(words))[1]:
        size = cell.workload.working_set >> 20 if isinstance(cell.workload, Dirty) else 0
        found.append((cell.mem >> 20, cell.workload.kind, size))
    return found


def test_a_key_that_one_of_the_swept_choices_lacks_applies_where_it_exists() -> None:
    assert cells("workload=idle,dirty", "workload.working_set=32M", "mem=256M,2G") == [
        (256, "idle", 0),
        (2048, "idle", 0),
        (256, "dirty", 32),
        (2048, "dirty", 32),
    ]


def test_a_cell_that_lacks_the_key_is_there_once_however_many_values_are_swept() -> None:
    assert cells("workload.working_set=32M,64M", "workload=idle,dirty", "mem=256M") == [
        (256, "idle", 0),
        (256, "dirty", 32),
        (256, "dirty", 64),
    ]


def test_the_key_of_an_experiments_choice_applies_where_it_exists() -> None:
    kinds = [cell.workload for cell in load_grid(compose(["experiment=demo", "workload.rate=7"]))[1]]
    assert [getattr(one, "rate", None) for one in kinds] == [*[7] * 6, None]


def test_the_sweep_of_size_and_workload_has_every_workload_with_colo_and_all_that_get_something_done_without() -> None:
    found = {(cell.workload.kind, cell.scenario) for cell in load_grid(compose(["experiment=workload_size"]))[1]}
    done = ("cpu", "dirty", "build", "valkey", "postgres", "nginx")
    assert found == {("idle", "colo"), *((kind, scenario) for kind in done for scenario in ("native", "colo"))}


def test_the_secondarys_qemu_is_named_alike_by_whoever_reads_words_and_in_the_sweep_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text('# @package _global_\nqemu: "11.1"\nhydra: {sweeper: {params: {qemu.secondary: "2.10,11.1"}}}\n')
    for words in (["qemu=11.1", "qemu.secondary=2.10,11.1"], ["experiment=mine"]):
        _, found = load_grid(compose(words, str(tmp_path)))
        assert [cell.qemu_secondary for cell in found] == ["2.10", "11.1"]


@pytest.mark.parametrize("key", ["qemu.secondary", "qemu_secondary"])
def test_a_slip_in_a_swept_qemu_of_the_secondary_is_told_by_file_and_line(tmp_path: Path, key: str) -> None:
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(f'# @package _global_\nhydra: {{sweeper: {{params: {{{key}: "11.1,newest"}}}}}}\n')
    found = compose(["experiment=mine"], str(tmp_path))
    with pytest.raises(ConfigError, match=r"experiment/mine\.yaml:2: qemu_secondary=newest: 'newest' names no QEMU"):
        load_grid(found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("workload=idle,dirty workload.working_st=32M mem=256M,2G", "unknown key workload.working_st; did you mean "),
        ("workload=idle workload.working_set=32M mem=256M,2G", "unknown key workload.working_set; legal: name"),
        ("workload=idle,dirty workload.rate.x=1 mem=256M,2G", "workload.rate"),
        ("workload=idle,dirty checkpoint.interal=1 mem=256M,2G", "unknown key checkpoint.interal; did you mean"),
        ("workload=idle,dirty workload.working_set=32X mem=256M,2G", "workload.working_set=32X: '32X' is not a size"),
        ("mem=256M,2G smp=2 nope=3", "unknown key nope"),
        ("mem=256M,2G +mem=3G", "mem"),
    ],
)  # fmt: skip
def test_the_real_culprit_of_a_sweep_is_named(words: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_grid(compose(words.split()))
    assert said in caught.value.message
    assert "multirun" not in str(caught.value)
    assert "Ambiguous" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "mem=256M --cfg job smp=1",
        "--cfg=job mem=256M smp=1",
        "mem=256M smp=1 -c job",
        "-m mem=256M -c job smp=1 --multirun",
        "-- mem=256M smp=1 --cfg job",
    ],
)
def test_options_may_stand_anywhere(line: str) -> None:
    asked = parse(line.split())
    assert (asked.words, asked.options["--cfg"]) == (("mem=256M", "smp=1"), "job")


def test_an_option_that_may_have_a_value_takes_no_override_for_it() -> None:
    assert parse(["--info", "mem=1G"]).options == {"--info": "all"}
    assert parse(["mem=1G", "-i", "defaults"]).options == {"--info": "defaults"}
    assert parse(["-cd", "dir", "mem=1G"]).folder == "dir"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--cfg", "--cfg: it wants a value; legal: job, hydra, all"),
        ("--cfg --resolve", "--cfg: it wants a value"),
        ("--cfg jobs", "--cfg=jobs: no such part; legal: job, hydra, all"),
        ("--info=nope", "--info=nope: no such part; legal: all, config"),
        ("mem=1G --config-dir", "--config-dir: it wants a value"),
        ("--resolve=true", "--resolve=true: no such option"),
        ("--mem=1G", "--mem=1G: write mem=1G, without dashes"),
        ("-r", "-r: no such option"),
        ("--run", "--run: no such option"),
        ("--config-name=x", "--config-name=x: no such option"),
        ("-", "-: no such option"),
        ("--mem 4G", "--mem: write mem=4G, without dashes"),
        ("--mem smp=2", "--mem: write mem=VALUE, without dashes"),
        ("--dry_run", "--dry_run: write dry_run=true, without dashes"),
        ("--dry-run mem=4G", "--dry-run: write dry_run=true, without dashes"),
    ],
)
def test_what_is_no_option_is_refused_in_words(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(line.split())
    assert caught.value.message.startswith(said)


def test_who_asks_to_detach_as_other_launchers_have_it_is_told_the_key() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(["launcher=slurm", "--detach"])
    assert "launcher.detach=true" in caught.value.hint


def test_an_empty_folder_of_ones_own_is_no_folder() -> None:
    with pytest.raises(ConfigError, match="--config-dir: it wants a value"):
        parse(["--config-dir", ""])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("checkpoint.count=range(1,1000000000)", "has 999,999,999 values, and a campaign at most 5,000 cells"),
        ("checkpoint.count=shuffle(range(1,1000000000))", "has 999,999,999 values"),
        ("checkpoint.interval=range(0.5,1e9,0.5)", "has 1,999,999,999 values"),
        ("checkpoint.count=range(1,101) smp=range(1,101)", "this sweep has 10,000 cells"),
    ],
)
def test_a_sweep_that_nobody_would_measure_is_refused_before_it_is_composed(words: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words.split())
    assert said in caught.value.message
