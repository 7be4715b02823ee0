"""The small values of a session; the session itself is tested with real pairs."""

from __future__ import annotations

from bench.pair.host import LocalHost, NetnsHost
from bench.run.session import screen_text, workload_figures


def test_reports_of_the_guest_become_a_rate_over_the_whole_run() -> None:
    reports = [{"seconds": 1.0, "bytes": 20_000_000}, {"seconds": 3.0, "bytes": 40_000_000}]
    assert workload_figures(reports) == {"reports": 2, "guest_seconds": 4.0, "achieved_mb_s": 15.0}


def test_a_guest_that_reports_nothing_has_no_figures() -> None:
    assert workload_figures([]) == {}


def test_a_screen_is_told_as_the_command_that_shows_it() -> None:
    screen = {"host": "127.0.0.1", "service": "5900", "enabled": True}
    assert screen_text("primary", screen, LocalHost()) == "primary: screen: vncviewer 127.0.0.1::5900"
    inside = "primary: screen: nsenter --net=/proc/7/ns/net -- vncviewer 127.0.0.1::5900"
    assert screen_text("primary", screen, NetnsHost(7, "192.0.2.1")) == inside
