"""``power``: variance components, costs and plans on campaigns with known ones."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from fixtures.changed import columns
from fixtures.fake_campaign import DIRTY, SERVICE, Fake, write_campaign

from analysis import stats
from analysis.__main__ import main
from analysis.errors import NothingMeasuredError
from analysis.planning.power import cell_power, pooled, power, run_costs
from analysis.stored.campaign import Campaign, Run
from analysis.stored.load import load_campaign
from analysis.stored.records import Plan, PlannedCell, PlannedRun, RunRecord
from analysis.verdicts.designs import designs

if TYPE_CHECKING:
    from collections.abc import Sequence

GIB = 1 << 30


def run(pauses_s: Sequence[float], *, mem: int = 1, block: int = 0, launch_s: float = 30.0, each_s: float = 0.5) -> Run:
    """Return a run with two warm-up checkpoints before the given ones."""
    measuring = each_s * (len(pauses_s) + 2)
    record = RunRecord.model_validate(
        {
            "run_id": f"r-{mem}-{block}",
            "campaign": "made",
            "block": block,
            "order": block,
            "cell_id": f"cell-{mem}",
            "cell": {"mem": mem * GIB, "smp": 1, "checkpoint": {"count": len(pauses_s), "warmup": 2, "interval": 0.5}},
            "label": f"{mem} GiB",
            "started_at": 100.0,
            "finished_at": 100.0 + launch_s + measuring,
            "accel": "tcg",
            "timings": {"boot_s": launch_s, "measure_s": measuring},
            "quality": {"ok": True},
        }
    )
    rows = {"warmup": [True] * 2 + [False] * len(pauses_s), "pause_s": [9.0, 9.0, *pauses_s]}
    rows["t_request"] = [each_s * place for place in range(len(pauses_s) + 2)]
    return Run(record, columns(pd.DataFrame(rows)), "")


def campaign(runs: Sequence[Run]) -> Campaign:
    planned = tuple(
        PlannedRun(run_id=r.record.run_id, block=r.record.block, order=0, cell_id=r.record.cell_id, label="")
        for r in runs
    )
    cells = {r.record.cell_id: PlannedCell(cell_id=r.record.cell_id, label="", cell=r.record.cell) for r in runs}
    return Campaign(Plan(campaign="made", runs=planned, cells=tuple(cells.values())), "", tuple(runs), (), (), (), ())


def simulated(sd_run: float, sd_checkpoint: float, *, sizes: int = 4, blocks: int = 10, count: int = 100) -> Campaign:
    rng = np.random.default_rng(3)
    return campaign(
        [
            run(0.02 * np.exp(rng.normal(0, sd_run) + rng.normal(0, sd_checkpoint, count)), mem=1 << size, block=block)
            for block in range(blocks)
            for size in range(sizes)
        ]
    )


def test_variation_is_split_as_kalibera_and_jones_do() -> None:
    runs = [run([9.0, 5, 8, 3], block=0), run([10.0, 6, 7, 11], block=1), run([1.0, 12, 2, 4], block=2)]
    found = cell_power(runs)
    assert found.checkpoint_sd_s**2 == pytest.approx(12.72222, abs=1e-5)
    assert found.run_sd_s**2 == pytest.approx(0.381944, abs=1e-6)
    assert (found.runs, found.checkpoints) == (3, 4)


def test_known_components_are_recovered() -> None:
    found = power(simulated(0.06, 0.20, blocks=40))
    between = math.sqrt(np.mean([cell.run_sd_log**2 for cell in found.cells]))
    assert between == pytest.approx(0.06, rel=0.15)
    assert np.mean([cell.checkpoint_sd_log for cell in found.cells]) == pytest.approx(0.20, rel=0.05)
    assert found.overall.sd == pytest.approx(math.sqrt(0.06**2 + math.pi / 2 * 0.20**2 / 100), rel=0.2)
    assert found.overall.sd < found.overall.upper
    assert abs(np.mean([cell.lag1 for cell in found.cells])) < 0.1


def test_the_warm_up_is_paid_once_per_run() -> None:
    costs = run_costs([run([0.02] * 40, launch_s=30.0, each_s=0.5)])
    assert costs.checkpoint_s == pytest.approx(0.5)
    assert costs.launch_s == pytest.approx(31.0)
    assert costs.run_s == pytest.approx(51.0)


def test_without_timings_the_checkpoints_themselves_tell() -> None:
    one = run([0.02] * 40, launch_s=30.0, each_s=0.5)
    untimed = replace(one, record=one.record.model_copy(update={"timings": {}}))
    assert run_costs([untimed]) == run_costs([one])


def test_the_best_number_of_checkpoints_is_that_of_the_formula() -> None:
    found = power(simulated(0.06, 0.25))
    ratio = found.launch_s / found.checkpoint_s
    within = np.mean([cell.long_run_sd_log**2 for cell in found.cells])
    between = np.mean([cell.median_sd_log**2 for cell in found.cells]) - within / 100
    assert found.best_checkpoints == round(math.sqrt(ratio * within / between))
    assert 20 < found.best_checkpoints < 60


def test_the_smallest_effect_is_that_of_the_method() -> None:
    found = power(simulated(0.06, 0.20), effect=0.05)
    trend, two = found.reaches
    x = [30.0, 31.0, 32.0, 33.0]
    known = stats.detectable_effect(found.overall.sd, 10, x, efficiency=stats.rank_efficiency(4, blocked=True))
    assert trend.question == "RAM 1 GiB to 8 GiB in 4 sizes, other factors fixed"
    assert trend.smallest == pytest.approx(np.expm1(known.estimate))
    assert trend.blocks_to_see is not None
    assert two.question == "two cells"
    assert two.blocks_to_see is not None
    assert two.blocks_to_see > trend.blocks_to_see


def test_smaller_effects_need_more_blocks_and_more_time() -> None:
    made = simulated(0.10, 0.20)
    large, small = (power(made, effect=effect).reaches[-1] for effect in (0.10, 0.02))
    assert large.blocks_to_decide is not None
    assert small.blocks_to_decide is not None
    assert large.blocks_to_decide < small.blocks_to_decide
    assert small.more_s == pytest.approx((max(small.blocks_to_decide, small.blocks_to_see or 0) - 10) * 4 * 81.0)


def test_what_blocks_have_in_common_is_taken_out() -> None:
    rng = np.random.default_rng(2)
    runs = [
        run([0.02 * math.exp(0.3 * block + rng.normal(0, 0.01))] * 4, mem=1 << size, block=block)
        for block in range(6)
        for size in range(4)
    ]
    found = pooled(runs)
    assert found.df == 24 - 6 - 4 + 1
    assert found.sd == pytest.approx(0.01, rel=0.4)


def test_trends_are_those_of_every_size_at_fixed_other_factors(tmp_path: Path) -> None:
    del tmp_path
    cells = [run([0.02] * 4, mem=mem) for mem in (1, 2, 4)]
    assert [design.question for design in designs(cells)] == [
        "RAM 1 GiB to 4 GiB in 3 sizes, other factors fixed",
        "two cells",
    ]


def altered(runs: Sequence[Run], name: str, **own: object) -> list[Run]:
    """Return the same runs with something of their cell otherwise, as cells of their own."""
    changed = []
    for one in runs:
        record = one.record
        told = {"cell": {**record.cell, **own}, "cell_id": f"{record.cell_id}-{name}"}
        changed.append(replace(one, record=record.model_copy(update={**told, "run_id": f"{record.run_id}-{name}"})))
    return changed


def linked(runs: Sequence[Run], transport: str) -> list[Run]:
    """Return the same runs over a link of their own."""
    return altered(runs, transport, link={"transport": transport})


def test_factors_without_an_order_are_contrasts_of_their_levels() -> None:
    one = [run([0.02] * 4, mem=mem) for mem in (1, 2)]
    pairs = designs([*linked(one, "unix"), *linked(one, "other")])
    assert [design.question for design in pairs] == [
        "RAM 1 GiB to 2 GiB in 2 sizes, other factors fixed",
        "RAM 1 GiB to 2 GiB in 2 sizes, over 2 combinations",
        "transport unix against other, other factors fixed",
        "transport unix against other, over 2 combinations",
    ]
    three = [changed for transport in ("unix", "other", "third") for changed in linked(one[:1], transport)]
    assert [design.question for design in designs(three)] == ["transport two of 3 levels, other factors fixed"]


def test_what_a_workload_alone_has_of_settings_keeps_no_cell_from_being_compared() -> None:
    one = [run([0.02] * 4, mem=mem) for mem in (1, 2)]
    idle, dirty = altered(one, "idle", workload={"name": "idle"}), altered(one, "dirty", workload=DIRTY)
    assert [design.question for design in designs([*idle, *dirty])] == [
        "RAM 1 GiB to 2 GiB in 2 sizes, other factors fixed",
        "RAM 1 GiB to 2 GiB in 2 sizes, over 2 combinations",
        "workload idle against dirty, other factors fixed",
        "workload idle against dirty, over 2 combinations",
    ]


@pytest.mark.parametrize("levels", [{"replica": "b"}, {"failover": {"after": 9}}])
def test_what_may_differ_between_cells_that_are_compared_as_one_is_no_question(levels: dict[str, object]) -> None:
    one = altered([run([0.02] * 4, mem=mem) for mem in (1, 2)], "as it was", replica="a", failover={"after": 3})
    trend, other = designs([*one, *altered(one, "other", **levels)])
    assert (trend.question, trend.combinations) == ("RAM 1 GiB to 2 GiB in 2 sizes, other factors fixed", 1)
    assert other.question == "two cells"


def test_each_design_is_planned_from_the_runs_of_its_own_cells() -> None:
    rng = np.random.default_rng(5)
    calm, wild = (
        [run([0.02 * math.exp(rng.normal(0, sd))] * 4, mem=mem, block=block) for mem in sizes for block in range(8)]
        for sd, sizes in ((0.02, (1, 2)), (0.60, (16,)))
    )
    compared = [*linked(calm, "unix"), *linked(calm, "other")]
    alone, among = (power(campaign(runs), effect=0.10) for runs in (compared, [*compared, *linked(wild, "wild")]))
    assert among.overall.sd > 5 * alone.overall.sd
    assert [one.cells for one in among.reaches] == [4] * 4
    assert among.reaches[0].deviation == alone.overall
    assert [replace(one, more_s=0.0) for one in among.reaches] == [replace(one, more_s=0.0) for one in alone.reaches]


def test_cells_that_take_no_checkpoints_lack_no_runs_and_take_their_own_time(tmp_path: Path) -> None:
    measured = load_campaign(write_campaign(tmp_path, replace(SERVICE, scenarios=("native", "colo"))))
    longer = tuple(
        replace(one, record=one.record.model_copy(update={"finished_at": one.record.started_at + 100.0}))
        for one in measured.without
    )
    found = power(replace(measured, without=longer))
    assert not any("with fewer than two runs that count left out" in note for note in found.notes)
    (colo,) = found.cells
    assert found.block_s == pytest.approx(100.0 + colo.costs.run_s)


def test_runs_that_do_not_differ_see_everything() -> None:
    found = power(campaign([run([0.02] * 40, mem=mem, block=block) for mem in (1, 2) for block in range(3)]))
    assert found.overall.sd == 0
    assert found.reaches == ()
    assert any("do not differ at all" in note for note in found.notes)


def test_one_run_per_cell_tells_nothing() -> None:
    with pytest.raises(NothingMeasuredError, match="no cell has two runs"):
        power(campaign([run([0.02] * 4)]))


def test_runs_that_their_own_check_left_out_are_neither_runs_nor_blocks_to_plan_with() -> None:
    rng = np.random.default_rng(7)
    places = [(mem, block) for mem in (1, 2) for block in range(5)]
    runs = [run([0.02 * math.exp(rng.normal(0, 0.05))] * 4, mem=mem, block=block) for mem, block in places]

    def unsound(one: Run) -> Run:
        quality = one.record.quality.model_copy(update={"ok": False})
        return replace(one, record=one.record.model_copy(update={"quality": quality}))

    found = power(campaign([unsound(one) if one.record.block == 4 else one for one in runs]))
    assert (found.blocks, {one.blocks for one in found.reaches}) == (4, {4})
    few = campaign([runs[0], *map(unsound, runs[1:])])
    with pytest.raises(NothingMeasuredError, match="no cell has two runs that count"):
        power(few)


def test_the_command_prints_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, Fake(links=("unix",), repeats=4))
    assert main(["power", str(folder), "--effect", "3%"]) == 0
    first = capsys.readouterr().out
    assert "RAM 512 MiB to 1 GiB in 2 sizes, over 4 combinations" in first
    assert "blocks to see 3 %" in first
    assert main(["power", str(folder), "--effect", "3%"]) == 0
    assert capsys.readouterr().out == first
    assert main(["power", str(write_campaign(tmp_path, Fake(name="one", repeats=1)))]) == 1


def test_json_is_the_answer_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, Fake(links=("unix",), repeats=4))
    assert main(["power", str(folder), "--effect", "3%", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    page = (Path(__file__).parents[2] / "docs" / "hypotheses.md").read_text()
    told = page.partition("## power and calibrate as JSON")[2].partition("## verdicts.json")[0]
    assert set(tree) - set(re.findall(r"`(\w+)`", told)) == set()
    found = power(load_campaign(folder), effect=0.03)
    assert (tree["effect"], tree["blocks"]) == (0.03, 4)
    assert [cell["cell"] for cell in tree["cells"]] == [cell.cell for cell in found.cells]
    assert [one["smallest"] for one in tree["reaches"]] == pytest.approx([one.smallest for one in found.reaches])
    assert tree["overall"] == {"sd": pytest.approx(found.overall.sd), "df": found.overall.df}
