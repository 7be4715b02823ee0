"""``python -m bench.part FOLDER``: what a job of ``launcher=slurm`` runs; people do not."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.run.part import run_part
from bench.system.exits import Exit, last_door, listening, tell

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the block of one part and return the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    command = shlex.join(("python", "-m", "bench.part", *words))
    if len(words) != 1 or words[0].startswith("-"):
        tell(f"{command}: a job of launcher=slurm runs this with the folder of its part (docs/cluster.md)")
        return Exit.DONE if words[:1] in (["--help"], ["-h"]) else Exit.USAGE
    return last_door(command, lambda: run_part(Path(words[0]), os.environ))


if __name__ == "__main__":
    sys.exit(listening(main))
