"""What a person writes and something else reads otherwise: refused by file and line, or read as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bench.config.commandline import parse
from bench.config.load import load_grid
from bench.config.sources import read_plain
from bench.config.sweep import compose
from bench.errors import ConfigError

GLOBAL = "# @package _global_\n"


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine/experiment/x.yaml"
    path.parent.mkdir(parents=True)
    return path


def refusal(*words: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_grid(compose(words, "mine"))
    return caught.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("smp: 010\n", ":2: YAML reads 010 as a number of base 8"),
        ("deadlines:\n  boot: 3:00\n", ":3: YAML reads 3:00 as a number of base 60"),
        ("checkpoint: {interval: 0:01.5}\n", ":2: YAML reads 0:01.5 as a number of base 60"),
        ("cpu: {features: [012]}\n", ":2: YAML reads 012 as a number of base 8"),
    ],
)
def test_a_number_that_yaml_reads_in_another_base_is_refused(experiment: Path, content: str, said: str) -> None:
    experiment.write_text(GLOBAL + content)
    refused = refusal("experiment=x")
    assert refused.message == f"mine/experiment/x.yaml{said}"
    assert "without leading zeros" in refused.hint


def test_so_is_one_in_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("primary: {port: 0222}\n")
    with pytest.raises(ConfigError, match=r"hosts\.yaml:1: YAML reads 0222 as a number of base 8"):
        read_plain(path)


@pytest.mark.parametrize("number", ["0", "00", "007", "10", "1_000", "0x10", "0.50", "08"])
def test_a_number_that_is_what_it_looks_like_is_read(tmp_path: Path, number: str) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(f"a: {number}\n")
    assert read_plain(path) == yaml.safe_load(f"a: {number}")


def test_a_value_that_an_experiment_leaves_open_is_never_the_default(experiment: Path) -> None:
    experiment.write_text(f"{GLOBAL}mem: ???\ndeadlines:\n  boot: ???\n")
    refused = refusal("experiment=x", "deadlines.boot=9")
    assert refused.message == "mine/experiment/x.yaml:2: mem: ??? stands for a value that is still to be given"
    assert "mem=VALUE" in refused.hint
    assert ":4: deadlines.boot: ???" in refusal("experiment=x", "mem=256M").message
    settings, cells = load_grid(compose(["experiment=x", "mem=256M,512M", "deadlines.boot=9"], "mine"))
    assert ([cell.mem for cell in cells], settings.experiment) == ([256 << 20, 512 << 20], "x")


def test_settings_of_hydra_in_an_experiment_are_refused_as_typed_ones_are(experiment: Path) -> None:
    experiment.write_text(f"{GLOBAL}hydra:\n  run: {{dir: /tmp/x}}\n  sweeper: {{params: {{mem: 256M}}}}\n")
    refused = refusal("experiment=x")
    assert refused.message.startswith("mine/experiment/x.yaml: hydra.run: Hydra's own settings have no effect")
    assert refusal("hydra.run.dir=/tmp/x", "mem=256M").hint == "leave it out"


def test_words_that_are_no_keys_are_refused_with_their_file(experiment: Path) -> None:
    experiment.write_text(f"{GLOBAL}mem\N{FULLWIDTH COLON}256M\n", encoding="utf-8")
    assert refusal("experiment=x").message == "mine/experiment/x.yaml: it holds words and no keys"


@pytest.mark.parametrize("merged", ["*w", "[*o, *w]"])
def test_a_key_out_of_an_anchor_is_refused_by_the_line_of_the_anchor(experiment: Path, merged: str) -> None:
    experiment.write_text(
        f"{GLOBAL}defaults:\n  - override /workload: dirty\nworkload: &w\n  rate: 5\n"
        f"checkpoint: &o {{count: 3}}\nlink:\n  <<: {merged}\n"
    )
    places = [line.partition(": unknown key ")[::2] for line in refusal("experiment=x").message.splitlines()]
    assert ("mine/experiment/x.yaml:5", "link.rate") in [(place, said.partition(";")[0]) for place, said in places]


def test_a_variable_that_is_not_set_is_named_with_how_to_set_it(
    experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLO_TEST_MEM", raising=False)
    experiment.write_text(f"{GLOBAL}mem: ${{oc.env:COLO_TEST_MEM}}\n")
    refused = refusal("experiment=x")
    assert refused.message == "mine/experiment/x.yaml:2: Environment variable 'COLO_TEST_MEM' not found"
    assert refused.hint.startswith("export COLO_TEST_MEM=VALUE")


@pytest.mark.parametrize("name", ["2026", "inf", "true", "null"])
def test_an_experiment_whose_name_is_a_value_too_is_told_the_quotes(experiment: Path, name: str) -> None:
    experiment.with_name(f"{name}.yaml").write_text(f"{GLOBAL}mem: 256M\n")
    refused = refusal(f"experiment={name}")
    assert refused.message == f"experiment={name}: Hydra reads {name} as a value and not as a name"
    assert f"\"experiment='{name}'\"" in refused.hint
    settings, _ = load_grid(compose([f"experiment='{name}'"], "mine"))
    assert settings.experiment == name


def test_an_experiment_is_one_campaign_with_its_ending_too_and_is_not_named_by_a_path(experiment: Path) -> None:
    experiment.write_text(f"{GLOBAL}mem: 256M\n")
    settings, _ = load_grid(compose(["experiment=x.yaml"], "mine"))
    assert settings.experiment == "x"
    assert refusal("experiment=./x").message == (
        "experiment=./x: an experiment is called by the name of its file, without a folder"
    )


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("mem=256M\r", "line ends of Windows"),
        ("mem=256M\N{NO-BREAK SPACE}", "no-break space"),
        ("mem=\N{ZERO WIDTH SPACE}256M", "zero width space"),
        ("\N{LEFT DOUBLE QUOTATION MARK}mem=256M\N{RIGHT DOUBLE QUOTATION MARK}", "left double quotation mark"),
        ("mem=a~b", "other signs want quotes"),
    ],
)
def test_a_sign_that_nobody_sees_is_named(word: str, mend: str) -> None:
    refused = refusal(word)
    assert refused.message == f"cannot read {word!r}"
    assert mend in refused.hint


@pytest.mark.parametrize(
    ("option", "mend"),
    [("-cn", "experiment=NAME"), ("--config-path", "--config-dir DIR"), ("-r", "leave it out"), ("--nosuch", "--help")],
)
def test_an_option_of_hydra_s_own_programs_is_told_what_does_the_same_here(option: str, mend: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: no such option") as caught:
        parse([option, "x"])
    assert mend in caught.value.hint
