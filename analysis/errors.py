"""The ways in which there is no report, each with the exit code that tells them apart."""

from __future__ import annotations

INTERRUPTED = 130
"""The exit status when a signal ended it."""

UNWRITABLE = 3
"""The exit status when this machine does not let a file be written: a full disk, a folder of somebody else."""


class AnalysisError(Exception):
    """No report can be built; the message is one line for a person.

    Attributes:
        exit_code: what ``python -m analysis`` ends with.
    """

    exit_code = 2


class NotACampaignError(AnalysisError):
    """The path holds no campaign that this version can read."""

    exit_code = 2


class DifferentPlansError(AnalysisError):
    """Campaigns that do not measure the same cells were to be combined."""

    exit_code = 2


class NothingMeasuredError(AnalysisError):
    """The campaign holds no run whose checkpoints can be read."""

    exit_code = 1
