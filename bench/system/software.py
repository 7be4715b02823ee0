"""How a missing program is told to a person: with apt's command where there is apt, by its name everywhere else."""

from __future__ import annotations

import shutil


def install_hint(what: str, debian: str) -> str:
    """Return what to install.

    Args:
        what: the programs by name, with the package where most distributions agree on it.
        debian: the packages as Debian calls them, separated by blanks.
    """
    if shutil.which("apt-get"):
        return f"sudo apt-get update && sudo apt-get install -y {debian}"
    return f"install {what} by this system's package manager (docs/install.md names the packages)"
