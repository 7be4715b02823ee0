"""Words as people type them: those of a command are refused on one line, with what mends it on the next."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from .streams import lost

_ROOM = "  fix: make room on the disk that it goes to\n"
_OCTAL = re.compile(r"[-+]?0[0-7_]*[1-7][0-7_]+")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


def odd_base(number: str) -> int:
    """Return the base that YAML 1.1 reads a number in and no person does, 8 or 60; 0 for any other."""
    return 8 if _OCTAL.fullmatch(number) else 60 if _BASE_60.fullmatch(number) else 0


class Parser(argparse.ArgumentParser):
    """Reads the words of a command, and refuses them as everything else is refused."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the command; help that a full disk below standard output has swallowed was not given."""
        if not status and (refused := lost()):
            status, message = 3, f"colo-bench: standard output could not be written: {refused.strerror}\n{_ROOM}"
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        """End the command with status 2."""
        self.exit(2, f"colo-bench: {message}\n  fix: {self.prog} --help\n")
