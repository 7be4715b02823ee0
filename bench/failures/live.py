"""Causes that are met while a pair runs."""

from __future__ import annotations

from bench.failures.cause import LIVE, Cause, Phase

LAUNCH = (
    Cause(
        "qemu-exited",
        LIVE,
        "A QEMU ended by itself, in words that have no cause of their own here.",
        "see QEMU's own words above and the whole stderr.log",
        "The last lines of its stderr.log.",
        transient=True,
    ),
    Cause(
        "qemu-killed",
        LIVE,
        "A QEMU was ended by a signal, and the kernel's OOM killer did not send it.",
        "see who sent it: another user, an administrator's script, or a crash of QEMU (SIGSEGV, SIGABRT)",
        "The signal, and the last lines of its stderr.log.",
        transient=True,
    ),
    Cause(
        "qemu-oom-killed",
        LIVE,
        "The kernel killed a QEMU because the host, or the control group that it runs in, was out of memory.",
        "use a smaller mem=, free memory, or raise the control group's memory limit",
        "The kernel's line where it can be read, and the oom_kill counters before and after.",
    ),
    Cause(
        "qemu-no-memory",
        LIVE,
        "QEMU asked for memory, mostly its guest's RAM, and the host refused.",
        "use a smaller mem=, free memory, or allow overcommit (vm.overcommit_memory)",
        "QEMU's own message.",
    ),
    Cause(
        "qemu-hung",
        LIVE,
        "A QEMU is alive and answers nothing: stopped by a signal, waiting in the kernel, or stuck in its main loop.",
        "where it is stopped (state T), find who sent SIGSTOP; else report the QEMU with the state that is shown",
        "Its state in /proc, what it waits for, and both sides' last words.",
        transient=True,
    ),
    Cause(
        "port-taken",
        LIVE,
        "Another program took a port between the moment it was found free and the moment QEMU bound it.",
        "repeat the command: other ports are chosen",
        "QEMU's own message.",
        transient=True,
    ),
    Cause(
        "program-exited",
        (Phase.LAUNCH, Phase.WORKLOAD),
        "A program of a run other than QEMU ended too early.",
        "see its last words above",
        "The last lines of its stderr.log.",
        transient=True,
    ),
    Cause(
        "netns-lost",
        LIVE,
        "The network namespace of a side is gone, or the process that held it open was ended.",
        "see who ended it, then repeat the command: every run makes its own",
        "Which side's.",
        transient=True,
    ),
    Cause(
        "link-down",
        (Phase.COLO_START, Phase.WORKLOAD, Phase.MEASURE),
        "The virtual cable between the sides' namespaces is down or gone.",
        "see who took it down, then repeat the command: every run makes its own",
        "What `ip link` says of it.",
        transient=True,
    ),
)

HANDSHAKE = (
    Cause(
        "qmp-timeout",
        LIVE,
        "A QEMU did not answer a command in time, though it answers others or has never answered at all.",
        "see qmp.jsonl and the side's stderr.log, or raise deadlines.qmp (deadlines.launch at the start)",
        "The command; both sides' last words.",
        transient=True,
    ),
    Cause(
        "qmp-lost",
        LIVE,
        "The QMP connection ended though the QEMU did not.",
        "see the side's stderr.log",
        "The command that was under way; both sides' last words.",
        transient=True,
    ),
    Cause(
        "qmp-garbled",
        LIVE,
        "What came over the QMP socket is not JSON, or not QMP.",
        "see that the socket is QEMU's own, and report the QEMU if it is",
        "The bytes that could not be read.",
        transient=True,
    ),
    Cause(
        "qmp-refused",
        LIVE,
        "QEMU refused a command.",
        "see QEMU's own words above, and qmp.jsonl for what came before",
        "QEMU's own message.",
    ),
    Cause(
        "hmp-refused",
        (Phase.COLO_START,),
        "QEMU answered a command of the human monitor with a complaint.",
        "see QEMU's own words above, and qmp.jsonl for what came before",
        "QEMU's own message.",
    ),
    Cause(
        "readback-mismatch",
        (Phase.HANDSHAKE, Phase.COLO_START),
        "The running pair is not the one that was asked for: QEMU changed or ignored an option.",
        "see primary/argv.json and qmp.jsonl",
        "Each difference: asked for and seen.",
    ),
)

GUEST = (
    Cause(
        "guest-not-ready",
        (Phase.GUEST,),
        "The guest did not reach its ready line in time.",
        "see primary/serial.log for how far it came, or raise deadlines.boot",
        "The last lines of its console.",
        transient=True,
    ),
    Cause(
        "guest-panic",
        LIVE[2:],
        "The guest's kernel panicked. An emulated secondary now and then does so right after the first checkpoint; a "
        "guest that panics while it boots is not tried again.",
        "see serial.log; at boot too little mem= is a common cause",
        "The kernel's lines.",
        transient=True,
    ),
    Cause(
        "console-lost",
        (Phase.GUEST, Phase.WORKLOAD),
        "The guest's serial console cannot be reached any more.",
        "see the side's stderr.log",
        "The system's reason.",
        transient=True,
    ),
)

