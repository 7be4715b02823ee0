"""The rooms stand on one another in one order, and the picture of them is that of the code."""

from __future__ import annotations

from itertools import chain

import pytest

from tools.rooms import ORDER, PAGE, SHARED, doors, floors, imports, picture, room_of, with_picture


def test_no_room_uses_one_above_it() -> None:
    height = {room: place for place, room in enumerate(chain(*ORDER))}
    found = {room: others for room, others in doors().items() if room.startswith("bench") or room in SHARED}
    assert set(found) <= set(height), "a new room has its place in tools/rooms.py"
    rising = {
        f"{room} -> {other}" for room, others in found.items() for other in others if height[other] > height[room]
    }
    assert rising == set()


def test_rooms_form_no_circle() -> None:
    assert list(chain(*floors(doors())))


def test_a_circle_of_rooms_is_found() -> None:
    with pytest.raises(ValueError, match=r"in a circle: a\.x, a\.y"):
        floors({"a.x": {"a.y"}, "a.y": {"a.x"}, "a.z": set()})


def test_what_measures_and_what_judges_never_import_each_other() -> None:
    crossing = [
        (module, name)
        for module, name in imports()
        if {module.split(".")[0], name.split(".")[0]} == {"bench", "analysis"}
    ]
    assert crossing == []


@pytest.mark.parametrize("shared", SHARED)
def test_what_both_share_uses_nothing_of_either(shared: str) -> None:
    assert [(module, name) for module, name in imports() if room_of(module) == shared != room_of(name)] == []


def test_the_picture_is_drawn_from_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_picture(text, picture(doors())), "python -m tools.rooms"
