"""What pyproject.toml cannot say: the project's addresses, which a clone knows and no file of it does."""

from __future__ import annotations

import re
import subprocess
from email.parser import HeaderParser
from pathlib import Path

from setuptools import setup

_HERE = Path(__file__).parent
_PAGES = {"Source": "", "Issues": "/issues", "Documentation": "/tree/HEAD/docs", "Changelog": "/blob/HEAD/CHANGELOG.md"}
_WEB = re.compile(
    r"(?:https?://(?:[^@/]*@)?|ssh://(?:[^@/]*@)?|[\w.-]+@)"
    r"(?P<host>[\w.-]+\.[a-z]+)(?::\d+)?[:/](?P<path>[\w./~-]+?)(?:\.git)?/?"
)


def addresses(origin: str) -> dict[str, str]:
    """Return the pages of a repository by its clones' origin; none where that is no host of the web."""
    match = _WEB.fullmatch(origin)
    return {name: f"https://{match['host']}/{match['path']}{page}" for name, page in _PAGES.items()} if match else {}


def known() -> dict[str, str]:
    """Return the addresses that a source archive was given, else those of the clone's origin."""
    archive = _HERE / "PKG-INFO"
    if archive.is_file():
        kept = HeaderParser().parsestr(archive.read_text(encoding="utf-8")).get_all("Project-URL") or []
        return dict(line.split(", ", 1) for line in kept)
    asked = ("git", "config", "--get", "remote.origin.url")
    try:
        return addresses(subprocess.run(asked, cwd=_HERE, capture_output=True, text=True, check=False).stdout.strip())
    except OSError:  # no git here
        return {}


if __name__ == "__main__":
    setup(project_urls=known())
