"""One archive of a campaign for others to check: its data, report, environment and hashes, the same bytes each time."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from analysis.errors import AnalysisError
from analysis.format.folder import LEDGER, PLAN, RECORD, REPORT, RUNS, VERDICTS, CampaignFolder
from analysis.report.build import build_report
from analysis.report.disclosure import disclosure, environment, licence, readme
from analysis.report.verdicts import verdicts_json
from analysis.stored.load import load_campaign
from analysis.text import plural
from analysis.verdicts.results import derive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analysis.stored.campaign import Campaign

MANIFEST = "MANIFEST.sha256"
_KEPT = (PLAN, LEDGER, "index.csv", f"{RUNS}/*/{RECORD}", f"{RUNS}/*/*.parquet", f"{RUNS}/*/measure.jsonl")
_KEPT_TOO = ("runs/*/*/argv.json",)
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))
"""The error numbers by which the folder that an archive is unpacked into is full: no fault of the archive."""


class NotWholeError(AnalysisError):
    """An archive is not what was packed, or does not say what its data says."""

    exit_code = 1
    fix = "get it once more from whoever made it, or have it made anew"


class NoArchiveError(AnalysisError):
    """The file is no archive of ours."""

    fix = "give an archive that bundle made"


class LinkedError(AnalysisError):
    """A file that verdicts rest on lies behind a link, which may lead anywhere."""

    fix = "cp -rL copies the campaign with what its links lead to: give that copy"


def bundle(folder: Path, *, raw: bool = False) -> bytes:
    """Return the archive (``tar.gz``) of a campaign; where it has no report of one piece, one is made for it.

    Args:
        folder: the campaign's.
        raw: with the logs and traces of every run, those that failed too.

    Raises:
        AnalysisError: the folder is no campaign, nothing was measured, or a file of a run is not its own.
    """
    campaign, name = load_campaign(folder), folder.resolve().name
    files = {f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _data(folder, raw=raw)}
    report = _report(folder, campaign)
    files |= {f"{name}/report/{inner}": content for inner, content in report.items()}
    used = {f"{name}/{RUNS}/{run.record.run_id}/{RECORD}" for run in (*campaign.runs, *campaign.without)}
    documents = [json.loads(content) for path, content in sorted(files.items()) if path in used]
    figures = sorted(path.stem for path in map(PurePosixPath, report) if path.match("figures/*.csv"))
    files |= {
        "README.md": readme(campaign, name, figures, sum(map(len, files.values()))).encode(),
        "DISCLOSURE.md": disclosure(campaign, documents).encode(),
        "LICENSE": licence().encode(),
        "environment.json": (json.dumps(environment(), indent=1) + "\n").encode(),
    }
    listing = "".join(f"{_sha256(content)}  {path}\n" for path, content in sorted(files.items()))
    return _archive(f"{name}-artifact", files | {MANIFEST: listing.encode()})


def _data(folder: Path, *, raw: bool) -> list[Path]:
    """Return the campaign's own files.

    Raises:
        LinkedError: one that every archive holds lies elsewhere.
    """
    kept = {path for pattern in (*_KEPT, *_KEPT_TOO) for path in folder.glob(pattern) if path.is_file()}
    if linked := [path for path in kept if not _is_own(path, folder)]:
        raise LinkedError(f"{min(linked)} lies behind a link, and an archive holds what is the campaign's own")
    if raw:
        kept |= {path for path in folder.glob("**/*") if path.is_file() and _is_own(path, folder)}
    return sorted(path for path in kept if "report" not in path.relative_to(folder).parts[:1])


def _is_own(path: Path, folder: Path) -> bool:
    """Tell whether no link leads to what lies below a folder: one may lead anywhere."""
    return path.resolve() == folder.resolve() / path.relative_to(folder)


def _report(folder: Path, campaign: Campaign) -> dict[str, bytes]:
    """Return the files of the report: those that are there if they are of one piece and say what the data says now."""
    page = folder / REPORT / "report.html"
    # The page is written last: what is newer was made without it, as by --only verdicts, and may say something else. So
    # may a page of before the last run: verdicts are of the blocks of a look, or there are none.
    said, older = page.parent / VERDICTS, (*page.parent.rglob("*"), *folder.glob(LEDGER))
    if (
        page.is_file()
        and said.is_file()
        and page.stat().st_mtime_ns >= max(one.lstat().st_mtime_ns for one in older)
        and all(_is_own(one, folder) for one in page.parent.rglob("*"))
        and said.read_bytes() == verdicts_json(derive(campaign)).encode()
    ):
        return _files(page.parent)
    with tempfile.TemporaryDirectory(prefix="colo-bench-") as scratch:
        build_report([folder], out=Path(scratch), homes=("..",))
        return _files(Path(scratch))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _archive(top: str, files: Mapping[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def verify(archive: Path) -> Iterator[str]:
    """Check an archive and yield a line for each thing that holds.

    Raises:
        NoArchiveError: it cannot be read, or holds no manifest.
        NotWholeError: a hash, the format or a verdict does not hold; the message says which.
    """
    with tempfile.TemporaryDirectory(prefix="colo-bench-") as scratch:
        root = _unpacked(archive, Path(scratch))
        yield f"hashes: {_check_hashes(root)} files are what was packed"
        folders = [path.parent for path in root.glob("*/plan.json")]
        if len(folders) != 1:
            raise NotWholeError(f"{archive}: it should hold one campaign and holds {len(folders)}")
        campaign = load_campaign(folders[0])
        try:
            stored = CampaignFolder(folders[0]).verdicts.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise NotWholeError(f"{archive}: it holds no {VERDICTS}") from error
        known = _unread_when_packed(stored)
        for one in campaign.unread:
            if one.planned.run_id not in known:
                raise NotWholeError(f"{archive}: run {one.planned.run_id} cannot be used: {one.why}")
        yield f"format: {plural(campaign.measured, 'run')} of {campaign.plan.campaign} can be read"
        again = verdicts_json(derive(campaign))
        if stored != again:
            raise NotWholeError(f"{archive}: computed again, the verdicts differ: {_differing(stored, again)}")
        yield f"verdicts: {len(json.loads(again)['verdicts'])} computed again, all the same"


def _unpacked(archive: Path, scratch: Path) -> Path:
    try:
        with tarfile.open(archive, mode="r:gz") as packed:
            packed.extractall(scratch, filter="data")
    except (OSError, EOFError, ValueError, OverflowError, tarfile.TarError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        why = getattr(error, "strerror", None) or error
        raise NoArchiveError(f"{archive}: {why}") from error
    found = list(scratch.glob(f"*/{MANIFEST}"))
    if len(found) != 1:
        raise NoArchiveError(f"{archive}: it holds no {MANIFEST}, so it is no archive of ours")
    return found[0].parent


def _check_hashes(root: Path) -> int:
    listed = {}
    for line in (root / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, path = line.partition("  ")
        listed[path] = digest
    there = {path: _sha256(content) for path, content in _files(root).items() if path != MANIFEST}
    for what, names in (
        ("missing", listed.keys() - there.keys()),
        ("not in the manifest", there.keys() - listed.keys()),
        ("changed", {path for path in listed.keys() & there.keys() if listed[path] != there[path]}),
    ):
        if names:
            raise NotWholeError(f"{len(names)} file(s) {what}, such as {min(names)}")
    return len(there)


def _unread_when_packed(stored: str) -> set[str]:
    """Return the runs that could not be used when the verdicts were made, of which an archive says so itself."""
    try:
        return {str(one["run_id"]) for one in json.loads(stored)["unread"]}
    except (ValueError, LookupError, TypeError):
        return set()


def _differing(stored: str, again: str) -> str:
    try:
        old, new = ({one["id"]: one for one in json.loads(text)["verdicts"]} for text in (stored, again))
        changes = [_change(name, old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)]
    except (ValueError, LookupError, TypeError):
        return "verdicts.json is not of our format"
    return ", ".join(changes) or "what is said beside them"


def _change(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    before, after = (str(one["word"]) if one else "none" for one in (old, new))
    return f"{name} ({before}, now {after})" if before != after else f"{name} (its numbers)"
