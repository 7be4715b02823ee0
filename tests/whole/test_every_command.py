"""Every command, whoever reads what it says and whenever it is interrupted: the right status, and nothing half made.

The campaign is a FAKE; the commands are the real ones, each a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fixtures.fake_campaign import SERVICE, run_ids, write_campaign
from fixtures.figures import draw_few

from analysis.__main__ import main as analysis
from bench.cli import COMMANDS
from bench.system.exits import Exit
from bench.system.owner import start_ticks

FULL = Exit.HOST
"""The status where the disk is full that is to take what a command says, and saying it is all that it is for."""

OTHER = replace(SERVICE, name="other")


@dataclass(frozen=True)
class Asked:
    """A command line.

    Attributes:
        name: of the command.
        words: behind it; ``{c}`` is a campaign, ``{d}`` another of its kind, ``{o}`` a folder of the test's own,
            ``{r}`` the id of a run.
        status: how it ends.
        full: how it ends where the disk of its output is full.
        made: what it writes into the folder.
        opens: the name of a file that it opens when it has begun its work.
    """

    name: str
    words: str = "{c}"
    status: int = 0
    full: int | None = None
    made: str = ""
    opens: str = "plan.json"


ASKED = (
    Asked("run", "mem=4X results={o}", 2, opens="config.yaml"),
    Asked("run", "--cfg job", 0, FULL, opens="config.yaml"),
    Asked("plan", "mem=64M smp=1 accel=tcg results={o}", 0, FULL, opens="config.yaml"),
    Asked("doctor", "--quick --qemu {o}/none", 3, opens="meminfo"),
    Asked("doctor", "--quick --qemu {o}/none --json", 3, opens="meminfo"),
    Asked("provision", "--qemu {o}/none", 3, opens=""),
    Asked("report", "{c} --only verdicts --out {o}", made="verdicts.json"),
    Asked("compare", "{c} {d}", 6, FULL),
    Asked("compare", "{c} {d} --json -", 6, FULL),
    Asked("power", "{c}", 0, FULL),
    Asked("calibrate", "--from {c} --studies 50 --csv {o}/rates.csv", 0, FULL, "rates.csv", opens=".rates.csv"),
    Asked("explore", "{c} --out {o}/explore.html", made="explore.html"),
    Asked("size", "--ram 4G --dirty-rate 20MB/s --link 10gbit --interval 500ms --from {c}", 2),
    Asked("timeline", "{c} {r} --out {o}", made="timeline-", opens="run.json"),
    Asked("overhead", "{c} --json", 0, FULL),
    Asked("track", "{c} {d} --json", 6, FULL),
    Asked("bundle", "{c} --out {o}/a.tar.gz", made="a.tar.gz"),
    Asked("verify", "{a}", 0, FULL, opens="a.tar.gz"),
    Asked("recover", "{c}"),
    Asked("compress", "{c}", opens="run.json"),
    Asked("restore", "", opens="undo.jsonl"),
    Asked("completion", "bash", 0, FULL, opens=""),
)


def named(asked: Asked) -> str:
    return f"{asked.name} {asked.words}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with its report and its archive."""
    folder = tmp_path_factory.mktemp("every")
    campaign = write_campaign(folder, SERVICE)
    write_campaign(folder, OTHER)
    with pytest.MonkeyPatch.context() as patch:
        draw_few(patch)
        for words in ([str(campaign)], ["bundle", str(campaign), "--out", str(folder / "a.tar.gz")]):
            assert analysis(words) == 0
    return folder


@dataclass(frozen=True)
class Ready:
    """A command that may be started, as often as one likes."""

    argv: tuple[str, ...]
    env: dict[str, str]
    out: Path
    campaign: Path

    def left(self) -> list[str]:
        """Return what is half made: here or in the campaign."""
        return [path.name for home in (self.out, self.campaign) for path in home.rglob(".*") if path.name != ".lock"]


