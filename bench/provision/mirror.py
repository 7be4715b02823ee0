"""Where the package archive is and how it is reached: as this machine's apt does, with the archive's own keys."""

from __future__ import annotations

import os
import platform
import re
import shutil
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import ProvisionError
from bench.provision import commands

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_MIRROR_VARIABLE = "COLO_BENCH_MIRROR"

_HOST_IN_BRACKETS = r"(?:/(?:[^\s\[\]\"';/@]+@)?\[[0-9A-Fa-f:.]+\])?"
_ADDRESS = re.compile(rf"(?P<method>[a-z][a-z0-9+.-]*):/{_HOST_IN_BRACKETS}[^\s\[\]\"';]+")

_NOT_BY_ITSELF = frozenset({"cdrom", "gpgv", "rred", "store"})
"""Methods of apt that want a person to change a disc, or fetch nothing."""

_KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{ending}") for ending in ("gpg", "pgp"))

_OF_METHODS = r"(?:https?|ftp|tor|mirror|(?:tor|mirror)\+[a-z]+)::(?!(?:[^\" ]+::)?Verify)[^\" ]+"
_CARRIED_APT_OPTIONS = re.compile(
    rf'(?P<key>Acquire::(?:{_OF_METHODS}|ForceIPv[46])) "(?P<value>[^"]+)";',
    re.IGNORECASE,
)
"""Names in apt's configuration are the same in small and capital letters; ``dump`` gives them as they were typed."""


def require_tools() -> None:
    """Return when what fetching and building need is here.

    Raises:
        ProvisionError: something is missing; the message has the command that installs it.
    """
    if platform.machine() != "x86_64":
        raise ProvisionError(
            f"the provisioned QEMU is for x86_64, this machine is {platform.machine()}",
            hint="use an x86_64 machine",
        )
    missing = missing_tools()
    if missing:
        raise ProvisionError(
            f"QEMU and the guest cannot be fetched: {' '.join(missing)} missing",
            hint=tools_hint(missing),
            cause="tools-missing",
        )


def tools_hint(missing: Iterable[str]) -> str:
    """Return how to get what is missing; where there is no apt, how to do without."""
    if shutil.which("apt-get"):
        return f"sudo apt-get update && sudo apt-get install -y {' '.join(missing)}"
    return (
        "there is no apt here: measure with qemu=system guest=bare, which need nothing of Debian; "
        "if that QEMU cannot do COLO, qemu=/path/to/another (docs/install.md)"
    )


def missing_tools() -> tuple[str, ...]:
    """Return the names of the system packages that fetching and building need and that are not installed."""
    wanted = {"mmdebstrap": shutil.which("mmdebstrap"), "gcc": shutil.which("gcc"), "libc6-dev": _static_libc()}
    missing = [package for package, found in wanted.items() if not found]
    if not any(path.exists() for path in _KEYRINGS):
        missing.append("debian-archive-keyring")
    return tuple(missing)


