"""What is wrong with a path or a folder has a mend of its own, not that of another fault."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fixtures.fake_campaign import Fake, write_campaign

from analysis.__main__ import main
from analysis.errors import NotACampaignError
from analysis.stored.load import load_campaign


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    return write_campaign(tmp_path, Fake(repeats=2, count=3))


@pytest.mark.parametrize(
    ("change", "said", "mend"),
    [
        (lambda text: text[:300], "plan.json is not JSON", "copy it again"),
        (lambda text: "\N{ZERO WIDTH NO-BREAK SPACE}" + text, "plan.json is not JSON", "copy it again"),
        (lambda text: text.replace('"seed": ', '"seed": NaN, "s": ', 1), "plan.json is not JSON", "copy it again"),
        (lambda text: text.replace('"schema_version": ', '"schema_version": 9', 1), "version 9", "a newer colo-bench"),
    ],
)
def test_a_plan_that_a_copy_has_damaged_is_copied_again(campaign: Path, change: object, said: str, mend: str) -> None:
    path = campaign / "plan.json"
    assert callable(change)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(NotACampaignError, match=said) as caught:
        load_campaign(campaign)
    assert mend in caught.value.fix


@pytest.mark.parametrize(
    ("words", "said", "mend"),
    [
        (["{c}", "--only", "verdicts", "--out", ""], "argument --out: '' is no path", "--help"),
        ([""], "argument campaign: '' is no path", "--help"),
        (["{c}", "--only", "verdicts", "--hypotheses", ""], "argument --hypotheses: '' is no path", "--help"),
        (["{c}", "--only", "verdicts", "--out", "{c}/plan.json"], "plan.json", "name a folder; a file"),
        (["compare", "{c}", "{d}", "--json", "{c}"], "{c}: Is a directory", "name a file; a folder"),
        (["compare", "{c}", "{d}", "--json", "."], " .: Is a directory", "name a file; a folder"),
        (["explore", "{c}", "--out", "/"], " /: Is a directory", "name a file; a folder"),
        (["timeline", "{c}", "nosuch"], "no measured run is called nosuch", "analysis timeline"),
        (["timeline", "{c}"], "name one of its runs", "analysis timeline"),
    ],
)
def test_a_path_that_will_not_do_is_named_with_what_would(
    campaign: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str, mend: str
) -> None:
    other = write_campaign(campaign.parent, Fake(name="other", repeats=2, count=3))
    try:
        status = main([word.format(c=campaign, d=other) for word in words])
    except SystemExit as end:
        status = int(str(end.code))
    what, fix = capsys.readouterr().err.splitlines()
    assert status in (2, 3)
    assert said.format(c=campaign) in what
    assert "Errno" not in what
    assert mend in fix


@pytest.mark.parametrize("words", [["{c}"], ["power", "{c}"], ["explore", "{c}"]])
def test_a_ledger_that_may_not_be_read_is_no_report_that_cannot_be_written(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    ledger, read = campaign / "ledger.jsonl", Path.read_bytes

    def refused(path: Path) -> bytes:
        if path == ledger:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert main([word.format(c=campaign) for word in words]) == 2
    what, fix = capsys.readouterr().err.splitlines()
    assert what == f"colo-bench: {ledger}: Permission denied"
    assert "yours to read" in fix


def test_campaigns_without_a_machine_in_common_are_not_told_of_failed_runs(
    tmp_path: Path, campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_campaign(tmp_path / "other", Fake(repeats=2, count=3, mems=(8 << 30,)))
    for command, mend in (("compare", "that measure the same machine"), ("track", "that measure the same cells")):
        assert main([command, str(campaign), str(other)]) == 1
        assert mend in capsys.readouterr().err