@pytest.fixture
def ready(place: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Ready:
    asked: Asked = request.param
    out = tmp_path / "out"
    out.mkdir()
    campaign = place / SERVICE.name
    if asked.name in {"recover", "compress"}:  # these write into it
        campaign = shutil.copytree(campaign, tmp_path / "c")
    values = {"c": campaign, "d": place / OTHER.name, "o": out, "a": place / "a.tar.gz", "r": run_ids(campaign)[0]}
    command = COMMANDS[asked.name]
    words = (*command.before, *(word.format(**values) for word in asked.words.split()), *command.after)
    own = {"COLO_BENCH_CACHE": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    return Ready((sys.executable, "-P", "-m", command.module, *words), os.environ | own, out, campaign)


def both(asked: tuple[Asked, ...]) -> pytest.MarkDecorator:
    """Give a test each command, and the same ready to be started."""
    pairs = [pytest.param(one, one, id=named(one)) for one in asked]
    return pytest.mark.parametrize(("ready", "asked"), pairs, indirect=["ready"])


def test_every_command_is_tried() -> None:
    assert {one.name for one in ASKED} == set(COMMANDS)


@both(ASKED)
def test_whoever_reads_it_or_nobody_it_ends_as_it_should(ready: Ready, asked: Asked) -> None:
    reader, gone = os.pipe()
    os.close(reader)
    # Nobody reads what it says, and there is nothing that its errors could go to.
    closed = ("sh", "-c", 'exec "$@" 2>&-', "sh", *ready.argv)
    try:
        done = subprocess.run(closed, env=ready.env, stdout=gone, timeout=120, check=False)
    finally:
        os.close(gone)
    assert done.returncode == asked.status
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ready.argv, env=ready.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (asked.status if asked.full is None else asked.full), done.stderr
    if asked.full is not None:
        assert "No space left on device" in done.stderr
    assert not asked.made or list(ready.out.glob(f"{asked.made}*"))
    assert ready.left() == []


HOOK = """
import os, signal, sys
event, name, number = os.environ["TEST_SIGNAL"].split(":")
sent = []

def hook(what, given):
    if what == event and isinstance(given[0], (str, bytes, os.PathLike)):
        if os.path.basename(os.fsdecode(given[0])).startswith(name):
            sent.append(what)
            os.kill(os.getpid(), int(number))
    elif sent and what == "os.remove":
        os.kill(os.getpid(), int(number))  # a second one, while what was begun is being ended

sys.addaudithook(hook)
"""
INTERRUPTED = tuple(one for one in ASKED if one.opens)
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def defaults() -> None:
    for number in NUMBERS:  # whoever runs these tests may have some of them ignored
        signal.signal(number, signal.SIG_DFL)


def hooked(folder: Path, env: dict[str, str], event: str, name: str, number: int) -> dict[str, str]:
    """Return the environment in which Python sends itself a signal when something is done with a file of a name."""
    home = folder / "hook"
    home.mkdir()
    (home / "sitecustomize.py").write_text(HOOK)
    paths = os.pathsep.join(filter(None, (str(home), env.get("PYTHONPATH", ""))))
    return env | {"PYTHONPATH": paths, "TEST_SIGNAL": f"{event}:{name}:{int(number)}"}


@both(INTERRUPTED)
def test_a_signal_amid_its_work_ends_it_in_one_line(ready: Ready, asked: Asked, tmp_path: Path) -> None:
    number = NUMBERS[INTERRUPTED.index(asked) % len(NUMBERS)]
    env = hooked(tmp_path, ready.env, "open", asked.opens, number)
    done = subprocess.run(
        ready.argv, env=env, capture_output=True, text=True, timeout=120, check=False, preexec_fn=defaults
    )
    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, "colo-bench: interrupted\n")
    assert ready.left() == []
    assert not asked.made or not list(ready.out.glob(f"{asked.made}*"))


WRITING = tuple(one for one in ASKED if one.made)


@both(WRITING)
def test_a_signal_while_it_writes_leaves_nothing_half_made(ready: Ready, asked: Asked, tmp_path: Path) -> None:
    env = hooked(tmp_path, ready.env, "os.rename", f".{asked.made}", signal.SIGTERM)
    done = subprocess.run(
        ready.argv, env=env, capture_output=True, text=True, timeout=120, check=False, preexec_fn=defaults
    )
    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, "colo-bench: interrupted\n")
    assert ready.left() == []
    assert not list(ready.out.glob(f"{asked.made}*"))


