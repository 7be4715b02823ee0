"""``colo-bench COMMAND ...``: one face for every command, each run as ``python -m`` runs its module."""

from __future__ import annotations

import difflib
import runpy
import sys
from dataclasses import dataclass
from importlib.metadata import metadata
from typing import TYPE_CHECKING

import bench
from bench.process.streams import outlive_readers
from bench.spelling import spell
from bench.system.exits import Exit, tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """What a word stands for.

    Attributes:
        module: what is run as ``python -m`` would, so that there is one way in.
        about: its line of the help.
        before: words that the module gets before those of the command line.
        after: words that it gets after them.
    """

    module: str
    about: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


COMMANDS: Mapping[str, Command] = {
    "run": Command("bench", "measure: KEY=VALUE sets, KEY=A,B sweeps, experiment=NAME"),
    "plan": Command("bench", "what that would run, with its time, memory and disk", after=("dry_run=true",)),
    "doctor": Command("bench.doctor", "what this machine can do, and what fixes the rest"),
    "provision": Command("bench.provision", "fetch QEMU and build the guest ahead of time"),
    "report": Command("analysis", "(re)build the report of a campaign, or of several"),
    "compare": Command("analysis", "two campaigns: regressed, not, or inconclusive", before=("compare",)),
    "power": Command("analysis", "how small an effect a campaign can see", before=("power",)),
    "calibrate": Command("analysis", "the error rates of every method on known truths", before=("calibrate",)),
    "explore": Command("analysis", "every run on one page, to filter and look at", before=("explore",)),
    "size": Command("analysis", "what COLO would cost a machine that you describe", before=("size",)),
    "timeline": Command("analysis", "one run on a time axis: requests, pauses, pages", before=("timeline",)),
    "overhead": Command("analysis", "COLO against the same machine without it", before=("overhead",)),
    "track": Command("analysis", "many campaigns as a series, and where it changed", before=("track",)),
    "bundle": Command("analysis", "one archive of a campaign for others to check", before=("bundle",)),
    "verify": Command("analysis", "check such an archive, verdicts included", before=("verify",)),
    "recover": Command("bench.recover", "the checkpoints of failed attempts, from raw traces"),
    "compress": Command("bench.compress", "the raw logs of finished runs as zstd"),
    "restore": Command("bench.restore", "put host settings back that a killed run changed"),
    "completion": Command("bench.completion", "for eval in a shell's start-up file: bash, zsh, fish"),
}
"""Every command, in the order of the help."""

YEAR = "2026"
"""Of the version that is cited, as in ``CITATION.cff`` and ``LICENSE``."""


def help_text() -> str:
    """Return what ``--help`` shows: one screen."""
    lines = "\n".join(f"  {name:<11} {command.about}" for name, command in COMMANDS.items())
    return (
        "usage: colo-bench COMMAND ...    (colo-bench COMMAND --help tells the rest)\n"
        "What does a QEMU COLO checkpoint cost? Measured on real pairs.\n"
        f"{lines}\n"
        "Exit status: 0 done, 1 some runs failed, 2 wrong usage, 3 this machine cannot,\n"
        "4 a bug of ours, 130 interrupted; compare and track: 0, 5 or 6\n"
        "Also: --version, --bibtex\n"
    )


def main(words: Sequence[str]) -> int:
    """Run the command that the first word names; it ends the process itself, with its own status.

    Returns:
        The status when no command was run: help or the version was asked for, or the word is none of ours.
    """
    outlive_readers()
    if not words:
        sys.stderr.write(help_text())
        return Exit.USAGE
    name, *rest = words
    if name in {"--help", "-h", "help"}:
        sys.stdout.write(help_text())
        return Exit.DONE
    if name == "--bibtex":
        sys.stdout.write(bibtex())
        return Exit.DONE
    if name == "--version":
        sys.stdout.write(f"colo-bench {bench.__version__}\n")
        return Exit.DONE
    command = COMMANDS.get(name)
    if command is None:
        tell(_unknown(name, words))
        return Exit.USAGE
    spell({(one.module, *one.before): name for name, one in COMMANDS.items() if not one.after})
    sys.argv = [f"colo-bench {name}", *command.before, *rest, *command.after]
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    return Exit.DONE


def bibtex() -> str:
    """Return the entry of a bibliography, from what the installed package says of itself."""
    about = metadata("colo-bench")
    fields = {
        "title": f"{{colo-bench}}: {about['Summary'].rstrip('.')}",
        "author": f"{{{about['Author']}}}",
        "year": YEAR,
        "version": bench.__version__,
        "note": f"Software, {about['License-Expression']} licence",
    }
    lines = "".join(f"  {key} = {{{value}}},\n" for key, value in fields.items())
    return f"@misc{{colo-bench,\n{lines}}}\n"


def _unknown(name: str, words: Sequence[str]) -> str:
    if "=" in name or name in {"-m", "--multirun"}:
        return f"{name} is no command; did you mean: colo-bench run {' '.join(words)}"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"{name} is no command; {guess}legal: {', '.join(COMMANDS)}"
