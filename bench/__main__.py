"""The entry: ``python -m bench mem=1G smp=2``, or a sweep with ``-m``, from any directory."""

from __future__ import annotations

import shlex
import sys

from bench.config.commandline import parse
from bench.config.load import load_grid
from bench.config.show import shown
from bench.config.sweep import compose
from bench.run.campaign import run_campaign
from bench.system.developer_log import log_to_terminal
from bench.system.exits import Exit, last_door, listening, tell
from bench.system.places import shadows
from bench.system.streams import require_whole


def main() -> int:
    """Run the command line and return its exit status; a traceback is shown for our own bugs only."""
    # A path that is no UTF-8 is written as escapes into the plan, as it is to the terminal.
    command = shlex.join(("python", "-m", "bench", *sys.argv[1:])).encode(errors="backslashreplace").decode()

    def work() -> int:
        asked = parse(sys.argv[1:])
        if asked.has("--verbose"):
            log_to_terminal()
        text = shown(asked)
        if text is not None:
            sys.stdout.write(text)
            require_whole()
            return Exit.DONE
        if found := shadows():
            tell(f"note: `python -m` would run {', '.join(found)} of this folder; colo-bench runs ours anywhere")
        settings, cells = load_grid(compose(asked.words, asked.folder))
        return run_campaign(settings, cells, command)

    return last_door(command, work)


if __name__ == "__main__":
    sys.exit(listening(main))
