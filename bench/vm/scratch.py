"""A probe's folder: gone when the probe has answered, but what a failed one wrote is kept to be read."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.provision.cache import cache_folder
from bench.system.sockets import socket_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def probe_folder(purpose: str) -> Iterator[Path]:
    """Provide a scratch folder; the logs that a failure names are kept in the cache, until the next.

    Raises:
        BenchError: what the block raises; its logs are where they are kept.
    """
    with socket_folder("probe") as folder:
        try:
            yield folder
        except BenchError as error:
            error.logs = tuple(_kept(log, folder, purpose) for log in error.logs)
            raise


def _kept(log: Path, folder: Path, purpose: str) -> Path:
    if not log.is_relative_to(folder) or not log.is_file():
        return log
    place = cache_folder() / "failed-probe" / purpose / log.relative_to(folder)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shutil.copyfile(log, place)
