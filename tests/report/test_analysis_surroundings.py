"""What stands around a report chooses neither how it looks nor whether there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.fake_campaign import SWEEP, write_campaign

from analysis import workers

LOOKS = """
import os, analysis.plots, matplotlib, seaborn
import matplotlib.pyplot
print(matplotlib.get_backend(), matplotlib.rcParams["lines.linewidth"], os.getcwd())
"""


LETTERS = """
import analysis.plots, hashlib, io
import matplotlib.pyplot as plt
figure, drawn = plt.figure(), io.BytesIO()
figure.text(0.1, 0.1, "256 MiB, 1 vCPU, bare guest")
figure.savefig(drawn, format="png")
print(hashlib.sha256(drawn.getvalue()).hexdigest())
"""


def looks(folder: Path, program: str = LOOKS, **env: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "MATPLOTLIB"))}
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=folder,
        env=clean | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(
    "env",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "qtagg", "MATPLOTLIBRC": "{folder}"},
        {"MPLCONFIGDIR": "{folder}", "MATPLOTLIBRC": "{folder}/matplotlibrc"},
        {"XDG_CONFIG_HOME": "{folder}", "HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("settings", [b"lines.linewidth: 9\nbackend: qtagg\nno.such: 1\n", b"lines.linewidth: \xff\n"])
def test_nobodys_settings_are_read(tmp_path: Path, env: dict[str, str], settings: bytes) -> None:
    for place in (tmp_path, tmp_path / "matplotlib"):
        (place / "stylelib").mkdir(parents=True)
        (place / "matplotlibrc").write_bytes(settings)
        (place / "stylelib" / "own.mplstyle").write_bytes(settings)
    said = looks(tmp_path, **{name: value.format(folder=tmp_path) for name, value in env.items()})
    assert said == f"agg 1.5 {tmp_path}"


def test_letters_are_drawn_as_nobody_around_chooses(tmp_path: Path) -> None:
    chosen = {"FREETYPE_PROPERTIES": "truetype:interpreter-version=35", "FONTCONFIG_FILE": os.devnull}
    assert looks(tmp_path, LETTERS, **chosen) == looks(tmp_path, LETTERS)


def test_a_current_folder_that_is_gone_is_none_to_read_from(tmp_path: Path) -> None:
    script = (
        f'd=$(mktemp -d -p "{tmp_path}"); cd "$d"; rmdir "$d"; exec "$0" -c "import analysis.plots, matplotlib.pyplot"'
    )
    done = subprocess.run(
        ("sh", "-c", script, sys.executable), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "env",
    [
        {"NPY_DISABLE_CPU_FEATURES": "SSE2", "NPY_PROMOTION_STATE": "nonsense"},
        {"OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "x", "OPENBLAS_NUM_THREADS": "7"},
        {"ARROW_USER_SIMD_LEVEL": "nonsense", "ARROW_DEFAULT_MEMORY_POOL": "nonsense"},
    ],
    ids=" ".join,
)
def test_how_numpy_computes_is_chosen_by_nobody_around(tmp_path: Path, env: dict[str, str]) -> None:
    folder = write_campaign(tmp_path, SWEEP)
    argv = (sys.executable, "-m", "analysis", str(folder), "--only", "verdicts", "--out")
    for place, around in ((tmp_path / "plain", {}), (tmp_path / "chosen", env)):
        done = subprocess.run(
            (*argv, str(place)), env=os.environ | around, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "plain" / "verdicts.json").read_bytes() == (tmp_path / "chosen" / "verdicts.json").read_bytes()


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_without_shared_memory_one_process_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(workers, "ProcessPoolExecutor", refuse)
    with workers.workers() as begin:
        assert begin(os.getpid)() == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")
@pytest.mark.parametrize(
    "made",
    [
        "mount -t tmpfs -o ro none /dev/shm",
        "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full",
        "mount -t tmpfs none /dev",
    ],
    ids=["read-only", "full", "absent"],
)
def test_a_real_sandbox_without_dev_shm_has_no_pool_and_does_not_fail(made: str) -> None:
    program = "import os; os.sched_getaffinity = lambda _: {0, 1}\nfrom analysis import workers\nprint(workers._pool())"
    script = f"{made} && exec \"{sys.executable}\" -c '{program}'"
    done = subprocess.run(
        ("unshare", "--mount", "sh", "-c", script), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
