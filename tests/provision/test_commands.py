"""Helper programs: run to their end, with a deadline and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bench.errors import ProvisionError
from bench.provision import commands


def test_a_helper_that_is_late_is_killed_with_its_children() -> None:
    with pytest.raises(ProvisionError, match="did not end within") as caught:
        commands.run(["sh", "-c", "sleep 60 & echo $!; wait"], deadline_s=1)
    # The signal was sent; the kernel may need a moment to finish the process.
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(caught.value.evidence[0])).wait(5)


SUSPENDED = """
import sys
from bench.provision import commands
print("begun", flush=True)
script = f"echo > {sys.argv[1]}/up; read line < {sys.argv[1]}/go; echo $line"
print(commands.run(["sh", "-c", script], deadline_s=2).text)
"""


def test_the_time_in_which_we_were_suspended_is_not_the_helper_s(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    argv = (sys.executable, "-c", SUSPENDED, str(tmp_path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as harness:
        while not (tmp_path / "up").exists() and harness.poll() is None:
            time.sleep(0.01)
        harness.send_signal(signal.SIGSTOP)
        time.sleep(2.2)  # more than the deadline
        harness.send_signal(signal.SIGCONT)
        go = os.open(tmp_path / "go", os.O_RDWR)  # which waits for no reader, should there be none any more
        try:
            os.write(go, b"done\n")
            out, said = harness.communicate(timeout=60)
        finally:
            os.close(go)
    assert (out, said) == ("begun\ndone\n", "")


def test_a_helper_that_fails_says_its_last_words() -> None:
    with pytest.raises(ProvisionError, match="packing failed") as caught:
        commands.check([sys.executable, "-c", "print('why'); raise SystemExit(2)"], what="packing", deadline_s=20)
    assert caught.value.evidence == ("why",)
