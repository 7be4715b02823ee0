"""Whether the guests wrote the working sets that a hypothesis tells apart, on tables whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fixtures.fake_campaign import SWEEP, write_campaign

from analysis.format.outcomes import NOT_WRITTEN
from analysis.runs.outcomes import run_table, set_written
from analysis.stored.cells import name_cells
from analysis.stored.columns import Columns
from analysis.stored.factors import working_set_bytes
from analysis.stored.load import load_campaign
from analysis.stored.records import Hypothesis
from analysis.verdicts.applied import applied
from analysis.verdicts.hypotheses import judge_all

if TYPE_CHECKING:
    from pathlib import Path

ARM = Hypothesis(id="H", claim="c", factor="mem", where={"workload.scaling": ("mem",)})
BARE = [True, True, False, None]


def kept(pages: list[int | None], told: list[bool | None] | None = None) -> Columns:
    of = {
        "dirty_pages": pa.array(pages, pa.int64()),
        "set_rewritten": pa.array(told or [None] * len(pages), pa.bool_()),
    }
    return Columns(pa.table(of))


def test_the_bare_guest_tells_and_of_another_one_the_dirty_pages_do() -> None:
    assert set_written(kept([10_000] * 4, BARE), 8192 * 4096) == pytest.approx(2 / 3)
    assert set_written(kept([8_200, 7_400, 2_000, None]), 8192 * 4096) == pytest.approx(2 / 3)
    assert np.isnan(set_written(kept([70, 71]), None))  # idle
    assert np.isnan(set_written(kept([None, None]), 8192 * 4096))


def test_a_stream_writes_one_of_the_three_arrays_that_are_its_set() -> None:
    written = working_set_bytes({"workload.name": "stream", "workload.working_set": 96 << 20})
    assert written == 32 << 20
    assert set_written(kept([8_200, 8_250]), written) == 1.0


def test_a_tenth_of_the_runs_may_lack_their_set_and_only_arms_ask_for_it() -> None:
    runs = pd.DataFrame({"set_written": [1.0] * 9 + [0.2]})
    there, (note,) = applied(ARM, runs)
    assert there
    assert note.startswith(
        "in 1 of 10 runs the guest did not write its working set whole between checkpoints: a smaller"
    )
    assert not applied(ARM, pd.DataFrame({"set_written": [1.0] * 8 + [0.2] * 2}))[0]
    unwritten = pd.DataFrame({"set_written": [0.0]})
    assert applied(ARM.model_copy(update={"where": {}}), unwritten) == (True, ())
    of_sets = ARM.model_copy(update={"where": {}, "factor": "workload.working_set"})
    at_one = ARM.model_copy(update={"where": {"workload.working_set": (48 << 20,)}})
    assert not any(applied(one, unwritten)[0] for one in (of_sets, at_one))


def test_a_guest_that_is_too_slow_for_its_set_refutes_nothing(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SWEEP))
    runs = run_table(campaign.runs, name_cells(run.record for run in campaign.runs))
    assert (runs["set_written"] == 1.0).all()
    before = judge_all(campaign, runs)
    assert before[0].word == "SUPPORTED"
    slow = runs.assign(set_written=0.0)  # and then no size has more dirty pages than another
    total, direct, vcpus, pause = judge_all(campaign, slow)
    assert {(one.word, one.label) for one in (total, direct)} == {("INCONCLUSIVE", NOT_WRITTEN)}
    assert "What was measured cannot tell" in total.sentence
    assert np.isinf(total.more_blocks or 0)
    assert vcpus.label != NOT_WRITTEN
    assert (pause.word, pause.label) == (before[3].word, before[3].label)


def test_a_range_at_one_working_set_rests_on_it_too(tmp_path: Path) -> None:
    campaign = load_campaign(write_campaign(tmp_path, SWEEP))
    runs = run_table(campaign.runs, name_cells(run.record for run in campaign.runs))
    where = {"workload.scaling": ("fixed",)}
    asked = [Hypothesis(id="V", claim="c", kind="value", low=0.001, high=1.0, where=where)]
    (within,) = judge_all(campaign, runs, asked)
    assert (within.word, within.notes) == ("SUPPORTED", ())
    (cannot,) = judge_all(campaign, runs.assign(set_written=0.0), asked)
    assert (cannot.word, cannot.label, cannot.runs) == ("INCONCLUSIVE", NOT_WRITTEN, 0)
    assert "What was measured cannot tell" in cannot.sentence
    (note,) = cannot.notes
    assert note.startswith("in 24 of 24 runs the guest did not write its working set whole")
