"""How small an effect a plan will see, from the noise of earlier campaigns on the same machine, or from none."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_session import make_cell, make_settings

from analysis.__main__ import main
from analysis.planning.power import power
from analysis.stored.study import load_study
from bench.config.hypotheses import Hypothesis
from bench.config.questions import questions
from bench.plan.plan import declared
from bench.run import preview as preview_module
from bench.run.preview import preview

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
CELLS = [make_cell(mem, smp, link={"transport": "unix"}) for mem in ("256M", "1G", "4G") for smp in (1, 4)]


def machine() -> dict[str, Any]:
    """Return what tells the machine of the reference data apart."""
    record = next((REFERENCE / "size_sweep" / "runs").glob("*/run.json"))
    before = json.loads(record.read_text())["host"]["before"]
    return {name: before[name] for name in ("cpu_model", "cpus", "memory_total_bytes")}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that is kept of that machine and guest over this transport, and one of others, passed over as the rest is."""
    results = tmp_path_factory.mktemp("earlier")
    for name in ("size_sweep", "procedure_claims", "accel"):
        (results / name).symlink_to(REFERENCE / name)
    return results


def ask(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **changes: Any
) -> dict[str, Any]:
    asked = {
        "cells": [cell.model_dump(mode="json") for cell in CELLS],
        "hypotheses": declared(questions(CELLS)),
        "accel": "tcg",
        "machine": machine(),
        "blocks": [6, 12],
        "every": True,
        **changes,
    }
    text = json.dumps(asked).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["expect", "--earlier", str(earlier)]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_noise_is_that_of_earlier_runs_here(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ask(earlier, monkeypatch, capsys)
    assert "size_sweep" in told["campaigns"]
    shown = power(load_study([REFERENCE / "size_sweep"])).overall.sd
    assert told["sd"] == pytest.approx(shown, rel=0.5)  # of means here, of medians there
    sees = {(one["id"], one["blocks"]): one["smallest"] for one in told["sees"]}
    assert sees.keys() == {(name, blocks) for name in ("ram", "vcpus") for blocks in (6, 12)}
    assert 0 < sees["ram", 12] < sees["ram", 6] < 0.2
    seen_once = ask(earlier, monkeypatch, capsys, every=False)["sees"]
    once = {(one["id"], one["blocks"]): one["smallest"] for one in seen_once}
    assert once["ram", 6] < sees["ram", 6]  # looking costs


def test_no_effect_is_seen_by_who_claims_that_there_is_none(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ram, vcpus = declared(questions(CELLS))
    told = ask(earlier, monkeypatch, capsys, hypotheses=[ram | {"direction": "none"}, vcpus])
    assert {one["id"] for one in told["sees"]} == {"vcpus"}


@pytest.mark.parametrize("change", [{"machine": {"cpus": 96}}, {"accel": "kvm"}])
def test_another_machine_tells_nothing(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    assert ask(earlier, monkeypatch, capsys, **change) == {"campaigns": [], "sd": None, "sees": [], "short": []}


def test_a_plan_that_is_none_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert main(["expect", "--earlier", "."]) == 2
    assert "the plan cannot be read" in capsys.readouterr().err


def test_a_person_reads_what_is_seen_in_how_long(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here:
        cpu_model, cpus, memory_total_bytes = (machine()[name] for name in preview_module._MACHINE)

    monkeypatch.setattr(preview_module, "take_snapshot", Here)
    settings = make_settings(earlier, repeats=None, hypotheses=questions(CELLS))
    ram, vcpus, noise = preview(settings, CELLS, 300.0)
    assert ram.startswith("ram: effects per doubling above ")
    assert " % in 6 blocks (30 min 0 s), " in ram
    assert ram.endswith(" % in 12 blocks (1 h 0 min), with 80 % power")  # found in four campaigns of five
    assert vcpus.startswith("vcpus: ")
    assert noise.startswith("by the noise of ")
    [nothing] = preview(settings.model_copy(update={"results": tmp_path}), CELLS, 300.0)
    assert nothing.startswith("not known before the first blocks: no earlier campaign on this machine")
    assert preview(settings.model_copy(update={"hypotheses": ()}), CELLS, 300.0) == []


def test_what_so_few_blocks_cannot_decide_is_told_of_a_level_at_its_default_too(tmp_path: Path) -> None:
    cells = [make_cell(tcp_timestamps=level) for level in (True, False)]
    told = {"id": "T", "claim": "It grows.", "kind": "contrast", "factor": "tcp_timestamps", "levels": (False, True)}
    settings = make_settings(tmp_path, repeats=3, hypotheses=(Hypothesis.model_validate(told),))
    short, _ = preview(settings, cells, 300.0)
    assert short == "T: so few blocks cannot decide it, whatever they show; repeats=5 can"


def test_where_the_accelerator_is_found_out_at_the_start_what_is_known_of_either_is_told(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here:
        cpu_model, cpus, memory_total_bytes = (machine()[name] for name in preview_module._MACHINE)

    monkeypatch.setattr(preview_module, "take_snapshot", Here)
    settings = make_settings(earlier, repeats=None, hypotheses=questions(CELLS))
    cells = [cell.model_copy(update={"accel": "auto"}) for cell in CELLS]
    ram, vcpus, noise = preview(settings, cells, 300.0)
    assert ram.startswith("under emulation (TCG): ram: effects per doubling above ")
    assert vcpus.startswith("under emulation (TCG): vcpus: ")
    assert noise.startswith("under emulation (TCG): by the noise of ")
    [nothing] = preview(settings.model_copy(update={"results": tmp_path}), cells, 300.0)
    assert nothing.startswith("not known before the first blocks: no earlier campaign on this machine")
