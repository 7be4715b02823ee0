"""The far end of a host: one program, of nothing but the standard library, that does there what a run asks for.

It is sent to the host as one archive, lies there under its hash, and is started as
``python3 -I agent-HASH.pyz WORKDIR LEASE``; :mod:`bench.host.booting` packs and starts it, the near end is
:mod:`bench.host.remote`. Both speak over its standard input and output, in frames: the length of a JSON object and that
of the bytes behind it (two big-endian 32-bit numbers), the object, the bytes. ``{"id", "op", ...}`` asks,
``{"id", "value"}`` or ``{"id", "errno", "text"}`` answers; ``{"chan"}`` carries bytes of a socket either way (none: its
end); ``{"event": ...}`` tells of what nobody asked for: a process that ended, one that was stopped, a piece of a file.

It adopts whatever its children leave behind (``PR_SET_CHILD_SUBREAPER``), and kills all of it when its input ends, when
nothing came for LEASE seconds (a cut link ends no input), or when it is told to go. Its folder goes with it. A folder
whose lock nobody holds was left by an agent that was killed: the next one on that host removes it and ends what carries
its name.

What can be asked for is a method ``op_NAME`` of one of its parts; :mod:`.serve` puts them together. Its modules import
each other by relative names, since the archive holds them without the rest of ours.

Python 3.9 or newer: a host's own is enough.
"""

from __future__ import annotations

import ctypes
import struct

FRAME = struct.Struct(">II")
GREETING = b"\0colo-bench agent 1\n"
MARK = "COLO_BENCH_FAR"
"""The environment variable that carries an agent's folder: everything that it has started is known by it."""

CHILD = "COLO_BENCH_CHILD"
"""The one that carries the number of the process that it belongs to."""

PIECE = 1 << 20
"""The most bytes that are read or written at once."""

PDEATHSIG, SUBREAPER = 1, 36
prctl = ctypes.CDLL(None, use_errno=True).prctl


class Later(Exception):  # noqa: N818 - no error: the answer comes when it is known
    """Raised by what will answer by itself."""
