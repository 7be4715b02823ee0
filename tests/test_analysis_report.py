from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from fixtures.fake_campaign import IDLE, Fake, run_ids, write_campaign

from analysis.cells import name_cells
from analysis.figures import Drawing, Picture
from analysis.load import load_campaign
from analysis.report import Summaries, render
from analysis.summary import cell_table, run_table, used_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"mems": (512 << 20,), "smps": (1,), "workloads": (IDLE,), "repeats": 2, "count": 6}


class _Page(HTMLParser):
    """Collects what a browser would fetch or run, and whether the tags nest."""

    VOID = frozenset({"meta", "img", "source", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _render(folder: Path) -> str:
    campaign = load_campaign(folder)
    cells = name_cells(run.record for run in campaign.runs)
    per_run = run_table(campaign.runs, cells)
    per_cell = cell_table(cells, per_run, used_checkpoints(campaign.runs, cells))
    picture = Picture("image/png", b"a picture")
    drawing = Drawing("drawing", {}, picture, picture, per_cell)
    return render(campaign, Summaries(cells, per_run, per_cell), drawing, drawing)


def _page(parent: Path, fake: Fake) -> str:
    return _render(write_campaign(parent, fake))


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> str:
    fake = Fake(mems=(512 << 20,), workloads=(IDLE,), repeats=3, count=6, failed=1, unstarted=1, quality_problems=True)
    folder = write_campaign(tmp_path_factory.mktemp("results"), fake)
    (folder / "runs" / run_ids(folder)[1] / "checkpoints.parquet").write_bytes(b"torn")
    return _render(folder)


def test_the_page_is_whole_and_fetches_nothing(troubled: str) -> None:
    page = _Page(troubled)
    assert page.open == []
    sources = [value or "" for _, attrs in page.tags for name, value in attrs.items() if name in {"src", "srcset"}]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert [attrs["href"] for tag, attrs in page.tags if "href" in attrs] == ["#trust"]
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "iframe"}]


def test_every_picture_has_a_text_for_those_who_cannot_see_it(troubled: str) -> None:
    alts = [attrs["alt"] or "" for tag, attrs in _Page(troubled).tags if tag == "img"]
    assert len(alts) == 2
    assert all(len(alt) > 40 for alt in alts)


def test_what_went_wrong_is_said_first_and_then_in_full(troubled: str) -> None:
    text = " ".join(re.sub(r"<[^>]+>", " ", troubled).split())
    said = "1 run failed; 1 run could not be read; 1 run not yet measured; 1 run with quality problems"
    assert f"Not everything went well. {said}" in text
    assert "3 of 6 planned runs measured" in text
    assert "colo-timeout the pair did not reach COLO within 300 s" in text
    assert "checkpoints.parquet is not readable" in text
    assert "check failed pause by trace and by QMP differ by 2.4 ms (median) 1 1" in text
    assert "not used checkpoint without an end 1 1 run=&gt;stop" in text
    assert "steal rose from 0.0 % to 2.1 %" in text


def test_a_campaign_without_trouble_shows_no_alarm(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(**SMALL))
    assert "Not everything went well" not in page
    assert "All 2 measured runs passed the quality check" in page


def test_the_page_tells_emulation_from_kvm(tmp_path: Path) -> None:
    emulated, real = (_page(tmp_path, Fake(name=accel, accel=accel, **SMALL)) for accel in ("tcg", "kvm"))
    assert "An emulated pause is a real pause of an emulated pair." in emulated
    assert "<td>emulation (TCG)</td>" in emulated
    assert "Every pair ran under KVM" in real
    assert "emulation" not in real


def test_the_command_the_seed_and_the_hashes_are_on_the_page(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(name="quiet", **SMALL))
    assert "python -m bench -m campaign=quiet mem=512M,1G" in page
    assert "python -m analysis results/quiet" in page
    assert "<dt>Seed of the order</dt><dd>1</dd>" in page
    assert "a1" * 32 in page
    assert str(tmp_path) not in page


def test_markup_in_names_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    nasty = {"name": "<script>alert('$x$')</script>&\"_日本"}
    fake = Fake(**SMALL | {"workloads": (IDLE, nasty), "repeats": 1})
    page = _page(tmp_path, fake)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;$x$&#39;)&lt;/script&gt;&amp;&#34;_日本" in page
    assert _Page(page).open == []


def test_short_runs_mark_their_tails_as_exploratory(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(**SMALL))
    assert page.count("†") == 3
    assert "fewer than the 100 for p95 or 500 for p99 checkpoints" in page
