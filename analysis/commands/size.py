"""``python -m analysis size --ram 32G ...``: what COLO would cost a machine, from what a campaign measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import amounts
from analysis.commands.terminal import console, print_json, reported
from analysis.errors import path_of
from analysis.format.factors import size_text
from analysis.frames import read
from analysis.process.words import Parser
from analysis.text import count_text, ms_text, percent_text, short_text, tenths_text
from analysis.verdicts.sizing import NotCarriedError, Wanted, costs, sizing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from analysis.verdicts.sizing import Sizing

_REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "size_sweep"


def main(arguments: Sequence[str]) -> int:
    """Return 0, 1 when the campaign measured nothing, 2 on wrong usage or when the data cannot carry the answer."""
    parser = Parser(
        prog="python -m analysis size",
        description="Say what COLO would cost a machine: pause, time paused, link, memory. Ends with 0, or 2 for wrong "
        "usage or a machine that the data cannot speak of.",
    )
    parser.add_argument("--ram", type=amounts.size, required=True, help="of the guest, such as 32G")
    parser.add_argument("--dirty-rate", type=amounts.rate, required=True, help="new dirty memory, such as 200MB/s")
    parser.add_argument("--link", type=amounts.link, required=True, help="between the hosts, such as 10gbit")
    parser.add_argument("--interval", type=amounts.duration, required=True, help="between checkpoints, such as 500ms")
    parser.add_argument(
        "--from",
        dest="source",
        type=path_of,
        metavar="CAMPAIGN",
        help="where costs were measured (in a clone, if not given: results/reference/size_sweep, emulated)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    options = parser.parse_args(arguments)
    return reported(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    source = options.source or _REFERENCE
    if options.source is None and not source.is_dir():
        raise NotCarriedError("no campaign was given: name one with --from, measured where COLO is to run")
    wanted = Wanted(int(options.ram), options.dirty_rate, options.link, options.interval)
    answer = sizing(costs(read(source).runs), wanted)
    if options.json:
        print_json(to_tree(answer))
        return 0
    out = console()
    for line in lines(answer):
        out.print(line, soft_wrap=True)
    return 0


def lines(answer: Sizing) -> Iterator[str]:
    """Yield the answer as a person reads it."""
    wanted, known = answer.wanted, answer.costs
    yield (
        f"{size_text(wanted.ram_bytes)}, {wanted.dirty_bytes_per_s / 1e6:g} MB/s dirtied, a checkpoint every "
        f"{1e3 * wanted.interval_s:g} ms, under {known.under}:"
    )
    yield (
        f"  pause               {ms_text(1e3 * answer.pause_s)} ms, 95 % interval for a launch "
        f"[{ms_text(1e3 * answer.low_s)}, {ms_text(1e3 * answer.high_s)}]"
    )
    yield f"  dirty pages         {count_text(answer.pages)} per checkpoint"
    yield f"  paused              {tenths_text(answer.paused_share)} of the time"
    yield f"  link                {tenths_text(answer.link_share)} of {wanted.link_bits_per_s / 1e9:g} Gbit/s"
    yield f"  secondary's memory  {size_text(answer.secondary_bytes)}: its RAM and a cache of the same size"
    yield "  keeps up            " + _keeps_up(answer)
    for words in answer.words:
        yield f"note: {words}"


def _keeps_up(answer: Sizing) -> str:
    if math.isnan(answer.shortest_s):
        return "cannot be told: by these runs a checkpoint without dirty pages would take no time"
    return f"not at intervals of {ms_text(1e3 * answer.shortest_s)} ms or below" + (
        f"; paused half of the time at {ms_text(1e3 * answer.half_s)} ms"
        if answer.half_s is not None
        else f"; at this dirty rate no interval up to the {short_text(answer.all_s)} s in which all its RAM is dirty "
        f"brings the time paused below {percent_text(answer.least_share)}"
    )


def to_tree(answer: Sizing) -> dict[str, Any]:
    """Return the answer for a program: seconds, bytes and shares; a number that does not exist is null."""
    wanted, known = answer.wanted, answer.costs
    return {
        "ram_bytes": wanted.ram_bytes,
        "dirty_bytes_per_s": wanted.dirty_bytes_per_s,
        "link_bits_per_s": wanted.link_bits_per_s,
        "interval_s": wanted.interval_s,
        "campaign": known.campaign,
        "accel": known.accel,
        "under": known.under,
        "entry_s": known.entry_s,
        "page_s": known.page_s,
        "ram_s_per_gib": known.ram_s,
        "pause_s": {"estimate": answer.pause_s, "low": answer.low_s, "high": answer.high_s, "confidence": 0.95},
        "dirty_pages": answer.pages,
        "paused_share": answer.paused_share,
        "link_share": answer.link_share,
        "secondary_bytes": answer.secondary_bytes,
        "shortest_interval_s": answer.shortest_s,
        "half_paused_interval_s": answer.half_s,
        "least_paused_share": answer.least_share,
        "all_dirty_interval_s": answer.all_s,
        "notes": list(answer.words),
    }
