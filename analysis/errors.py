"""The ways in which there is no report, each with the exit code that tells them apart."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path

INTERRUPTED = 130
"""The exit status when a signal ended it."""

BUG = 4
"""The exit status of a mistake of ours, the only one with a traceback."""

UNWRITABLE = 3
"""The exit status when this machine does not let a file be written: a full disk, a folder of somebody else."""


_NO_ROOM = "see that the folder is yours to write to, and that the disk has room"
_ELSEWHERE = "see that the folder is yours to write to, or choose another place: of a report with --out DIR"
_MENDS = {
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.EMFILE: "ulimit -n 1024",
    errno.EFBIG: "ulimit -f unlimited",
    errno.ENOMEM: "ulimit -v unlimited",
    errno.EISDIR: "name a file; a folder of that name is there",
    errno.ENOTDIR: "name a folder; a file of that name is there",
    errno.EEXIST: "name a folder; a file of that name is there",
    errno.ENAMETOOLONG: "choose a shorter name",
}

MORE_BLOCKS = "measure it in more blocks: the same command with a larger repeats="
"""What mends a campaign that tells too little of how runs differ."""


class AnalysisError(Exception):
    """No report can be built; the message is one line for a person.

    Attributes:
        exit_code: what ``python -m analysis`` ends with.
        fix: what mends it, in one line.
    """

    exit_code = 2
    fix = ""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix or self.fix

    def told(self) -> str:
        """Return what a person sees of it: what is wrong, and what mends it."""
        return told(str(self), self.fix)


def said(error: OSError) -> str:
    """Return what the system says of a file, after its name."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def mends(error: OSError) -> str:
    """Return what mends a file that cannot be opened or written."""
    return _MENDS.get(error.errno or 0, _NO_ROOM)


def told(what: str, fix: str) -> str:
    """Return the lines that say what is wrong and what mends it."""
    return f"colo-bench: {what}\n" + (f"  fix: {fix}\n" if fix else "")


def path_of(word: str) -> Path:
    """Return the path that a word is; an empty one, as of a variable that is not set, is none.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not word.strip():
        raise argparse.ArgumentTypeError(f"{word!r} is no path")
    return Path(word)


class NotACampaignError(AnalysisError):
    """The path holds no campaign that this version can read."""

    fix = "give the folder of a campaign, such as results/demo"


class DifferentPlansError(AnalysisError):
    """Campaigns that do not measure the same cells were to be combined."""

    fix = "give campaigns that one and the same command has measured, each once"


class NothingMeasuredError(AnalysisError):
    """The campaign holds no run whose checkpoints can be read."""

    exit_code = 1
    fix = "its ledger.jsonl says why runs failed, docs/failures.md what to do; the command that made it goes on with it"
