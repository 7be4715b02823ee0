"""How fast a trace is parsed, and in how much memory: a million lines made of a real log, its times shifted.

`python -m tools.benchmarks.parse [--lines N]` prints the figures.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.format.phases import PRIMARY
from bench.measure.checkpoints import assemble
from bench.measure.parts import EVENTS
from bench.measure.trace import Line, parse_line, read_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

EXCERPT = Path(__file__).resolve().parents[2] / "tests" / "data" / "primary.trace.log"
LINES = 1_000_000
_GAP_US = 100_000
_DEADLINE_S = 600.0


def benchmark(lines: int = LINES) -> dict[str, Any]:
    """Return the figures of :func:`measure`, taken in a fresh process so that its peak memory is the parser's."""
    argv = (sys.executable, "-m", "tools.benchmarks.parse", "--lines", str(lines))
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(argv, cwd=root, check=True, capture_output=True, text=True, timeout=_DEADLINE_S)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(lines: int) -> dict[str, Any]:
    """Parse a log of that many lines once; seconds, lines per second and bytes of memory."""
    with tempfile.TemporaryDirectory(prefix="colo-bench-parse-") as name:
        path = Path(name) / "trace.log"
        with path.open("w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in repeated(EXCERPT, lines))
        size = path.stat().st_size
        before = _peak_bytes()
        started = time.perf_counter()
        trace = read_trace(path, EVENTS[PRIMARY])
        seconds = time.perf_counter() - started
    peak = _peak_bytes()
    started = time.perf_counter()
    assembly = assemble(trace, None)
    return {
        "lines": trace.lines,
        "bytes": size,
        "events_kept": len(trace),
        "seconds": seconds,
        "lines_per_s": trace.lines / seconds,
        "peak_rss_bytes": peak,
        "peak_rss_before_bytes": before,
        "checkpoints": len(assembly.checkpoints),
        "assemble_s": time.perf_counter() - started,
    }


def repeated(excerpt: Path, lines: int) -> Iterator[str]:
    """Yield so many lines: the excerpt again and again, each time later than before."""
    parsed = [line for text in excerpt.read_text().splitlines() if (line := parse_line(text))]
    span_us = parsed[-1].time_us - parsed[0].time_us + _GAP_US
    for number in range(lines):
        turn, position = divmod(number, len(parsed))
        line = parsed[position]
        time_us = line.time_us + turn * span_us
        yield Line(time_us, None, fraction=time_us % 1_000_000 != 0, event=line.event, rest=line.rest).render()


def _peak_bytes() -> int:
    # Not getrusage: its maximum survives exec and would be that of the program that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    match = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    options = parser.parse_args()
    print(json.dumps(measure(options.lines), indent=1))  # noqa: T201 - what this command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
