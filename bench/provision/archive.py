"""Which releases of QEMU the package archive has, as packages and as sources: asked of apt, with lists of its own.

Names are those of QEMU: ``10.0``, or ``10.0.2`` where two suites have a 10.0. What the archive answered is remembered,
so that a name means the same tomorrow, until ``python -m bench.provision --list`` asks again.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import ProvisionError
from bench.provision import commands
from bench.provision.cache import cache_folder, locked, read_manifest
from bench.provision.mirror import apt_options, archive_keyring, fetch_error, mirror, require_tools
from bench.system.files import write_atomic
from bench.system.owner import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    Progress = Callable[[str], None]

SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid")
"""The Debian suites that are looked through; what a mirror no longer has is left out."""

Kind = Literal["packages", "sources"]

_PACKAGES = {"packages": "qemu-system-x86", "sources": "qemu"}
_LINE = re.compile(r"\s*\S+ \| (?P<version>\S+) \| \S+ (?P<suite>[a-z-]+)/main ")
_UPSTREAM = re.compile(r"(?:\d+:)?(?P<version>\d+(?:\.\d+)+)")
_UPDATE_DEADLINE_S = 600.0
_SOURCE_DEADLINE_S = 600.0


@dataclass(frozen=True)
class Offer:
    """One release of QEMU in one suite.

    Attributes:
        suite: the suite, such as ``trixie-backports``.
        version: the package's whole version, such as ``1:11.1.3+ds-1~bpo13+1``.
    """

    suite: str
    version: str

    @property
    def release(self) -> str:
        """Return QEMU's own version: ``11.1.3``."""
        match = _UPSTREAM.match(self.version)
        return match["version"] if match else self.version

    @property
    def name(self) -> str:
        """Return the short name: ``11.1``."""
        return ".".join(self.release.split(".")[:2])

    def order(self) -> tuple[int, ...]:
        """Return what sorts by QEMU's version, and of two with the same the older suite behind the newer."""
        return (*map(int, self.release.split(".")), -SUITES.index(self.suite))


@dataclass(frozen=True)
class Refusal:
    """A suite that apt would not read, and why, in its own words."""

    suite: str
    words: str


def known_offers(kind: Kind) -> tuple[Offer, ...]:
    """Return what the archive answered last; empty where it was never asked."""
    manifest = read_manifest(_answer(kind), {"offers": list})
    try:
        offers = [Offer(one["suite"], one["version"]) for one in (manifest["offers"] if manifest else ())]
        return tuple(one for one in offers if _is_known(one))
    except (TypeError, KeyError):
        return ()  # damaged: asked again


def ask_archive(kind: Kind, progress: Progress) -> tuple[tuple[Offer, ...], tuple[Refusal, ...]]:
    """Ask the archive for its releases and remember the answer.

    Raises:
        ProvisionError: it cannot be asked, or has none.
    """
    require_tools()
    with locked("archive", progress), scratch_folder("archive") as folder:
        progress(f"archive: which {kind} of QEMU there are (lists of {len(SUITES)} suites, some 50 MB)")
        text, refusals = _update(kind, folder)
        apt = ("apt-cache", "madison", _PACKAGES[kind])
        listed = commands.check(apt, what="asking apt", deadline_s=_UPDATE_DEADLINE_S, env=_environment(folder))
        offers = tuple(sorted(parse_madison(listed.splitlines()), key=Offer.order))
        if not offers:
            raise fetch_error("the archive's lists could not be read", mirror(), text)
        write_atomic(_answer(kind), json.dumps({"offers": [asdict(one) for one in offers]}, indent=1) + "\n")
    return offers, refusals


def find_offer(name: str, kind: Kind, progress: Progress) -> Offer:
    """Return the newest release of this name, asking the archive where no answer that has it is remembered.

    Raises:
        ProvisionError: the archive cannot be asked, or has no such release.
    """
    found = choose(name, known_offers(kind)) or choose(name, ask_archive(kind, progress)[0])
    if found is None:
        has = ", ".join(dict.fromkeys(one.release for one in known_offers(kind)))
        raise ProvisionError(f"the archive has no {kind} of QEMU {name}", hint=f"it has {has}", cause="release-unknown")
    return found


