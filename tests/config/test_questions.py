"""What a sweep of sizes asks when it declares nothing of its own."""

from __future__ import annotations

from typing import Any

from fake_session import make_cell

from bench.config.hypotheses import settle
from bench.config.machine import Cache, CacheLevel, Cpu
from bench.config.questions import questions
from bench.workload.dirty import Dirty

FIXED, GROWING = Dirty(working_set=32 << 20), Dirty(working_set=5 << 20, scaling="mem")


def asked(*cells: Any) -> dict[str, tuple[str, str | None, dict[str, Any]]]:
    found = settle(questions(cells), cells)
    assert {one.outcome for one in found} <= {"pause_mean"}
    return {one.id: (one.kind, one.factor, dict(one.where)) for one in found}


def test_ram_is_asked_by_itself_and_through_its_pages_and_vcpus_where_the_pages_are_the_same() -> None:
    cells = [make_cell(mem, smp, workload=FIXED) for mem in ("1G", "2G") for smp in (1, 2)]
    cells += [make_cell(mem, 1, workload=GROWING) for mem in ("1G", "2G")]
    fixed = {"workload.scaling": ("fixed",)}
    assert asked(*cells) == {
        "ram_alone": ("trend", "mem", fixed),
        "ram_pages": ("trend", "mem", {"workload.scaling": ("mem",)}),
        "vcpus": ("trend", "smp", fixed),
    }


def test_under_one_workload_each_size_is_one_question() -> None:
    cells = [make_cell(mem, smp) for mem in ("1G", "2G") for smp in (1, 2)]
    assert asked(*cells) == {"ram": ("trend", "mem", {}), "vcpus": ("trend", "smp", {})}


def test_caches_are_sizes_too() -> None:
    told = [make_cell(cpu=Cpu(l3_cache=on)) for on in (False, True)]
    assert asked(*told) == {"l3_cache": ("contrast", "cpu.l3_cache", {})}
    sized = [make_cell(cpu=Cpu(cache=Cache(l3=CacheLevel(topology="socket", size=size)))) for size in ("8M", "16M")]
    assert asked(*sized) == {"l3_cache_size": ("trend", "cpu.cache.l3.size", {})}


def test_what_is_no_size_is_no_question() -> None:
    assert asked(make_cell("1G")) == {}
    assert asked(make_cell("1G", replica="a"), make_cell("1G", replica="b")) == {}
