"""The cache folder: whose it is, where it is, and what is made in it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from fixtures.provisioned import silent

from bench.errors import ProvisionError
from bench.provision.cache import cache_folder, locked, made, making
from bench.system.places import home_folder


def test_a_cache_that_others_may_write_to_is_refused(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(ProvisionError, match="can be written to by others") as caught:
        cache_folder()
    assert f"chmod go-w {cache}" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder to another user needs root")
@pytest.mark.parametrize(("number", "name"), [(1, "daemon"), (54321, "user 54321")])
def test_a_cache_of_somebody_else_names_the_owner_and_the_two_ways_out(cache: Path, number: int, name: str) -> None:
    cache.mkdir(mode=0o755)
    os.chown(cache, number, number)
    with pytest.raises(ProvisionError, match=f"{cache} belongs to {name}, .* you are root") as caught:
        cache_folder()
    assert caught.value.hint.startswith(f"run it as {name}, or set COLO_BENCH_CACHE to a folder of your own")
    assert "chmod" not in caught.value.hint


def test_a_user_without_a_home_is_told_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLO_BENCH_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(ProvisionError, match=r"~/\.cache/colo-bench is no path here") as caught:
        cache_folder()
    assert "COLO_BENCH_CACHE" in caught.value.hint


def test_a_cache_that_would_depend_on_where_one_stands_is_not_taken_from_xdg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLO_BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/colo-bench"


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_absolute_path_is_none(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    assert str(home_folder()) == pwd.getpwuid(os.getuid()).pw_dir


@pytest.mark.parametrize("name", ["a:b", "a,b", 'a"b', "a$b", "a\nb"])
def test_a_cache_whose_name_the_loader_would_split_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / name))
    with pytest.raises(ProvisionError, match="in its name") as caught:
        cache_folder()
    assert "\n" not in caught.value.message


def test_the_cache_follows_the_usual_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLO_BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/colo-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/colo-bench"


@pytest.mark.usefixtures("cache")
def test_a_second_process_waits_for_the_first_and_says_so() -> None:
    told: list[str] = []
    with (
        locked("packages", silent),
        pytest.raises(ProvisionError, match="has held"),
        locked("packages", told.append, 0.3),
    ):
        pass
    assert told == ["waiting: another process is making the same (packages)"]


def test_what_a_killed_fetch_left_half_made_is_removed_by_the_next_one(cache: Path) -> None:
    final = cache / "packages-0a1b"
    left, other = cache / "packages-0a1b.x7", cache / "packages-ffff.x7"
    for path in (left, other):
        (path / "usr").mkdir(parents=True)
    with making(final) as partial:
        assert sorted(cache.iterdir()) == sorted([partial, other])
        assert partial.stat().st_mode & 0o777 == 0o700
        (partial / "whole").touch()
    assert sorted(cache.iterdir()) == sorted([final, other])
    assert (final / "whole").exists()


def test_what_fails_while_it_is_made_leaves_what_was_there(cache: Path) -> None:
    final = cache / "packages-0a1b"
    final.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), making(final):
        raise ZeroDivisionError
    assert list(cache.iterdir()) == [final]


def test_what_is_there_is_not_made_again_and_what_is_not_there_afterwards_is_told(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    final, calls = cache / "guest-0a1b", list[Path]()

    def there() -> str | None:
        return "whole" if (final / "manifest").exists() else None

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "manifest").touch()

    assert [made(final, there, make) for _ in range(2)] == ["whole", "whole"]
    assert len(calls) == 1
    with pytest.raises(ProvisionError, match="vanished while it was made"):
        made(cache / "guest-ffff", lambda: None, make)
