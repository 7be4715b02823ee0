from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from bench.host import snapshot as snapshot_module
from bench.host.far_state import SURROUNDINGS
from bench.host.snapshot import Snapshot, drift, quota_drift, take_snapshot

CPU = "sys/devices/system/cpu"
TREE = {
    "proc/cpuinfo": (
        "processor\t: 0\nmodel name\t: Some CPU @ 2.60GHz\ncpu MHz\t\t: 2600.000\nflags\t\t: fpu vme hypervisor sse\n\n"
        "processor\t: 1\nmodel name\t: Some CPU @ 2.60GHz\ncpu MHz\t\t: 2400.000\nflags\t\t: fpu vme hypervisor sse\n"
    ),
    "proc/loadavg": "0.53 1.03 0.92 3/97 5963\n",
    "proc/meminfo": "MemTotal:    1000 kB\nMemAvailable:    600 kB\nSwapTotal:    200 kB\nSwapFree:   150 kB\n",
    "proc/stat": "cpu  100 1 20 5000 7 0 4 9 0 0\ncpu0 50 1 10 2500 4 0 2 5 0 0\n",
    "proc/sys/kernel/osrelease": "6.12.1\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/transparent_hugepage/defrag": "always defer [defer+madvise] madvise never\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave\n",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "3000000\n",
    f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1000000\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3\n",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4\n",
    "sys/class/thermal/thermal_zone0/temp": "41000\n",
    "sys/class/thermal/thermal_zone1/temp": "45500\n",
}
FULL = Snapshot(
    t=12.5,
    kernel="6.12.1",
    cpu_model="Some CPU @ 2.60GHz",
    cpus=2,
    virtual=True,
    mhz=2000.0,
    governors=("performance", "powersave"),
    clock_source="tsc",
    load=(0.53, 1.03, 0.92),
    ticks={"user": 100, "nice": 1, "system": 20, "idle": 5000, "iowait": 7, "irq": 0, "softirq": 4, "steal": 9},
    memory_total_bytes=1_024_000,
    memory_available_bytes=614_400,
    swap_used_bytes=51_200,
    thp="madvise",
    thp_defrag="defer+madvise",
    temperature_c=45.5,
    throttled=7,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_everything_that_the_machine_shows_is_read(root: Path) -> None:
    assert take_snapshot(root, now=12.5) == FULL


def test_without_frequency_files_the_processor_s_own_figure_is_taken(root: Path) -> None:
    for path in root.glob(f"{CPU}/cpu*/cpufreq/scaling_cur_freq"):
        path.unlink()
    assert take_snapshot(root).mhz == 2500.0


def test_what_a_machine_does_not_show_is_none(tmp_path: Path) -> None:
    assert take_snapshot(tmp_path, now=1.0) == Snapshot(t=1.0)


def test_files_that_refuse_to_be_read_or_hold_nonsense_are_none(root: Path) -> None:
    (root / "sys/class/thermal/thermal_zone0/temp").unlink()
    (root / "sys/class/thermal/thermal_zone0/temp").mkdir()
    (root / "sys/class/thermal/thermal_zone1/temp").write_text("too hot")
    (root / "proc/stat").write_bytes(b"\xff\x00")
    snapshot = take_snapshot(root)
    assert (snapshot.temperature_c, snapshot.ticks) == (None, None)


def test_this_machine_can_be_read_and_written_down() -> None:
    record = json.loads(json.dumps(take_snapshot().to_json()))
    assert record["kernel"]
    assert record["memory_total_bytes"] > 0


def test_an_unchanged_host_has_no_drift() -> None:
    assert drift(FULL, replace(FULL, t=99.0)) == []


def test_two_empty_snapshots_have_no_drift() -> None:
    assert drift(Snapshot(t=0.0), Snapshot(t=1.0)) == []
    assert drift(Snapshot(t=0.0), FULL) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clock_source": "hpet"}, "the clock source changed from tsc to hpet"),
        ({"governors": ("powersave",)}, "the CPU governor changed from performance, powersave to powersave"),
        ({"thp": "always"}, "transparent huge pages changed from madvise to always"),
        ({"cpus": 1}, "the number of CPUs online changed from 2 to 1"),
        ({"mhz": 1799.0}, "the CPU frequency fell from 2000 to 1799 MHz"),
        ({"swap_used_bytes": 51_201}, "memory was swapped out"),
        ({"temperature_c": 61.0}, "the temperature rose by 16 to 61 degrees Celsius"),
        ({"throttled": 9}, "the cores were throttled for heat 2 times"),
    ],
)
def test_each_change_is_said(change: dict[str, object], said: str) -> None:
    assert drift(FULL, replace(FULL, **change)) == [said]


@pytest.mark.parametrize("change", [{"mhz": 1800.0}, {"mhz": 3000.0}, {"temperature_c": 60.5}, {"swap_used_bytes": 0}])
def test_small_changes_and_changes_for_the_better_are_not(change: dict[str, object]) -> None:
    assert drift(FULL, replace(FULL, **change)) == []


def test_a_host_that_was_hot_before_is_said_to_be_hot_and_not_to_have_become_so() -> None:
    hot = ["the temperature was 91 degrees Celsius"]
    assert drift(replace(FULL, temperature_c=95.0), replace(FULL, temperature_c=91.0)) == hot
    assert drift(replace(FULL, temperature_c=None), replace(FULL, temperature_c=91.0)) == hot


def later(**ticks: int) -> Snapshot:
    assert FULL.ticks is not None
    return replace(FULL, ticks={name: was + ticks.get(name, 0) for name, was in FULL.ticks.items()})


def test_stolen_time_above_2_percent_is_said() -> None:
    assert drift(FULL, later(idle=980, steal=20)) == []
    assert drift(FULL, later(idle=970, steal=30)) == ["3.0% of the CPU time was stolen by other virtual machines"]


def test_the_load_of_others_is_what_the_run_itself_did_not_use() -> None:
    after = later(idle=500, user=400, system=100)
    assert drift(FULL, after) == []
    assert drift(FULL, after, own_cpu_s=4.5) == []
    assert drift(FULL, after, own_cpu_s=2.0) == ["other programs used 30.0% of the CPU time"]


def test_a_cpu_quota_that_held_us_back_is_drift() -> None:
    assert quota_drift(1.0, 3.5, 60.0) == ["a CPU quota held the programs of this control group back for 2.5 s"]
    assert quota_drift(1.0, 2.0, 60.0) == []
    assert quota_drift(None, None, 60.0) == []


def test_pressure_is_read_where_the_kernel_tells_of_it(root: Path) -> None:
    (root / "proc/pressure").mkdir()
    line = "{} avg10=0.00 avg60=0.10 avg300=0.05 total={}\n"
    (root / "proc/pressure/cpu").write_text(line.format("some", 1234) + line.format("full", 0))
    (root / "proc/pressure/io").write_text(line.format("some", 77))
    assert take_snapshot(root).pressure_us == {"cpu_some": 1234, "cpu_full": 0, "io_some": 77}


def test_a_far_host_is_asked_for_every_file_that_a_snapshot_reads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "proc/pressure").mkdir()
    (root / "proc/pressure/memory").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n")
    read: list[str] = []

    def text(path: Path) -> str | None:
        read.append(f"/{path.relative_to(root)}")
        return path.read_text() if path.is_file() else None

    monkeypatch.setattr(snapshot_module, "_text", text)
    take_snapshot(root)
    assert [path for path in read if not any(fnmatchcase(path, glob) for glob in SURROUNDINGS)] == []
