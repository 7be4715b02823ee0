"""Whether colo-compare compared what the guests sent: what it could not read or had to drop protects nobody.

Source: ``net/colo-compare.c`` (QEMU 5.1 to 11.1): ``colo_compare_main`` says "unsupported packet" of what is no IP
packet where it looks for one, as of every packet whose virtio header it does not expect; ``colo_compare_drop_packet``
tells of a full queue. ARP is such a packet too, rightly: the primary's is let through and comes seldom. The secondary's
goes nowhere, and a virtio card has its guest send some after every checkpoint that it loads
(``virtio_net_post_load_device``), so that only the primary's are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.format.phases import COMPARED, DROPPED

if TYPE_CHECKING:
    from bench.config.model import Cell
    from bench.measure.trace import Trace

UNSUPPORTED = "unsupported packet"

_FROM_PRIMARY = f"primary: {UNSUPPORTED}"
_ARP_AT_FIRST, _ARP_PER_S = 16, 2.0
_QUEUE_OF_QEMU = 1024


def comparison_failures(trace: Trace, cell: Cell) -> tuple[str, ...]:
    """Return why a run's packets were not compared, one line each with the setting that mends it.

    Args:
        trace: the primary's, with :data:`DROPPED` and the event that tells what was compared.
        cell: what was asked for.
    """
    count: Counter[str] = Counter()
    for _, kind in trace:
        if kind.event == DROPPED:
            count[DROPPED] += 1
        elif kind.event == COMPARED and kind.values and _FROM_PRIMARY in kind.values[0]:
            count[UNSUPPORTED] += 1
    seconds = float(trace.times_us[-1] - trace.times_us[0]) / 1e6 if len(trace) else 0.0
    found = []
    if count[UNSUPPORTED] > _ARP_AT_FIRST + _ARP_PER_S * seconds:
        words = f"colo-compare could not read {count[UNSUPPORTED]} packets ({UNSUPPORTED}), which protects nothing"
        found.append(f"{words}: {_header_hint(cell)}")
    if count[DROPPED]:
        size = cell.compare.max_queue_size or _QUEUE_OF_QEMU
        words = f"colo-compare dropped {count[DROPPED]} packets, as its queues hold {size}"
        found.append(f"{words}: set compare.max_queue_size={4 * size}, or a lower rate")
    return tuple(found)


def _header_hint(cell: Cell) -> str:
    if cell.compare.vnet_hdr:
        # On a tap the card then has the header for tunnels, which is longer than the one that colo-compare knows.
        return "set compare.vnet_hdr=false, so that packets have no header of the card's"
    return "use devices=rtl8139, whose packets have no header of their own"
