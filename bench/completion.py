"""``colo-bench completion bash|zsh|fish``: prints what a shell evaluates so that TAB completes our command line.

Only ``colo-bench`` itself is completed, by the very file that was asked for the code: no other program is ever started.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import COMMANDS
from bench.exits import last_door
from bench.places import CONF, PACKAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHELLS = {
    # Bash splits words at = and : as well, which ours hold; what is offered begins after the last of them.
    "bash": """_colo_bench() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" IFS=$'\\n' word
    word="${{line##*[[:space:]]}}"
    COMPREPLY=($({program} completion words "$line" 2>/dev/null))
    local split="${{word%"${{word##*[=:]}}"}}"
    COMPREPLY=("${{COMPREPLY[@]#"$split"}}")
    [ "${{#COMPREPLY[@]}}" = 1 ] && [[ "${{COMPREPLY[0]}}" != *[=./] ]] && COMPREPLY=("${{COMPREPLY[0]}} ")
}}
complete -o default -o nospace -F _colo_bench colo-bench
""",
    "zsh": """_colo_bench() {{
    local -a found
    found=("${{(@f)$({program} completion words "$LBUFFER" 2>/dev/null)}}")
    if [[ -n "$found" ]]; then compadd -S '' -- $found; else _files; fi
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _colo_bench colo-bench
""",
    "fish": """complete -c colo-bench -a '({program} completion words (commandline -cp) 2>/dev/null)'
""",
}


def words(line: str) -> list[str]:
    """Return what the last word of a command line may become; empty: the shell's own file names.

    Args:
        line: from the command to the cursor.
    """
    typed = line.split()[1:] + ([""] if line[-1:].isspace() else [])
    if len(typed) <= 1:
        return [name for name in COMMANDS if name.startswith("".join(typed))]
    name, *_, word = typed
    if name == "completion":
        return [shell for shell in _SHELLS if shell.startswith(word)]
    command = COMMANDS.get(name)
    return _overrides(" ".join(typed[1:])) if command and command.module == "bench" else []


def _overrides(line: str) -> list[str]:
    """Return the overrides that Hydra offers, without those of its own settings, which have no effect here."""
    sys.path.append(str(PACKAGES / "bench" / "_plugins"))
    from hydra import initialize_config_dir  # noqa: PLC0415 - the words of other commands need none of it
    from hydra._internal.core_plugins.bash_completion import BashCompletion  # noqa: PLC0415
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415

    with initialize_config_dir(str(CONF), version_base="1.3"):
        offered = BashCompletion(GlobalHydra.instance().config_loader())._query("config", line)  # noqa: SLF001
    return sorted(word for word in offered if not word.startswith("hydra"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the code for a shell, or the words that complete a line."""
    parser = argparse.ArgumentParser(
        prog="colo-bench completion",
        description="Print the code that a shell evaluates to complete our commands and configuration keys: "
        'eval "$(colo-bench completion bash)", the same with zsh; fish: colo-bench completion fish | source',
    )
    parser.add_argument("shell", choices=[*_SHELLS, "words"], help="words: used by that code")
    parser.add_argument("line", nargs="?", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)

    def work() -> int:
        if chosen.shell == "words":
            sys.stdout.writelines(f"{word}\n" for word in words(chosen.line))
        else:
            program = Path(sys.executable).with_name("colo-bench")
            sys.stdout.write(_SHELLS[chosen.shell].format(program=shlex.quote(str(program))))
        return 0

    return last_door("colo-bench completion", work)


if __name__ == "__main__":
    sys.exit(main())
