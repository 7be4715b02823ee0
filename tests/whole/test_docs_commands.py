"""Every command that a page shows, up to where it would begin its work: it composes, or its arguments are taken."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bench.cli import COMMANDS
from bench.config.commandline import parse
from bench.config.load import load_grid
from bench.config.sweep import compose
from bench.system.places import PACKAGES

DOCS = PACKAGES / "docs"
BEFORE = re.compile(r"^(?:sudo )?(?:\.venv/bin/)?(?=python -m )")
COMMAND = re.compile(r"(?:python -m (?:bench|analysis)\b|colo-bench [a-z]).*")
STANDS_FOR = {
    "$BUILD": "/opt/qemu/bin/qemu-system-x86_64",
    "$N": "7",
    "NAME": "idle",
    "CAMPAIGN": "results/one",
    "FILE": "mine.yaml",
    "...": "",
}
"""What readers put there, by what the pages write."""


def typed(page: Path) -> Iterator[str]:
    """Yield the commands of a page's blocks; of the pages that tell how to do something also those in a sentence."""
    text = re.sub(r"\\\n\s*", "", page.read_text())
    inside = False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif (inside or line.startswith("    ")) and COMMAND.match(command := BEFORE.sub("", line.strip())):
            yield command
    if page.name in {"guides.md", "comparing.md"}:
        spans = [re.sub(r"\s+", " ", span) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
        # A command without arguments is a word of the sentence.
        for span in filter(COMMAND.match, spans):
            if len(span.split()) > (3 if span.startswith("python") else 2):
                yield span


def called(line: str) -> tuple[str, list[str]]:
    """Return the module that a command runs, and the words that it gets."""
    for name, word in STANDS_FOR.items():
        line = line.replace(name, word)
    words = shlex.split(line.partition(" | ")[0], comments=True)  # what reads the answer is another's command
    if words[0] == "python":
        return words[2], words[3:]
    command = COMMANDS[words[1]]
    return command.module, [*command.before, *words[2:], *command.after]


SHOWN = [
    pytest.param(*called(line), id=f"{page.stem}: {line[:60]}")
    for page in (PACKAGES / "README.md", *sorted(DOCS.rglob("*.md")))
    if page.name != "failures.md"
    for line in typed(page)
]


def of(module: str) -> list[object]:
    return [one for one in SHOWN if one.values[0] == module]


def test_the_commands_are_found_where_people_look_for_them() -> None:
    found = {(str(one.id).partition(":")[0], one.values[0]) for one in SHOWN}
    assert {
        ("README", "bench"),
        ("README", "analysis"),
        ("tutorial", "bench"),
        ("guides", "bench"),
        ("guides", "analysis"),
        ("comparing", "bench"),
        ("comparing", "analysis"),
        ("findings", "bench"),
        ("colo-first-checkpoint", "bench"),
        ("cluster", "bench"),
        ("provisioning", "bench.provision"),
        ("provisioning", "bench.doctor"),
        ("README", "bench.restore"),
    } <= found


@pytest.mark.parametrize(("module", "words"), of("bench"))
def test_what_would_be_measured_composes(
    module: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del module
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    [experiment] = re.findall(r"```yaml\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL)
    (own / "mine.yaml").write_text(experiment)
    [inventory] = re.findall(r"```yaml\n(.*?)```", (DOCS / "hosts.md").read_text(), re.DOTALL)
    (tmp_path / "hosts.yaml").write_text(inventory)
    monkeypatch.chdir(tmp_path)
    asked = parse(words)
    assert load_grid(compose(asked.words, asked.folder))[1]


class Parsed(Exception):  # noqa: N818 - nothing is wrong
    """The arguments were taken."""


@pytest.mark.parametrize(("module", "words"), [one for one in SHOWN if one.values[0] != "bench"])
def test_what_any_other_command_gets_parses(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module in {"analysis", "bench.provision"}
    command = import_module(f"{module}.__main__" if whole else module)
    take = argparse.ArgumentParser.parse_args

    def stop(*given: object) -> None:
        take(*given)  # type: ignore[call-overload]
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Parsed):
        command.main(words)


@pytest.mark.parametrize("words", [["compare", "results/one", "--treshold", "5%"], ["size", "--ram", "much"]])
def test_what_is_misspelled_would_be_seen(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        test_what_any_other_command_gets_parses("analysis", words, monkeypatch)
