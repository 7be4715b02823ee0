"""``setup.sh`` up to where it would install something, with stubs in the place of apt; and apt, held by another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from setuptools_scm import get_version

CHECKOUT = Path(__file__).resolve().parents[2]
DEBIAN = "http://a.example/debian|Debian|Debian|main"


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def ended(folder: Path, target: str = DEBIAN, *, apt: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it as somebody who may install nothing, where nothing is installed and apt knows one index target."""
    stubs = folder / "bin"
    if apt:
        program(stubs, "apt-get", f"echo '{target}'")
    program(stubs, "id", "echo 1000")
    for name in ("dirname", "basename"):
        (stubs / name).symlink_to(shutil.which(name) or "")
    for name in ("setup.sh", "apt.sh", "elsewhere.sh"):
        shutil.copy(CHECKOUT / name, folder)
    return subprocess.run(
        ("/bin/sh", folder / "setup.sh"),
        env={"PATH": os.fspath(stubs), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("release", "install"),
    [
        ("ID=fedora", "sudo dnf install qemu-system-x86-core qemu-img gcc glibc-static iproute"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "sudo dnf install"),
        ("ID=arch", "sudo pacman -S qemu-system-x86 qemu-img gcc"),
        ("ID=nixos", "nix-shell -p qemu gcc glibc.static"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "sudo zypper install qemu-x86 qemu-img gcc glibc-devel-static"),
        ("ID=unheard-of", "QEMU for x86-64, qemu-img, gcc, a static C library"),
    ],
)
def test_without_apt_the_packages_are_named_as_the_distribution_calls_them(
    tmp_path: Path, release: str, install: str
) -> None:
    (tmp_path / "os-release").write_text(release + "\n")
    done = ended(tmp_path, apt=False, COLO_BENCH_OS_RELEASE=str(tmp_path / "os-release"))
    assert done.returncode == 3
    assert install in done.stderr
    assert "qemu=system guest=bare" in done.stderr
    assert "mmdebstrap" not in done.stderr
    assert "apt-get" not in done.stderr


def test_the_page_on_installing_names_the_same_packages() -> None:
    page = (CHECKOUT / "docs" / "install.md").read_text()
    script = (CHECKOUT / "elsewhere.sh").read_text()
    shown = re.findall(r"\| `((?:dnf|pacman|zypper|nix-shell) [^`]+)` with `qemu=system guest=bare` \|", page)
    assert len(shown) == 4
    for command in shown:  # the script adds Python, which whoever reads the page may have
        assert re.search(rf"'(sudo )?{re.escape(command)} python3?'", script), command


def said(folder: Path, target: str = DEBIAN, **env: str) -> str:
    done = ended(folder, target, **env)
    assert done.returncode == 3
    return done.stderr


def test_without_a_debian_mirror_the_variable_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    text = said(tmp_path, "Ubuntu|Ubuntu|main")
    assert 0 <= text.find("export COLO_BENCH_MIRROR=") < text.find("missing system packages")


@pytest.mark.parametrize(
    ("target", "env"), [(DEBIAN, {}), ("Ubuntu|Ubuntu|main", {"COLO_BENCH_MIRROR": "http://mirror.invalid/debian"})]
)
def test_with_a_mirror_nothing_is_said_of_it(tmp_path: Path, target: str, env: dict[str, str]) -> None:
    assert "COLO_BENCH_MIRROR" not in said(tmp_path, target, **env)


def python(folder: Path, name: str, *, old: bool = False, venv: bool = True) -> Path:
    """Put a stand-in for a Python there: too old or not, with what makes a .venv or not."""
    cases = f"*version_info*) exit {int(old)} ;; *ensurepip*) exit {int(not venv)} ;;"
    return program(folder, name, f'case "$*" in {cases} --version) echo Python 3.{name[-2:]} ;; esac')


def test_beside_a_python3_that_is_too_old_the_newest_is_found(tmp_path: Path) -> None:
    python(tmp_path / "bin", "python3", old=True)
    python(tmp_path / "bin", "python3.11")
    python(tmp_path / "bin", "python3.12", venv=False)
    assert "python3.12-venv" in said(tmp_path)


def test_a_python_that_is_named_comes_before_all(tmp_path: Path) -> None:
    python(tmp_path / "bin", "python3", venv=False)
    assert "-venv" not in said(tmp_path, PYTHON=os.fspath(python(tmp_path / "elsewhere", "python3.12")))


@pytest.mark.parametrize("name", ["python2.7", "absent"])
def test_a_named_python_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    python(tmp_path / "bin", "python2.7", old=True)
    done = ended(tmp_path, PYTHON=name)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        f"colo-bench: PYTHON={name} is no CPython of 3.11 or newer",
    )


def test_without_a_python_that_is_new_enough_both_ways_out_are_named(tmp_path: Path) -> None:
    stubs = tmp_path / "bin"
    python(stubs, "python3", old=True)
    for name in ("mmdebstrap", "gcc", "ip"):
        program(stubs, name, "")
    text = said(tmp_path)
    if "missing system packages" in text:
        pytest.skip("no C headers here, or no keys of Debian's archive: the set-up stops at these")
    assert "Python 3.11 or newer is needed" in text
    assert "make PYTHON=" in text


def test_where_pip_fails_its_words_are_followed_by_what_mends_it(tmp_path: Path) -> None:
    for name in ("gcc", "ip"):
        program(tmp_path / "bin", name, "true")
    (tmp_path / ".venv").mkdir()
    program(tmp_path / ".venv" / "bin", "python", "echo 'ERROR: no network' >&2; exit 1")
    python = program(tmp_path / "bin", "python3", "true")
    done = ended(tmp_path, apt=False, PYTHON=os.fspath(python))
    assert done.returncode == 3
    words = done.stderr.splitlines()
    assert words[0] == "ERROR: no network"
    assert "PIP_PROXY=http://HOST:PORT PIP_CERT=FILE" in words[2]
    assert len(words) == 3


