"""Host settings, against a FAKE host: a folder that looks like ``/proc`` and ``/sys``, a fake swapoff and swapon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_session import FakeSession, fake_tools, make_cell, make_settings

from bench import restore
from bench.config.questions import questions
from bench.config.tuning import Pinning, Tuning
from bench.errors import GuestError, HostError, StoreError
from bench.run.campaign import run_campaign
from bench.system.exits import Exit
from bench.tune.journal import UndoJournal, state_folder
from bench.tune.settings import OFF, Change, Machine, changes, require_cpus, swap_argv
from bench.tune.tuner import Tuner, undo_leftovers

THP = "/sys/kernel/mm/transparent_hugepage/enabled"
QUIET = Tuning(governor="performance", thp="never", swap=False)


class FakeHost:
    """A host with two CPUs, huge pages and two swap devices, in a folder. It keeps a list of what is done, in order."""

    def __init__(self, root: Path, journal: UndoJournal) -> None:
        self.root = root
        self.journal = journal
        self.commands: list[tuple[str, ...]] = []
        self.swaps = {"/dev/sda2": "-2", "/swap file": "5"}
        self.privileged = True
        self.refuse = ""
        for cpu in range(2):
            self.write(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "powersave")
            self.write(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_available_governors", "performance powersave")
        self.write(THP, "always [madvise] never")
        self.write("/proc/sys/kernel/random/boot_id", "boot-1")
        self.show_swaps()

    def write(self, name: str, text: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str) -> str:
        return (self.root / name.lstrip("/")).read_text()

    def show_swaps(self) -> None:
        rows = [f"{name.replace(' ', chr(92) + '040')} partition 1024 0 {prio}" for name, prio in self.swaps.items()]
        self.write("/proc/swaps", "\n".join(["Filename Type Size Used Priority", *rows]) + "\n")

    def run(self, argv: tuple[str, ...]) -> None:
        if argv[0] == self.refuse:
            raise HostError(f"{argv[0]} refused", cause="tune-refused")
        self.commands.append(argv)
        if argv[0] == "swapoff":
            assert argv[-1] in {note.change.what for note in self.journal.notes()}  # written down before it is done
            del self.swaps[argv[-1]]
        else:
            self.swaps[argv[-1]] = argv[2] if argv[1] == "-p" else "-2"
        self.show_swaps()

    def machine(self) -> Machine:
        return Machine(self.root, self.run, lambda: self.privileged, lambda: {0, 1})

    def state(self) -> dict[str, Any]:
        machine = self.machine()
        governors = [self.read(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor") for cpu in range(2)]
        return {"governors": governors, "thp": machine.value("file", THP), "swaps": machine.swaps()}


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UndoJournal:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return UndoJournal(state_folder())


@pytest.fixture
def host(tmp_path: Path, journal: UndoJournal) -> FakeHost:
    return FakeHost(tmp_path / "host", journal)


def tuner(host: FakeHost, *tunes: Tuning) -> Tuner:
    one = Tuner(host.machine(), host.journal)
    one.prepare(tunes)
    return one


def test_cpus_of_another_host_are_not_looked_for_on_this_one(host: FakeHost) -> None:
    tune = {"pinning": {"primary": "40"}}
    with pytest.raises(HostError, match="no CPU 40"):
        tuner(host, make_cell(tune=tune).tuning)
    assert tuner(host, make_cell(tune=tune, host={"kind": "ssh"}).tuning).restore() == []


TUNED = {"governors": ["performance", "performance"], "thp": "never", "swaps": {}}


def test_everything_asked_for_is_changed_and_put_back_and_the_journal_goes(host: FakeHost) -> None:
    before = host.state()
    one = tuner(host, QUIET)
    made = one.ensure(QUIET)
    assert host.state() == TUNED
    assert [(change.what.rpartition("/")[2], change.old, change.new) for change in made] == [
        ("scaling_governor", "powersave", "performance"),
        ("scaling_governor", "powersave", "performance"),
        ("enabled", "madvise", "never"),
        ("sda2", "-2", OFF),
        ("swap file", "5", OFF),
    ]
    assert len(host.journal.notes()) == 5
    assert one.restore() == []
    assert host.state() == before
    assert not host.journal.path.exists()
    assert host.commands[2:] == [("swapon", "-p", "5", "--", "/swap file"), ("swapon", "--", "/dev/sda2")]


def test_each_old_value_is_on_the_disk_before_the_change(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = UndoJournal.note

    def note(self: UndoJournal, change: Change, boot_id: str) -> None:
        real(self, change, boot_id)
        order.append(f"noted {host.machine().value(change.kind, change.what)}")

    put = Machine.put

    def noting(self: Machine, kind: Any, what: str, value: str) -> None:
        assert any(one.change.what == what for one in host.journal.notes())
        put(self, kind, what, value)
        order.append(f"put {value}")

    monkeypatch.setattr(UndoJournal, "note", note)
    monkeypatch.setattr(Machine, "put", noting)
    tuner(host, Tuning(thp="never")).ensure(Tuning(thp="never"))
    assert order == ["noted madvise", "put never"]


def test_a_change_that_cannot_be_written_down_is_not_made(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    one = tuner(host, QUIET)

    def full(*_: Any) -> None:
        raise StoreError("No space left on device")

    before = host.state()
    monkeypatch.setattr("bench.tune.journal.append_line", full)
    with pytest.raises(StoreError, match="No space"):
        one.ensure(QUIET)
    assert host.state() == before


def test_when_one_setting_is_refused_those_before_it_are_put_back(host: FakeHost) -> None:
    before = host.state()
    host.refuse = "swapoff"
    one = tuner(host, QUIET)
    with pytest.raises(HostError, match="swapoff refused"):
        one.ensure(QUIET)
    assert host.state() == before
    assert not host.journal.path.exists()


def test_the_tuning_stays_for_runs_that_ask_for_the_same_and_goes_for_one_that_does_not(host: FakeHost) -> None:
    before = host.state()
    one = tuner(host, QUIET, Tuning())
    assert one.ensure(QUIET) == one.ensure(QUIET)
    assert len(host.commands) == 2
    assert one.ensure(Tuning()) == ()
    assert host.state() == before
    one.ensure(Tuning(thp="always"))
    assert host.machine().value("file", THP) == "always"
    one.restore()
    assert host.state() == before


def test_what_is_as_asked_for_already_is_neither_changed_nor_written_down(host: FakeHost) -> None:
    host.privileged = False
    one = tuner(host, Tuning(thp="madvise"))
    assert one.ensure(Tuning(thp="madvise")) == ()
    assert not host.journal.path.exists()


def test_a_killed_campaigns_settings_are_put_back_at_the_next_start(host: FakeHost) -> None:
    before = host.state()
    killed = tuner(host, QUIET)
    killed.ensure(QUIET)
    killed._stack.close()  # the kernel lets go of the lock; nothing else of it runs any more
    lines = undo_leftovers(host.journal, host.machine())
    assert len(lines) == 5
    assert lines[0] == "left by a killed campaign: /swap file: off -> 5, as it was"
    assert host.state() == before
    assert undo_leftovers(host.journal, host.machine()) == []


def test_settings_of_a_campaign_that_lives_are_left_alone(host: FakeHost) -> None:
    live = tuner(host, QUIET)
    live.ensure(QUIET)
    assert undo_leftovers(host.journal, host.machine()) == []
    assert host.state() == TUNED
    with pytest.raises(HostError, match=f"process {os.getpid()} is tuning this host") as caught:
        tuner(host, QUIET)
    assert caught.value.cause == "tune-locked"
    live.restore()


@pytest.mark.parametrize("kept", range(6))
def test_a_kill_between_note_and_change_costs_nothing(host: FakeHost, kept: int) -> None:
    """The journal holds the first ``kept`` notes and the torn beginning of the next; the changes stop one earlier."""
    before = host.state()
    wanted = changes(QUIET, host.machine())
    with host.journal.held():
        for number, change in enumerate(wanted[:kept]):
            host.journal.note(change, "boot-1")
            if number < kept - 1:
                host.machine().put(change.kind, change.what, change.new)
        with host.journal.path.open("a") as file:
            file.write('{"schema_version": 1, "boot_id": "boot-1", "ki')
    undo_leftovers(host.journal, host.machine())
    assert host.state() == before
    assert not host.journal.notes()


def test_a_setting_that_somebody_changed_since_is_left_alone_and_said(host: FakeHost) -> None:
    killed = tuner(host, Tuning(thp="never"))
    killed.ensure(Tuning(thp="never"))
    host.write(THP, "[always] madvise never")
    assert killed.restore() == [f"{THP} is always now and not never, as we had set it: left alone"]
    assert host.machine().value("file", THP) == "always"


def test_after_a_restart_of_the_host_there_is_nothing_to_put_back(host: FakeHost) -> None:
    killed = tuner(host, Tuning(thp="never"))
    killed.ensure(Tuning(thp="never"))
    killed._stack.close()
    host.write("/proc/sys/kernel/random/boot_id", "boot-2")
    [line] = undo_leftovers(host.journal, host.machine())
    assert "the host was started anew" in line
    assert host.machine().value("file", THP) == "never"
    assert not host.journal.path.exists()


def test_what_cannot_be_put_back_stays_in_the_journal_and_the_rest_is_put_back(host: FakeHost) -> None:
    one = tuner(host, QUIET)
    one.ensure(QUIET)
    host.refuse = "swapon"
    with pytest.raises(HostError, match="this host is not as it was") as caught:
        one.restore()
    assert f"sudo {sys.executable} -m bench.restore" in caught.value.hint
    assert host.machine().value("file", THP) == "madvise"
    assert [note.change.what for note in host.journal.notes()] == ["/dev/sda2", "/swap file"]
    host.refuse = ""
    undo_leftovers(host.journal, host.machine())
    assert set(host.swaps) == {"/dev/sda2", "/swap file"}


def test_a_host_setting_needs_root_and_says_so_and_pinning_does_not(host: FakeHost) -> None:
    host.privileged = False
    with pytest.raises(HostError, match="needs root") as caught:
        tuner(host, Tuning(thp="never"))
    assert caught.value.cause == "privilege-missing"
    tuner(host, Tuning(pinning=Pinning(primary="0", secondary="1"))).restore()
    assert not host.journal.folder.exists()


@pytest.mark.parametrize(
    ("tune", "missing", "said"),
    [
        (Tuning(governor="performance"), "sys/devices", "no frequency governor"),
        (Tuning(thp="never"), "sys/kernel", "no transparent huge pages"),
    ],
)
def test_what_the_machine_does_not_have_is_named(host: FakeHost, tune: Tuning, missing: str, said: str) -> None:
    (host.root / missing).rename(host.root / "elsewhere")
    with pytest.raises(HostError, match=said) as caught:
        tuner(host, tune)
    assert caught.value.cause == "tune-missing"


def test_a_governor_that_the_machine_does_not_have_is_refused_with_those_that_it_has(host: FakeHost) -> None:
    with pytest.raises(HostError, match="legal: performance, powersave"):
        tuner(host, Tuning(governor="schedutil"))


def with_resctrl(host: FakeHost, schemata: str = "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n") -> str:
    """Give the FAKE host a resctrl file system of two last caches with 11 ways each; return the name of its masks."""
    host.write("/sys/fs/resctrl/info/L3/cbm_mask", "7ff\n")
    host.write("/sys/fs/resctrl/info/L3/min_cbm_bits", "2\n")
    host.write("/sys/fs/resctrl/schemata", schemata)
    host.write("/proc/self/cpu_resctrl_groups", "res:/\nmon:/\n")
    return "/sys/fs/resctrl/schemata"


def test_the_ways_of_every_last_cache_are_set_and_put_back(host: FakeHost) -> None:
    schemata = with_resctrl(host)
    one = tuner(host, Tuning(ways=4))
    (made,) = one.ensure(Tuning(ways=4))
    assert (made.kind, made.what, made.old, made.new) == ("ways", schemata, "0=7ff;1=7ff", "0=f;1=f")
    assert host.read(schemata) == "L3:0=f;1=f\n"  # what the kernel is told: a line for what is to change
    assert one.restore() == []
    assert host.read(schemata) == "L3:0=7ff;1=7ff\n"


def test_the_kernels_way_to_write_a_mask_does_not_matter(host: FakeHost) -> None:
    with_resctrl(host, "L3:0=00f;1=00f\n")
    assert changes(Tuning(ways=4), host.machine()) == ()


def test_a_killed_campaigns_ways_are_put_back_at_the_next_start(host: FakeHost) -> None:
    schemata = with_resctrl(host)
    killed = tuner(host, Tuning(ways=2))
    killed.ensure(Tuning(ways=2))
    killed._stack.close()  # as the kernel lets go of a dead process's lock
    (said,) = undo_leftovers(host.journal, host.machine())
    assert "schemata: 0=3;1=3 -> 0=7ff;1=7ff" in said
    assert host.read(schemata) == "L3:0=7ff;1=7ff\n"


def test_ways_that_a_host_cannot_give_are_refused_with_what_mends_it(host: FakeHost) -> None:
    with pytest.raises(HostError, match="cannot set ways of its last cache aside") as raised:
        tuner(host, Tuning(ways=4))
    assert raised.value.hint is not None
    assert "cache=antagonist" in raised.value.hint
    with_resctrl(host)
    for ways in (1, 12):
        with pytest.raises(HostError, match="has 11 ways; legal: 2 to 11"):
            tuner(host, Tuning(ways=ways))
    host.write("/proc/self/cpu_resctrl_groups", "res:/batch\nmon:/\n")
    with pytest.raises(HostError, match="a resctrl group of its own"):
        tuner(host, Tuning(ways=4))


def test_a_cell_whose_ways_are_left_open_is_no_cell() -> None:
    assert make_cell(cache={"kind": "ways", "ways": 4}).tuning == Tuning(ways=4)
    for cache in ({"kind": "ways"}, {"kind": "none", "ways": 4}):
        with pytest.raises(ValueError, match=r"cache\.ways=N"):
            make_cell(cache=cache)


def test_cpus_that_are_not_there_are_refused(host: FakeHost) -> None:
    asked = Tuning(pinning=Pinning(primary="0", secondary="1-3"))
    with pytest.raises(HostError, match=r"tune.pinning.secondary: this process has no CPU 2, 3; it has 0, 1"):
        tuner(host, asked)
    with pytest.raises(HostError, match=r"cache.cpus: this process has no CPU 7"):
        require_cpus("cache.cpus", (0, 7), host.machine())


def test_a_setting_that_the_kernel_does_not_keep_is_an_error(host: FakeHost) -> None:
    (host.root / THP.lstrip("/")).unlink()
    (host.root / THP.lstrip("/")).symlink_to("/dev/null")
    with pytest.raises(HostError, match="was set to never and is"):
        host.machine().put("file", THP, "never")


def test_swap_is_taken_out_and_brought_back_by_name() -> None:
    assert swap_argv("/dev/sda2", OFF) == ("swapoff", "--", "/dev/sda2")
    assert swap_argv("/dev/sda2", "7") == ("swapon", "-p", "7", "--", "/dev/sda2")
    assert swap_argv("/dev/sda2", "-2") == ("swapon", "--", "/dev/sda2")


def test_restore_says_what_it_did_and_that_there_is_nothing_left(
    host: FakeHost, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = tuner(host, Tuning(thp="never"))
    killed.ensure(Tuning(thp="never"))
    assert restore.main([], host.machine()) == Exit.HOST
    assert "is tuning this host" in capsys.readouterr().err
    killed._stack.close()
    assert restore.main([], host.machine()) == Exit.DONE
    assert capsys.readouterr().out == f"{THP}: never -> madvise, as it was\n"
    assert restore.main([], host.machine()) == Exit.DONE
    assert "nothing to put back" in capsys.readouterr().out


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_user_without_a_home_has_nothing_to_put_back_and_cannot_tune(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert restore.main([], host.machine()) == Exit.DONE
    assert undo_leftovers(machine=host.machine()) == []
    with pytest.raises(StoreError, match="cannot write to") as caught:
        Tuner(host.machine()).prepare([Tuning(thp="never")])
    assert "XDG_STATE_HOME" in caught.value.hint


def go(host: FakeHost, results: Path, session: FakeSession, cells: Any, verdicts: Any = None, **asked: Any) -> Exit:
    tools = replace(
        fake_tools(session),
        tuner=lambda: Tuner(host.machine(), host.journal),
        tidy=lambda _: undo_leftovers(host.journal, host.machine()),
        checks=lambda _cells, _results: (),  # of the real host; what the fake one has is asked by the tuner
        verdicts=verdicts,
    )
    return run_campaign(make_settings(results, **{"repeats": 1} | asked), cells, "python -m bench", tools)


class Seeing(FakeSession):
    """A fake session that keeps what the fake host was like during each run, and what the run was told of it."""

    host: FakeHost

    async def __call__(self, run: Any, cell: Any, assets: Any, *rest: Any, **more: Any) -> Any:
        self.seen = [*getattr(self, "seen", []), (cell.tune.thp, self.host.state()["thp"], len(assets.tuned))]
        return await super().__call__(run, cell, assets, *rest, **more)


def test_each_run_of_a_campaign_finds_the_host_as_its_cell_asks_and_afterwards_it_is_as_it_was(
    host: FakeHost, tmp_path: Path
) -> None:
    before = host.state()
    session = Seeing()
    session.host = host
    cells = (make_cell(), make_cell(tune=QUIET), make_cell(tune=Tuning(thp="always")))
    assert go(host, tmp_path / "results", session, cells) == Exit.DONE
    assert sorted(session.seen, key=str) == [("always", "always", 1), ("never", "never", 5), (None, "madvise", 0)]
    assert host.state() == before


def test_blocks_that_are_added_to_what_was_all_measured_find_the_host_tuned_and_leave_it_as_it_was(
    host: FakeHost, tmp_path: Path
) -> None:
    before = host.state()
    tuned: list[bool] = []
    cells = (make_cell("256M", tune=QUIET), make_cell("512M", tune=QUIET))
    asked = {"hypotheses": questions(cells), "by_size": True}

    async def verdicts(folder: Path) -> list[dict[str, Any]]:
        blocks = json.loads((folder / "plan.json").read_text())["repeats"]
        return [{"id": "ram", "family": "primary", "word": "SUPPORTED" if blocks > 1 else "INCONCLUSIVE"}]

    def act() -> None:
        tuned.append(host.state() == TUNED)

    assert go(host, tmp_path / "results", FakeSession(), cells, **asked) == Exit.DONE
    session = FakeSession({1: act, 2: act})
    assert go(host, tmp_path / "results", session, cells, verdicts, repeats=None, **asked) == Exit.DONE
    assert tuned == [True, True]
    assert host.state() == before
    assert not host.journal.path.exists()


@pytest.mark.parametrize("how", ["failed", "interrupted", "bug"])
def test_whatever_ends_a_campaign_the_host_is_as_it_was(host: FakeHost, tmp_path: Path, how: str) -> None:
    before = host.state()

    def act() -> None:
        assert host.state() == TUNED
        if how == "interrupted":
            os.kill(os.getpid(), signal.SIGTERM)
            return
        raise GuestError("panic") if how == "failed" else ZeroDivisionError

    session = FakeSession({1: act})
    if how == "bug":
        with pytest.raises(ZeroDivisionError):
            go(host, tmp_path / "results", session, (make_cell(tune=QUIET),))
    else:
        go(host, tmp_path / "results", session, (make_cell(tune=QUIET),))
    assert host.state() == before
    assert not host.journal.path.exists()


def test_a_campaign_that_cannot_be_tuned_starts_no_run(host: FakeHost, tmp_path: Path) -> None:
    host.privileged = False
    session = FakeSession()
    with pytest.raises(HostError, match="needs root"):
        go(host, tmp_path / "results", session, (make_cell(), make_cell(tune=QUIET)))
    assert session.calls == []


def real_thp_is_writable() -> bool:
    return os.geteuid() == 0 and os.access(THP, os.W_OK)


@pytest.mark.skipif(not real_thp_is_writable(), reason="needs a kernel whose huge page policy this user may set")
def test_the_real_huge_page_policy_is_changed_and_put_back_even_after_sigkill(journal: UndoJournal) -> None:
    machine = Machine()
    before = machine.value("file", THP)
    other = "madvise" if before == "never" else "never"
    script = (
        "import os, signal; from bench.config.tuning import Tuning; from bench.tune.tuner import Tuner; "
        f"t = Tuning(thp={other!r}); one = Tuner(); one.prepare([t]); one.ensure(t); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    try:
        done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
        if done.returncode != -signal.SIGKILL:
            pytest.skip("this kernel refuses it")
        assert machine.value("file", THP) == other
        [note] = [json.loads(line) for line in journal.path.read_text().splitlines()]
        assert (note["old"], note["new"]) == (before, other)
        done = subprocess.run([sys.executable, "-m", "bench.restore"], check=False, capture_output=True, timeout=60)
        assert done.returncode == 0
        assert machine.value("file", THP) == before
    finally:
        if machine.value("file", THP) != before:
            machine.put("file", THP, before)


def test_the_help_of_what_puts_back_names_whatever_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restore.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "tune=... or cache=ways" in said
