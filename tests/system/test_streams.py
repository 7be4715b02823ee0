"""Output whose reader goes away, and what is shown where there is no terminal that can change a line in place."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from bench.system.streams import make_console

PACKAGES = ("bench", "analysis")
_TALKER = """
import sys
from {package}.process.streams import outlive_readers
outlive_readers()
print("first", flush=True)
sys.stdin.readline()
for _ in range(3):
    print("nobody reads this", flush=True)
    sys.stderr.write("nor this\\n")
open(sys.argv[1], "w").write("went on")
sys.exit(7)
"""


@pytest.fixture(params=PACKAGES)
def argv(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    return [sys.executable, "-c", _TALKER.format(package=request.param), str(tmp_path / "done")]


def test_a_closed_pipe_does_not_end_the_process(argv: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as talker:
        assert talker.stdin
        assert talker.stdout
        assert talker.stdout.readline() == b"first\n"
        talker.stdout.close()
        talker.stdin.write(b"\n")
        talker.stdin.close()
        assert talker.wait(60) == 7
    assert (tmp_path / "done").read_text() == "went on"


def test_a_closed_terminal_does_not_end_the_process(argv: list[str], tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=slave, stderr=slave) as talker:
        os.close(slave)
        assert os.read(master, 5) == b"first"
        os.close(master)
        assert talker.stdin
        talker.stdin.write(b"\n")
        talker.stdin.close()
        assert talker.wait(60) == 7
    assert (tmp_path / "done").read_text() == "went on"


@pytest.mark.parametrize("where", [">/dev/full 2>&1", ">&-", ">&- 2>&-", "| true"])
def test_a_full_or_closed_output_keeps_the_status(argv: list[str], tmp_path: Path, where: str) -> None:
    script = f'{{ "$@"; echo $? >"$0"; }} {where}'
    status = tmp_path / "status"
    done = subprocess.run(
        ["sh", "-c", script, status, *argv], input=b"\n", capture_output=True, timeout=60, check=False
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    assert status.read_text() == "7\n"
    assert (tmp_path / "done").read_text() == "went on"


_SHOWS = """
import sys
from rich.text import Text
from bench.run.display import LiveDisplay, Status, make_display
from bench.scenario.progress import Progress
from bench.process.streams import outlive_readers
from bench.system.streams import make_console
from types import SimpleNamespace
outlive_readers()
console = make_console()
plan = SimpleNamespace(campaign="demo", runs=[], repeats=1)
with make_display(console, plan, 0) as display:
    display.progress(Progress("boot"))
console.print("live" if isinstance(display, LiveDisplay) else "plain", style="bold red")
"""
_COMPARES = """
from analysis.commands.terminal import console, print_table
print_table(console(), ("cell", "base", "verdict"), [("one", "2", "three")])
console().print("plain", style="bold")
"""


def shown(program: str, *, terminal: bool, **env: str) -> str:
    """Return what a program writes to a pipe, or to a terminal."""
    clean = {name: value for name, value in os.environ.items() if name not in {"TERM", "COLUMNS", "NO_COLOR"}}
    argv = [sys.executable, "-c", program]
    if not terminal:
        return subprocess.run(argv, env=clean | env, capture_output=True, text=True, timeout=60, check=True).stdout
    master, slave = pty.openpty()
    with subprocess.Popen(argv, env=clean | env, stdout=slave, stderr=slave) as process:
        os.close(slave)
        text = b""
        try:
            while part := os.read(master, 4096):
                text += part
        except OSError:  # a terminal's way to say that the other side is closed
            pass
    os.close(master)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.parametrize(
    "env",
    [
        {"FORCE_COLOR": "1"},
        {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "TERM": "xterm"},
        {"COLORTERM": "truecolor", "TERM": "xterm-256color", "COLUMNS": "7"},
    ],
    ids=str,
)
@pytest.mark.parametrize("program", [_SHOWS, _COMPARES], ids=PACKAGES)
def test_a_log_holds_plain_lines_whatever_the_environment_says(program: str, env: dict[str, str]) -> None:
    text = shown(program, terminal=False, **env)
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "plain"


@pytest.mark.parametrize("term", ["dumb", "", "unknown", None])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines_at_once(term: str | None) -> None:
    text = shown(_SHOWS, terminal=True, **({} if term is None else {"TERM": term}), FORCE_COLOR="1")
    assert "\x1b" not in text
    assert "[0/0]: boot" in text
    assert text.splitlines()[-1] == "plain"


@pytest.mark.parametrize("columns", ["0", "1", "\N{SUPERSCRIPT TWO}", "wide", "99999999999999999999999", "80"])
def test_a_real_terminal_gets_the_live_display_whatever_width_is_claimed(columns: str) -> None:
    text = shown(_SHOWS, terminal=True, TERM="xterm", COLUMNS=columns)
    assert "\x1b[?25l" in text  # the cursor is hidden while lines change
    assert "live" in text


def test_a_path_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("/a/[/x]/[bold]")
    assert capsys.readouterr().out == "/a/[/x]/[bold]\n"


@pytest.mark.parametrize(("where", "said"), [("/dev/full", "3 No space left on device"), ("/dev/null", "whole")])
def test_what_is_all_that_a_command_makes_is_missed_on_a_full_disk(where: str, said: str) -> None:
    program = (
        "import sys; from bench.system.exits import exit_of; from bench.errors import BenchError\n"
        "from bench.process.streams import outlive_readers\n"
        "from bench.system.streams import require_whole\n"
        "outlive_readers(); print('x')\n"
        "try: require_whole(); sys.stderr.write('whole')\n"
        "except BenchError as error: sys.stderr.write(f'{exit_of(error)} {error.message.rpartition(\": \")[2]}')\n"
    )
    with Path(where).open("w") as out:
        done = subprocess.run(
            (sys.executable, "-c", program), stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=True
        )
    assert done.stderr == said


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything(argv: list[str]) -> None:
    program = argv[2].partition("print(")[0] + "print('x' * 1_000_000)"
    there, here = os.pipe()
    os.set_blocking(here, False)
    with subprocess.Popen([sys.executable, "-c", program], stdout=here) as talker, os.fdopen(there, "rb") as pipe:
        os.close(here)
        assert len(pipe.read()) == 1_000_001
        assert talker.wait(60) == 0
