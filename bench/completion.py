"""``colo-bench completion bash|zsh|fish``: prints what a shell evaluates so that TAB completes our command line.

Only ``colo-bench`` itself is completed, by the very file that was asked for the code: no other program is ever started.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli import COMMANDS
from bench.errors import ConfigError
from bench.process.words import Parser
from bench.system.exits import last_door, listening
from bench.system.streams import require_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    "fish": """function __colo_bench
    {program} completion words (commandline -cp) 2>/dev/null
end
complete -c colo-bench -a '(__colo_bench)'
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
    return _overrides(typed[1:]) if command and command.module == "bench" else []


def _overrides(typed: Sequence[str]) -> list[str]:
    """Return what the last of some overrides may become: groups, their choices, and the keys that there are then."""
    from bench.config.sources import make_loader  # noqa: PLC0415 - the words of other commands need none of it
    from bench.config.sweep import compose  # noqa: PLC0415

    *before, word = typed
    loader = make_loader()
    groups = [name for name in loader.list_groups("") if name != "hydra"]
    key, equals, values = word.partition("=")
    if equals:
        given = "".join(values.rpartition(",")[:2])
        offered = [f"{key}={given}{one}" for one in (loader.get_group_options(key) if key in groups else ())]
    else:
        try:
            config = compose([one for one in before if "=" in one and not one.startswith("-")])[0]
        except ConfigError:
            return []
        offered = [f"{name}=" for name in (*groups, *_keys(config, ""))]
    return sorted({one for one in offered if one.startswith(word) and one != word})


def _keys(config: Any, prefix: str) -> Iterator[str]:
    for key, value in config.items_ex(resolve=False):
        if prefix or key != "hydra":
            nested = hasattr(value, "items_ex") and len(value)
            yield from _keys(value, f"{prefix}{key}.") if nested else (f"{prefix}{key}",)


def _program() -> Path:
    """Return the file that was started, which need not lie beside its Python; else the one that does."""
    started = next(map(Path, sys.orig_argv[1:2]), Path())
    return (started if started.name == "colo-bench" else Path(sys.executable).with_name("colo-bench")).absolute()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the code for a shell, or the words that complete a line."""
    parser = Parser(
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
            sys.stdout.write(_SHELLS[chosen.shell].format(program=shlex.quote(str(_program()))))
        require_whole()
        return 0

    return last_door("colo-bench completion", work)


if __name__ == "__main__":
    sys.exit(listening(main))