COLO_START = (
    Cause(
        "sides-differ",
        (Phase.COLO_START, Phase.MEASURE),
        "The secondary is not the same machine as the primary, so the primary's state does not fit into it.",
        "give both sides the same mem=, cpu=, devices= and QEMU",
        "`Size mismatch`, `Unknown savevm section` and the like of the secondary; of the primary "
        "`failed to save SaveStateEntry with id(name): 2(ram)`.",
    ),
    Cause(
        "nbd-export-missing",
        (Phase.COLO_START,),
        "The secondary does not export the disk that the primary replicates to.",
        "see nbd-server-add in qmp.jsonl: the secondary's disk has to be called parent0",
        "QEMU's own message.",
    ),
    Cause(
        "migration-failed",
        (Phase.COLO_START,),
        "The migration that starts COLO failed, in words that have no cause of their own here.",
        "see both stderr.log",
        "Both sides' last words.",
        transient=True,
    ),
    Cause(
        "migration-cancelled",
        (Phase.COLO_START,),
        "The migration that starts COLO was cancelled.",
        "see who was connected to QMP: nothing here cancels a migration",
        "Both sides' last words.",
        transient=True,
    ),
    Cause(
        "colo-timeout",
        (Phase.COLO_START,),
        "The pair did not reach the COLO state in time.",
        "raise deadlines.colo: reaching COLO takes about 3 s per GiB of RAM",
        "Both sides' last words.",
        transient=True,
    ),
    Cause(
        "colo-stuck",
        (Phase.COLO_START,),
        "The primary is in the COLO state, and its guest does not run again.",
        "see both stderr.log and trace.log",
        "Both sides' last words.",
        transient=True,
    ),
    Cause(
        "colo-exit",
        (Phase.WORKLOAD, Phase.MEASURE),
        "COLO ended during the run: one side lost the other and took over (QEMU's event COLO_EXIT).",
        "one side lost the other: see both stderr.log",
        "The event's reason; both sides' last words.",
        transient=True,
    ),
)

WORKLOAD = (
    Cause(
        "workload-failed",
        (Phase.WORKLOAD,),
        "The guest did not say in time that its workload started.",
        "see primary/serial.log, or raise deadlines.workload",
        "The command; the guest's console.",
        transient=True,
    ),
    Cause(
        "workload-died",
        (Phase.GUEST, Phase.WORKLOAD, Phase.MEASURE),
        "The guest said that its workload failed or ended.",
        "see primary/serial.log; too large a workload.working_set= for mem= is a common cause",
        "The guest's reason.",
        transient=True,
    ),
    Cause(
        "client-silent",
        (Phase.WORKLOAD,),
        "The workload's client got neither an answer nor an error in time.",
        "see primary/serial.log and client/stderr.log, or raise deadlines.workload",
        "The last lines of client/stderr.log.",
        transient=True,
    ),
    Cause(
        "client-refused",
        (Phase.WORKLOAD,),
        "Every request of the workload's client was refused or failed until the deadline.",
        "see primary/serial.log: the guest's server may not have come up",
        "The errors that the client met.",
        transient=True,
    ),
    Cause(
        "client-hung",
        (Phase.WORKLOAD, Phase.MEASURE),
        "The workload's client did not end in time when it was told to.",
        "see client/stderr.log, or raise deadlines.teardown",
        "The last lines of client/stderr.log.",
        transient=True,
    ),
    Cause(
        "client-failed",
        (Phase.WORKLOAD, Phase.MEASURE),
        "The workload's client ended too early or with an error.",
        "see client/stderr.log",
        "The last lines of client/stderr.log.",
        transient=True,
    ),
    Cause(
        "antagonist-failed",
        (Phase.WORKLOAD, Phase.MEASURE),
        "The cache antagonist, or its control, ended too early or with an error.",
        "see antagonist/stderr.log: mostly there was too little memory for cache.buffer",
        "The last lines of antagonist/stderr.log.",
        transient=True,
    ),
)

MEASURE = (
    Cause(
        "checkpoint-stuck",
        (Phase.MEASURE,),
        "A checkpoint did not begin or did not end in time, though both QEMUs answer.",
        "see both stderr.log and trace.log, or raise deadlines.checkpoint",
        "Whether one had begun; both sides' last words.",
        transient=True,
    ),
    Cause(
        "clock-stepped",
        (Phase.MEASURE,),
        "The wall clock was set during the run (or the machine slept): times within a checkpoint come from that clock.",
        "let nothing set the clock meanwhile: have it slewed (chrony without makestep), not stepped",
        "By how much it parted from the monotonic clock.",
        transient=True,
    ),
    Cause(
        "harness-suspended",
        LIVE,
        "The harness itself did not run for a while (Ctrl-Z, a debugger, a starved or sleeping machine), and a "
        "deadline passed meanwhile: that says nothing of the pair.",
        "repeat the command and leave it running: nohup, tmux or a job of its own keep it from being stopped",
        "For how long, and what was waited for.",
        transient=True,
    ),
)

TEARDOWN = (
    Cause(
        "process-stuck",
        (Phase.TEARDOWN,),
        "A process did not end though SIGKILL was sent: it waits in the kernel, for a disk or a device mostly.",
        "see `ps -o stat,wchan` of the process and `dmesg`; measure nothing else here while it is there",
        "The process id.",
    ),
)
