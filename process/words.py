"""The words of a command that are refused: what is wrong on one line, what mends it on the next."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Reads the words of a command, and refuses them as everything else is refused."""

    def error(self, message: str) -> NoReturn:
        """End the command with status 2."""
        self.exit(2, f"colo-bench: {message}\n  fix: {self.prog} --help\n")
