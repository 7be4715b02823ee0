"""The page of FAKE campaigns: what it says first, what it admits, and that nothing on it is fetched or obeyed."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from fixtures.changed import with_parts
from fixtures.fake_campaign import IDLE, SERVICE, Fake, replace_parquet, run_ids, write_campaign

from analysis.plots.drawing import Drawing, Picture, Skipped, Words
from analysis.report import answer, trust
from analysis.report.checks import checks
from analysis.report.page import Built
from analysis.report.render import code_sha256, render
from analysis.stored.records import Hypothesis
from analysis.stored.study import load_study
from analysis.verdicts.diagnostics import diagnose
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from pathlib import Path

SMALL: dict[str, Any] = {"mems": (512 << 20,), "smps": (1,), "workloads": (IDLE,), "repeats": 2, "count": 6}
GROWS = {"id": "H1", "claim": "The pause grows with vCPUs.", "factor": "smp"}


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
    picture = Picture("image/png", b"a picture")
    drawings = [
        Drawing(name, {}, {}, picture, picture, pd.DataFrame(), Words("A heading", "A caption.", f"{name} in words"))
        for name in ("hypotheses", "pause_ecdf")
    ]
    return render(derive(load_study([folder])), drawings, [Skipped("violin", "there is nothing to draw")])


def _page(parent: Path, fake: Fake) -> str:
    return _render(write_campaign(parent, fake))


def _words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


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
    assert {attrs["href"] for tag, attrs in page.tags if "href" in attrs} == {"#trust", "data:,", "explore.html"}
    assert not [tag for tag, _ in page.tags if tag == "iframe"]
    assert "default-src 'none'" in troubled


def test_the_cells_table_counts_the_runs_that_it_keeps_and_effects_leave_out(troubled: str) -> None:
    assert "left out of effects, and ranked worst by verdicts: 1 run whose own check failed." in _words(troubled)


def test_the_only_script_is_the_one_whose_hash_the_page_allows(troubled: str) -> None:
    assert [tag for tag, _ in _Page(troubled).tags].count("script") == 1
    assert "script-src 'sha256-" in troubled
    assert "unsafe-inline'; script" in troubled
    assert "script-src 'unsafe" not in troubled


def test_every_picture_has_a_text_for_those_who_cannot_see_it(troubled: str) -> None:
    alts = [attrs["alt"] or "" for tag, attrs in _Page(troubled).tags if tag == "img"]
    assert alts == ["hypotheses in words", "pause_ecdf in words"]


def test_what_went_wrong_is_said_first_and_then_in_full(troubled: str) -> None:
    text = _words(troubled)
    said = "1 run failed; 1 run cannot be read; 1 run not yet measured; 1 measured run did not pass the quality check"
    assert f"Not everything went well. {said}" in text
    assert "3 of 6 planned runs measured" in text
    assert "colo-timeout the pair did not reach COLO within 300 s" in text
    assert "checkpoints.parquet is not readable" in text
    assert "check failed pause by trace and by QMP differ by 2.4 ms (median) 1 1" in text
    assert "not used checkpoint without an end 1 1 run=&gt;stop" in text
    assert "steal rose from 0.0 % to 2.1 %" in text
    assert "violin there is nothing to draw" in text


def test_runs_without_checkpoints_count_as_measured_wherever_the_page_counts(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SERVICE)
    native = next(run.record.run_id for run in load_study([folder]).without)
    path = folder / "runs" / native / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"finished_at": record["finished_at"] + 2 * 86_400}))
    text = _words(_render(folder))
    assert "The median pause of the only cell that has one is" in text
    assert "12 of 12 planned runs measured, 3 of 3 cells," in text
    assert re.search(r"(20\d\d-\d\d-\d\d) to (?!\1)20\d\d-\d\d-\d\d \(UTC\)", text)
    assert "All 12 measured runs passed the quality check" in text


def test_runs_that_are_asked_for_no_checkpoints_are_told_of_once_however_many_campaigns_are_joined(
    tmp_path: Path,
) -> None:
    one, other = (write_campaign(tmp_path, replace(SERVICE, name=name)) for name in ("one", "other"))
    for run_id in run_ids(other):
        replace_parquet(other, run_id, lambda table: table.slice(0, max(table.num_rows - 1, 0)))
    said = " asked for no checkpoints: in no table or figure of pauses"
    for folders, runs in (([one], 8), ([one, other], 16)):
        notes = trust.context(derive(load_study(folders)))["notes"]
        assert notes == [f"{runs} runs were{said}"]


def test_the_table_of_causes_says_that_it_lacks_runs_whose_check_failed(tmp_path: Path) -> None:
    text = _words(_page(tmp_path, SERVICE))
    begin, end = (text.index(said) for said in ("Why checkpoints began, and", "What a pair costs its hosts"))
    assert "Runs whose own check failed are left out." in text[begin:end]


def test_the_table_of_costs_says_what_of_a_client_is_in_a_side_s_own_network(tmp_path: Path) -> None:
    text = _words(_page(tmp_path, SERVICE))
    told = text[text.index("What a pair costs its hosts") :]
    # In its primary's namespace a client asks over the loopback, which is not counted; at a bridge it passes two ends.
    assert "without what its loopback carries for a client" in told
    assert "where what passes between client and guest is in both" in told
    assert "host=bridged" in told


def test_a_campaign_without_trouble_shows_no_alarm(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(**SMALL))
    assert "Not everything went well" not in page
    assert "All 2 measured runs passed the quality check" in page


def test_verdicts_come_first_and_a_campaign_without_hypotheses_says_so(tmp_path: Path) -> None:
    fake = Fake(name="asked", workloads=(IDLE,), repeats=6, count=6, hypotheses=(GROWS,))
    text = _words(_page(tmp_path, fake))
    assert "Of 1 primary hypothesis 1 is " in text
    assert text.index("The pause grows with vCPUs.") < text.index("Design: every cell once per block")
    assert "Doubling the number of vCPUs changes the pause by" in text
    assert "1 hypothesis declared before the data" in text
    plain = _words(_page(tmp_path, Fake(**SMALL)))
    assert "declared no hypothesis" in plain
    assert "The median pause is " in plain


def test_the_page_tells_emulation_from_kvm(tmp_path: Path) -> None:
    emulated, real = (_page(tmp_path, Fake(name=accel, accel=accel, **SMALL)) for accel in ("tcg", "kvm"))
    assert "An emulated pause is a real pause of an emulated pair." in emulated
    assert "<td>emulation (TCG)</td>" in emulated
    assert "Every pair ran under KVM" in real
    assert "times are those of the hardware described below." in real  # of far hosts there are two
    assert "mulation" not in real


def test_the_command_the_seed_and_the_hashes_are_on_the_page(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(name="quiet", **SMALL))
    assert "python -m bench -m campaign=quiet mem=512M,1G" in page
    assert "<code>python -m analysis .. --out .   # in this page's folder</code>" in unescape(page)
    assert "<dt>Seed of the order</dt><dd>1</dd>" in page
    assert "a1" * 32 in page
    assert f"<dt>SHA-256 of the analysis code</dt><dd>{code_sha256()}</dd>" in page
    assert str(tmp_path) not in page


def test_the_hash_of_the_code_is_that_of_a_checkout_and_of_a_wheel(tmp_path: Path) -> None:
    checkout, wheel, shared = (tmp_path / name for name in ("checkout", "wheel", "shared"))
    for folder in (checkout, wheel, shared):
        folder.mkdir()
    (shared / "one.py").write_text("ONE = 1\n")
    (checkout / "format").symlink_to("../shared")
    shutil.copytree(shared, wheel / "format")
    assert code_sha256(checkout) == code_sha256(wheel)
    (shared / "one.py").write_text("ONE = 2\n")
    assert code_sha256(checkout) != code_sha256(wheel)


def test_markup_in_names_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    nasty = {"name": "<script>alert('$x$')</script>&\"_日本"}
    fake = Fake(**SMALL | {"workloads": (IDLE, nasty), "repeats": 1})
    page = _page(tmp_path, fake)
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;$x$&#39;)&lt;/script&gt;&amp;&#34;_日本" in page
    assert _Page(page).open == []


def test_short_runs_mark_their_tails_as_exploratory(tmp_path: Path) -> None:
    page = _page(tmp_path, Fake(**SMALL))
    assert page.count("†") == 3
    assert "fewer than the 100 (p95) or 500 (p99) checkpoints" in page


def test_few_runs_claim_no_interval(tmp_path: Path) -> None:
    text = _words(_page(tmp_path, Fake(**SMALL)))
    assert "With fewer than 6 runs there is no 95 % interval" in text
    assert "Only 2 runs in some cells" in text


NASTY = "</td></style><script>alert(1)</script><img src=x onerror=alert(2)>&\"' [ 3.1] Kernel panic"
IDS = {"run_id", "cell_id", "accel", "state", "hypotheses_sha256"}


def _poisoned(tree: Any, key: str = "") -> Any:
    """Put markup behind every text of a stored document, but for what is held to a pattern anyway."""
    if isinstance(tree, dict):
        return {name: _poisoned(value, name) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_poisoned(value, key) for value in tree]
    return tree + NASTY if isinstance(tree, str) and key not in IDS else tree


def test_markup_from_the_guest_from_logs_and_from_the_configuration_is_never_obeyed(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(**SMALL | {"repeats": 4, "failed": 1, "quality_problems": True}))
    for path in (folder / "plan.json", *folder.glob("runs/*/run.json")):
        path.write_text(json.dumps(_poisoned(json.loads(path.read_text()))))
    ledger = folder / "ledger.jsonl"
    lines = [json.dumps(_poisoned(json.loads(line))) for line in ledger.read_text().splitlines()]
    ledger.write_text("\n".join(lines) + "\n")
    page = _render(folder)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    read = _Page(page)
    assert read.open == []
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert all(str(attributes["src"]).startswith("data:") for tag, attributes in read.tags if tag == "img")
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]


def test_what_stands_in_the_way_of_trust_is_said(tmp_path: Path) -> None:
    text = _words(_page(tmp_path, Fake(**SMALL)))
    assert "The noise floor is unknown" in text
    assert "Few checkpoints per run, 6 in the shortest" in text


def test_single_runs_have_no_brackets_to_be_told_of(tmp_path: Path) -> None:
    text = _words(_page(tmp_path, Fake(**SMALL | {"repeats": 1})))
    assert "With fewer than 6 runs there is no 95 % interval. p95 and p99" in text


def test_a_short_campaign_claims_nothing_of_drift(tmp_path: Path) -> None:
    results = derive(load_study([write_campaign(tmp_path, Fake(**SMALL | {"repeats": 3}))]))
    assert dict(checks(results))["Drift"] == "fewer than 5 blocks with runs that count: too few to see any"


def test_stalls_that_cannot_be_told_are_not_said_to_be_missing(tmp_path: Path) -> None:
    results = derive(load_study([write_campaign(tmp_path, Fake(**SMALL))]))
    wide = results.runs.assign(slow_share=float("nan"))
    found = diagnose(results.campaign, results.cells, wide, results.behaviours)
    said = dict(checks(with_parts(results, diagnostics=found)))["Modes"]
    assert "; of 2 runs over TCP no stalls of about 40 ms can be told" in said
    assert "checkpoints about 40 ms above the usual pause" not in said
    known = "checkpoints about 40 ms above the usual pause, as long as a small write waits"  # nodelay is TCP, too
    assert known in dict(checks(results))["Modes"]


def test_a_rule_that_no_run_is_long_enough_for_is_not_said_to_suggest_nothing(tmp_path: Path) -> None:
    for count in (16, 17):  # after three of warm-up
        results = derive(load_study([write_campaign(tmp_path, Fake(name=f"of-{count}", **SMALL | {"count": count}))]))
        warmup = dict(checks(results))["Warm-up"]
        assert ("no run has the 20 checkpoints that tell whether a longer one is wanted" in warmup) == (count == 16)


def test_what_a_rule_finds_in_long_runs_is_not_said_of_short_ones(tmp_path: Path) -> None:
    results = derive(load_study([write_campaign(tmp_path, Fake(**SMALL | {"count": 17}))]))
    for cuts, said in (
        ((0.0, 0.0), "steadiest)"),
        ((0.0, float("nan")), "steadiest); of 1 run of fewer than 20 checkpoints nothing can be told"),
        ((2.0, float("nan")), "2 at most, no more; of 1 run of fewer than 20 checkpoints nothing can be told"),
    ):
        found = diagnose(results.campaign, results.cells, results.runs, results.behaviours.assign(mser=cuts))
        assert dict(checks(with_parts(results, diagnostics=found)))["Warm-up"].endswith(said)


def test_the_page_says_how_it_was_built(tmp_path: Path) -> None:
    results = derive(load_study([write_campaign(tmp_path, Fake(name="quiet", **SMALL))]))
    page = render(results, [], [], Built("acm", asked=True, seeds=(1, 2)))
    assert "python -m analysis .. figure.style=acm --hypotheses FILE --out .   # in this page" in page
    assert "<dt>Seeds of the orders</dt><dd>1, 2</dd>" in page
    assert "SHA-256 of the hypotheses" not in page


def test_a_page_is_built_again_from_where_its_folders_are_whatever_they_are_called(tmp_path: Path) -> None:
    results = derive(load_study([write_campaign(tmp_path, Fake(name="quiet", **SMALL))]))
    for homes, said in (
        (("..", "../../night"), ".. ../../night"),
        (("..", "../../b c/quiet"), ".. '../../b c/quiet'"),
        (("../runs/quiet",), "../runs/quiet"),
        (("../caf\udce9/quiet",), r"'../caf\udce9/quiet'"),
    ):
        page = render(results, [], [], Built(homes=homes))
        assert f"<code>python -m analysis {said} --out .   # in this page's folder</code>" in unescape(page)


def test_hypotheses_that_came_late_bring_no_effect_that_was_declared_before(tmp_path: Path) -> None:
    fake = Fake(**SMALL | {"smps": (1, 2), "repeats": 6, "hypotheses": (GROWS,)})
    study = load_study([write_campaign(tmp_path, fake)])
    late = derive(study, [Hypothesis.model_validate(GROWS | {"sesoi": 0.2})])
    assert answer.context(derive(study))["all_declared"]
    assert not answer.context(late)["all_declared"]
    material = tuple(replace(one, word="SUPPORTED", label="material") for one in late.findings)  # a case has a legend
    page = _words(render(replace(late, findings=material), [], [], Built(asked=True)))
    assert "The smallest effect of interest came with the hypotheses, which were not all chosen before" in page


def test_what_a_file_repeats_word_for_word_is_not_said_to_be_undeclared(tmp_path: Path) -> None:
    study = load_study([write_campaign(tmp_path, Fake(**SMALL | {"smps": (1, 2), "hypotheses": (GROWS,)}))])
    (verdict,) = answer.context(derive(study, [Hypothesis.model_validate(GROWS)]))["verdicts"]
    assert verdict["exploratory"]
    assert verdict["why_exploratory"] == "not chosen in this form before the data"


def test_a_verdict_does_not_say_of_a_run_that_cannot_be_read_that_it_failed(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, Fake(**SMALL | {"smps": (1, 2), "repeats": 6, "hypotheses": (GROWS,)}))
    (folder / "runs" / run_ids(folder)[0] / "checkpoints.parquet").write_bytes(b"torn")
    results = derive(load_study([folder]))
    (verdict,) = answer.context(results)["verdicts"]
    assert "; 1 failed or cannot be read" in verdict["detail"]
    assert results.campaign.attempts == ()


def test_verdicts_on_hypotheses_that_came_late_are_not_said_to_be_no_tests(tmp_path: Path) -> None:
    study = load_study([write_campaign(tmp_path, Fake(**SMALL | {"smps": (1, 2)}))])
    for asked, said in (
        (None, "differences between cells are descriptions, not tests"),
        ([Hypothesis.model_validate(GROWS)], "the verdicts here are exploratory"),
    ):
        told = trust.context(derive(study, asked))["threats"]
        assert f"No hypothesis was declared before the data: {said}." in told


def test_a_value_under_other_choices_keeps_its_unit(tmp_path: Path) -> None:
    asked = {"id": "C3", "claim": "Each pause takes 2 to 4 s.", "kind": "value", "low": 2, "high": 4}
    text = _words(_page(tmp_path, Fake(**SMALL | {"repeats": 6, "hypotheses": (asked,)})))
    others = text[text.index("Primary verdicts on the pause under other choices") :]
    assert re.search(r"C3 no warm-up left out [\d.]+ ms \[[\d.]+, [\d.]+\] REFUTED", others)
    assert "REFUTED: Each pause takes 2 to 4 s: " in text
    # A range is held against no effect, and equals play no part in it.
    assert "outside the range" in text
    assert "Brackets are 90" in text
    assert "smallest effect of interest" not in text[: text.index("Brackets are 90")]


def test_the_verdict_on_a_transport_says_that_tcp_waits_for_acknowledgements(tmp_path: Path) -> None:
    asked = {"kind": "contrast", "factor": "link.transport", "levels": ["unix", "tcp"]}
    other = {"id": "H2", "claim": "The pause grows with vCPUs.", "factor": "smp"}
    fake = Fake(links=("unix", "tcp"), hypotheses=({"id": "H1", "claim": "TCP is slower.", **asked}, other), repeats=6)
    results = derive(load_study([write_campaign(tmp_path, fake)]))
    over_tcp = results.runs.index[results.runs["link.transport"] == "tcp"]
    few = results.runs.assign(always_stalled=results.runs.index.isin(over_tcp[:3]))
    stalled = replace(results, runs=few)
    first, second = (one["sentence"] for one in answer.context(stalled)["verdicts"])
    told = f"In 3 of {len(over_tcp)} runs over TCP every checkpoint waits about 40 ms for a delayed acknowledgement"
    assert told in first
    assert "acknowledgement" not in second
    free = replace(results, runs=results.runs.assign(always_stalled=False))
    assert "acknowledgement" not in answer.context(free)["verdicts"][0]["sentence"]
