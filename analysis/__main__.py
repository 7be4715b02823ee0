"""``python -m analysis results/<campaign>``: builds the report of a campaign and prints its path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.build import build_report
from analysis.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 with the path printed, 1 when nothing was measured, 2 when the path is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis", description="Build the report of a measured campaign and print its path."
    )
    parser.add_argument("campaign", type=Path, help="a campaign folder, such as results/demo")
    folder = parser.parse_args(arguments).campaign
    try:
        page = build_report(folder)
    except AnalysisError as error:
        sys.stderr.write(f"colo-bench: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"colo-bench: the report cannot be written: {error}\n")
        return AnalysisError.exit_code
    sys.stdout.write(f"{page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