def test_where_there_is_no_apt_the_packages_are_named_all_the_same() -> None:
    script = '. ./apt.sh; PATH=/; install_packages mmdebstrap "gcc"'
    done = subprocess.run(("/bin/sh", "-c", script), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        "colo-bench: missing, and there is no apt here to get them with; Debian calls them: mmdebstrap gcc\n"
    )


@pytest.mark.parametrize(
    ("script", "words", "named"),
    [
        (
            "programs.sh",
            (),
            "chromium chromium-driver zsh fish bubblewrap busybox-static texlive-latex-recommended",
        ),
        ("cluster.sh", ("slurmd", "munge"), "slurmd munge"),
    ],
)
def test_what_the_tests_are_to_try_things_in_is_installed_or_named(
    tmp_path: Path, script: str, words: tuple[str, ...], named: str
) -> None:
    stubs = tmp_path / "bin"
    for name, text in (("apt-get", ""), ("id", "echo 1000"), ("dpkg-query", "exit 1")):
        program(stubs, name, text)
    for name in ("dirname", "grep"):
        (stubs / name).symlink_to(shutil.which(name) or "")
    (tmp_path / "tests").mkdir()
    shutil.copy(CHECKOUT / "apt.sh", tmp_path)
    shutil.copy(CHECKOUT / "tests" / script, tmp_path / "tests")
    done = subprocess.run(
        ("/bin/sh", tmp_path / "tests" / script, *words),
        env={"PATH": os.fspath(stubs)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].endswith(f"apt-get install -y {named}")


def test_programs_of_the_system_are_found_where_su_leaves_their_folder_out() -> None:
    script = '. ./apt.sh; case ":$PATH:" in *:/usr/sbin:*) ;; *) exit 1 ;; esac'
    assert subprocess.run(("/bin/sh", "-c", script), cwd=CHECKOUT, env={"PATH": "/bin"}, check=False).returncode == 0


HOLDER = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def apts_own_folders(folder: Path) -> dict[str, str]:
    """Return the environment in which apt works in a folder of its own, without sources."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "status").write_text("")
    places = {"State": "state", "Cache": "cache", "Etc": "etc", "State::status": "status"}
    (folder / "apt.conf").write_text("".join(f'Dir::{key} "{folder / name}";\n' for key, name in places.items()))
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt on this machine")
@pytest.mark.parametrize(
    ("place", "asked"), [("state/lists/lock", "update"), ("cache/archives/lock", "clean")], ids=["lists", "archives"]
)
def test_a_lock_that_another_apt_holds_is_waited_for_and_said(tmp_path: Path, place: str, asked: str) -> None:
    env = apts_own_folders(tmp_path)
    lock = tmp_path / place
    with subprocess.Popen((sys.executable, "-c", HOLDER, lock, "3"), stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        script = f". ./apt.sh; apt_get {asked}"
        done = subprocess.run(
            ("/bin/sh", "-c", script), cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0].startswith(f"colo-bench: waiting for another apt: Could not get lock {lock}")
    assert len(done.stderr.splitlines()) == 1


def test_what_apt_refuses_for_another_reason_is_shown_and_not_tried_again(tmp_path: Path) -> None:
    program(tmp_path / "bin", "apt-get", 'echo x >> tries; echo "E: Unable to locate package $5"; exit 100')
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    shutil.copy(CHECKOUT / "apt.sh", tmp_path)
    done = subprocess.run(
        ("/bin/sh", "-c", ". ./apt.sh; apt_get -y install nope"),
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, (tmp_path / "tries").read_text()) == (1, "x\n")
    assert "Unable to locate package" in done.stderr


def test_a_release_is_made_of_what_its_tag_has_and_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "release.sh").write_text("echo built\n")
    (tmp_path / "CHANGELOG.md").write_text("## [1.2.4] - unreleased\n\n## [1.2.3] - 2026-11-30\n")
    (tmp_path / "CITATION.cff").write_text("version: 1.2.3\n")
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    own = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    env = os.environ | own | {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def ended(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    make = ("make", "-o", "setup", "release")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "a")):
        assert ended("git", *words).returncode == 0
    assert ended(*make).returncode != 0
    ended("git", "tag", "v1.2.3")
    done = ended(*make)
    assert done.returncode == 0, done.stderr
    assert "built" in done.stdout.splitlines()
    for words in (("commit", "-q", "--allow-empty", "-m", "b"), ("tag", "v1.2.4")):
        assert ended("git", *words).returncode == 0
    done = ended(*make)
    assert done.returncode != 0
    assert "CHANGELOG.md has no dated section of 1.2.4" in done.stderr
    (tmp_path / "tests" / "release.sh").write_text("echo another\n")
    done = ended(*make)
    assert done.returncode != 0
    assert "what is changed here is not in the tag" in done.stderr
    assert "another" not in done.stdout


def test_a_tag_that_is_no_release_changes_nothing(tmp_path: Path) -> None:
    config = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]

    def version_after(*words: str) -> str:
        ours = ("-c", "user.name=a", "-c", "user.email=a")
        subprocess.run(("git", *ours, *words), cwd=tmp_path, check=True, capture_output=True, timeout=60)
        return get_version(root=tmp_path, **config)

    subprocess.run(("git", "init", "-q"), cwd=tmp_path, check=True, timeout=60)
    without = version_after("commit", "-q", "--allow-empty", "-m", "a")
    assert version_after("tag", "mine") == without
    assert version_after("tag", "v1.2.3") == "1.2.3"
