"""What Slurm's commands say, and what they are told: read and written without a cluster."""

from __future__ import annotations

import pytest

from bench.cluster import nodes
from bench.cluster import slurm as commands
from bench.cluster.room import jobs_text, limit_s
from bench.cluster.script import environment
from bench.config.launcher import Launcher


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("infinite", None), ("UNLIMITED", None), ("30:00", 1800), ("1:00:00", 3600), ("2-00:00:00", 172800), ("5", 300)],
)
def test_slurms_limits_are_read(text: str, seconds: float | None) -> None:
    assert commands.parse_limit_s(text) == seconds


def test_what_squeue_says_is_read() -> None:
    text = "17|RUNNING|None|n[1-2]|colo-bench-1-0-0\n18|PENDING|PartitionNodeLimit||(null)\nnoise\n"
    found = commands.parse_seen(text)
    assert found["17"] == commands.Seen("RUNNING", "", "n[1-2]", "colo-bench-1-0-0")
    assert found["18"].hopeless
    assert not found["17"].over
    assert commands.Seen("TIMEOUT").over
    assert commands.Seen("").over


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        *(("(PartitionTimeLimit)", True), ("QOSMaxNodePerJobLimit", True), ("AssocMaxWallDurationPerJobLimit", True)),
        *(("AssocMaxMemPerJob", True), ("QOSNotAllowed", True), ("Resources", False), ("Priority", False)),
        *(("QOSMaxSubmitJobPerUserLimit", False), ("QOSMaxJobsPerUserLimit", False), ("QOSGrpNodeLimit", False)),
    ],
)
def test_a_job_waits_for_ever_where_it_alone_is_beyond_a_limit(reason: str, hopeless: bool) -> None:  # noqa: FBT001
    assert commands.Seen("PENDING", reason).hopeless is hopeless


def test_what_sinfo_says_is_read_state_by_state() -> None:
    found = commands.parse_partitions("main*|infinite|3|idle\nmain*|infinite|1|down*\nshort|30:00|2|mix\n")
    assert found == (
        commands.Partition("main", default=True, longest_s=None, nodes=3),
        commands.Partition("short", default=False, longest_s=1800, nodes=2),
    )


@pytest.mark.parametrize(("state", "nodes"), [("drain", 0), ("drng", 0), ("failg", 0), ("mix", 2), ("alloc", 2)])
def test_a_node_that_is_being_taken_out_starts_no_job_however_far_that_is(state: str, nodes: int) -> None:
    assert commands.parse_partitions(f"main*|infinite|2|{state}\n")[0].nodes == nodes


def test_a_plan_says_that_a_partition_may_give_a_job_less_than_it_would_be_given() -> None:
    short = commands.Partition("short", default=True, longest_s=1200.0, nodes=1)
    assert (limit_s(Launcher(kind="slurm"), 900.0), limit_s(Launcher(kind="slurm"), 900.0, short)) == (2700.0, 1200.0)
    asked = jobs_text(Launcher(kind="slurm"), 900.0)
    assert asked.endswith("limit 45 min 0 s or what the partition gives, where that is less")
    assert jobs_text(Launcher(kind="slurm", time=1800.0), 900.0).endswith("limit 30 min 0 s")


def test_variables_that_are_options_of_slurm_s_commands_choose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ("SQUEUE_PARTITION", "SQUEUE_STATES", "SINFO_ALL", "SCANCEL_INTERACTIVE", "SBATCH_TIMELIMIT")
    for name in (*chosen, "SLURM_CONF", "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "x")
    seen = {line.partition("=")[0] for line in commands.say(("env",)).out.splitlines()}
    assert not seen & set(chosen)
    assert {"SLURM_CONF", "SLURM_JOB_ID"} <= seen  # `srun` of a job needs to know which


def test_a_job_inherits_nothing_of_another_allocation() -> None:
    others = ("SLURM_JOB_ID", "SLURM_MEM_PER_CPU", "SLURM_EXPORT_ENV", "SRUN_DEBUG", "SALLOC_PARTITION", "SBATCH_QOS")
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "HOME")
    seen = environment(dict.fromkeys((*others, *kept), "x"))
    assert set(seen) - {"PYTHONPATH"} == set(kept)


def test_a_node_whose_own_name_is_loopback_there_is_reached_by_its_way_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes, "_own_address", {"192.0.2.8": "192.0.2.7"}.__getitem__)
    hosts = {"n7": "127.0.1.1", "n8": "192.0.2.8"}
    assert nodes.addresses_of(("n7", "n8"), hosts.__getitem__) == {"n7": "192.0.2.7", "n8": "192.0.2.8"}
    alone = {"n7": "127.0.0.1", "n8": "127.0.0.1"}  # a cluster of one machine
    assert nodes.addresses_of(("n7", "n8"), alone.__getitem__) == alone


def test_the_way_to_an_address_begins_at_one_of_ours() -> None:
    assert nodes._own_address("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("said", [commands.Said(0, "", ""), commands.Said(1, "", "scontrol: error: no such list")])
def test_a_list_of_nodes_that_slurm_does_not_spell_out_is_told(
    monkeypatch: pytest.MonkeyPatch, said: commands.Said
) -> None:
    monkeypatch.setattr(commands, "say", lambda _argv: said)
    with pytest.raises(commands.UnreachableError, match=r"hostnames n\[1-2\]` names no node"):
        nodes.hostnames("n[1-2]")
    assert nodes.hostnames("n1,m2") == ("n1", "m2")
