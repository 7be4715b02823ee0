"""What an artifact says beside its data: everything that was set or tuned, the machine, and a command per figure."""

from __future__ import annotations

import json
import math
import platform
import re
import shlex
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from itertools import groupby
from typing import TYPE_CHECKING, Any

from analysis.format.factors import DEADLINES, flatten
from analysis.format.hosts import ACCEL_TEXT
from analysis.runs.counting import pauses_told
from analysis.stored.factors import level_text
from analysis.stored.records import under_text
from analysis.stored.study import guests
from analysis.text import duration_text, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analysis.format.factors import Level
    from analysis.stored.campaign import Campaign, Run
    from analysis.stored.records import Plan

PROJECT = "colo-bench"
_HOST = ("node", "cpu_model", "cpus", "virtual", "kernel", "memory_total_bytes", "clock_source", "governors", "thp")
_LACKING = "none"
_RULES = {"repeats": "repeats", "budget_s": "budget", "max_blocks": "max_blocks", "on_error": "on_error"}
_UNNAMED = (
    "A key that is named nowhere here stood at the default that the version of colo_bench below has for it, "
    "or belongs to another workload or scenario."
)
_REPORT_S, _CHECKPOINT_S = 15.0, 4e-5
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def environment() -> dict[str, str]:
    """Return the versions of Python and of every package that the analysis rests on."""
    found = {"python": platform.python_version()}
    for line in (PROJECT, *(requires(PROJECT) or ())):
        name = _NAME.match(line)
        if name and "extra ==" not in line:
            try:
                found[name[0]] = version(name[0])
            except PackageNotFoundError:
                found[name[0]] = "not installed"
    return found


def licence() -> str:
    """Return the text of our licence."""
    return distribution(PROJECT).read_text("licenses/LICENSE") or "MIT, see the project\n"


def disclosure(campaign: Campaign, documents: Sequence[Mapping[str, Any]]) -> str:
    """Return a page that names everything that was set, swept, tuned or left as the machine had it.

    Args:
        campaign: as it was read.
        documents: the ``run.json`` of each run, whole, for what the report does not need.
    """
    runs = (*campaign.runs, *campaign.without)
    cells = [_chosen(run.record.cell) | {"accel": run.record.accel} for run in runs]
    measured = {run.record.cell_id for run in runs}
    # A cell without a measured run was swept all the same; an older plan does not name the accelerator.
    planned = [_chosen(one.cell) for one in campaign.plan.cells if one.cell_id not in measured]
    cells += [own if own.get("accel") in ACCEL_TEXT else own | {"accel": cells[0]["accel"]} for own in planned]
    paths = sorted({path for cell in cells for path in cell})
    values = {
        path: sorted({_level(path, cell[path]) if path in cell else _LACKING for cell in cells}) for path in paths
    }
    tuned = sorted({_tuning(one) for document in documents for one in document.get("tuned") or ()})
    hosts = [machine for run in runs for machine in run.record.machines]
    watched = sorted({side for document in documents for side in document.get("watch") or ()})
    sandboxes = sorted({str(document.get("sandbox")) for document in documents})
    lines = [
        f"# Disclosure: {campaign.plan.campaign}",
        "",
        f"Command: `{campaign.plan.command}`",
        "",
        "## Swept",
        "",
        *_table(((path, ", ".join(each)) for path, each in values.items() if len(each) > 1), ("key", "values")),
        "## The same in every run",
        "",
        *_table(((path, each[0]) for path, each in values.items() if len(each) == 1), ("key", "value")),
        _UNNAMED,
        "",
        "## How the campaign went on",
        "",
        *_table(_conduct(campaign.plan), ("what", "value")),
        "## Asked",
        "",
        *_table(((str(one.get("id")), _asked(one)) for one in campaign.plan.hypotheses), ("hypothesis", "declared")),
        "## Changed on the host while runs were measured, and put back",
        "",
        *([f"- {one}" for one in tuned] or ["Nothing."]),
        "",
        "## The machine as it was",
        "",
        *_table(((key, seen) for key in _HOST if (seen := _seen(hosts, key))), ("what", "seen")),
        "## Programs",
        "",
        *_table(_programs(campaign), ("what", "version and SHA-256")),
        f"Sandbox of QEMU: {', '.join(sandboxes)}. Screens open: {', '.join(watched) or 'none'}.",
        "",
        "## Left out",
        "",
        (
            f"{plural(len(campaign.attempts), 'attempt')} failed, {plural(len(campaign.failures), 'run')} for good; "
            f"{plural(len(campaign.unread), 'stored run')} cannot be read; "
            f"{plural(len(campaign.unfinished), 'planned run')} not measured; "
            f"{plural(sum(not run.record.quality.ok for run in runs), 'run')} failed the quality check: in "
            "no effect or ratio, and ranked worst by verdicts and comparisons; tables and figures of the pauses of "
            "single cells keep them, and those of failovers, costs, causes of checkpoints and time lines do not."
            f"{_doubted(runs)}"
        ),
        "",
    ]
    return "\n".join(lines)


def _chosen(cell: Mapping[str, Any]) -> dict[str, Level]:
    """Return every leaf of a configuration by its dotted path: when it gives up was chosen too."""
    return flatten(cell) | {f"{DEADLINES}.{stage}": level for stage, level in (cell.get(DEADLINES) or {}).items()}


