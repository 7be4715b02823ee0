"""Which releases of QEMU the archive has, and what a name means: as apt says it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fixtures.provisioned import script, silent

from bench.errors import ProvisionError
from bench.provision import archive, mirror
from bench.provision.__main__ import listing
from bench.provision.archive import Offer, Refusal, ask_archive, choose, find_offer, known_offers, parse_madison

SITE = "http://mirror.example/debian"
MADISON = f"""
qemu-system-x86 | 1:11.1.3+ds-1~bpo13+1 | {SITE} trixie-backports/main amd64 Packages
qemu-system-x86 | 1:10.0.13+ds-0+deb13u1 | {SITE} trixie/main amd64 Packages
qemu-system-x86 | 1:10.0.2+ds-2+deb13u1~bpo12+1 | {SITE} bookworm-backports/main amd64 Packages
qemu-system-x86 | 1:7.2+dfsg-7+deb12u18+b3 | {SITE} bookworm/main amd64 Packages
      qemu | 1:7.2+dfsg-7+deb12u18 | {SITE} bookworm/main Sources
qemu-system-x86 | 1:9.9+x | {SITE} unheard-of/main amd64 Packages
N: Unable to locate package other
"""
OFFERS = tuple(parse_madison(MADISON.splitlines()))


def test_apts_answer_is_read_and_other_suites_are_passed_over() -> None:
    assert [(one.suite, one.release, one.name) for one in OFFERS] == [
        ("trixie-backports", "11.1.3", "11.1"),
        ("trixie", "10.0.13", "10.0"),
        ("bookworm-backports", "10.0.2", "10.0"),
        ("bookworm", "7.2", "7.2"),
        ("bookworm", "7.2", "7.2"),
    ]


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("10.0", "trixie"),
        ("10.0.2", "bookworm-backports"),
        ("10", "trixie"),
        ("7.2", "bookworm"),
        ("11.1.3", "trixie-backports"),
        ("1", None),
        ("10.0.1", None),
    ],
)
def test_a_name_means_the_newest_release_that_it_begins(name: str, suite: str | None) -> None:
    found = choose(name, OFFERS)
    assert (found.suite if found else None) == suite


def test_a_release_in_a_settled_suite_comes_before_the_same_in_a_newer_one() -> None:
    offers = (Offer("sid", "1:11.1.3+ds-1"), Offer("trixie-backports", "1:11.1.3+ds-1~bpo13+1"))
    assert choose("11.1", offers) == offers[1]


def test_only_sources_are_taken_from_a_list_past_its_date() -> None:
    assert list(archive.source_lines("packages", SITE, Path("/k"), ("sid",))) == [
        f"deb [signed-by=/k] {SITE} sid main\n"
    ]
    assert list(archive.source_lines("sources", SITE, Path("/k"), ("sid",))) == [
        f"deb-src [signed-by=/k check-valid-until=no] {SITE} sid main\n"
    ]


@pytest.fixture
def fake_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a FAKE apt, which notes what it is asked and under which configuration."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script(
        folder / "apt-get",
        "import os, pathlib, sys\n"
        "conf = pathlib.Path(os.environ['APT_CONFIG']).read_text()\n"
        f"pathlib.Path({str(tmp_path / 'asked')!r}).write_text(' '.join(sys.argv[1:]) + chr(10) + conf)\n"
        f"print('E: Release file for {SITE}/dists/sid/InRelease is expired (invalid since 22d).')\n"
        "sys.exit(100)\n",
    )
    script(folder / "apt-cache", f"print({MADISON!r})")
    script(folder / "apt-config", "print('Acquire::http::Proxy \"http://proxy.example:3142\";')")
    script(folder / "mmdebstrap", "")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLO_BENCH_MIRROR", SITE)
    (tmp_path / "keys.gpg").write_text("")
    monkeypatch.setattr(mirror, "_KEYRINGS", (tmp_path / "keys.gpg",))
    return folder


def test_the_archive_is_asked_with_a_configuration_of_our_own_and_its_answer_remembered(
    fake_apt: Path, tmp_path: Path
) -> None:
    offers, refused = ask_archive("packages", silent)
    assert offers == known_offers("packages")
    assert set(offers) == set(OFFERS)
    assert list(offers) == sorted(offers, key=Offer.order)
    assert refused == (Refusal("sid", "Release file for sid/InRelease is expired (invalid since 22d)."),)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("update\n")
    assert 'Dir::Etc::parts "/dev/null";' in asked
    assert 'Acquire::http::Proxy "http://proxy.example:3142";' in asked
    (fake_apt / "apt-get").unlink()
    assert find_offer("10.0", "packages", silent).suite == "trixie"


def test_a_release_that_nobody_has_is_refused_with_those_that_there_are(fake_apt: Path) -> None:
    with pytest.raises(ProvisionError, match=r"no packages of QEMU 4\.2") as caught:
        find_offer("4.2", "packages", silent)
    assert caught.value.cause == "release-unknown"
    assert "10.0.13" in caught.value.hint
    assert fake_apt


def test_an_archive_that_cannot_be_read_is_an_error_and_no_empty_answer(fake_apt: Path, tmp_path: Path) -> None:
    script(fake_apt / "apt-cache", "")
    with pytest.raises(ProvisionError, match="could not be read") as caught:
        ask_archive("packages", silent)
    assert "expired" in caught.value.evidence[0]
    assert not (tmp_path / "cache/archive/packages.json").exists()


def test_an_answer_that_is_damaged_is_none(fake_apt: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache/archive/packages.json"
    place.parent.mkdir(parents=True)
    place.parent.parent.chmod(0o700)
    for text in ("", "[]", json.dumps({"offers": 3}), json.dumps({"offers": [3, {"suite": "sid"}]})):
        place.write_text(text)
        assert known_offers("packages") == ()
    odd = [{"suite": "unheard-of", "version": "1:12.0"}, {"suite": "sid", "version": "odd"}]
    place.write_text(json.dumps({"offers": [*odd, {"suite": "trixie", "version": "1:10.0.13+ds-0"}]}))
    assert choose("10", known_offers("packages")) == Offer("trixie", "1:10.0.13+ds-0")
    assert fake_apt


def test_the_list_says_how_each_release_is_had() -> None:
    sources = (Offer("sid", "1:10.2.2+ds-1"), Offer("trixie", "1:10.0.13+ds-0+deb13u1"))
    lines = list(listing(OFFERS, sources, (Refusal("sid", "Release file for sid is expired"),)))
    rows = {line.split()[0]: line.split() for line in lines[1:-1]}
    assert rows["10.0.2"] == ["10.0.2", "10.0.2", "bookworm-backports", "-"]
    assert rows["10.0.13"] == ["10.0.13", "10.0", "trixie", "trixie"]
    assert rows["10.2.2"] == ["10.2.2", "10.2", "-", "sid"]
    assert lines[-1] == "no packages from sid: Release file for sid is expired"
