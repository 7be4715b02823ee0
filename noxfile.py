"""``nox -s tests-3.13``: the tests that need no QEMU, under that Python; ``nox`` alone under all of them.

A Python that is missing fails: a green ``nox`` has tried every one. uv, where there is one, fetches what is missing.
"""

from __future__ import annotations

import nox

nox.options.error_on_missing_interpreters = True
nox.options.default_venv_backend = "uv|venv"


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Install what a user gets, the newest of everything, and run the tests; ``-- -k NAME`` picks some."""
    session.install("-e", ".[dev]")
    beside_others = ["-n", "auto", "--dist", "loadfile", "-m", "not pair and not provisioned and not orphan"]
    for chosen in [session.posargs] if session.posargs else [beside_others, ["-m", "orphan"]]:
        session.run("python", "-m", "pytest", "-q", *chosen)