def _conduct(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield what is no factor: the order, how many blocks, by which rules there were no more, who looked meanwhile."""
    yield "experiment", plan.experiment or "none"
    yield "seed", _level("seed", plan.seed)
    yield "blocks", _level("blocks", plan.repeats)
    looks = ", ".join(map(str, plan.looks)) or "none on record"
    yield "verdicts asked for after so many blocks", f"{looks}{'; after each of them' if plan.until_known else ''}"
    for key, words in _RULES.items():
        each = (_rule(key, rules.get(key)) for rules in plan.rules)
        yield words, ", then ".join(one for one, _ in groupby(each)) or "not on record"


def _rule(key: str, value: Level) -> str:
    if key == "repeats" and value is None:
        return "auto"
    return f"{value:g} s" if key == "budget_s" and isinstance(value, int | float) else str(value)


def _asked(hypothesis: Mapping[str, Any]) -> str:
    said = ((key, value) for key, value in hypothesis.items() if key != "id" and value not in (None, [], {}))
    return "; ".join(f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in said)


def _doubted(runs: Iterable[Run]) -> str:
    """Return what is left out of runs that passed their check, and whose pauses are in doubt; empty without any."""
    count = sum(run.record.quality.ok and not pauses_told(run) for run in runs)
    if not count:
        return ""
    doubted = f"Of {plural(count, 'run')} that passed it the pauses alone are in doubt"
    return f" {doubted}: in no effect on pauses, and ranked worst there."


def readme(campaign: Campaign, folder: str, figures: Iterable[str], size_bytes: int) -> str:
    """Return the page that an artifact opens with: what is in it, what it takes, and the command of each figure.

    Args:
        campaign: as it was read.
        folder: the campaign's name within the archive.
        figures: the names of the report's figures.
        size_bytes: of the files, unpacked.
    """
    runs = (*campaign.runs, *campaign.without)
    hosts = dict.fromkeys(_host(machine) for run in runs for machine in run.record.machines)
    spent = duration_text(sum(run.record.finished_at - run.record.started_at for run in runs))
    build = f"colo-bench report {shlex.quote(folder)}"
    under = under_text(campaign.pairs)
    # By what reports have taken: not measured here, so that an archive is the same bytes each time.
    seconds = _REPORT_S + _CHECKPOINT_S * sum(len(run.rows) for run in campaign.runs)
    took = f"takes some {math.ceil(seconds / 10) * 10} s on two cores"
    return "\n".join(
        (
            f"# {campaign.plan.campaign}",
            "",
            (
                f"What QEMU COLO checkpoints cost, measured on real pairs under {under} with colo-bench "
                f"{_of_runs(campaign, 'colo_bench')}. Unpacked this needs {size_bytes / 1e6:.1f} MB."
            ),
            "",
            "```sh",
            f"{_install(version(PROJECT))}; the analysis needs Python 3.11 and no QEMU; {took}",
            "colo-bench verify ARCHIVE             # hashes, format, and every verdict computed again",
            f"{build}   # every table and figure again, into {folder}/report",
            "```",
            "",
            "| what | made by | data |",
            "| --- | --- | --- |",
            f"| `{folder}/report/verdicts.json`, tables | `{build}` | `{folder}/runs/*/checkpoints.parquet` |",
            *(f"| `figures/{name}` | `{build}` | `{folder}/report/figures/{name}.csv` |" for name in figures),
            "",
            (
                f"To measure it again: `{campaign.plan.command}`. Here {plural(campaign.measured, 'run')} took "
                f"{spent}, added up, on {'; and '.join(hosts)}."
            ),
            "",
            "`DISCLOSURE.md` names everything that was set or tuned, `environment.json` the packages of the analysis,",
            "`MANIFEST.sha256` the hash of each file (`sha256sum -c MANIFEST.sha256` checks them without us).",
            "",
        )
    )


def _install(ours: str) -> str:
    """Return the command by which others get a version: between two releases none is published."""
    if "dev" in ours:
        return f"pip install dist/*.whl   # colo-bench {ours}, no release: `make wheel` of its source makes it"
    return f"pip install colo-bench=={ours}   # another version may judge otherwise"


def _host(machine: Mapping[str, Any]) -> str:
    memory_gib = int(machine.get("memory_total_bytes") or 0) / 2**30
    return f"{machine.get('cpu_model')}, {machine.get('cpus')} CPUs, {memory_gib:.1f} GiB of memory"


def _table(rows: Iterable[tuple[str, str]], heads: tuple[str, str]) -> list[str]:
    shown = [f"| {key} | {value.replace('|', '/')} |" for key, value in rows]
    return [f"| {heads[0]} | {heads[1]} |", "| --- | --- |", *shown, ""] if shown else ["Nothing.", ""]


def _level(path: str, level: Level) -> str:
    if path.startswith(f"{DEADLINES}.") and isinstance(level, int | float):
        return f"{level:g} s"
    return "unset" if level is None or level == "" else level_text(path, level)


def _tuning(one: Any) -> str:
    return f"{one.get('what')}: {one.get('was')} to {one.get('is')}" if isinstance(one, dict) else str(one)


def _seen(hosts: Sequence[Mapping[str, Any]], key: str) -> str:
    return ", ".join(sorted({json.dumps(host.get(key)).strip('"') for host in hosts}))


def _programs(campaign: Campaign) -> Iterable[tuple[str, str]]:
    for name, build in sorted(campaign.plan.qemu.items()):
        yield f"QEMU ({name})", f"{build.get('version')}, {build.get('sha256')}"
    if kernel := campaign.plan.guest.get("kernel_version"):
        yield "guest kernel, version", str(kernel)
    yield from ((name, sha256) for name, sha256 in guests(campaign.plan).items() if sha256)
    for key in ("colo_bench", "python"):
        yield key, _of_runs(campaign, key)


def _of_runs(campaign: Campaign, key: str) -> str:
    """Return the versions of something that the runs were measured with."""
    return ", ".join(sorted({str(run.record.versions.get(key)) for run in (*campaign.runs, *campaign.without)}))
