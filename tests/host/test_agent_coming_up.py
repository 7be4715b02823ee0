"""An agent that comes up, or does not: each cause told apart, by the real one or by what a host says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_hosts import gone_within, on_agent, plain

from bench.errors import HostError
from bench.host import booting
from bench.host.booting import boot_argv, packed
from bench.host.reach import Reach, cut_error, refused_error
from bench.host.remote import Remote, open_remotes


def altered(folder: Path, module: str, old: str, new: str) -> Path:
    """Return a copy of the agent's modules in which a text stands for another."""
    copy = folder / "agent"
    shutil.copytree(booting.AGENT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / module).read_text()
    assert old in source
    (copy / module).write_text(source.replace(old, new))
    return copy


@pytest.mark.parametrize("shift_s", [0.0, 5.0, -0.05])
def test_a_clock_is_off_by_what_it_is_off_by_within_its_uncertainty(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift_s: float
) -> None:
    off = altered(tmp_path, "machine.py", "return time.time()", f"return time.time() + {shift_s!r}")
    monkeypatch.setattr(booting, "AGENT", off)

    async def scenario(host: Remote) -> Any:
        return await host.clock_offset()

    offset = on_agent(work, scenario)
    assert abs(offset.seconds - shift_s) <= offset.uncertainty_s + 1e-6


def test_a_machine_of_another_architecture_is_refused_and_its_agent_ended(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = altered(tmp_path, "machine.py", '"machine": own.machine', '"machine": "riscv64"')
    monkeypatch.setattr(booting, "AGENT", other)
    error = refusal(plain(work))
    assert (error.cause, "riscv64" in error.message) == ("architecture", True)
    assert gone_within(10, work)


def test_what_a_login_shell_prints_is_passed_over(work: Path) -> None:
    noisy = ("sh", "-c", 'echo "Welcome to this machine"; exec "$@"', "sh")

    async def main() -> str:
        reach = Reach(noisy, python=sys.executable, workdir=str(work))
        async with open_remotes({"primary": reach}) as remotes:
            return await remotes["primary"].run(("echo", "fine"))

    assert asyncio.run(main()) == "fine\n"


def refusal(reach: Reach) -> HostError:
    async def main() -> None:
        async with open_remotes({"secondary": reach}):
            pass

    with pytest.raises(HostError) as caught:
        asyncio.run(main())
    return caught.value


def test_a_host_without_python_and_one_with_an_old_one_are_named(tmp_path: Path) -> None:
    shell = ("sh", "-c", 'exec "$@"', "sh")
    missing = refusal(Reach(shell, python=str(tmp_path / "absent"), workdir=str(tmp_path / "w"), title="far.example"))
    assert missing.cause == "far-python"
    assert "far.example" in missing.message
    old = refusal(Reach(("sh", "-c", r"printf '\0colo-bench old 3.6.8\n'"), workdir=str(tmp_path / "w")))
    assert (old.cause, "3.6.8" in old.message) == ("far-python", True)


def test_a_work_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    error = refusal(plain(folder))
    assert error.cause == "far-workdir"
    assert str(folder) in error.message


def test_a_work_folder_on_a_full_disk_is_told_as_that() -> None:
    told = refused_error("primary", Reach(title="far"), 0, ("refused /w: No space left on device",))
    assert (told.cause, "workdir cannot be used: /w: No space left" in told.message) == ("far-disk-full", True)


def test_half_an_agent_that_could_not_be_written_whole_does_not_stay(tmp_path: Path) -> None:
    small = ("sh", "-c", 'ulimit -f 1; exec "$@"', "sh")
    error = refusal(plain(tmp_path / "w", transport=small))
    assert (error.cause, "File too large" in error.message) == ("far-workdir", True)
    assert list((tmp_path / "w").iterdir()) == []


def test_a_transport_that_is_not_installed_is_named() -> None:
    assert refusal(Reach(("no-such-transport",))).cause == "tool-missing"


WORDS = (
    ("ssh-refused", 255, "root@far: Permission denied (publickey)."),
    ("ssh-host-key", 255, "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @"),
    ("ssh-host-key", 255, "Host key verification failed."),
    ("ssh-unreachable", 255, "ssh: connect to host 192.0.2.9 port 22: Connection timed out"),
    ("ssh-unreachable", 255, "ssh: Could not resolve hostname far: Name or service not known"),
    ("ssh-unreachable", 255, "ssh: connect to host 127.0.0.1 port 1: Connection refused"),
    ("far-python", 127, "bash: line 1: /usr/bin/python3: No such file or directory"),
    ("far-python", 127, "sh: 1: /opt/python3: not found"),
    ("far-agent", 1, "something else"),
)


@pytest.mark.parametrize(("cause", "status", "said"), WORDS)
def test_what_ssh_and_shells_say_is_told_by_its_cause(cause: str, status: int, said: str) -> None:
    error = refused_error("primary", Reach(title="far"), status, (said,))
    assert error.cause == cause
    assert error.hint
    assert said in error.evidence


def test_a_cut_link_is_told_from_an_agent_that_was_killed() -> None:
    ssh, other = Reach(("ssh", "far"), one_line=True), Reach(("srun",))
    assert cut_error("primary", ssh, 255, ("Timeout, server far not responding.",)).cause == "connection-cut"
    assert cut_error("primary", ssh, 255, ()).cause == "agent-killed"
    assert cut_error("primary", ssh, -9, ()).cause == "connection-cut"
    assert cut_error("primary", other, 137, ("srun: error: task 0: Killed",)).cause == "agent-killed"
    assert cut_error("primary", other, None, ("no answer",)).cause == "connection-cut"


def test_no_shell_finds_anything_to_expand_in_what_starts_the_agent() -> None:
    *words, _, _ = boot_argv(Reach(), b"source")
    assert not set("".join(words)) & set("$`\\!'\n*?{}|<>&#")


def test_the_agent_uses_nothing_but_itself_and_the_standard_library_and_old_syntax() -> None:
    import ast

    names, own = set(), set()
    for path in booting.AGENT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1
                own.add(node.module or "__init__")
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert own <= {path.stem for path in booting.AGENT.glob("*.py")}


def test_the_agent_is_the_same_bytes_wherever_and_whenever_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = packed()
    copy = altered(tmp_path, "link.py", "", "")
    (copy / "notes.txt").write_text("no module")
    os.utime(copy / "serve.py", (0, 0))
    monkeypatch.setattr(booting, "AGENT", copy)
    assert packed() == here
    (copy / "serve.py").write_text((copy / "serve.py").read_text() + "\n")
    assert packed() != here


def test_the_agent_serves_under_the_oldest_python_that_is_said_to_do(work: Path) -> None:
    oldest = shutil.which("python3.9")
    asked = (str(oldest), "-c", "import sys; print(sys.executable)")
    said = subprocess.run(asked, capture_output=True, text=True, check=False) if oldest else None
    if said is None or said.returncode:
        pytest.skip("there is no Python 3.9 here")

    async def main() -> tuple[str, str]:
        reach = Reach(python=said.stdout.strip(), workdir=str(work))
        async with open_remotes({"primary": reach}) as remotes:
            return remotes["primary"].facts["python"], await remotes["primary"].run(("echo", "fine"))

    python, said_there = asyncio.run(main())
    assert (python.startswith("3.9."), said_there) == (True, "fine\n")
