"""``python -m tests.fuzz``: every fuzz test with thousands of new inputs, and a table of what became of them."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def table() -> str:
    """Return the counts as a table in Markdown, one row per kind of input."""
    from fuzzing import COUNTS, Count

    rows = [*sorted(COUNTS.items())]
    totals = Count(*(sum(getattr(one, name) for _, one in rows) for name in Count.__dataclass_fields__))
    lines = ["| input | tried | accepted | refused | failures |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, one in [*rows, ("all", totals)]:
        lines.append(f"| {kind} | {one.inputs:,} | {one.accepted:,} | {one.refused:,} | {one.failures:,} |")
    return "\n".join(lines)


MARKS = ("<!-- make fuzz writes the table from here -->", "<!-- to here -->")


def put_into(document: Path, text: str) -> None:
    """Put a text between the marks of a document."""
    before, rest = document.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    document.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> int:
    """Run the fuzz tests and print the table; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="repeat a run")
    parser.add_argument("--profile", default="long", choices=("fast", "long"))
    parser.add_argument("--write", type=Path, help="a document to put the table into, when nothing failed")
    options = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = options.profile
    sys.path.insert(0, str(HERE))
    import pytest

    began = time.monotonic()
    files = sorted(map(str, HERE.rglob("test_fuzz_*.py")))
    status = int(
        pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=7200", f"--hypothesis-seed={options.seed}", *files])
    )
    text = f"{table()}\n\nSeed {options.seed}; {time.monotonic() - began:.0f} s."
    sys.stdout.write(f"\n{text}\n")
    if options.write and not status:
        put_into(options.write, text)
    return status


if __name__ == "__main__":
    sys.exit(main())
