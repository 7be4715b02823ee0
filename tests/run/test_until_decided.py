"""The whole way with invented runs in the stored format: blocks are added until the real analysis has decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_session import FakeSession, fake_tools, make_cell, make_settings
from fixtures import fake_campaign as stored

from bench.config.hypotheses import settle
from bench.config.questions import questions
from bench.plan.plan import declared
from bench.run.campaign import run_campaign
from bench.scenario.progress import RunOutcome
from bench.system.exits import Exit
from bench.workload.dirty import Dirty

FIXED, GROWING = Dirty(working_set=32 << 20, rate=400), Dirty(working_set=40 << 20, scaling="mem", rate=400)
CELLS = [make_cell(mem, smp, workload=FIXED) for mem in ("256M", "512M", "1G") for smp in (1, 4)]
CELLS += [make_cell(mem, 1, workload=GROWING) for mem in ("256M", "512M", "1G")]
ASKED = settle(questions(CELLS), CELLS)


class Invented(FakeSession):
    """Writes a run as a real pair leaves it, with invented figures."""

    async def __call__(self, run: Any, cell: Any, _assets: Any, folder: Path, _news: Any, **_: Any) -> Any:
        self.calls.append(run)
        act = self.acts.get(len(self.calls))
        if act is not None:
            act()
        fake = stored.Fake(name=run.campaign, count=12, finer=True, hypotheses=tuple(declared(ASKED)))
        told = {"run_id": run.run_id, "block": run.block, "order": run.order, "cell_id": run.cell_id}
        folder.rmdir()  # noqa: ASYNC240 - of no weight here
        tree = cell.model_dump(mode="json", exclude={"deadlines"})
        stored._write_run(folder, {**told, "label": run.label, "cell": tree}, fake, run.order)
        return RunOutcome(run.run_id, 12, quality_ok=True, message="")


def go(results: Path, session: FakeSession, **more: Any) -> Exit:
    settings = make_settings(results, **{"repeats": None, "hypotheses": ASKED, "by_size": True} | more)
    return run_campaign(settings, CELLS, "python -m bench", fake_tools(session))


def test_the_loop_stops_where_the_analysis_has_decided_and_says_so(tmp_path: Path, capsys: Any) -> None:
    session = Invented()
    assert go(tmp_path, session, max_blocks=24) == Exit.DONE
    told = json.loads((tmp_path / "c" / "report" / "verdicts.json").read_text())
    words = {one["id"]: one["word"] for one in told["verdicts"]}
    assert words["ram_pages"] == "SUPPORTED"
    assert "INCONCLUSIVE" not in words.values()
    blocks = json.loads((tmp_path / "c" / "plan.json").read_text())["repeats"]
    assert 3 <= blocks < 24
    assert told["looks"] == list(range(1, blocks + 1))
    assert told["level"] < 0.05
    assert len(session.calls) == blocks * len(CELLS)
    assert f"everything declared is decided after {blocks} blocks" in capsys.readouterr().out


def test_what_one_command_left_open_a_longer_one_decides_without_measuring_twice(tmp_path: Path) -> None:
    first, then = Invented(), Invented()
    go(tmp_path, first, max_blocks=2, report=False)
    early = json.loads((tmp_path / "c" / "report" / "verdicts.json").read_text())
    assert {one["word"] for one in early["verdicts"]} == {"INCONCLUSIVE"}  # nothing is decided within two blocks
    go(tmp_path, then, max_blocks=24, report=False)
    late = json.loads((tmp_path / "c" / "report" / "verdicts.json").read_text())
    assert "INCONCLUSIVE" not in {one["word"] for one in late["verdicts"]}
    assert {run.block for run in first.calls} == {0, 1}
    assert min(run.block for run in then.calls) == 2
