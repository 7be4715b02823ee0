"""The wheel, in an environment and a folder that hold nothing else: what it carries, and that it measures."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from fixtures.pairs import undisturbed

from bench.system.places import PACKAGES
from tools.rooms import SHARED

LIMITS_S = 900
_PIN = r"^([\w.-]+)(?:\[.*\])?==(\S+)"
SWEEP = ("accel=tcg", "checkpoint.interval=0.1", "checkpoint.count=3", "checkpoint.warmup=1", "on_error=retry:2")


def run(*argv: str | Path, cwd: Path, status: tuple[int, ...] = (0,), **env: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | env
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMITS_S, check=False)
    assert done.returncode in status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, and the wheel from that: both are shown to be whole."""
    out = tmp_path_factory.mktemp("dist")
    # A copy: building writes beside the sources.
    unlike = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "results", "tests", "site")
    shutil.copytree(PACKAGES, out / "source", symlinks=True, ignore=unlike)
    origin = {"KEY": "remote.origin.url", "VALUE": "git@example.org:someone/colo-bench.git"}
    as_a_clone = {"GIT_CONFIG_COUNT": "1", **{f"GIT_CONFIG_{name}_0": value for name, value in origin.items()}}
    argv = (sys.executable, "-m", "build", "-q", "--no-isolation", "--outdir", out, out / "source")
    run(*argv, cwd=out, **as_a_clone)
    [built] = out.glob("*.whl")
    return built


def test_a_wheel_holds_the_two_packages_with_their_configuration_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("colo_bench-")} == {"bench", "analysis"}
    conf = {path.relative_to(PACKAGES).as_posix() for path in (PACKAGES / "conf").rglob("*.yaml")}
    assert {name.removeprefix("bench/") for name in names if name.startswith("bench/conf/")} == conf
    patches = {f"bench/patches/{path.name}" for path in (PACKAGES / "patches").iterdir()}
    assert patches <= {*names}
    assert {
        f"{top}/{shared}/{path.name}"
        for top in ("bench", "analysis")
        for shared in SHARED
        for path in (PACKAGES / shared).glob("*.py")
    } <= {*names}
    sources = {path.relative_to(PACKAGES).as_posix() for top in ("bench", "analysis") for path in _sources(top)}
    assert sources - set(names) == set()
    assert [name for name in names if "__pycache__" in name] == []


def test_its_addresses_are_those_of_the_repository_that_it_was_built_in(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    told = re.findall(r"^Project-URL: (\w+), (.+)$", metadata, re.MULTILINE)
    assert ("Source", "https://example.org/someone/colo-bench") in told
    assert ("Issues", "https://example.org/someone/colo-bench/issues") in told


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("https://token@example.org/a/b.git", "https://example.org/a/b"),
        ("ssh://git@example.org:2222/a/b", "https://example.org/a/b"),
        ("/srv/git/b.git", None),
        ("file:///srv/git/b.git", None),
        ("", None),
    ],
)
def test_an_address_carries_no_secret_and_a_folder_is_none(origin: str, source: str | None) -> None:
    name = PACKAGES / "setup.py"
    loaded = runpy.run_path(str(name))
    assert loaded["addresses"](origin).get("Source") == source


def _sources(top: str) -> list[Path]:
    kinds = ("*.py", "*.html", "*.js", "*.c", "py.typed")
    return [path for kind in kinds for path in (PACKAGES / top).rglob(kind)]


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it with its own dependencies, in the versions of the lock, and return the command."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    lock = (PACKAGES / "requirements.txt").read_text()
    (home / "limits.txt").write_text(
        "\n".join(f"{name}=={version}" for name, version in re.findall(_PIN, lock, re.MULTILINE))
    )
    pip = (home / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile")
    run(*pip, "-c", home / "limits.txt", wheel, cwd=home)
    return home / "bin" / "colo-bench"


@pytest.mark.pair
@pytest.mark.shares
@pytest.mark.timeout(2 * LIMITS_S)
def test_installed_alone_it_plans_measures_reports_and_compares(program: Path, tmp_path: Path) -> None:
    for name in ("bench", "analysis"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('another one')")
    own = tmp_path / "conf" / "experiment"
    own.mkdir(parents=True)
    sweep = "hydra: {sweeper: {params: {workload: 'dirty,idle'}}}"
    (own / "mine.yaml").write_text(f"# @package _global_\n{sweep}\nguest: bare\nsmp: 1\nmem: 256M\n")
    before = installed(program)

    def ours(*words: str, status: tuple[int, ...] = (0,)) -> str:
        return run(program, *words, cwd=tmp_path, status=status, PYTHONPATH=str(tmp_path))

    assert "256M" in ours("plan", "experiment=mine", *SWEEP)
    assert not (tmp_path / "results").exists()

    def measured(_: Path, *overrides: str) -> None:
        ours("run", "experiment=mine", *overrides)

    campaign = undisturbed(tmp_path / "results", "one", *SWEEP, measure=measured)
    other = undisturbed(tmp_path / "results", "two", "workload=idle", "report=false", *SWEEP, measure=measured)
    assert len(list(campaign.glob("runs/*/checkpoints.parquet"))) == 2
    (campaign / "report" / "report.html").unlink()
    one, two = (str(path.relative_to(tmp_path)) for path in (campaign, other))
    assert ours("report", one).strip() == f"{one}/report/report.html"
    assert "inconclusive" in ours("compare", one, two, status=(0, 5, 6))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        "analysis.py",
        "bench.py",
        "conf",
        "results",
    ]
    assert installed(program) == before


def installed(program: Path) -> set[Path]:
    """Return every file of the environment but Python's own caches."""
    return {path for path in program.parents[1].rglob("*") if path.is_file() and path.suffix != ".pyc"}
