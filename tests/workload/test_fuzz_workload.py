"""Workloads as a configuration names them, and the answers that a client wrote down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_traces import T0_US, parse, primary_checkpoint, primary_start
from fuzzing import ANY, QUICK, SHOWN, damaged, json_values, trial
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.checkpoints import assemble
from bench.record.table import write_client
from bench.scenario.answers import client_answers, client_figures
from bench.system.documents import lines_of
from bench.workload.base import build_workload, registry
from bench.workload.http_client import Answer

ASSEMBLY = assemble(parse([*primary_start(), *primary_checkpoint(T0_US + 300)]), None)
NAMES = st.sampled_from([*sorted(registry()), "nope", "", "Idle"])
KEYS = ("name", "working_set", "scaling", "rate", "pattern", "threads", "connections", "path", "extra")
VALUES = st.one_of(
    json_values(4),
    st.sampled_from(
        ["64M", "fixed", "mem", "sequential", "random", "/64k", "/../etc/passwd", "1; reboot", "nan", "-1"]
    ),
    st.integers(-1, 100),
    st.floats(-1, 1e6),
)
LEGAL = st.sampled_from(["64M", "4G", "mem", "random", "/64k", 1, 2.5, 8])


@QUICK
@given(
    NAMES | VALUES,
    st.dictionaries(st.sampled_from(KEYS[1:]), VALUES | LEGAL, max_size=2),
    st.integers(64 << 20, 1 << 40),
)
def test_a_workload_is_refused_or_is_one_plain_line_on_the_console(name: Any, more: dict[str, Any], mem: int) -> None:
    with trial("workload") as one:
        workload = one.attempt(build_workload, {"name": name, **more}, refusals=ValueError)
        if workload is not None:
            assert build_workload(json.loads(json.dumps(workload.model_dump(mode="json"), allow_nan=False))) == workload
            assert re.fullmatch(r"(start [a-z]+( [a-z]+=[0-9a-z.+-]+)*)?", workload.guest_command(mem))
            assert workload.guest_memory_bytes(mem) >= 0
            assert all(word.isprintable() for word in workload.client_argv("127.0.0.1", 80, Path("client.jsonl")))


@QUICK
@given(VALUES)
def test_what_is_no_workload_is_refused(value: Any) -> None:
    with trial("workload") as one:
        assert one.attempt(build_workload, value, refusals=ValueError) is None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client") / "client.jsonl"


ANSWERS = st.builds(
    Answer,
    st.floats(1.7e9, 1.9e9),
    st.floats(0, 40),
    st.sampled_from([0, 200, 404, 503]),
    st.none() | st.sampled_from(["TimeoutError: timed out", "\N{LINE SEPARATOR}\x85"]),
    st.integers(0, 1 << 20),
    st.none() | st.floats(0, 40),
    st.none() | st.integers(0, 255),
)


def use(path: Path, answers: dict[str, list[Any]] | None) -> None:
    assert answers is not None
    figures = client_figures(answers, ASSEMBLY)
    assert figures is not None
    assert figures["requests"] == len(answers["t_send"])
    assert 0 <= figures["errors"] <= figures["requests"]
    if "max_s" in figures:
        assert min(answers["latency_s"]) <= figures["p50_s"] <= figures["p99_s"] <= figures["max_s"]
    write_client(path.with_suffix(".parquet"), answers)
    assert pq.read_table(path.with_suffix(".parquet")).to_pydict() == answers


def line(answer: Answer) -> str:
    return json.dumps(answer.__dict__)


@given(st.lists(ANSWERS, max_size=6))
def test_every_answer_is_read_back(path: Path, answers: list[Answer]) -> None:
    path.write_text("".join(line(one) + "\n" for one in answers), encoding="utf-8")
    with trial("client.jsonl") as one:
        found, problems = client_answers(path)
        assert (one.accepted, problems) == (False, [])
        one.accepted = True
        use(path, found)
        assert found is not None
        assert sorted(found["latency_s"]) == sorted(answer.latency_s for answer in answers)


@given(st.lists(ANSWERS, min_size=1, max_size=6), st.booleans(), st.data())
def test_a_damaged_client_log_is_counted_and_what_is_left_can_be_used(
    path: Path,
    answers: list[Answer],
    shown: bool,  # noqa: FBT001
    data: st.DataObject,
) -> None:
    content = "".join(line(one) + "\n" for one in answers).encode()
    torn = data.draw(damaged(content, SHOWN if shown else ANY))
    path.write_bytes(torn)
    with trial("client.jsonl") as one:
        found, problems = client_answers(path)
        assert found is not None
        one.accepted = bool(found["t_send"])
        assert len(found["t_send"]) + sum(problem.count for problem in problems) == len(lines_of(torn))
        use(path, found)
        if shown:
            kept = {tuple(answer.__dict__.values()) for answer in answers}
            assert set(zip(*found.values(), strict=True)) <= kept


@given(
    st.dictionaries(
        st.sampled_from(["t_send", "latency_s", "status", "error", "bytes", "service_s", "connection"]),
        json_values(4) | st.integers(0, 600),
    )
)
def test_json_that_is_no_answer_is_no_number(path: Path, entry: dict[str, Any]) -> None:
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    with trial("client.jsonl") as one:
        found, problems = client_answers(path)
        assert found is not None
        one.accepted = bool(found["t_send"])
        assert len(found["t_send"]) + len(problems) == 1
        use(path, found)


@pytest.mark.parametrize(
    "value", [3, None, ["idle"], "idle", {"name": ["idle"]}, {"name": {}}, {}, {"name": "idle", 3: 4}]
)
def test_a_workload_that_is_no_mapping_with_a_name_is_refused_in_words(value: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"legal: build, cpu, dirty, fio, http, idle, nginx|keys should be strings|Keys should be strings",
    ):
        build_workload(value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
def test_a_rate_is_finite(rate: float) -> None:
    for name in ("dirty", "http"):
        with pytest.raises(ValueError, match="finite number"):
            build_workload({"name": name, "rate": rate})


@pytest.mark.parametrize(
    "text",
    [
        '{"t_send": "1", "latency_s": 0.1, "status": 200, "error": null, "bytes": 5}',
        '{"t_send": 1e999, "latency_s": 0.1, "status": 200, "error": null, "bytes": 5}',
        '{"t_send": 1, "latency_s": 0.1, "status": 1e99, "error": null, "bytes": 5}',
        '{"t_send": 1, "latency_s": 0.1, "status": 200, "error": null, "bytes": 99999999999999999999}',
        '{"t_send": 1, "latency_s": 0.1}',
    ],
)
def test_an_answer_of_the_wrong_kind_is_counted(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
    found, problems = client_answers(path)
    assert found is not None
    assert (found["t_send"], [problem.count for problem in problems]) == ([], [1])
