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


def main() -> int:
    """Run the fuzz tests and print the table; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="repeat a run")
    parser.add_argument("--profile", default="long", choices=("fast", "long"))
    options = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = options.profile
    sys.path.insert(0, str(HERE))
    import pytest

    began = time.monotonic()
    files = sorted(map(str, HERE.glob("test_fuzz_*.py")))
    status = int(
        pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=7200", f"--hypothesis-seed={options.seed}", *files])
    )
    sys.stdout.write(f"\n{table()}\n\nseed {options.seed}, {time.monotonic() - began:.0f} s\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
