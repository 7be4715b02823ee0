"""Worker processes that end when the process which started them does, however it ends."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """Have this worker end as soon as its parent has: an initialiser of pools.

    A pool's workers wait for work on a pipe whose other end each of them holds too, so that a killed parent would leave
    them waiting for ever.
    """
    threading.Thread(target=_follow, name="end-with-parent", daemon=True).start()


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
