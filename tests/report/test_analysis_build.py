from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from fixtures.fake_campaign import IDLE, Fake, write_campaign

import analysis
from analysis.__main__ import main
from analysis.report.build import build_report
from analysis.stored.records import Hypothesis

ALWAYS = {"report.html", "verdicts.json", "tables/cells.csv", "tables/cells.tex", "figures/pause_ecdf.csv"}
SMALL = Fake(name="small", mems=(512 << 20,), workloads=(IDLE,), repeats=2, count=6)


def _contents(folder: Path) -> dict[str, bytes]:
    report = folder / "report"
    return {str(path.relative_to(report)): path.read_bytes() for path in sorted(report.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_campaign(tmp_path_factory.mktemp("results"), SMALL)
    assert build_report([folder]) == folder / "report" / "report.html"
    return folder


def test_every_figure_is_there_in_each_kind_with_its_data(built: Path) -> None:
    names = set(_contents(built))
    assert names >= ALWAYS
    figures = {name.removesuffix(".csv") for name in names if name.startswith("figures/") and name.endswith(".csv")}
    for figure in figures:
        assert {f"{figure}.{kind}" for kind in ("svg", "pdf", "png")} <= names
        assert len({f"{figure}-column.{kind}" for kind in ("svg", "pdf", "png")} & names) == 1  # for a phone
    assert not [name for name in names if Path(name).name.startswith(".")]


def test_a_style_for_print_is_drawn_on_request(built: Path, tmp_path: Path) -> None:
    page = build_report([built], style="acm", out=tmp_path / "acm")
    assert page == tmp_path / "acm" / "report.html"
    assert (tmp_path / "acm" / "figures" / "pause_ecdf-column.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_data_gives_the_same_bytes_elsewhere_and_again(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "small"
    shutil.copytree(built, copy)
    environment = os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    arguments = [sys.executable, "-W", "error", "-m", "analysis", str(copy)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"{copy / 'report' / 'report.html'}\n"
    assert _contents(copy) == _contents(built)


def test_each_figure_is_told_of_and_changes_no_byte(built: Path, tmp_path: Path) -> None:
    said: list[str] = []
    build_report([built], out=tmp_path / "report", homes=[".."], say=said.append)
    assert _contents(tmp_path) == _contents(built)
    drawn = [path.stem for path in (tmp_path / "report" / "figures").glob("*.csv")]
    assert [figure for figure in drawn if not any(f" {figure} is done" in line for line in said)] == []
    assert (said[0], said[-1]) == ("reading the runs", "making report.html")


def test_the_table_of_cells_can_be_read_back(built: Path) -> None:
    table = pd.read_csv(built / "report" / "tables" / "cells.csv")
    assert list(table["cell"]) == ["512 MiB · 1 vCPU · idle · tcp", "512 MiB · 2 vCPUs · idle · tcp"]
    assert set(table["accel"]) == {"tcg"}
    assert list(table["checkpoints"]) == [12, 12]


@pytest.mark.usefixtures("few_figures")
@pytest.mark.parametrize("words", [["figure.style=screen"]])
def test_the_command_prints_the_path(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, SMALL)
    assert main([str(folder), *words]) == 0
    assert capsys.readouterr().out == f"{folder / 'report' / 'report.html'}\n"


@pytest.mark.usefixtures("few_figures")
def test_nothing_of_an_earlier_report_stays_beside_a_new_one(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SMALL)
    late = Hypothesis(id="H", claim="It grows.", factor="smp")
    build_report([folder], asked=[late], style="acm")
    figures = folder / "report" / "figures"
    assert {f"hypotheses{part}.pdf" for part in ("", "-column")} <= {path.name for path in figures.iterdir()}
    (figures / "mine.txt").write_text("somebody else's")
    page = build_report([folder])
    names = {path.name for path in figures.iterdir()}
    assert "mine.txt" in names
    assert [name for name in names if name.startswith("hypotheses") or name.endswith("-column.pdf")] == []
    assert page.stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in page.parent.rglob("*"))


def test_nothing_measured_ends_with_1_and_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, Fake(failed=16))
    assert main([str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 2
    assert "nothing was measured (16 failed; colo-timeout" in error
    assert not (folder / "report").exists()


def test_a_wrong_path_ends_with_2_and_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.usefixtures("few_figures")
def test_a_report_that_cannot_be_written_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_campaign(tmp_path, SMALL)
    (folder / "report").write_text("a file where the folder should be")
    assert main([str(folder)]) == 3
    assert "the report cannot be written" in capsys.readouterr().err


def test_the_analysis_never_imports_the_bench() -> None:
    for path in sorted(Path(analysis.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in names if name.split(".")[0] == "bench"]
