"""``python -m bench.restore``: puts the host settings back that a killed campaign had changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.process.words import Parser
from bench.system.exits import Exit, last_door, listening
from bench.tune.journal import UndoJournal, state_folder
from bench.tune.settings import Machine
from bench.tune.tuner import undo

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT = (
    "Puts back every host setting that a campaign with tune=... or cache=ways had changed and that is not put back "
    "yet. The main command does the same when it starts. As root, since that is who changed them."
)


def main(arguments: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """Restore, say what was done and return the exit status."""
    Parser(prog="python -m bench.restore", description=_ABOUT).parse_args(arguments)
    return last_door("python -m bench.restore", lambda: _restore(machine or Machine()))


def _restore(machine: Machine) -> int:
    journal = UndoJournal(state_folder())
    if not journal.notes():
        sys.stdout.write(f"nothing to put back: {journal.path} holds no change\n")
        return Exit.DONE
    with journal.held():
        lines = undo(journal, machine)
    sys.stdout.write("".join(f"{line}\n" for line in lines or ["everything was as it had been already"]))
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(listening(main))