def choose(name: str, offers: Iterable[Offer]) -> Offer | None:
    """Return the newest of the offers whose version is the name or begins with it, part by part."""
    wanted = name.split(".")
    fitting = (one for one in offers if one.release.split(".")[: len(wanted)] == wanted)
    return max(fitting, key=Offer.order, default=None)


def parse_madison(lines: Iterable[str]) -> Iterator[Offer]:
    """Yield each offer of ``apt-cache madison`` once; of other suites and lines nothing."""
    seen = set()
    for match in filter(None, map(_LINE.match, lines)):
        offer = Offer(match["suite"], match["version"])
        if offer not in seen and _is_known(offer):
            seen.add(offer)
            yield offer


def _is_known(offer: Offer) -> bool:
    """Return whether an offer has its place in the order: an answer may be that of another version of this program."""
    return offer.suite in SUITES and _UPSTREAM.match(offer.version) is not None


def fetch_source(offer: Offer, target: Path, progress: Progress) -> None:
    """Fetch a source package's files into a folder, verified by apt against the archive's signed lists.

    Raises:
        ProvisionError: it cannot be fetched, or is no longer there.
    """
    require_tools()
    with locked("archive", progress), scratch_folder("archive") as folder:
        progress(f"source: looking for QEMU {offer.version} in {offer.suite}")
        _update("sources", folder, (offer.suite,))
        progress(f"source: fetching QEMU {offer.version}")
        argv = ("apt-get", "source", "--download-only", f"qemu={offer.version}")
        done = commands.run(argv, deadline_s=_SOURCE_DEADLINE_S, env=_environment(folder), cwd=target)
        if done.status != 0:
            raise fetch_error(f"the source of QEMU {offer.release} could not be fetched", mirror(), done.text)


def _answer(kind: Kind) -> Path:
    folder = cache_folder() / "archive"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{kind}.json"


def _update(kind: Kind, folder: Path, suites: Sequence[str] = SUITES) -> tuple[str, tuple[Refusal, ...]]:
    """Have apt read the lists of these suites, with a configuration and a state of its own under a folder."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text("".join(source_lines(kind, mirror(), archive_keyring(), suites)))
    (folder / "apt.conf").write_text("".join(f"{option};\n" for option in (*own_options(folder), *apt_options())))
    done = commands.run(("apt-get", "update"), deadline_s=_UPDATE_DEADLINE_S, env=_environment(folder))
    return done.text, tuple(_refusals(done.lines))


def source_lines(kind: Kind, site: str, keyring: Path, suites: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a ``sources.list``.

    A source is asked for by its version: a list past its date may lack a newer one, and says nothing wrong of that one.
    So for sources the date does not matter; signature and hashes do, and for packages the date too.
    """
    entry, undated = ("deb", "") if kind == "packages" else ("deb-src", " check-valid-until=no")
    for suite in suites:
        yield f"{entry} [signed-by={keyring}{undated}] {site} {suite} main\n"


def own_options(folder: Path) -> Iterator[str]:
    """Yield the options by which apt reads nothing of this machine's configuration and writes only below a folder."""
    yield f'Dir "{folder}"'
    yield 'Dir::State "state"'
    yield f'Dir::State::status "{folder}/status"'
    yield 'Dir::Cache "cache"'
    yield f'Dir::Etc::sourcelist "{folder}/sources.list"'
    for name in ("sourceparts", "main", "parts", "preferences", "preferencesparts", "trusted", "trustedparts"):
        yield f'Dir::Etc::{name} "/dev/null"'
    yield 'APT::Architecture "amd64"'
    yield 'APT::Architectures "amd64"'
    yield 'APT::Sandbox::User "root"'  # its own user may not enter a private folder
    yield 'Acquire::Languages "none"'
    yield 'Acquire::GzipIndexes "true"'
    yield 'Acquire::Retries "3"'


def _environment(folder: Path) -> tuple[tuple[str, str], ...]:
    return (("APT_CONFIG", str(folder / "apt.conf")),)


def _refusals(lines: Iterable[str]) -> Iterator[Refusal]:
    for line in lines:
        match = re.match(r"[EW]: .*?/dists/(?P<suite>[a-z-]+)/", line)
        if match:
            yield Refusal(match["suite"], re.sub(r"\S+/dists/", "", line[3:]))
