"""Output whose reader goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

_TALKER = """
import sys
from bench.streams import outlive_readers
outlive_readers()
print("first", flush=True)
sys.stdin.readline()
for _ in range(3):
    print("nobody reads this", flush=True)
    sys.stderr.write("nor this\\n")
open(sys.argv[1], "w").write("went on")
"""


def test_a_closed_pipe_does_not_end_the_process(tmp_path: Path) -> None:
    done = tmp_path / "done"
    argv = [sys.executable, "-c", _TALKER, str(done)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as talker:
        assert talker.stdin
        assert talker.stdout
        assert talker.stdout.readline() == b"first\n"
        talker.stdout.close()
        talker.stdin.write(b"\n")
        talker.stdin.close()
        assert talker.wait(20) == 0
    assert done.read_text() == "went on"


def test_a_closed_terminal_does_not_end_the_process(tmp_path: Path) -> None:
    done = tmp_path / "done"
    master, slave = pty.openpty()
    argv = [sys.executable, "-c", _TALKER, str(done)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=slave, stderr=slave) as talker:
        os.close(slave)
        assert os.read(master, 5) == b"first"
        os.close(master)
        assert talker.stdin
        talker.stdin.write(b"\n")
        talker.stdin.close()
        assert talker.wait(20) == 0
    assert done.read_text() == "went on"
