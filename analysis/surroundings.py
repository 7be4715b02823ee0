"""What stands around a report does not choose how its figures look, or whether there are any: import it first.

Matplotlib takes its backend and its settings from variables, from a ``matplotlibrc`` of the current folder, and from
the user's own folder of settings and styles; what it cannot read there ends its import.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path


def _own_folder() -> str:
    """Return where matplotlib keeps what it found out about fonts, beside nobody's settings."""
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):  # a user without a home: matplotlib then takes a temporary folder
        return str((shared if shared.is_absolute() else Path("~", ".cache").expanduser()) / "colo-bench-figures")
    return os.devnull


def _import_matplotlib() -> None:
    """Import it with another current folder than the user's, whose ``matplotlibrc`` comes before every other."""
    here = -1
    with suppress(OSError):  # a current folder that is gone
        here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    os.chdir(Path(__file__).parent)
    try:
        import matplotlib  # noqa: F401, ICN001, PLC0415 - here and now
    finally:
        if here != -1:
            os.fchdir(here)
            os.close(here)


os.environ.pop("SOURCE_DATE_EPOCH", None)  # packagers set it; numpy and matplotlib read it, and trip over odd ones
for _name in [one for one in os.environ if one.startswith(("FREETYPE_", "FONTCONFIG_"))]:
    del os.environ[_name]  # how letters are drawn, by which the axes are laid out, and which fonts there are
os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull, "MPLCONFIGDIR": _own_folder()}
logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where its folder cannot be made it works without
_import_matplotlib()
