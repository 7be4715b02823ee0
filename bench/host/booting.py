"""How an agent is brought up on a far host: packed into one archive, whose hash is its name there, and started."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.host.reach import Reach

AGENT = Path(__file__).parent / "agent"
"""The agent's modules."""

_MAIN = b"from agent.serve import main\n\nmain()\n"

_BOOT = """
import hashlib, os, sys
def say(text):
    os.write(1, b"\\0colo-bench " + text.encode() + b"\\n")
if sys.version_info < (3, 9):
    say("old %d.%d.%d" % sys.version_info[:3])
    sys.exit(0)
work, digest, size, lease = sys.argv[1:]
work = os.path.realpath(os.path.expanduser(work))
path = os.path.join(work, "agent-" + digest[:16] + ".pyz")
def sound():
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest() == digest
    except OSError:
        return False
try:
    os.makedirs(work, 0o700, exist_ok=True)
    status = os.stat(work)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise OSError(1, "it is not yours alone (owner and mode), and programs are run from it")
    if not sound():
        say("need")
        got = b""
        while len(got) < int(size):
            piece = os.read(0, int(size) - len(got))
            if not piece:
                sys.exit(1)
            got += piece
        part = "%s.%d" % (path, os.getpid())
        try:
            with open(part, "wb") as file:
                file.write(got)
            os.rename(part, path)
        finally:
            if os.path.exists(part):
                os.unlink(part)
except OSError as error:
    say("refused %s: %s" % (work, error.strerror))
    sys.exit(0)
os.execv(sys.executable, [sys.executable, "-I", path, work, lease])
"""
"""What brings an agent up: it runs on any Python, to say which one it met."""


def packed() -> bytes:
    """Return the agent as an archive that a Python runs: of the same modules always the same bytes.

    It is not compressed: a far host's Python need not have zlib.
    """
    modules = {f"agent/{path.name}": path.read_bytes() for path in sorted(AGENT.glob("*.py"))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, source in {"__main__.py": _MAIN, **modules}.items():
            archive.writestr(zipfile.ZipInfo(name), source)  # its time is 1980
    return buffer.getvalue()


def boot_argv(reach: Reach, program: bytes) -> tuple[str, ...]:
    """Return what starts the agent on the far side: no shell finds anything to expand in it, not even csh."""
    boot = base64.b64encode(_BOOT.encode()).decode()
    code = f'import base64;exec(base64.b64decode("{boot}"))'
    digest = hashlib.sha256(program).hexdigest()
    return (reach.python, "-I", "-c", code, reach.workdir, digest, str(len(program)), f"{reach.lease_s:g}")
