"""The house as its imports have it: which room stands on which, and the picture of it in ``docs/architecture.md``.

``python -m tools.rooms`` draws the picture anew; a test holds it to the code, and the rooms to their order.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "architecture.md"

_COMMANDS = ("__main__", "cli", "completion", "compress", "doctor", "part", "recover", "restore", "spelling")
FACES = frozenset((*(f"bench.{name}" for name in _COMMANDS), "analysis.__main__"))
"""What people call, beside the ``__main__`` of a room: it may use every room, and none uses it."""

SHARED = ("format", "process")
"""What both packages reach by a link, as neither imports the other."""

ORDER = (
    SHARED,
    ("bench.failures", "bench.errors", "bench.system"),
    ("bench.workload", "bench.guest", "bench.config"),
    ("bench.provision", "bench.host", "bench.plan", "bench.tune"),
    ("bench.vm", "bench.measure", "bench.record", "bench.cluster"),
    ("bench.scenario", "bench.run"),
    ("analysis.errors", "analysis.text", "analysis.surroundings", "analysis.workers", "analysis.stats"),
    ("analysis.stored", "analysis.runs", "analysis.frames"),
    ("analysis.verdicts", "analysis.compare", "analysis.planning", "analysis.calibrate"),
    ("analysis.plots", "analysis.report", "analysis.commands"),
)
"""The rooms in storeys, from the ground up; within a storey too, a room uses only those before it."""

_BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def imports(checkout: Path = CHECKOUT) -> Iterator[tuple[str, str]]:
    """Yield (module, what it imports) for every import of ours by ours, those for annotations alone included."""
    for package in (*SHARED, "bench", "analysis"):
        for path in sorted((checkout / package).rglob("*.py")):
            parts = path.relative_to(checkout).with_suffix("").parts
            if parts[1] in SHARED or "_plugins" in parts:  # the links to one and the same room
                continue
            module = ".".join(parts).removesuffix(".__init__")
            yield from ((module, name) for name in _imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.partition(".")[0] in {"bench", "analysis", *SHARED})


def room_of(name: str) -> str:
    """Return the room of a module: its folder, or a face, or a single module of the ground."""
    parts = name.split(".")
    return next((one for one in SHARED if one in parts[:2]), ".".join(parts[:2]))


def doors(checkout: Path = CHECKOUT) -> dict[str, set[str]]:
    """Return which rooms each room imports from; faces are left out, as what they use says nothing of the house."""
    found: dict[str, set[str]] = {}
    for module, name in imports(checkout):
        room, other = room_of(module), room_of(name)
        is_face = module in FACES or module.endswith(".__main__") or "." not in module
        if not is_face and room != other not in {"bench", "analysis"} and _exists(checkout, other):
            found.setdefault(room, set()).add(other)
            found.setdefault(other, set())
    return found


def modules(package: str, checkout: Path = CHECKOUT) -> dict[str, set[str]]:
    """Return which modules of a package each of its modules imports from."""
    found: dict[str, set[str]] = {}
    for module, name in imports(checkout):
        other = name if _exists(checkout, name) else name.rpartition(".")[0]
        if module.startswith(f"{package}.") and other.startswith(f"{package}.") and _exists(checkout, other):
            found.setdefault(module, set()).add(other)
            found.setdefault(other, set())
    return found


def _exists(checkout: Path, room: str) -> bool:
    """Whether it is a room, and not a name that a package gives by itself, such as its version."""
    path = checkout / room.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def floors(found: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the rooms, or modules, each above all that it imports from.

    Raises:
        ValueError: some import each other in a circle.
    """
    left, placed = dict(found), list[list[str]]()
    while left:
        known = {room for floor in placed for room in floor}
        floor = sorted(room for room, others in left.items() if others <= known)
        if not floor:
            raise ValueError(f"these import each other in a circle: {', '.join(sorted(left))}")
        placed.append(floor)
        left = {room: others for room, others in left.items() if room not in floor}
    return placed


def needed(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the doors without those that follow from others: who uses a room may use what it stands on."""
    below: dict[str, set[str]] = {}
    for floor in floors(found):
        for room in floor:
            below[room] = found[room].union(*(below[other] for other in found[room]))
    return {
        room: {one for one in others if not any(one in below[other] for other in others)}
        for room, others in found.items()
    }


def picture(found: Mapping[str, set[str]]) -> str:
    """Return the rooms and doors as a mermaid graph, the top floor first."""
    lines = ["graph TD"]
    kept = needed(found)
    for floor in reversed(floors(found)):
        lines += [f"  {_key(room)}[{room}]" for room in floor]
    lines += [f"  {_key(room)} --> {_key(other)}" for room in sorted(kept) for other in sorted(kept[room])]
    return "\n".join(lines) + "\n"


def _key(room: str) -> str:
    return room.replace(".", "_")


def with_picture(text: str, drawn: str) -> str:
    """Return the page with its picture replaced."""
    return _BLOCK.sub(lambda _: drawn, text, count=1)


def main() -> None:
    """Draw the picture anew."""
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8"), picture(doors())), encoding="utf-8")


if __name__ == "__main__":
    main()
