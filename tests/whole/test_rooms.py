"""The rooms stand on one another in one order, and the picture of them is that of the code."""

from __future__ import annotations

from itertools import chain

import pytest

from tools.rooms import CHECKOUT, ORDER, PAGE, SHARED, doors, floors, imports, modules, picture, room_of, with_picture


def test_no_room_uses_one_above_it() -> None:
    height = {room: place for place, room in enumerate(chain(*ORDER))}
    found = doors()
    assert set(found) == set(height), "a room has its place in tools/rooms.py, a new one too"
    rising = {
        f"{room} -> {other}" for room, others in found.items() for other in others if height[other] > height[room]
    }
    assert rising == set()


def test_rooms_form_no_circle() -> None:
    assert list(chain(*floors(doors())))


@pytest.mark.parametrize("package", ["bench", "analysis"])
def test_no_modules_form_a_circle_not_even_for_annotations(package: str) -> None:
    assert list(chain(*floors(modules(package))))


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


def test_what_measures_names_what_judges_to_start_it_and_to_find_its_files_alone() -> None:
    bench = CHECKOUT / "bench"
    named = {path.relative_to(bench).as_posix() for path in bench.rglob("*.py") if '"analysis"' in path.read_text()}
    assert named == {"cli.py", "run/analysis.py", "system/places.py"}


@pytest.mark.parametrize("shared", SHARED)
def test_what_both_share_uses_nothing_of_either(shared: str) -> None:
    assert [(module, name) for module, name in imports() if room_of(module) == shared != room_of(name)] == []


def test_the_picture_is_drawn_from_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_picture(text, picture(doors())), "python -m tools.rooms"
