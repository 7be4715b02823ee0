"""The tables of the report: whole as CSV, and LaTeX that compiles whatever the texts hold."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import pandas as pd
import pytest
from fixtures.changed import with_parts
from fixtures.fake_campaign import Fake, write_campaign
from PIL import ImageFont

from analysis.report.design import design_rows
from analysis.report.latex import Column, escape, tabular
from analysis.report.tables import _pvalue, _verdict_row, aligned, tables
from analysis.stored.campaign import Unread
from analysis.stored.load import load_campaign
from analysis.verdicts.claims import Effect
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from analysis.verdicts.results import Results

HYPOTHESES = (
    {"id": "H1_ram", "claim": "Growth & more: 100 % of #1_{x} ~ ^ \\", "factor": "mem", "direction": "increasing"},
    {
        "id": "H2_link",
        "claim": "No difference.",
        "kind": "contrast",
        "factor": "smp",
        "levels": [1, 2],
        "direction": "none",
    },
    {"id": "H3_pause", "claim": "40 to 70 ms.", "kind": "value", "low": 0.04, "high": 0.07},
)
NAMES = ("cells", "phases", "verdicts", "design")
MACROS = {
    "begin",
    "end",
    "begingroup",
    "endgroup",
    "footnotesize",
    "setlength",
    "tabcolsep",
    "tabularnewline",
    "raggedright",
    "delta",
    "dag",
    "toprule",
    "midrule",
    "bottomrule",
    "multicolumn",
    "pm",
    "textperiodcentered",
    "textbackslash",
    "textasciitilde",
    "textasciicircum",
    "infty",
    "times",
    "mu",
    "le",
    "ge",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    fake = Fake(repeats=6, count=12, warmup=2, finer=True, hypotheses=HYPOTHESES, failed=3)
    return derive(load_campaign(write_campaign(tmp_path_factory.mktemp("tables"), fake)))


@pytest.fixture(scope="module")
def files(results: Results) -> dict[str, bytes]:
    return tables(results)


def rows_of(tex: str) -> list[list[str]]:
    """Return the cells of every row of a ``tabular``, a ``\\multicolumn`` counted as what it spans."""
    body = "\n".join(line for line in tex.splitlines() if not line.startswith("%"))
    inner = body[body.index("\\toprule") : body.index("\\end{tabular}")]
    rows = []
    for line in re.sub(r"\\(top|mid|bottom)rule", "", inner).split("\\tabularnewline\n"):
        if not line.strip():
            continue
        cells = re.split(r"(?<!\\)&", line)
        rows.append(
            [cell for cell in cells for _ in range(int((re.match(r"\s*\\multicolumn\{(\d)\}", cell) or [0, 1])[1]))]
        )
    return rows


def width_of(tex: str) -> int:
    preamble = re.search(r"\\begin\{tabular\}\{(.*)\}\n", tex)
    assert preamble is not None
    return len(re.sub(r"@\{[^}]*\}|\{[^}]*\}", "", preamble[1]))


@pytest.mark.parametrize("name", NAMES)
def test_the_structure_is_sound(files: dict[str, bytes], name: str) -> None:
    tex = files[f"tables/{name}.tex"].decode("ascii")
    assert tex.count("\\begin{tabular}") == tex.count("\\end{tabular}") == 1
    assert {len(row) for row in rows_of(tex)} == {width_of(tex)}
    body = "\n".join(line for line in tex.splitlines() if not line.startswith("%"))
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= MACROS
    bare = re.sub(r"\\[\\{}&%$#_,]|%$", "", body, flags=re.MULTILINE)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[%#^]", bare)
    assert any("R = " in line and "N = " in line for line in tex.splitlines() if line.startswith("% "))


def test_what_is_seldom_is_not_printed_as_never(results: Results) -> None:
    findings = tuple(replace(one, sesoi=0.0004) for one in results.findings)
    seldom = with_parts(replace(results, findings=findings), per_cell=results.per_cell.assign(paused_share=0.0002))
    made = {name: rows_of(tables(seldom)[f"tables/{name}.tex"].decode()) for name in ("cells", "verdicts")}
    assert made["cells"][-1][-1].strip() == "0.02"
    assert [row[7].strip() for row in made["verdicts"][-3:-1]] == ["0.04"] * 2


def test_checkpoints_of_blocks_that_no_look_has_seen_are_in_no_count_of_verdicts(results: Results) -> None:
    plan = results.campaign.plan.model_copy(update={"looks": (4,)})
    seen = replace(results, campaign=replace(results.campaign, plan=plan))
    few, all_ = (int(own["checkpoints"].sum()) for own in (results.runs[results.runs["block"] < 4], results.runs))
    for name, count in (("verdicts", few), ("cells", all_)):
        assert f", N = {count:,} checkpoints in all." in tables(seen)[f"tables/{name}.tex"].decode()


def test_a_table_without_a_hypothesis_is_not_captioned_as_of_declared_ones(results: Results) -> None:
    none, some = (tables(each)["tables/verdicts.tex"] for each in (replace(results, findings=()), results))
    assert b"% Caption: Hypotheses: effect" in none
    assert b"% Caption: Hypotheses declared before the data: effect" in some


def test_the_end_of_an_interval_about_0_is_not_printed_as_0(results: Results) -> None:
    value = results.findings[-1]
    share = value.hypothesis.model_copy(update={"outcome": "mismatch_share", "low": 0.0, "high": 0.05})
    row = _verdict_row(replace(value, hypothesis=share, effect=Effect(0.0, 0.0, 0.004)))
    assert row[3:7] == ("0.000", "0.000", "0.400", "%")


def test_a_p_value_beyond_the_level_is_not_printed_as_it() -> None:
    assert [_pvalue(p) for p in (0.05003, 0.0123, 0.00001)] == ["0.05003", "0.0123", "<0.0001"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_it_compiles(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_bytes(files[f"tables/{name}.tex"])
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
        "\\begin{table*}\\input{table}\\end{table*}\\end{document}"
    )
    argv = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


TEXT_WIDTH_PT = 506.3
"""Of a page of two columns in ACM's and about IEEE's format; ``\\footnotesize`` there is 8 pt."""

GAP_PT, PLUS_MINUS_PT = 2.5, 9.2
POINTS = {"cm": 28.45, "pt": 1.0}


@pytest.fixture(scope="module")
def roman() -> ImageFont.FreeTypeFont:
    # At 8 pt TeX takes a cut of its own, which is some 6 % wider.
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"), 850)


def set_width(tex: str, font: ImageFont.FreeTypeFont) -> float:
    """Estimate the width of a ``tabular`` in points, from the font that TeX sets it in."""
    preamble = re.search(r"\\begin\{tabular\}\{(.*)\}\n", tex)
    assert preamble is not None
    kinds = re.findall(r"@\{[^}]*\}l|p\{[^}]*\}|[lr]", preamble[1])
    total = 0.0
    for kind, cells in zip(kinds, zip(*rows_of(tex), strict=True), strict=True):
        fixed = re.match(r"p\{([\d.]+)(cm|pt)\}", kind)
        plain = [re.sub(r"\\[A-Za-z]+|[{}$\\]", "", cell).strip() for cell in cells if "multicolumn{2}" not in cell]
        plain = [cell.removeprefix("1r") for cell in plain]
        widest = max(font.getlength(text) / 100 for text in plain)
        total += float(fixed[1]) * POINTS[fixed[2]] if fixed else widest
        total += PLUS_MINUS_PT if kind.startswith("@") else 2 * GAP_PT
    return total


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_into_the_width_of_a_page(files: dict[str, bytes], name: str, roman: ImageFont.FreeTypeFont) -> None:
    assert set_width(files[f"tables/{name}.tex"].decode("ascii"), roman) <= TEXT_WIDTH_PT


def test_the_csv_holds_the_same_rows(files: dict[str, bytes], results: Results) -> None:
    csv = {name: pd.read_csv(io.BytesIO(files[f"tables/{name}.csv"])) for name in NAMES}
    assert len(csv["cells"]) == len(results.per_cell) == 8
    assert csv["cells"]["pause"].tolist() == pytest.approx(results.per_cell["pause"].tolist())
    assert len(csv["phases"]) == 8 * 8
    assert csv["verdicts"]["id"].tolist() == [str(one["id"]) for one in HYPOTHESES]
    assert (
        dict(zip(csv["design"]["name"], csv["design"]["value"], strict=True))["runs"]
        == "45 measured of 48, 3 failed for good"
    )


def test_an_attempt_whose_files_cannot_be_read_was_one(results: Results) -> None:
    campaign = replace(results.campaign, unread=(Unread(results.campaign.plan.runs[0], "damaged"),))
    found = [dict(design_rows(one))["attempts"] for one in (results, replace(results, campaign=campaign))]
    assert found == ["48, 3 failed", "49, 3 failed"]


def test_phases_add_up_to_the_pause(files: dict[str, bytes]) -> None:
    phases = pd.read_csv(io.BytesIO(files["tables/phases.csv"]))
    inside = phases[phases["phase"].isin(["prepare", "save", "deliver", "load", "resume"])]
    sums = inside.groupby("cell")["mean_s"].sum()
    assert sums.tolist() == pytest.approx(
        phases[phases["phase"] == "pause_mean"].set_index("cell")["mean_s"][sums.index]
    )


def test_the_same_results_give_the_same_bytes(results: Results, files: dict[str, bytes]) -> None:
    assert tables(results) == files


def test_numbers_of_a_column_have_the_same_decimals() -> None:
    assert aligned([0.0479, 0.1204, 0.0071], 1e3) == ["47.9", "120.4", "7.1"]
    assert aligned([1500.0, 20.0, float("nan")]) == ["1500", "20", "\N{EN DASH}"]
    assert aligned([-0.25, 0.0, float("inf")]) == ["\N{MINUS SIGN}0.250", "0.000", "\N{INFINITY}"]
    assert aligned([]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % & $x_1$ #2", r"50 \% \& \$x\_1\$ \#2"),
        ("{a}\\b~c^d", r"\{a\}\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("[x] * <y>", "{[}x{]} {*} $<$y$>$"),
        ("1 GiB \N{MIDDLE DOT} 2 vCPUs", r"1 GiB \textperiodcentered{} 2 vCPUs"),
        ("--option ---", "-{}-option -{}-{}-"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}", "cafe {[}U+2603{]}"),
        ("two\nlines\tand\0", "two lines and{}"),
    ],
)
def test_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="2 texts for 1 columns"):
        tabular([Column("a")], [("1", "2")], ())
