"""A campaign without QEMU, for tests of the loop: the cells are real, the preparation and the session are fakes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config.links import Link
from bench.config.load import Settings
from bench.config.model import Cell
from bench.config.procedure import Checkpoint
from bench.plan.plan import GuestBuild, QemuBuild
from bench.record.table import CHECKPOINTS, write_checkpoints
from bench.run.campaign import run_campaign
from bench.run.tools import Tools
from bench.scenario.progress import Assets, Progress, RunOutcome
from bench.workload.dirty import Dirty
from bench.workload.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from bench.plan.plan import PlannedRun
    from bench.system.exits import Exit

QEMU = {"provisioned": QemuBuild("11.1.3", "a" * 64, "provisioned")}
GUEST = GuestBuild("6.12.1", "b" * 64, "c" * 64)
GIB = 1 << 30


def make_cell(mem: int | str = "512M", smp: int = 1, *, accel: str = "tcg", dirty: bool = False, **more: Any) -> Cell:
    workload = Dirty() if dirty else Idle()
    fields: dict[str, Any] = {"checkpoint": Checkpoint(count=4, warmup=1, interval=0.1), "link": Link()}
    return Cell(**fields | {"mem": mem, "smp": smp, "accel": accel, "workload": workload} | more)


def make_settings(results: Path, **more: Any) -> Settings:
    return Settings(**{"results": results, "campaign": "c", "repeats": 2, "seed": 7} | more)


@dataclass(frozen=True)
class FakeBinary:
    version: str = "11.1.3"
    env: tuple[tuple[str, str], ...] = ()
    sha256: str = "a" * 64
    source: str = "provisioned"
    argv: tuple[str, ...] = ("qemu-system-x86_64",)
    path: Path = Path("/nowhere/qemu-system-x86_64")

    def preloading(self, library: Path) -> FakeBinary:
        return FakeBinary(argv=("preload", str(library), *self.argv))


@dataclass(frozen=True)
class FakeGuest:
    kernel_version: str = "6.12.1"
    kernel_sha256: str = "b" * 64
    initramfs_sha256: str = "c" * 64
    kernel: Path = Path("/nowhere/vmlinuz")
    initramfs: Path = Path("/nowhere/initramfs")
    approot: Path | None = None
    kind: str = "linux"


@dataclass(frozen=True)
class FakePrepared:
    cells: tuple[Cell, ...]
    assets: dict[str, Any]

    def assets_of(self, cell: Cell) -> Any:
        return self.assets[cell.qemu]


@dataclass
class FakeSession:
    """Stands in for a measured pair: writes the files of a run, or does what the test tells it for the nth call."""

    acts: dict[int, Callable[[], Any]] = field(default_factory=dict)
    calls: list[PlannedRun] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)

    async def __call__(
        self, run: PlannedRun, cell: Cell, assets: Any, folder: Path, on_event: Any, *, attempt: int
    ) -> RunOutcome:
        assert assets.binary.version == "11.1.3"
        assert attempt == run.attempt
        assert is_empty(folder)
        self.calls.append(run)
        self.cells.append(cell)
        on_event(Progress(stage="boot"))
        (folder / "stderr.log").write_text("said\n")
        act = self.acts.get(len(self.calls))
        if act is not None:
            result = act()
            if result is not None:
                await result
        on_event(Progress(stage="measure", done=1, total=5, pause_s=0.05))
        write_run(folder, run.run_id, [0.9, 0.050, 0.060], warmups=1)
        return RunOutcome(run.run_id, 2, quality_ok=True, message="")


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def write_run(
    folder: Path, run_id: str, pauses_s: Sequence[float], warmups: int = 0, failures: Sequence[str] = ()
) -> None:
    rows = range(len(pauses_s))
    columns: dict[str, list[Any]] = {field.name: [None if field.nullable else 0.0] * len(rows) for field in CHECKPOINTS}
    columns |= {
        "run_id": [run_id for _ in rows],
        "index": list(rows),
        "warmup": [row < warmups for row in rows],
        "trigger": ["demand" for _ in rows],
        "pause_s": list(pauses_s),
        "dirty_pages": [None if row == 0 else 70 + row for row in rows],
    }
    write_checkpoints(folder / "checkpoints.parquet", columns)
    quality = {"ok": not failures, "failures": list(failures)}
    (folder / "run.json").write_text(json.dumps({"schema_version": 1, "run_id": run_id, "quality": quality}))


def fake_tools(session: FakeSession, *, available: int = 24 * GIB, accel: str = "tcg", sha256: str = "a" * 64) -> Tools:
    def prepare(settings: Settings, cells: Sequence[Cell], campaign: str, say: Callable[[str], None]) -> Any:
        say("prepared by a fake")
        assets = Assets(FakeBinary(sha256=sha256), FakeGuest(), None, campaign, None, settings.watched)  # type: ignore[arg-type]
        resolved = tuple(cell.model_copy(update={"accel": accel}) for cell in cells)
        return FakePrepared(resolved, {cell.qemu: assets for cell in cells})

    def report(folder: Path, console: Console) -> bool:
        console.print(f"report: {folder}/fake", soft_wrap=True)
        return True

    return Tools(prepare, session, report, lambda: available, preview=lambda *_: ())


CELLS = (make_cell("256M"), make_cell("512M"))


def fail(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


def go(results: Path, session: FakeSession, cells: Any = CELLS, tools: Any = None, **more: Any) -> Exit:
    settings = make_settings(results, **more)
    return run_campaign(settings, cells, "python -m bench", tools or fake_tools(session))
