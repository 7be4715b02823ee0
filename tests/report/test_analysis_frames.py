"""The public frames, against the stored files that they come from; and the examples that use them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import analysis
from analysis.errors import NotACampaignError

if TYPE_CHECKING:
    from analysis.frames import Frames

ROOT = Path(__file__).parents[2]
CAMPAIGN = ROOT / "results" / "reference" / "procedure_claims"


@pytest.fixture(scope="module")
def frames() -> Frames:
    return analysis.load(CAMPAIGN)


def test_every_stored_checkpoint_is_a_row_with_its_run_beside_it(frames: Frames) -> None:
    stored = {path.parent.name: pd.read_parquet(path) for path in CAMPAIGN.glob("runs/*/checkpoints.parquet")}
    assert len(frames.checkpoints) == sum(map(len, stored.values()))
    assert set(frames.checkpoints["run_id"]) == set(stored) == set(frames.runs["run_id"])
    for run_id, rows in frames.checkpoints.groupby("run_id"):
        assert rows["pause_s"].to_list() == stored[str(run_id)]["pause_s"].to_list()
        record = json.loads((CAMPAIGN / "runs" / str(run_id) / "run.json").read_text())
        assert set(rows["mem"]) == {record["cell"]["mem"]}
        assert set(rows["block"]) == {record["block"]}


def test_runs_and_cells_go_by_the_same_labels(frames: Frames) -> None:
    assert set(frames.runs["cell"]) == set(frames.cells["cell"]) == set(frames.checkpoints["cell"])
    counted = frames.runs.groupby("cell", observed=True).size()
    assert dict(counted) == dict(zip(frames.cells["cell"], frames.cells["runs"], strict=True))


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotACampaignError):
        analysis.load(tmp_path)


def test_the_notebook_runs_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLO_BENCH_CAMPAIGN", raising=False)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(ROOT / "examples" / "campaign.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "examples")}}).execute()
    kinds = [key for cell in notebook.cells for output in cell.get("outputs", ()) for key in output.get("data", {})]
    assert "image/png" in kinds
    assert kinds.count("text/html") >= 3


def test_the_sql_of_the_page_and_of_the_file_are_one() -> None:
    page = re.search(r"```sql\n(.*?)```", (ROOT / "examples" / "README.md").read_text(), re.DOTALL)
    lines = (ROOT / "examples" / "checkpoints.sql").read_text().splitlines()
    assert page
    assert page[1].split() == " ".join(line for line in lines if not line.startswith("--")).split()


def test_polars_reads_the_stored_files_by_the_line_of_the_page() -> None:
    page = re.search(r"```python\n(.*?)\n```", (ROOT / "examples" / "README.md").read_text(), re.DOTALL)
    assert page
    line = page[1].replace("results/demo", str(CAMPAIGN))
    done = subprocess.run((sys.executable, "-c", line), capture_output=True, text=True, timeout=60, check=False)
    if "No module named 'polars'" in done.stderr:
        pytest.skip("polars is not installed")
    assert done.returncode == 0, done.stderr
    assert "pause_ms" in done.stdout


def test_duckdb_reads_the_stored_files_by_the_file_of_the_page(frames: Frames) -> None:
    query = (ROOT / "examples" / "checkpoints.sql").read_text().replace("results/demo", str(CAMPAIGN))
    found = {run_id: (count, pause_ms) for run_id, count, pause_ms in duckdb.sql(query).fetchall()}
    kept = frames.checkpoints[~frames.checkpoints["warmup"]]
    runs = kept.groupby("run_id", observed=True)["pause_s"]
    assert found == {run_id: (len(pauses), pytest.approx(1000 * pauses.median())) for run_id, pauses in runs}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no Rscript here")
def test_r_reads_the_stored_files_by_the_script(frames: Frames) -> None:
    argv = ("Rscript", str(ROOT / "examples" / "campaign.R"), str(CAMPAIGN))
    env = os.environ | {"LC_ALL": "C.UTF-8"}  # its words are looked at
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip("R has no arrow or no dplyr here")
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    found = {row[1]: [float(one) for one in row[2:]] for row in rows if row and row[0].isdigit()}
    kept = frames.checkpoints[~frames.checkpoints["warmup"]]
    pauses_ms = 1000 * kept.groupby("run_id", observed=True)["pause_s"].median().rename("pause_ms")
    index = pd.read_csv(CAMPAIGN / "index.csv", dtype=str)
    sound = index[index["quality_ok"] == "true"].join(pauses_ms, on="run_id", how="inner")
    told = sound.groupby("cell_id")["pause_ms"].agg(["count", "min", "median", "max"])
    assert found == {cell: pytest.approx(list(numbers), rel=0.005) for cell, *numbers in told.itertuples()}


def test_the_intervals_of_a_report_for_developers_are_what_its_lines_print() -> None:
    page = (ROOT / "docs" / "upstream" / "colo-first-checkpoint.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    argv = (sys.executable, "-c", code)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    printed = [[float(one) for one in re.findall(r"\d+\.\d+", line)] for line in done.stdout.splitlines()]
    assert len(printed) == 9
    assert all(low == median == high for median, low, high in printed[:3])
    rows = [
        [f"{median:,.0f}" for median, _, _ in printed[:3]],
        *(
            [f"{median:.1f} [{low:.1f}, {high:.1f}]" for median, low, high in three]
            for three in (printed[3:6], printed[6:])
        ),
    ]
    assert [row for row in rows if f"| {' | '.join(row)} |" not in page] == []
    assert done.stdout.count("18 pairs") == 9