def test_a_program_that_provisioning_has_started_ends_with_it(tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\nsleep 300\n")
    program.chmod(0o755)
    (tmp_path / "qemu-img").symlink_to(program)
    argv = (sys.executable, "-m", "bench.provision", "--qemu", str(program))
    env = os.environ | {"COLO_BENCH_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=defaults) as command:
        while not (tmp_path / "pid").exists() and command.poll() is None:
            time.sleep(0.05)
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=60)
    assert (command.returncode, said) == (Exit.INTERRUPTED, "colo-bench: interrupted\n")
    pid, until = int((tmp_path / "pid").read_text()), time.monotonic() + 10
    while start_ticks(pid) is not None and time.monotonic() < until:  # the kernel ends it after its owner, not before
        time.sleep(0.05)
    assert start_ticks(pid) is None


DRAWS = "import os\nos.sched_getaffinity = lambda _: {0, 1}\n"


def test_ctrl_c_at_a_report_says_one_line_though_every_worker_gets_it(place: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DRAWS)
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    argv = (sys.executable, "-m", "analysis", str(place / SERVICE.name), "--out", str(tmp_path / "report"))
    with subprocess.Popen(
        argv,
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=defaults,
    ) as command:
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
        while not children.read_text():  # its workers, and it has no other child
            assert command.poll() is None
            time.sleep(0.02)
        os.killpg(command.pid, signal.SIGINT)
        _, said = command.communicate(timeout=120)
    assert (command.returncode, said) == (Exit.INTERRUPTED, "colo-bench: interrupted\n")
    assert not (tmp_path / "report").exists()


def test_a_bug_of_the_analysis_is_told_as_one(place: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def hook(what, given):\n"
        "    if what == 'open' and str(given[0]).endswith('plan.json'): raise ZeroDivisionError('oops')\n"
        "sys.addaudithook(hook)\n"
    )
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    argv = (sys.executable, "-m", "analysis", "power", str(place / SERVICE.name))
    env = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == Exit.BUG
    assert "Traceback" in done.stderr
    assert "this is a bug in colo-bench; please report it" in done.stderr
    assert f"command:  python -m analysis power {place / SERVICE.name}" in done.stderr


SIZE = "size --ram 4G --dirty-rate 20MB/s --link 10gbit --interval 500ms --from"


@pytest.mark.parametrize(
    "words",
    [
        "{o}",
        "{c} {o}",
        "{c} --hypotheses {o}",
        "{c} --only verdicts --out /dev/null/x",
        "compare {c} {o}",
        "compare {c} {d} --json {o}",
        "compare {c} --by {o}",
        "power {o}",
        "calibrate --from {o}",
        "explore {o}",
        "explore {c} --out {o}",
        f"{SIZE} {{o}}",
        "timeline {o}",
        "timeline {c} {o}",
        "overhead {o}",
        "track {c} {o}",
        "bundle {o}",
        "bundle {c} --out {o}",
        "verify {o}",
        "verify {c}/plan.json",
    ],
)
def test_what_cannot_be_used_is_named_as_it_was_typed_with_what_mends_it(
    place: Path, tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words.format(c=place / SERVICE.name, d=place / OTHER.name, o=tmp_path).split()
    assert analysis(given) in {2, 3}
    what, fix = capsys.readouterr().err.splitlines()
    assert what.startswith("colo-bench: ")
    assert given[-1] in what
    assert fix.startswith("  fix: ")


@pytest.mark.parametrize("name", ["pipe", "link to a device"])
def test_what_is_no_file_is_written_to_and_stays_what_it_is(place: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    argv = (sys.executable, "-m", "analysis", "bundle", str(place / SERVICE.name), "--out", str(out))
    if name == "pipe":
        os.mkfifo(out)
        with (tmp_path / "a.tar.gz").open("wb") as archive, subprocess.Popen(("cat", out), stdout=archive) as reader:
            try:
                subprocess.run(argv, capture_output=True, timeout=120, check=True)
                reader.wait(60)
            finally:
                reader.kill()
        assert tarfile.is_tarfile(tmp_path / "a.tar.gz")
        assert out.is_fifo()
    else:
        out.symlink_to("/dev/null")
        subprocess.run(argv, capture_output=True, timeout=120, check=True)
        assert out.is_symlink()
        assert Path("/dev/null").is_char_device()
