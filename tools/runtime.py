"""``python tools/runtime.py [--build]``: the part of the lock that ships, without what only developing it needs.

The lock says of each package what it is there for (``# via``). What an installed colo-bench rests on follows from that,
with the same versions and hashes, and without asking an index. The set-up installs that, and with ``--build`` what
installs a checkout, before there is any package: this module has the standard library alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECKOUT = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA = re.compile(r"^ +# +(?:via +)?(?!via$)(\S+)", re.MULTILINE)


def normal(requirement: str) -> str:
    """Return the name that a requirement begins with, in its one spelling: ``qemu.qmp>=0.0.5`` is ``qemu-qmp``.

    Raises:
        ValueError: it begins with no name.
    """
    name = _NAME.match(requirement)
    if name is None:
        raise ValueError(f"{requirement!r} names no package")
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def blocks(lock: str) -> dict[str, str]:
    """Return what a lock says of each package, by name, in its order."""
    lines = [line for line in lock.splitlines(keepends=True) if not line.startswith("#")]
    return {normal(block): block for block in re.findall(r"^\S.*\n(?:[ \t].*\n)*", "".join(lines), re.MULTILINE)}


def users(block: str) -> set[str]:
    """Return the packages that one of a lock is there for."""
    return {normal(user) for user in _VIA.findall(block)}


def runtime(lock: str, wanted: Iterable[str]) -> str:
    """Return the blocks of a lock that these requirements need, all the way down, in the lock's order.

    Args:
        lock: as ``pip-compile`` writes it, with hashes and the packages that each is there for.
        wanted: the requirements of the project itself.

    Raises:
        ValueError: one of them is not in the lock.
    """
    known = blocks(lock)
    needed = {normal(one) for one in wanted}
    if missing := needed - known.keys():
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    while more := {name for name, block in known.items() if users(block) & needed} - needed:
        needed |= more
    return "".join(block for name, block in known.items() if name in needed)


def main() -> None:
    """Print that part of ``requirements.txt``."""
    said = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8")
    builds = said["build-system"]["requires"] if "--build" in sys.argv[1:] else []
    sys.stdout.write(runtime(lock, [*said["project"]["dependencies"], *builds]))


if __name__ == "__main__":
    main()
