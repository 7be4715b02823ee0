"""`make benchmark`: runs every benchmark on real pairs, prints the figures and stores them; asserts nothing."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.system.files import write_atomic
from tools.benchmarks import (
    cluster,
    elf_kernel,
    explore,
    guests,
    launch,
    long_campaign,
    parse,
    rate,
    report,
    setting,
    standstill,
    trace_cost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).resolve().parents[2] / "results" / "benchmarks"
ALONE: dict[str, Callable[[], dict[str, Any]]] = {
    "parse": parse.benchmark,
    "report": report.benchmark,
    "explore": explore.benchmark,
    "long_campaign": long_campaign.benchmark,
    "cluster": cluster.benchmark,
}
PAIRS = {
    "launch": launch.benchmark,
    "guests": guests.benchmark,
    "standstill": standstill.benchmark,
    "rate": rate.benchmark,
    "trace_cost": trace_cost.benchmark,
    "elf_kernel": elf_kernel.benchmark,
}
NAMES = (*ALONE, *PAIRS)


def main() -> int:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help="which (default: all)")
    names = parser.parse_args().names or NAMES
    RESULTS.mkdir(parents=True, exist_ok=True)
    chosen = setting.provisioned() if set(names) & PAIRS.keys() else None
    for name in names:
        figures = ALONE[name]() if name in ALONE or chosen is None else PAIRS[name](chosen)
        about = {"machine": platform.node(), "kernel": platform.release(), "python": platform.python_version()}
        if chosen and name in PAIRS:
            under = "as named" if name in {"guests", "standstill"} else "emulation (TCG)"
            about |= {"pairs": under, "qemu": chosen.binary.version}
        text = json.dumps({"benchmark": name, **about, "figures": figures}, indent=1)
        print(text)  # noqa: T201 - printing the figures is what this command is for
        write_atomic(RESULTS / f"{name}.json", text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
