from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import __main__ as entry
from bench.errors import BenchError, HostError, LaunchError, PlanChangedError, ProvisionError
from bench.system.exits import Exit, exit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.config.load import Settings
    from bench.config.model import Cell


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def remember(settings: Settings, cells: tuple[Cell, ...], command: str) -> Exit:
        calls.append((settings, cells, command))
        return Exit.DONE

    monkeypatch.setattr(entry, "run_campaign", remember)
    return calls


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    def call(*words: str) -> int:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        return entry.main()

    return call


def test_the_whole_grid_is_handed_over_at_once(main: Callable[..., int], asked: list[Any]) -> None:
    assert main("-m", "mem=1G,2G", "smp=1,2", "workload=idle", "repeats=3") == Exit.DONE
    [(settings, cells, command)] = asked
    assert settings.repeats == 3
    assert [(cell.mem >> 30, cell.smp) for cell in cells] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert command == "python -m bench -m mem=1G,2G smp=1,2 workload=idle repeats=3"


@pytest.mark.parametrize("words", [("mem=1G,2G", "-m"), ("mem=1G,2G",), ("mem=3G", "--multirun", "mem=1G,2G")])
def test_the_sweep_flag_may_stand_anywhere_or_nowhere(
    main: Callable[..., int], asked: list[Any], words: tuple[str, ...]
) -> None:
    assert main(*words, "workload=idle") == Exit.DONE
    assert [cell.mem >> 30 for cell in asked[0][1]] == [1, 2]


def test_an_experiment_is_known_by_its_name(main: Callable[..., int], asked: list[Any]) -> None:
    main("experiment=demo")
    assert asked[0][0].experiment == "demo"
    assert len(asked[0][1]) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["memm=4"], "unknown key memm; did you mean mem?"),
        (
            ["workload=nope"],
            (
                "unknown choice workload=nope; legal: "
                "build, cpu, dirty, fio, http, idle, nginx, postgres, redis, stream, valkey"
            ),
        ),
        (
            ["experiment=nope"],
            (
                "unknown choice experiment=nope; legal: "
                "accel, cache, card_sweep, demo, e1000, entry, failover, first_checkpoint"
            ),
        ),
        (["workload=dirty", "workload.ratee=3"], "unknown key workload.ratee; did you mean rate?"),
        (["link.bandwith=1"], "unknown key link.bandwith; did you mean bandwidth?"),
        (["+link.extra=1"], "unknown key link.extra; legal: bandwidth, delay"),
        (["+other=1"], "unknown key other; legal: accel, budget, cache, campaign"),
        (["+experiment=demo"], "what exists is set without a leading +"),
        (["mem=1G,4X"], "mem=4X: '4X' is not a size"),
        (["workload=idle,nope"], "unknown choice workload=nope"),
        (["repeats=1,2"], "repeats holds for the whole campaign"),
        (["smp=interval(1,2)"], "an interval has no list of values"),
        (["mem=4G,"], "cannot read 'mem=4G,'"),
        (["mem=${nope}"], "Interpolation key 'nope' not found"),
        (["workload=3"], "unknown choice workload=3; legal: build, cpu"),
        (["+="], "the configuration cannot be composed"),
        (["link=[{id:H}]"], "the configuration cannot be composed"),
        (["mem.size=3"], "Could not override 'mem.size'"),
        (["~mem"], "mem: missing"),
        (["workload=glob(xyz*)"], "this sweep has no cell: a glob(...) in it matches nothing"),
        (["-x"], "-x: no such option; write KEY=VALUE"),
        (["--config-path=/tmp"], "--config-path=/tmp: no such option"),
    ],
)
def test_wrong_usage_is_refused_in_words_with_status_2(
    main: Callable[..., int], asked: list[Any], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(*words) == Exit.USAGE
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert (shown.out, asked) == ("", [])


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (PlanChangedError("changed"), Exit.USAGE),
        (HostError("too small"), Exit.HOST),
        (ProvisionError("no network"), Exit.HOST),
        (LaunchError("no start"), Exit.HOST),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_what_the_project_understands_ends_without_a_traceback(
    main: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: Exit,
) -> None:
    monkeypatch.setattr(entry, "run_campaign", lambda *_: (_ for _ in ()).throw(raised))
    assert main() == status
    shown = capsys.readouterr().err
    assert shown.startswith(f"colo-bench: {raised.message if isinstance(raised, BenchError) else 'interrupted'}")
    assert "Traceback" not in shown


def test_our_own_bug_shows_its_traceback_and_says_so(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "run_campaign", lambda *_: 1 / 0)
    assert main() == Exit.BUG
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "this is a bug in colo-bench" in shown


def test_the_statuses_are_what_the_documentation_says() -> None:
    assert [int(status) for status in Exit] == [0, 1, 2, 3, 4, 130]
    assert exit_of(HostError("x")) == 3
