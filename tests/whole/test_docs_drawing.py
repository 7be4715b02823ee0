"""The drawn checkpoint: every phase is on it, no label lies on another, and it has a dark dress."""

from __future__ import annotations

import re
from itertools import combinations
from typing import NamedTuple
from xml.etree.ElementTree import parse

from bench.format.phases import PHASES
from bench.system.places import PACKAGES

PATH = PACKAGES / "docs" / "images" / "checkpoint.svg"
SVG = "{http://www.w3.org/2000/svg}"
SIZE, WIDE = 12, 0.62  # a letter's mean width in its height, generously
ANCHORS = {"side": 0.0, "after": 0.0, "before": 1.0}


class Box(NamedTuple):
    text: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def written() -> list[Box]:
    boxes = []
    for one in parse(PATH).iter(f"{SVG}text"):  # noqa: S314 - our own file
        text, width = one.text or "", WIDE * SIZE * len(one.text or "")
        left = float(one.attrib["x"]) - ANCHORS.get(one.attrib.get("class", ""), 0.5) * width
        foot = float(one.attrib["y"])
        boxes.append(Box(text, left, foot - SIZE, left + width, foot + SIZE / 4))
    return boxes


def test_no_label_lies_on_another_or_beyond_the_edge() -> None:
    boxes = written()
    assert [(one.text, other.text) for one, other in combinations(boxes, 2) if one.meets(other)] == []
    _, _, wide, high = map(float, parse(PATH).getroot().attrib["viewBox"].split())  # noqa: S314 - our own file
    assert [box.text for box in boxes if box.left < 0 or box.top < 0 or box.right > wide or box.bottom > high] == []


def test_a_label_in_a_box_fits_into_it() -> None:
    rects = [one.attrib for one in parse(PATH).iter(f"{SVG}rect") if "x" in one.attrib]  # noqa: S314 - our own file
    spans = [(float(one["x"]), float(one["y"]), float(one["width"]), float(one["height"])) for one in rects]
    boxed = 0
    for box in written():
        middle = (box.left + box.right) / 2
        around = [(x, wide) for x, y, wide, high in spans if x < middle < x + wide and y < box.bottom < y + high]
        assert all(x <= box.left and box.right <= x + wide for x, wide in around), box.text
        boxed += bool(around)
    assert boxed >= len(PHASES)


def test_the_phases_stand_in_their_order() -> None:
    row = sorted((box.left, box.text) for box in written() if box.top == 97)
    assert [text for _, text in row if text in PHASES] == list(PHASES)


def test_it_is_readable_in_the_dark_and_fetches_nothing() -> None:
    text = PATH.read_text()
    light, dark = re.findall(r"svg \{ (--paper.*?) \}", text)
    names = [re.findall(r"--[a-z]+", each) for each in (light, dark)]
    assert names[0] == names[1]
    assert "prefers-color-scheme: dark" in text
    assert set(re.findall(r"var\((--[a-z]+)\)", text)) == set(names[0])
    assert re.findall(r"(?:href|src)=|https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert "images/checkpoint.svg" in (PACKAGES / "docs" / "explanation.md").read_text()
