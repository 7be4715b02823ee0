"""The nodes of a cluster in the analysis: a factor of blocks, and whether words hang on one of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fixtures.changed import columns, with_parts
from fixtures.fake_campaign import IDLE, Fake, write_campaign
from fixtures.simulated import failure_of

from analysis.report import design, trust
from analysis.report.build import build_report
from analysis.report.checks import checks
from analysis.report.explore import payload
from analysis.runs.outcomes import run_table
from analysis.stored.campaign import Campaign
from analysis.stored.cells import name_cells
from analysis.stored.load import load_campaign
from analysis.stored.records import NO_NODE, Hypothesis, Plan
from analysis.verdicts.claims import Effect
from analysis.verdicts.diagnostics import AS_DECLARED, Sensitivity
from analysis.verdicts.drift import outside_block
from analysis.verdicts.hypotheses import judge
from analysis.verdicts.nodes import LEFT_OUT, Nodes, hanging, nodes_of, without_each
from analysis.verdicts.question import question
from analysis.verdicts.results import derive

GROWS = Hypothesis(id="H1", claim="It grows with RAM.", factor="mem").model_dump(mode="json")
BLOCKS = 9
FAKE = Fake(workloads=(IDLE,), links=("unix",), repeats=BLOCKS, count=12, hypotheses=(GROWS,))


def on_nodes(parent: Path, nodes: int, fake: Fake = FAKE) -> Path:
    """Write a campaign whose blocks were measured on so many nodes in turn."""
    folder = write_campaign(parent, fake)
    for path in folder.glob("runs/*/run.json"):
        record = json.loads(path.read_text())
        node = f"n{record['block'] % nodes + 1}"
        path.write_text(json.dumps(record | {"nodes": {"primary": node, "secondary": node, "client": node}}))
    return folder


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return load_campaign(on_nodes(tmp_path_factory.mktemp("results"), 3))


def test_a_campaign_of_one_machine_says_nothing_of_nodes(tmp_path: Path) -> None:
    results = derive(load_campaign(write_campaign(tmp_path, FAKE)))
    assert results.diagnostics.nodes is None
    assert "node" not in results.runs
    assert "Nodes" not in dict(trust.context(results)["checks"])
    assert "Nodes, a factor of blocks" not in dict(design.design_facts(results.campaign))


def test_nodes_are_shown_as_a_factor_of_blocks(campaign: Campaign) -> None:
    results = derive(campaign)
    facts = dict(design.design_facts(campaign))
    assert facts["Nodes, a factor of blocks"] == "n1 (block 0, 3, 6); n2 (block 1, 4, 7); n3 (block 2, 5, 8)"
    shown = payload(campaign, results.cells, results.runs)
    assert next(one["levels"] for one in shown["factors"] if one["name"] == "node") == ["n1", "n2", "n3"]
    found = results.diagnostics.nodes
    assert found is not None
    assert (found.blocks["n2"], found.split) == ((1, 4, 7), 0)


def test_a_campaign_of_no_cluster_that_is_joined_to_one_of_a_cluster_is_a_place_with_a_name(campaign: Campaign) -> None:
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"nodes": {}})) if run.record.node == "n3" else run
        for run in campaign.runs
    )
    joined = derive(replace(campaign, runs=runs))
    facts = dict(design.design_facts(joined.campaign))
    assert facts["Nodes, a factor of blocks"].endswith(f"; {NO_NODE} (block 2, 5, 8)")
    assert joined.diagnostics.nodes is not None
    assert set(joined.diagnostics.nodes.blocks) == {"n1", "n2", NO_NODE}
    choices = {one.choice for one in joined.diagnostics.sensitivity}
    assert LEFT_OUT.format(NO_NODE) in choices
    assert LEFT_OUT.format("") not in choices


def test_two_nodes_of_a_pair_are_one_place(campaign: Campaign) -> None:
    record = campaign.runs[0].record
    apart = record.model_copy(update={"nodes": {"primary": "n1", "secondary": "n2", "client": "n3"}})
    assert (record.node, apart.node) == ("n1", "n1, n2")


def test_a_word_that_hangs_on_no_node_is_said_to(campaign: Campaign) -> None:
    said = dict(trust.context(derive(campaign))["checks"])["Nodes"]
    assert said.startswith("3 nodes (or pairs), each with runs of 3 of the blocks")
    assert said.endswith("no word changes when the runs on any one of them are left out")


def test_nodes_of_which_one_has_sound_runs_are_not_said_to_be_alike(campaign: Campaign) -> None:
    quality = campaign.runs[0].record.quality.model_copy(update={"ok": False})
    runs = tuple(
        run if run.record.node == "n1" else run.of_study(run.record.model_copy(update={"quality": quality}), 0)
        for run in campaign.runs
    )
    said = dict(trust.context(derive(replace(campaign, runs=runs)))["checks"])["Nodes"]
    assert "; how far apart they are cannot be told: no two have runs that count" in said
    assert "0.0 % longer" not in said


def test_a_word_that_hangs_on_one_node_is_named_with_it(campaign: Campaign) -> None:
    largest = max(run.record.cell["mem"] for run in campaign.runs)
    smallest = min(run.record.cell["mem"] for run in campaign.runs)
    runs = []
    for run in campaign.runs:
        table = run.checkpoints.copy()
        # Elsewhere it surely grows; on n2 it falls by as much, so that the whole is neither.
        factor = {largest: 3.0, smallest: 1.0}[run.record.cell["mem"]]
        table["pause_s"] *= 1 / factor if run.record.node == "n2" else factor
        runs.append(replace(run, rows=columns(table)))
    results = derive(replace(campaign, runs=tuple(runs)))
    words = {one.choice: one.word for one in results.diagnostics.sensitivity}
    assert words["as declared, by itself"] != words[LEFT_OUT.format("n2")] == "SUPPORTED"
    said = dict(trust.context(results)["checks"])["Nodes"]
    assert said.endswith("words that change when the runs on one of them are left out: n2: H1")


def test_a_difference_of_nodes_within_a_block_is_not_said_to_be_in_no_comparison(campaign: Campaign) -> None:
    first = min(run.record.block for run in campaign.runs)
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"nodes": {"primary": "n2"}}))
        if run.record.block == first and run.record.order % 2
        else run
        for run in campaign.runs
    )
    within = "in no comparison; 1 block holds runs of more than one, which are compared all the same; of H1"
    split, whole = (dict(checks(derive(one)))["Nodes"] for one in (replace(campaign, runs=runs), campaign))
    assert within in split
    assert "in no comparison; of H1" in whole


def test_of_very_many_nodes_it_is_said_which_were_left_out(campaign: Campaign) -> None:
    results, effect = derive(campaign), Effect(0.1, 0.0, 0.2)
    many = Nodes({f"n{number}": (number,) for number in range(1, 18)}, 0, 0.1)
    judged = Sensitivity("H1", AS_DECLARED, effect, "SUPPORTED")
    without = Sensitivity("H1", LEFT_OUT.format("n2"), effect, "INCONCLUSIVE")
    for others, said in (
        ((), "no word changes when the runs on any one of the 16 with most runs are left out"),
        ((without,), "words that change when the runs on one of the 16 with most runs are left out: n2: H1"),
    ):
        found = replace(results.diagnostics, nodes=many, sensitivity=(judged, *others))
        assert dict(checks(with_parts(results, diagnostics=found)))["Nodes"].endswith(said)


def test_what_was_lost_on_a_node_is_left_out_with_it(campaign: Campaign) -> None:
    largest = max(run.record.cell["mem"] for run in campaign.runs)
    planned = {run.run_id: run for run in campaign.plan.runs}
    runs, failures = [], []
    for run in campaign.runs:
        if run.record.node == "n2" and run.record.cell["mem"] == largest:
            failures.append(failure_of(planned[run.record.run_id]))
            continue
        table = run.checkpoints.copy()
        # On all that is left it surely falls; the large ones on n2 failed, and rank worst.
        table["pause_s"] *= 1 / 3 if run.record.cell["mem"] == largest else 1.0
        runs.append(replace(run, rows=columns(table)))
    lost = replace(campaign, runs=tuple(runs), failures=tuple(failures))
    cells = name_cells(run.record for run in lost.runs)
    table = run_table(lost.runs, cells)
    kept = {choice: one for choice, one, _ in without_each(lost, table)}
    assert len(kept[LEFT_OUT.format("n1")].failures) == len(failures) > 0
    assert kept[LEFT_OUT.format("n2")].failures == ()
    notes = {
        choice: judge(question(one, runs_, Hypothesis.model_validate(GROWS))).failed
        for choice, one, runs_ in without_each(lost, table)
    }
    assert notes[LEFT_OUT.format("n2")] == 0
    words = {one.choice: one.word for one in derive(lost).diagnostics.sensitivity}
    assert words["as declared, by itself"] == "INCONCLUSIVE"
    assert words[LEFT_OUT.format("n2")] == "REFUTED"


def test_a_run_that_failed_in_a_block_of_two_nodes_is_left_out_with_neither(campaign: Campaign) -> None:
    first = min(run.record.block for run in campaign.runs)
    runs = tuple(
        replace(run, record=run.record.model_copy(update={"nodes": {"primary": "n9"}}))
        if run.record.block == first and run.record.order % 2
        else run
        for run in campaign.runs
    )
    gone = next(run for run in runs if run.record.block == first)
    planned = next(run for run in campaign.plan.runs if run.run_id == gone.record.run_id)
    lost = replace(campaign, runs=tuple(run for run in runs if run is not gone), failures=(failure_of(planned),))
    table = run_table(lost.runs, name_cells(run.record for run in lost.runs))
    assert {choice: len(one.failures) for choice, one, _ in without_each(lost, table)} == {
        LEFT_OUT.format(node): 1 for node in ("n1", "n2", "n3", "n9")
    }


def test_blocks_that_are_measured_side_by_side_are_in_their_time() -> None:
    rows = [("n1", 0, 10), ("n2", 1, 11), ("n1", 0, 20), ("n2", 1, 21), ("n1", 2, 30), ("n1", 0, 40)]
    runs = pd.DataFrame([{"folder": 0, "node": node, "block": block, "started_at": at} for node, block, at in rows])
    assert outside_block(runs).tolist() == [False] * 5 + [True]
    assert outside_block(runs.drop(columns="node")).tolist() == [False, False, True, False, False, True]


def test_a_block_on_two_nodes_is_counted_and_one_node_leaves_nothing_out() -> None:
    rows = [("n1", 0, "a", 1.0), ("n1", 0, "b", 2.0), ("n1", 1, "a", 1.0), ("n2", 1, "b", 2.2)]
    runs = pd.DataFrame(
        [{"folder": 0, "node": n, "block": b, "cell": c, "pause": p, "quality_ok": True} for n, b, c, p in rows]
    )
    found = nodes_of(runs)
    assert found is not None
    assert found.split == 1
    none = Campaign(Plan(campaign="c", runs=()), "", (), (), (), (), ())
    assert [choice for choice, *_ in without_each(none, runs)] == [LEFT_OUT.format("n1"), LEFT_OUT.format("n2")]
    assert list(without_each(none, runs[runs["node"] == "n1"])) == []
    assert nodes_of(runs.drop(columns="node")) is None


def test_what_hangs_is_what_changes_its_word() -> None:
    others = {("H1", LEFT_OUT.format("n1")): "INCONCLUSIVE", ("H2", LEFT_OUT.format("n1")): "SUPPORTED"}
    assert hanging({"H1": "SUPPORTED", "H2": "SUPPORTED"}, others, "n1") == ["H1"]


@pytest.mark.usefixtures("few_figures")
def test_the_page_names_the_nodes(tmp_path: Path) -> None:
    page = build_report([on_nodes(tmp_path, 2, replace(FAKE, repeats=2))]).read_text()
    assert "Nodes, a factor of blocks" in page
    assert "2 machines" in page
