"""Causes that are met when results are written or read back, and those of no phase of their own."""

from __future__ import annotations

from bench.failures.cause import LIVE, Cause, Phase

STORE = (
    Cause(
        "trace-empty",
        (Phase.STORE,),
        "A side left no trace log, or one without any event that a checkpoint is made of.",
        "see the side's stderr.log and qmp.jsonl: the trace events are switched on by QMP before COLO starts",
        "The log's path and size.",
        transient=True,
    ),
    Cause(
        "trace-torn",
        (Phase.STORE,),
        "The primary's trace log is damaged, and no checkpoint could be read from it.",
        "see the log: a full disk or two programs writing to it are common causes",
        "The kinds of damage, counted, each with an example.",
        transient=True,
    ),
    Cause(
        "trace-unreadable",
        (Phase.STORE,),
        "The system refused to read a trace log.",
        "see the disk: dmesg",
        "The system's reason.",
    ),
    Cause(
        "report-unfinished",
        (Phase.STORE,),
        "Building the report took too long, or the system ended it, most often for want of memory.",
        "the data are stored: python -m analysis CAMPAIGN builds it, with more memory or more time",
        "How long it took, or by which signal it was ended.",
    ),
    Cause(
        "disk-full",
        (Phase.STORE, Phase.PROVISION, *LIVE),
        "The disk, or this user's share of it, was full while something was written.",
        "free space (df -h), or choose another results=DIR; then repeat the command",
        "What was being written, and where.",
    ),
    Cause(
        "read-only",
        (Phase.STORE, Phase.PROVISION, *LIVE),
        "The file system that was to be written to is mounted read-only, perhaps after an error of the disk.",
        "see `dmesg` and `mount`, or choose another results=DIR; then repeat the command",
        "What was being written, and where.",
    ),
    Cause(
        "store-failed",
        (Phase.STORE, *LIVE),
        "Results could not be written or read back, for another reason.",
        "see that the folder exists and is yours to write to",
        "What was being written, and the system's reason.",
    ),
    Cause(
        "no-locks",
        (Phase.STORE,),
        "Neither results nor cache are on a file system with locks, so that nothing keeps two campaigns apart.",
        "put one of them on a disk of this machine: results=DIR, COLO_BENCH_CACHE=DIR",
        "The folders.",
    ),
    Cause(
        "plan-unreadable",
        (Phase.STORE,),
        "The campaign's plan.json is damaged or of another schema.",
        "move plan.json away and repeat the very command that made it (what is measured is kept), or use another "
        "campaign= name",
        "Where reading it failed.",
    ),
    Cause(
        "ledger-unreadable",
        (Phase.STORE,),
        "A line of the campaign's ledger.jsonl other than a torn last one is damaged.",
        "restore it from a copy, or remove the line and repeat the command: a run with a whole record stays measured",
        "The line's number and its beginning.",
    ),
)

ANY = (
    Cause(
        "interrupted",
        (*LIVE, Phase.TEARDOWN, Phase.STORE),
        "SIGINT, SIGTERM or SIGHUP ended the run under way.",
        "repeat the command: the campaign continues",
        "None: a person or a program asked for it.",
    ),
    Cause(
        "bug",
        (*LIVE, Phase.TEARDOWN, Phase.STORE),
        "A mistake of colo-bench itself ended the run, and the campaign.",
        "report it with what was printed; the same command continues the campaign",
        "The traceback.",
    ),
)
