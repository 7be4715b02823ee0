"""The artifact of a real campaign: whole, the same each time, and no change of it goes unseen."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from fixtures.fake_campaign import SINGLE, run_ids, write_campaign
from fixtures.figures import draw_few

from analysis.commands import bundle as command
from analysis.report.build import build_report
from analysis.report.bundle import bundle
from analysis.report.disclosure import disclosure, readme
from analysis.stored.load import load_campaign

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "procedure_claims"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "claims.tar.gz"
    before = sorted(REFERENCE.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        draw_few(patch)
        assert command.main([str(REFERENCE), "--out", str(out)]) == 0
    assert sorted(REFERENCE.rglob("*")) == before
    return out


def test_it_verifies_line_by_line(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.check([str(archive)]) == 0
    kinds = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["hashes", "format", "verdicts"]


@pytest.mark.usefixtures("few_figures")
def test_one_run_is_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "one.tar.gz"
    assert command.main([str(write_campaign(tmp_path, SINGLE)), "--out", str(out)]) == 0
    assert command.check([str(out)]) == 0
    assert "\nformat: 1 run of fake can be read\n" in capsys.readouterr().out


def test_it_holds_the_data_and_what_evaluators_ask_for(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    [top] = tmp_path.iterdir()
    stored = {path.relative_to(REFERENCE) for path in REFERENCE.rglob("*.parquet")}
    assert {path.relative_to(top / REFERENCE.name) for path in top.rglob("*.parquet")} == stored
    text = (top / "README.md").read_text()
    assert version("colo-bench") in text  # another version may judge otherwise
    figures = [*(top / REFERENCE.name / "report" / "figures").glob("*.csv")]
    assert figures
    for figure in figures:
        assert f"figures/{figure.stem}" in text
    disclosed = (top / "DISCLOSURE.md").read_text()
    record = json.loads(next(REFERENCE.glob("runs/*/run.json")).read_text())
    for fact in (record["versions"]["qemu_sha256"], record["versions"]["kernel_sha256"], "| mem |", "link.transport"):
        assert fact in disclosed
    assert json.loads((top / "environment.json").read_text())["numpy"]
    assert "MIT" in (top / "LICENSE").read_text()
    subprocess.run(("sha256sum", "--quiet", "-c", "MANIFEST.sha256"), cwd=top, check=True, timeout=60)


@pytest.mark.parametrize(
    ("ours", "line"),
    [("1.2.3", "pip install colo-bench==1.2.3 "), ("1.2.4.dev5", "pip install dist/*.whl   # colo-bench 1.2.4.dev5, ")],
)
def test_nobody_is_sent_to_install_by_name_what_no_release_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: str, line: str
) -> None:
    monkeypatch.setattr("analysis.report.disclosure.version", lambda _: ours)
    text = readme(load_campaign(write_campaign(tmp_path, SINGLE)), "fake", (), 0)
    assert f"\n{line}" in text


def test_the_bare_guest_and_the_library_are_disclosed_by_their_hashes(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    plan = json.loads((folder / "plan.json").read_text())
    plan |= {"guest": {"kernel_version": "", "kernel_sha256": "", "initramfs_sha256": ""}}
    plan |= {"bare_sha256": "d4" * 32, "nodelay_sha256": "e5" * 32}
    (folder / "plan.json").write_text(json.dumps(plan))
    programs = disclosure(load_campaign(folder), []).partition("## Programs")[2]
    assert f"| bare guest | {'d4' * 32} |" in programs
    assert f"| nodelay library | {'e5' * 32} |" in programs
    assert "| guest kernel" not in programs


def changed(archive: Path, out: Path, ending: str, content: bytes | None, *, listed: bool = False) -> Path:
    """Write the archive with one file changed, or left out; ``listed``: and the manifest changed with it."""
    import hashlib

    with tarfile.open(archive) as packed:
        files = {entry.name: packed.extractfile(entry).read() for entry in packed.getmembers()}  # type: ignore[union-attr]
    name = min(one for one in files if one.endswith(ending))
    if content is None:
        del files[name]
    else:
        files[name] = content
    if listed:
        manifest = next(one for one in files if one.endswith("MANIFEST.sha256"))
        inner = name.partition("/")[2]
        lines = [line for line in files[manifest].decode().splitlines() if not line.endswith(f"  {inner}")]
        lines += [f"{hashlib.sha256(content).hexdigest()}  {inner}"] if content is not None else []
        files[manifest] = "\n".join(lines).encode()
    with tarfile.open(out, "w:gz") as packed:
        for each, data in files.items():
            entry = tarfile.TarInfo(each)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    return out


@pytest.mark.parametrize(
    ("ending", "content", "listed", "said"),
    [
        ("run.json", b"{}", False, "changed, such as"),
        ("checkpoints.parquet", None, False, "missing, such as"),
        ("run.json", b"{}", True, "cannot be used"),
    ],
)
def test_a_change_is_seen(
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ending: str,
    content: bytes | None,
    listed: bool,  # noqa: FBT001 - a column of the table above
    said: str,
) -> None:
    other = changed(archive, tmp_path / "other.tar.gz", ending, content, listed=listed)
    assert command.check([str(other)]) == 1
    assert said in capsys.readouterr().err


def test_a_verdict_that_the_data_does_not_say_is_named(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = json.loads((REFERENCE / "verdicts.json").read_text())
    first = tree["verdicts"][0]
    first["word"] = "REFUTED" if first["word"] != "REFUTED" else "SUPPORTED"
    other = changed(archive, tmp_path / "other.tar.gz", "verdicts.json", json.dumps(tree).encode(), listed=True)
    assert command.check([str(other)]) == 1
    assert f"{first['id']} ({first['word']}, now " in capsys.readouterr().err


def test_json_says_what_holds_and_what_does_not(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.check([str(archive), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert (tree["whole"], list(tree["holds"]), tree["problem"]) == (True, ["hashes", "format", "verdicts"], None)
    other = changed(archive, tmp_path / "other.tar.gz", "run.json", b"{}", listed=True)
    assert command.check([str(other), "--json"]) == 1
    said = capsys.readouterr()
    tree = json.loads(said.out)
    assert (tree["whole"], list(tree["holds"])) == (False, ["hashes"])
    assert "cannot be used" in tree["problem"]
    assert tree["problem"] in said.err


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive_is_wrong_usage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    assert command.check([str(tmp_path / "x.tar.gz")]) == 2
    assert command.check([str(tmp_path / "absent")]) == 2


@pytest.mark.parametrize("odd", [{"path": "a\0b"}, {"mtime": "1e300"}])
def test_an_entry_that_no_file_can_be_is_wrong_usage(
    tmp_path: Path, odd: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = tarfile.TarInfo("x/MANIFEST.sha256")
    entry.pax_headers = odd
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(entry, io.BytesIO())
    assert command.check([str(tmp_path / "x.tar.gz")]) == 2
    _, fix = capsys.readouterr().err.splitlines()
    assert fix == "  fix: give an archive that bundle made"


def test_a_verdict_without_a_word_is_not_of_our_format(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = json.loads((REFERENCE / "verdicts.json").read_text())
    del tree["verdicts"][0]["word"]
    other = changed(archive, tmp_path / "other.tar.gz", "verdicts.json", json.dumps(tree).encode(), listed=True)
    assert command.check([str(other)]) == 1
    assert "verdicts.json is not of our format" in capsys.readouterr().err


def test_a_full_disk_is_not_the_archives_fault(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    assert command.check([str(archive)]) == 3
    assert "has room" in capsys.readouterr().err


@pytest.mark.usefixtures("few_figures")
def test_the_same_campaign_gives_the_same_bytes_and_raw_takes_everything(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, SINGLE)
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("a FAKE page")
    (folder / "failed").mkdir()
    (folder / "failed" / "trace.log").write_text("a FAKE trace")
    (folder / "elsewhere").symlink_to("/etc/hostname")
    once = bundle(folder)
    assert once == bundle(folder)
    with tarfile.open(fileobj=io.BytesIO(bundle(folder, raw=True))) as packed:
        names = packed.getnames()
    assert any(name.endswith("failed/trace.log") for name in names)
    assert not any("elsewhere" in name for name in names)
    shutil.rmtree(folder)


@pytest.mark.usefixtures("few_figures")
def test_a_report_from_before_the_last_run_is_made_anew(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SINGLE, repeats=2))
    ledger, last = folder / "ledger.jsonl", folder / "runs" / run_ids(folder)[1]
    whole = ledger.read_text()
    last.rename(tmp_path / "later")
    ledger.write_text("".join(line for line in whole.splitlines(keepends=True) if last.name not in line))
    page = build_report([folder])
    (tmp_path / "later").rename(last)
    ledger.write_text(whole)
    os.utime(page, ns=(0, ledger.stat().st_mtime_ns - 1))
    for other in page.parent.rglob("*"):
        os.utime(other, ns=(0, page.stat().st_mtime_ns))  # of one piece, as it was built
    with tarfile.open(fileobj=io.BytesIO(bundle(folder))) as packed:
        [name] = [one for one in packed.getnames() if one.endswith("report/report.html")]
        content = packed.extractfile(name).read().decode()  # type: ignore[union-attr]
    assert "1 of 2 planned runs measured" in page.read_text()
    assert "2 of 2 planned runs measured" in content


@pytest.mark.usefixtures("few_figures")
def test_nothing_behind_a_link_is_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, elsewhere = write_campaign(tmp_path, SINGLE), tmp_path / "elsewhere"
    page = build_report([folder])
    (tmp_path / "secret").write_text("a FAKE secret")
    (folder / "report" / "secret.txt").symlink_to(tmp_path / "secret")
    os.utime(page)  # as new as any file of a report of one piece
    with tarfile.open(fileobj=io.BytesIO(bundle(folder))) as packed:
        names = packed.getnames()
    assert any(name.endswith("report/report.html") for name in names)
    assert not any("secret" in name for name in names)
    [run_id] = run_ids(folder)
    (folder / "runs" / run_id).rename(elsewhere)
    (folder / "runs" / run_id).symlink_to(elsewhere)
    out = tmp_path / "packed.tar.gz"
    assert command.main([str(folder), "--out", str(out)]) == 2
    said, fix = capsys.readouterr().err.splitlines()
    assert "lies behind a link" in said
    assert "cp -rL" in fix
    assert not out.exists()


@pytest.mark.usefixtures("few_figures")
def test_a_record_that_was_damaged_before_is_packed_as_it_is_and_told_of(tmp_path: Path) -> None:
    folder = write_campaign(tmp_path, replace(SINGLE, repeats=2))
    broken = folder / "runs" / run_ids(folder)[0] / "run.json"
    broken.write_text(broken.read_text()[:100])
    out = tmp_path / "packed.tar.gz"
    assert command.main([str(folder), "--out", str(out)]) == 0
    with tarfile.open(out) as packed:
        files = {entry.name.partition("/")[2]: packed.extractfile(entry).read() for entry in packed.getmembers()}  # type: ignore[union-attr]
    assert files[broken.relative_to(tmp_path).as_posix()] == broken.read_bytes()
    assert b"1 stored run cannot be read" in files["DISCLOSURE.md"]
    assert command.check([str(out)]) == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_an_archive_that_was_damaged_on_its_way_is_refused_in_two_lines(
    archive: Path, tmp_path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(archive.read_bytes())
    content[int(share * len(content))] ^= 0xFF
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(content)
    assert command.check([str(damaged)]) in {1, 2}
    _, fix = capsys.readouterr().err.splitlines()
    assert fix.startswith("  fix: ")


def test_an_archive_without_verdicts_says_so(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.check([str(changed(archive, tmp_path / "x.tar.gz", "verdicts.json", None, listed=True))]) == 1
    assert "it holds no verdicts.json" in capsys.readouterr().err