def _static_libc() -> bool:
    return any(Path(folder, "libc.a").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"))


def mirror() -> str:
    """Return the Debian mirror to fetch from: ``$COLO_BENCH_MIRROR``, else the one that this machine's apt uses.

    It is whatever apt itself can fetch from: a web address, a list of mirrors, or a folder of this machine.

    Raises:
        ProvisionError: apt knows none, or the variable does not hold an address that apt can fetch from.
    """
    chosen = os.environ.get(_MIRROR_VARIABLE) or None
    if chosen is None:
        template = "$(SITE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)"
        finished = commands.run(["apt-get", "indextargets", "--format", template], deadline_s=60)
        if finished.status != 0:
            raise ProvisionError(
                "apt on this machine cannot read its own configuration",
                evidence=tuple(line for line in finished.lines if line.startswith("E:")) or finished.lines[-3:],
                cause="apt-broken",
            )
        chosen = choose_site(finished.lines, _methods())
    if chosen is None:
        raise ProvisionError(
            "apt on this machine knows no Debian mirror to fetch QEMU from",
            hint=f"on Debian: sudo apt-get update. Elsewhere: {_MIRROR_VARIABLE}=ADDRESS of a Debian mirror",
            cause="no-mirror",
        )
    if not _fetchable(chosen, _methods()):
        raise ProvisionError(
            f"{_MIRROR_VARIABLE}={chosen!r} is not the address of a mirror that apt can fetch from",
            hint=f"{_MIRROR_VARIABLE}=http://HOST/debian",
            cause="no-mirror",
        )
    # apt uses the packages of a file: archive where they are; here they have to be in its cache.
    return re.sub(r"^file:", "copy:", chosen)


def _methods() -> frozenset[str]:
    """Return apt's ways of fetching: each is a program in a folder of its own."""
    finished = commands.run(["apt-config", "shell", "folder", "Dir::Bin::methods/d"], deadline_s=60)
    found = re.search(r"folder='(.*)'", finished.text)
    folder = Path(found[1] if found else "/usr/lib/apt/methods")
    return frozenset(path.name for path in folder.glob("*")) - _NOT_BY_ITSELF


def _fetchable(site: str, methods: Collection[str]) -> bool:
    address = _ADDRESS.fullmatch(site)
    return address is not None and address["method"] in methods


def choose_site(lines: Iterable[str], methods: Collection[str]) -> str | None:
    """Return the first site of Debian's main archive among apt's index targets, one on the network first, or None.

    Each line is ``SITE|ORIGIN|LABEL|COMPONENT``. The label tells the main archive from the security one, which has
    neither the stable suite nor its backports. ``methods`` are apt's ways of fetching.
    """
    told = (line.rsplit("|", 3) for line in lines)
    sites = [site.rstrip("/") for site, *rest in told if rest == ["Debian", "Debian", "main"]]
    usable = [site for site in sites if _fetchable(site, methods)]
    # A folder or a disc of this machine rarely has the suites that are wanted.
    return next(iter(sorted(usable, key=lambda site: site.startswith(("file:", "copy:")))), None)


def carried_apt_options(dump: Iterable[str]) -> tuple[str, ...]:
    """Return the options of ``apt-config dump`` that say how to reach a mirror: proxies, certificates, time limits.

    mmdebstrap's apt does not read this machine's configuration, and nothing else of it is carried over: least of all
    what takes less than the archive's own keys for good.
    """
    matches = (_CARRIED_APT_OPTIONS.fullmatch(line) for line in dump)
    return tuple(f'{match["key"]} "{match["value"]}"' for match in matches if match)


def _passwords() -> tuple[str, ...]:
    """Return the options that lead to this machine's passwords for mirrors, where this user may read them."""
    wanted = {"Dir::Etc::netrc": "f", "Dir::Etc::netrcparts": "d"}
    asked = [word for key, kind in wanted.items() for word in (key.rpartition("::")[2], f"{key}/{kind}")]
    told = re.findall(
        r"^(\w+)='(.+)'$", commands.run(["apt-config", "shell", *asked], deadline_s=60).text, re.MULTILINE
    )
    return tuple(f'Dir::Etc::{name} "{path}"' for name, path in told if os.access(path, os.R_OK))


def apt_options() -> tuple[str, ...]:
    """Return what of this machine's apt configuration says how to reach the archive."""
    return (*carried_apt_options(commands.run(["apt-config", "dump"], deadline_s=60).lines), *_passwords())


def archive_keyring() -> Path:
    """Return the file with the Debian archive's keys, which are there once :func:`require_tools` has returned."""
    return next(path for path in _KEYRINGS if path.exists())


def fetch_error(what: str, site: str, said: str) -> ProvisionError:
    """Return the error of a failed fetch from a mirror, with what apt said of it."""
    host = urllib.parse.urlsplit(site).hostname or site  # without a password, if one is in it
    lines = said.splitlines()
    causes = [line for line in lines if line.startswith(("E:", "Err:"))]
    return ProvisionError(
        f"{what} from {host}",
        hint=fetch_hint(said),
        evidence=tuple(causes[:6] or lines[-6:]),
        cause="disk-full" if "No space left" in said else "fetch-failed",
    )


def fetch_hint(output: str) -> str:
    """Return what fixes a failed fetch, from what apt said; the general advice when nothing is recognised."""
    another = f"choose another mirror: {_MIRROR_VARIABLE}=http://HOST/debian"
    install = "sudo apt-get update && sudo apt-get install -y debian-archive-keyring"
    known = {
        r"NO_PUBKEY|is not signed|couldn't be verified|signatures were invalid|EXPKEYSIG|Missing key": install,
        r"is expired|is not valid yet|Valid-Until": f"set this machine's clock, or {another}",
        r"No space left": "free 1 GB where the cache is, or set COLO_BENCH_CACHE to a folder with room",
        r"Unable to locate package|have a Release file|404": f"it lacks the stable suite or its backports: {another}",
    }
    return next((hint for cause, hint in known.items() if re.search(cause, output)), f"check the network, or {another}")
