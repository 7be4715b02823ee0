from __future__ import annotations

from fake_traces import DATA, T0_US, line, parse, primary_checkpoint, primary_start

from bench.format.phases import DEVICES, PRIMARY, SECONDARY
from bench.measure.devices import DEVICE_EVENTS, device_figures
from bench.measure.parts import EVENTS
from bench.measure.trace import read_trace


def test_real_traces_tell_what_each_device_costs() -> None:
    traces = {side: read_trace(DATA / f"{side}.trace.log", EVENTS[side] | DEVICE_EVENTS[side]) for side in EVENTS}
    figures = device_figures(traces[PRIMARY], traces[SECONDARY])
    assert set(figures) == {"save", "load"}
    # Two APICs: .884704 to .884725 and .884727 to .884739 at the first checkpoint.
    assert 0 < figures["save"]["apic"]["median_s"] < 0.001
    assert {"apic", "cpu", "0000:00:03.0/rtl8139"} <= set(figures["save"])
    assert {"apic", "cpu", "0000:00:03.0/rtl8139"} <= set(figures["load"])
    assert all(0 <= one["median_s"] <= one["max_s"] < 0.1 for part in figures.values() for one in part.values())


def test_a_device_of_which_one_instance_is_out_of_order_is_told_nothing_of() -> None:
    begins, ends = "savevm_section_start", "savevm_section_end"
    saved = [
        line(T0_US + at_us, event, f" {device}, section_id 1{' -> 0' if event == ends else ''}")
        for device, first_us, last_us in (("apic", 1061, 1070), ("apic", 1080, 1075), ("cpu", 1081, 1090))
        for event, at_us in ((begins, first_us), (ends, last_us))
    ]
    checkpoint = primary_checkpoint(T0_US + 1000, (10, 20, 30, 40, 50, 60, 70))
    wanted = EVENTS[PRIMARY] | DEVICE_EVENTS[PRIMARY]
    trace = parse([*primary_start(), *checkpoint[:4], *saved, *checkpoint[4:]], wanted)
    assert device_figures(trace, None) == {"save": {"cpu": {"median_s": 9e-6, "max_s": 9e-6}}}


def test_a_trace_without_devices_tells_nothing_of_them() -> None:
    lines = primary_start() + primary_checkpoint(1_795_421_240_400_000, (10, 20, 30, 40, 50, 60, 70))
    assert device_figures(parse(lines), None) == {}


def test_every_event_of_a_device_is_one_that_trace_devices_switches_on() -> None:
    asked = (DATA.parents[1] / "conf" / "trace" / "devices.yaml").read_text()
    assert [event.name for event in DEVICES if f"- {event.name}\n" not in asked] == []
