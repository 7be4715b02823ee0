"""A campaign that the first version stored: it is loaded, continued by the same command, and compared, ever after."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_session import GUEST, FakeBinary, FakeGuest, FakePrepared, FakeSession, fake_tools, make_cell

from analysis.compare.comparison import compare
from analysis.stored.load import load_campaign
from bench.__main__ import compose
from bench.config.hypotheses import Hypothesis
from bench.config.load import Settings, load_grid
from bench.plan.plan import Plan, QemuBuild, make_plan, parse_plan, plan_json
from bench.run.campaign import run_campaign
from bench.scenario.progress import Assets
from bench.system.exits import Exit

if TYPE_CHECKING:
    from bench.config.model import Cell
    from bench.run.tools import Tools

KEPT = Path(__file__).parents[2] / "results" / "reference" / "procedure_claims"
PATH = "/opt/qemu/bin/qemu-system-x86_64"


def tools(plan: Plan, session: FakeSession) -> Tools:
    """Return tools that find the binary and the guest of a stored plan, and emulate."""
    build, guest = next(iter(plan.qemu.values())), plan.guest

    def prepare(settings: Settings, cells: Any, campaign: str, _say: Any) -> Any:
        binary = FakeBinary(sha256=build.sha256, source=build.source)
        found = FakeGuest(guest.kernel_version, guest.kernel_sha256, guest.initramfs_sha256)
        assets = Assets(binary, found, None, campaign, None, settings.watched)  # type: ignore[arg-type]
        emulated = tuple(cell.model_copy(update={"accel": "tcg"}) for cell in cells)
        return FakePrepared(emulated, {cell.qemu: assets for cell in cells})

    return replace(fake_tools(session, available=1 << 40), prepare=prepare)


@pytest.fixture(scope="module")
def command() -> tuple[Settings, tuple[Cell, ...]]:
    """Return what measured it: six blocks, one fewer than the experiment has since."""
    return load_grid(compose(["experiment=procedure_claims", "repeats=6"]))


def test_the_command_of_a_stored_campaign_continues_it(command: Any, tmp_path: Path) -> None:
    settings, cells = command
    plan = parse_plan((KEPT / "plan.json").read_bytes())
    last = plan.runs[-1].run_id
    shutil.copytree(KEPT, tmp_path / plan.campaign, ignore=shutil.ignore_patterns(last))
    session = FakeSession()
    here = settings.model_copy(update={"results": tmp_path, "report": False})
    assert run_campaign(here, cells, "again", tools(plan, session)) == Exit.DONE
    assert [run.run_id for run in session.calls] == [last]
    assert (tmp_path / plan.campaign / "plan.json").read_bytes() == (KEPT / "plan.json").read_bytes()


def test_a_campaign_of_today_is_compared_with_a_stored_one_cell_by_cell(command: Any, tmp_path: Path) -> None:
    settings, cells = command
    stored = parse_plan((KEPT / "plan.json").read_bytes())
    emulated = [cell.model_copy(update={"accel": "tcg"}) for cell in cells]
    plan = make_plan(
        "today", emulated, repeats=settings.repeats, seed=settings.seed, qemu=stored.qemu, guest=stored.guest
    )
    shutil.copytree(KEPT, tmp_path / "today")
    (tmp_path / "today" / "plan.json").write_text(plan_json(plan))
    found = compare(load_campaign(KEPT), load_campaign(tmp_path / "today"))
    assert [cell.ratio for cell in found.cells] == [1.0] * 6
    assert (found.only_in_base, found.only_in_new) == ((), ())


def given(path: str, **more: Any) -> tuple[Settings, tuple[Cell, ...]]:
    return Settings(**{"campaign": "c", "repeats": 1, "report": False} | more), (make_cell(qemu=path),)


def test_a_binary_of_ones_own_is_called_by_version_and_hash_wherever_it_lies(tmp_path: Path) -> None:
    plan = make_plan("c", (), repeats=1, seed=0, qemu={"x": QemuBuild("11.1.3", "f" * 64, "path")}, guest=GUEST)
    first, second = FakeSession(), FakeSession()
    settings, cells = given(PATH, results=tmp_path)
    run_campaign(settings, cells, "a", tools(plan, first))
    text = (tmp_path / "c" / "plan.json").read_text()
    assert "/opt" not in text
    assert list(json.loads(text)["qemu"]) == ["11.1.3-ffffffff"]
    assert {cell.qemu for cell in first.cells} == {"11.1.3-ffffffff"}
    assert run_campaign(*given("/moved/qemu", results=tmp_path), "b", tools(plan, second)) == Exit.DONE
    assert (len(first.calls), second.calls) == (1, [])


def test_a_hypothesis_about_binaries_speaks_of_them_by_their_names(tmp_path: Path) -> None:
    plan = make_plan("c", (), repeats=1, seed=0, qemu={"x": QemuBuild("11.1.3", "f" * 64, "path")}, guest=GUEST)
    about = Hypothesis(id="H", claim="c", kind="value", low=0, high=1, where={"qemu": [PATH]})
    settings, cells = given(PATH, results=tmp_path, hypotheses=(about,))
    run_campaign(settings, cells, "a", tools(plan, FakeSession()))
    stored = parse_plan((tmp_path / "c" / "plan.json").read_bytes())
    assert stored.hypotheses[0].where == {"qemu": ("11.1.3-ffffffff",)}


def test_a_campaign_that_called_a_binary_by_its_path_goes_on_with_it_from_anywhere(tmp_path: Path) -> None:
    qemu = {PATH: QemuBuild("11.1.3", "f" * 64, "path")}
    plan = make_plan("c", given(PATH)[1], repeats=1, seed=0, qemu=qemu, guest=GUEST)
    assert [run.run_id for run in plan.runs] == ["6dfed970eb6e"]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "plan.json").write_text(plan_json(plan))
    session = FakeSession()
    assert run_campaign(*given("/moved/qemu", results=tmp_path), "b", tools(plan, session)) == Exit.DONE
    assert [run.run_id for run in session.calls] == [plan.runs[0].run_id]
    assert session.cells[0].qemu == PATH
