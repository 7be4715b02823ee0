"""An interrupt arrives once, whatever it meets: a finaliser, a fork, a block that must not be cut short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from bench.process.interrupt import SIGNALS, heard, held_back, listen
from bench.system.exits import listening
from bench.system.owner import scratch_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def caught() -> Iterator[None]:
    numbers = (*SIGNALS, signal.SIGALRM)
    # Whoever runs these tests may have some of them ignored, as nohup and a shell's background do.
    handlers, hook = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}, sys.unraisablehook
    listen()
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.unraisablehook = hook


class Finalised:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0)


def be_interrupted_in_a_finaliser() -> None:
    one = Finalised()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - where it comes again is not known
        del one
        time.sleep(5)


@pytest.mark.usefixtures("caught")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_once(number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    for another in SIGNALS:
        signal.raise_signal(another)  # the end is under way


@pytest.mark.usefixtures("caught")
def test_what_whoever_started_it_had_ignored_stays_ignored_but_for_sigterm() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    listen()
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("caught")
def test_a_command_ends_with_130_wherever_the_signal_comes_and_after_its_end_with_its_own_status() -> None:
    def interrupted() -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    assert listening(interrupted) == 130
    assert listening(lambda: 7) == 7
    signal.raise_signal(signal.SIGTERM)  # it has its status: nothing is left to be interrupted


@pytest.mark.usefixtures("caught")
def test_what_a_finaliser_swallows_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    be_interrupted_in_a_finaliser()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("caught")
def test_what_a_fork_swallows_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    armed = [True]

    def before() -> None:
        if armed:
            armed.clear()
            signal.raise_signal(signal.SIGTERM)

    os.register_at_fork(before=before)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come between the two, or in the second
        subprocess.run(("true",), check=True, preexec_fn=lambda: None)
        time.sleep(5)
    assert "KeyboardInterrupt" not in capsys.readouterr().err


AMID_HOOKS = """
import os, signal, subprocess, sys, time
from bench.process.interrupt import listen
given_back = []
def give_back():
    if sys.argv[1] == "after" and not given_back:
        signal.raise_signal(signal.SIGTERM)
    given_back.append(time.monotonic())  # as logging and pools of threads give back their locks
def take():
    if sys.argv[1] == "before" and not given_back:
        signal.raise_signal(signal.SIGTERM)
os.register_at_fork(before=take, after_in_parent=give_back)
listen()
try:
    subprocess.run(("true",), check=True, preexec_fn=lambda: None)
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted", len(given_back))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lock_that_is_taken_around_a_fork_is_given_back_when_an_interrupt_meets_it(when: str) -> None:
    done = subprocess.run((sys.executable, "-c", AMID_HOOKS, when), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("interrupted 1\n", "")


@pytest.mark.usefixtures("caught")
def test_what_comes_again_too_early_comes_once_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arm, slow = signal.setitimer, [True]

    def busy(which: int, seconds: float) -> None:
        arm(which, seconds)
        if slow:
            slow.clear()
            time.sleep(5 * seconds)

    monkeypatch.setattr(signal, "setitimer", busy)
    be_interrupted_in_a_finaliser()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("caught")
def test_another_swallowed_error_is_told_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    class Bad:
        def __del__(self) -> None:
            raise ZeroDivisionError

    bad = Bad()
    del bad
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.usefixtures("caught")
def test_what_holds_it_back_is_finished_first() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():  # noqa: PT012 - what is held back is the point
        with held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


@pytest.mark.usefixtures("caught")
def test_an_interrupted_scratch_folder_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    make = tempfile.mkdtemp

    def interrupted(*args: str | None, **kwargs: str | None) -> str:
        made = make(*args, **kwargs)
        signal.raise_signal(signal.SIGTERM)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_folder("probe"):
        pytest.fail("an interrupt came before")
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_go_where_the_user_says_if_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_folder() == tmp_path
    for useless in (str(tmp_path / "missing"), ""):
        monkeypatch.setenv("TMPDIR", useless)
        assert str(temporary_folder()) == "/tmp"  # noqa: S108 - the fallback


FINDER = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["TEST_IMPORT"]:
            os.kill(os.getpid(), int(os.environ["TEST_NUMBER"]))
sys.meta_path.insert(0, Finder())
"""
ENTRIES = ("", ".doctor", ".provision", ".recover", ".compress", ".restore", ".part", ".completion")


@pytest.mark.parametrize("module", [*(f"bench{name}" for name in ENTRIES), "analysis"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -2), (signal.SIGTERM, -15), (signal.SIGHUP, -1)])
def test_before_anything_is_begun_a_signal_ends_a_command_without_a_traceback(
    tmp_path: Path, module: str, number: int, status: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FINDER)
    met = "analysis.errors" if module == "analysis" else "bench.system.exits"
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    env = os.environ | {"PYTHONPATH": paths, "TEST_IMPORT": met, "TEST_NUMBER": str(int(number))}
    defaults = lambda: [signal.signal(one, signal.SIG_DFL) for one in SIGNALS]  # noqa: E731
    argv = (sys.executable, "-m", module, "--help")
    done = subprocess.run(argv, env=env, preexec_fn=defaults, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.usefixtures("caught")
def test_what_is_heard_is_what_whoever_started_it_does_not_ignore() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert heard() == (signal.SIGTERM, signal.SIGHUP)
