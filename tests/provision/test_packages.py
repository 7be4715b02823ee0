from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.provisioned import script, silent

from bench.errors import ProvisionError
from bench.provision import mirror, packages
from bench.provision.__main__ import main as provision
from bench.provision.cache import cache_folder

METHODS = frozenset({"http", "https", "file", "copy", "mirror+file", "mirror+http"})
KEYRING = Path("/keys/debian.gpg")
SITE = "http://mirror.example/debian"
GUEST = packages.GUEST
QEMU = packages.wanted_qemu("trixie-backports")
PROGRAMS = (*GUEST.programs, *QEMU.programs, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")


NO_MODULES = '{"sha256": {}, "packages": {}}'
FAKE_MMDEBSTRAP = """
import pathlib, sys
root = pathlib.Path(next(word for word in sys.argv[1:] if word.startswith("/")))
def put(name, text="x"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
for name in {watched!r}:
    put(name)
put("usr/lib/modules/9.9.9-amd64/vmlinuz")
for name in {include!r}:
    put("var/cache/apt/archives/" + name + "_1%3a2.0+ds-1_amd64.deb")
print("I: extracting archives...")
"""


@pytest.fixture
def fake_tools(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - set before
    """A PATH on which fetching meets fakes: no network, a tree in no time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = FAKE_MMDEBSTRAP.format(watched=PROGRAMS, include=(*GUEST.include, *QEMU.include))
    script(folder / "mmdebstrap", fake)
    script(folder / "apt-config", "print('Acquire \"\";')")
    script(folder / "apt-get", f"print('{SITE}|Debian|Debian|main')")
    script(folder / "gcc", "")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("COLO_BENCH_MIRROR", raising=False)
    (tmp_path / "keys.gpg").write_text("")
    monkeypatch.setattr(mirror, "_KEYRINGS", (tmp_path / "keys.gpg",))
    return folder


def test_the_site_is_the_main_archives_never_the_security_one() -> None:
    lines = (
        "http://a.example/debian-security|Debian|Debian-Security|main",
        "http://b.example/debian|Debian|Debian Backports|main",
        "http://c.example/other|Other|Other|main",
        "http://d.example/debian/|Debian|Debian|main",
        "http://e.example/debian|Debian|Debian|main",
    )
    assert mirror.choose_site(lines, METHODS) == "http://d.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "http://a.example|Ubuntu|Ubuntu|main",
        "cdrom:[disc]|Debian|Debian|main",
        "x|$(ORIGIN)",
        "tor+http://a.example/debian|Debian|Debian|main",
    ],
)
def test_no_site_is_found_where_apt_knows_no_debian_mirror(line: str) -> None:
    assert mirror.choose_site([line], METHODS) is None


@pytest.mark.parametrize(
    "site",
    [
        "mirror+file:/etc/apt/mirrors/debian.list",
        "mirror+http://a.example/list",
        "file:/srv/debian",
        "file:///srv/debian",
        "copy:/srv/debian",
        "https://user:word@a.example:8080/debian",
        "http://[2001:db8::1]/debian",
    ],
)
def test_whatever_this_apt_can_fetch_from_is_a_site(site: str) -> None:
    assert mirror.choose_site([f"{site}|Debian|Debian|main"], METHODS) == site


def test_the_network_comes_before_a_folder_of_this_machine() -> None:
    lines = ("file:/media/disc|Debian|Debian|main", "http://d.example/debian|Debian|Debian|main")
    assert mirror.choose_site(lines, METHODS) == "http://d.example/debian"


def test_an_archive_in_a_folder_is_copied_from_so_that_its_packages_are_on_record(
    fake_tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(fake_tools / "apt-get", "print('file:/srv/debian|Debian|Debian|main')")
    assert mirror.mirror() == "copy:/srv/debian"
    monkeypatch.setenv("COLO_BENCH_MIRROR", "file:///srv/debian")
    assert mirror.mirror() == "copy:///srv/debian"


@pytest.mark.parametrize("site", ["mirror+file:/etc/apt/mirrors/debian.list", "file:/srv/debian", "http://a.example"])
def test_the_set_up_and_the_fetch_see_the_same_mirrors(site: str, fake_tools: Path, tmp_path: Path) -> None:
    target = f"{site}|Debian|Debian|main"
    script(fake_tools / "apt-get", f"print({target!r})")
    assert mirror.mirror().removeprefix("copy:") == site.removeprefix("file:")
    done = set_up_here(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("site", ["cdrom:[Debian_13]/", "tor+http://a.example/debian"])
def test_the_set_up_and_the_fetch_see_the_same_lack_of_a_mirror(site: str, fake_tools: Path, tmp_path: Path) -> None:
    script(fake_tools / "apt-get", f"print({f'{site}|Debian|Debian|main'!r})")
    with pytest.raises(ProvisionError, match="knows no Debian mirror"):
        mirror.mirror()
    assert "knows no Debian mirror" in set_up_here(tmp_path).stderr


def set_up_here(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run what the set-up does before it looks for Python."""
    set_up = (Path(__file__).parents[2] / "setup.sh").read_text().partition("# $PYTHON")[0]
    shutil.copy(Path(__file__).parents[2] / "apt.sh", tmp_path)
    (tmp_path / "mirror.sh").write_text(set_up)
    return subprocess.run(("sh", tmp_path / "mirror.sh"), capture_output=True, text=True, timeout=60, check=False)


def test_the_mirror_variable_overrides_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_MIRROR", SITE)
    assert mirror.mirror() == SITE


@pytest.mark.parametrize(
    "value", ["[trusted=yes] http://a.example", "gopher://a.example", "a.example", "http://a.example main\ndeb x"]
)
def test_a_mirror_that_is_not_an_address_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLO_BENCH_MIRROR", value)
    with pytest.raises(ProvisionError, match="is not the address of a mirror that apt can fetch from"):
        mirror.mirror()


def test_an_apt_that_cannot_read_its_configuration_is_quoted(
    fake_tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (fake_tools / "apt-get").unlink()  # the real one
    (tmp_path / "apt.conf").write_text("Acquire::http::proxy http://a.example\n")
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(ProvisionError, match="cannot read its own configuration") as caught:
        mirror.mirror()
    assert caught.value.cause == "apt-broken"
    assert f"{tmp_path / 'apt.conf'}:2" in caught.value.evidence[0]


def test_a_machine_without_a_debian_mirror_is_told_the_variable(fake_tools: Path) -> None:
    script(fake_tools / "apt-get", "print('http://a.example|Ubuntu|Ubuntu|main')")
    with pytest.raises(ProvisionError) as caught:
        mirror.mirror()
    assert caught.value.cause == "no-mirror"
    assert "COLO_BENCH_MIRROR" in caught.value.hint


def test_the_command_accepts_the_debian_keys_only_and_no_insecure_archive() -> None:
    argv = packages.mmdebstrap_argv(
        QEMU, SITE, Path("/cache/tree"), KEYRING, ('Acquire::http::Proxy "http://proxy:1"',)
    )
    assert argv == (
        "mmdebstrap",
        "--variant=extract",
        "--mode=chrootless",
        "--architectures=amd64",
        "--include=qemu-system-x86,qemu-utils",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=APT::Default-Release "trixie-backports"',
        '--aptopt=Acquire::Retries "3"',
        '--aptopt=Acquire::http::Proxy "http://proxy:1"',
        "--skip=check/signed-by,cleanup/apt/cache",
        "trixie",
        "/cache/tree",
        "deb [signed-by=/keys/debian.gpg] http://mirror.example/debian trixie main",
        "deb [signed-by=/keys/debian.gpg] http://mirror.example/debian trixie-backports main",
    )


def test_only_the_way_to_the_network_is_carried_over_from_this_machines_apt() -> None:
    dump = (
        'Acquire "";',
        'Acquire::AllowInsecureRepositories "1";',
        'Acquire::http::Proxy "http://proxy.example:3142";',
        'Acquire::http::Proxy::mirror.example "DIRECT";',
        'acquire::HTTP::proxy "http://small.example:1";',
        'Acquire::http::ProxyAutoDetect "/usr/bin/auto-apt-proxy";',
        'Acquire::http::Pipeline-Depth "0";',
        'Acquire::ForceIPv4 "true";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
        'Acquire::https::verify-host "false";',
        'Acquire::https::Verify-Peer "false";',
        'APT::Get::AllowUnauthenticated "true";',
    )
    assert mirror.carried_apt_options(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3142"',
        'Acquire::http::Proxy::mirror.example "DIRECT"',
        'acquire::HTTP::proxy "http://small.example:1"',
        'Acquire::http::ProxyAutoDetect "/usr/bin/auto-apt-proxy"',
        'Acquire::http::Pipeline-Depth "0"',
        'Acquire::ForceIPv4 "true"',
        'Acquire::https::CaInfo "/etc/ssl/own.pem"',
    )


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("E: ... NO_PUBKEY 6ED0E7B82643E131", "debian-archive-keyring"),
        ("E: Release file is expired (invalid since 3d)", "clock"),
        ("E: write error: No space left on device", "free 1 GB"),
        ("E: Unable to locate package qemu-system-x86", "another mirror"),
        ("Err:1 Temporary failure resolving", "check the network"),
    ],
)
def test_a_failed_fetch_names_its_fix(said: str, hint: str) -> None:
    assert hint in mirror.fetch_hint(said)


def test_a_package_files_name_tells_the_exact_version() -> None:
    name = "qemu-system-x86_1%3a11.1.3+ds-1~bpo13+1_amd64.deb"
    assert packages.package_version(name) == ("qemu-system-x86", "1:11.1.3+ds-1~bpo13+1")


def test_a_tree_that_was_never_fetched_is_not_there(cache: Path) -> None:
    assert packages.installed_tree(GUEST) is None
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_fetched_tree_is_complete_recorded_and_found_again(fake_tools: Path) -> None:
    told: list[str] = []
    tree = packages.fetch_tree(GUEST, told.append)
    assert tree == packages.installed_tree(GUEST)
    assert set(dict(tree.packages).values()) == {"1:2.0+ds-1"}
    assert set(GUEST.include) <= set(dict(tree.packages))
    assert tree.kernel_release == "9.9.9-amd64"
    assert "packages: extracting archives" in told
    assert not (tree.root / "var/cache/apt/archives").exists()
    (fake_tools / "mmdebstrap").unlink()
    assert packages.fetch_tree(GUEST, silent) == tree


def test_a_failed_fetch_leaves_nothing_and_says_why(fake_tools: Path, cache: Path) -> None:
    script(fake_tools / "mmdebstrap", FAKE_MMDEBSTRAP.format(watched=["a"], include=[]) + "\nsys.exit('E: no Release')")
    with pytest.raises(ProvisionError) as caught:
        packages.fetch_tree(GUEST, silent)
    assert caught.value.cause == "fetch-failed"
    assert caught.value.evidence == ("E: no Release",)
    assert "mirror.example" in caught.value.message
    assert [path.name for path in cache.iterdir()] == [f"fetch-{packages.tree_folder(GUEST).name}.lock"]


def test_a_tree_without_a_wanted_package_is_refused(fake_tools: Path, cache: Path) -> None:
    script(fake_tools / "mmdebstrap", FAKE_MMDEBSTRAP.format(watched=PROGRAMS, include=["cpio"]))
    with pytest.raises(ProvisionError, match="lacks linux-image-amd64"):
        packages.fetch_tree(GUEST, silent)
    assert [path.name for path in cache.iterdir()] == [f"fetch-{packages.tree_folder(GUEST).name}.lock"]


WAITS_FOR_ANOTHER = """
import pathlib, time
began = pathlib.Path({folder!r})
(began / str(time.time_ns())).touch()
end = time.monotonic() + 60
while len(list(began.iterdir())) < {wanted} and time.monotonic() < end:
    time.sleep(0.02)
"""


def test_trees_that_are_missing_are_fetched_at_the_same_time(fake_tools: Path, tmp_path: Path) -> None:
    (tmp_path / "began").mkdir()
    fake = FAKE_MMDEBSTRAP.format(watched=PROGRAMS, include=(*GUEST.include, *QEMU.include))
    script(fake_tools / "mmdebstrap", WAITS_FOR_ANOTHER.format(folder=str(tmp_path / "began"), wanted=2) + fake)
    began = time.monotonic()
    packages.fetch_trees((QEMU, GUEST), silent)
    assert packages.installed_tree(QEMU)
    assert packages.installed_tree(GUEST)
    assert time.monotonic() - began < 50  # each has met the other
    (fake_tools / "mmdebstrap").unlink()
    packages.fetch_trees((QEMU, GUEST), silent)


def test_where_one_tree_cannot_be_fetched_the_other_is_not_waited_for(fake_tools: Path, cache: Path) -> None:
    fails = 'import sys, time\nif "cpio" in " ".join(sys.argv): sys.exit("E: no Release")\ntime.sleep(60)\n'
    script(fake_tools / "mmdebstrap", fails)
    began = time.monotonic()
    with pytest.raises(ProvisionError) as caught:
        packages.fetch_trees((QEMU, GUEST), silent)
    assert caught.value.evidence == ("E: no Release",)
    assert time.monotonic() - began < 30
    assert {path.suffix for path in cache.iterdir()} == {".lock"}


@pytest.mark.usefixtures("fake_tools")
def test_a_file_changed_after_the_fetch_is_noticed() -> None:
    tree = packages.fetch_tree(GUEST, silent)
    (tree.root / "usr/bin/busybox").write_text("other")
    with pytest.raises(ProvisionError, match="changed afterwards: usr/bin/busybox") as caught:
        packages.installed_tree(GUEST)
    assert str(tree.root) in caught.value.hint
    assert caught.value.cause == "cache-broken"


@pytest.mark.usefixtures("fake_tools")
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"sha256": {}}', '{"sha256": [], "packages": {}}', NO_MODULES])
def test_a_tree_whose_manifest_is_damaged_is_fetched_anew(damage: str) -> None:
    tree = packages.fetch_tree(GUEST, silent)
    (tree.root / packages._MANIFEST).write_text(damage)
    assert packages.installed_tree(GUEST) is None
    assert packages.fetch_tree(GUEST, silent) == tree


def test_a_fetch_that_a_full_disk_ended_is_named_so(fake_tools: Path) -> None:
    script(fake_tools / "mmdebstrap", "#!/bin/sh\necho 'E: write error: No space left on device'\nexit 1\n")
    with pytest.raises(ProvisionError) as caught:
        packages.fetch_tree(GUEST, silent)
    assert (caught.value.cause, caught.value.transient) == ("disk-full", False)


def test_a_library_changed_after_the_fetch_is_noticed_too(fake_tools: Path) -> None:
    more = 'put("usr/lib/x86_64-linux-gnu/qemu/accel.so")\nput("usr/share/seabios/bios.bin")\n'
    tools = (fake_tools / "mmdebstrap").read_text()
    script(fake_tools / "mmdebstrap", tools.partition("\n")[2] + more)
    tree = packages.fetch_tree(GUEST, silent)
    (tree.root / "usr/lib/x86_64-linux-gnu/qemu/accel.so").write_text("other")
    with pytest.raises(ProvisionError, match=r"changed afterwards: usr/lib/x86_64-linux-gnu/qemu/accel\.so"):
        packages.installed_tree(GUEST)


def test_a_kernel_module_changed_after_the_fetch_is_noticed_when_a_guest_is_made_of_it(fake_tools: Path) -> None:
    tools = (fake_tools / "mmdebstrap").read_text()
    script(fake_tools / "mmdebstrap", tools.partition("\n")[2] + 'put("usr/lib/modules/9.9.9-amd64/net/e1000.ko.xz")\n')
    tree = packages.fetch_tree(GUEST, silent)
    tree.require_modules()
    module = tree.modules / "net" / "e1000.ko.xz"
    for change in (lambda: module.write_text("other"), module.unlink):
        change()
        with pytest.raises(ProvisionError, match=r"changed afterwards: usr/lib/modules/9\.9\.9-amd64") as caught:
            tree.require_modules()
        assert caught.value.cause == "cache-broken"


@pytest.mark.usefixtures("cache")
def test_missing_tools_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mirror, "_KEYRINGS", (tmp_path / "none.gpg",))
    assert "apt-get" not in mirror.tools_hint(["mmdebstrap"])
    assert "qemu=system guest=bare" in mirror.tools_hint(["mmdebstrap"])
    assert "qemu=/path/to/another" in mirror.tools_hint(["mmdebstrap"])  # else a QEMU without COLO leads back here
    (tmp_path / "apt-get").touch(mode=0o755)
    with pytest.raises(ProvisionError) as caught:
        packages.fetch_tree(GUEST, silent)
    assert caught.value.cause == "tools-missing"
    assert "apt-get install -y mmdebstrap gcc" in caught.value.hint
    assert "debian-archive-keyring" in caught.value.hint


@pytest.mark.parametrize(
    ("folder", "says", "named"),
    [("usr/lib/x86_64-linux-gnu", "--argv0", ("--argv0", "qemu-img")), ("lib/x86_64-linux-gnu", "", ())],
)
def test_a_program_of_the_tree_runs_through_the_trees_own_loader(
    folder: str, says: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    loader = tmp_path / folder / "ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.write_text(says)
    assert packages.Tree(tmp_path, ()).program("usr/bin/qemu-img", argv0="qemu-img") == (
        str(loader),
        "--library-path",
        str(loader.parent),
        *named,
        str(tmp_path / "usr/bin/qemu-img"),
    )


def test_a_settled_suite_is_fetched_alone_and_backports_over_it() -> None:
    assert packages.wanted_qemu("bookworm").suites == ("bookworm",)
    assert QEMU.suites == ("trixie", "trixie-backports")


@pytest.mark.usefixtures("fake_tools")
def test_a_qemu_is_fetched_without_a_guest() -> None:
    tree = packages.fetch_tree(QEMU, silent)
    assert packages.installed_tree(GUEST) is None
    assert (tree.root / "usr/lib/x86_64-linux-gnu/qemu-bundle").resolve() == tree.root
    (tree.root / "usr/lib/x86_64-linux-gnu/qemu-bundle").unlink()
    with pytest.raises(ProvisionError, match="changed afterwards"):
        packages.installed_tree(QEMU)


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_real_packages_are_verified_and_recorded() -> None:
    tree = packages.fetch_tree(QEMU, silent)
    assert tree.version("qemu-system-x86").startswith("1:1")
    assert tree.version("zlib1g")
    manifest = json.loads((tree.root / "colo-bench.json").read_text())
    assert {*QEMU.programs, "usr/lib/x86_64-linux-gnu/libc.so.6"} < set(manifest["sha256"])


def test_the_command_says_cause_and_fix_when_it_cannot_provision(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = cache / "qemu"
    assert provision(["--qemu", str(absent)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == f"colo-bench: qemu={absent}: {absent} does not exist"
    assert said.err.splitlines()[1].startswith("  fix: ")


@pytest.mark.parametrize("release", ["", "newest", "10.2+own", "-1"])
def test_a_source_that_is_no_release_is_wrong_usage_and_nothing_is_fetched(
    release: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        provision([f"--source={release}"])
    assert ended.value.code == 2
    assert "is no release; write 10.2" in capsys.readouterr().err


def test_quiet_says_what_there_is_and_nothing_on_the_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(kind: str, say: Callable[[str], None]) -> tuple[tuple[()], tuple[()]]:
        say(f"asking for {kind}")
        return (), ()

    monkeypatch.setattr("bench.provision.__main__.ask_archive", asked)
    assert provision(["--list", "--quiet"]) == 0
    answer = capsys.readouterr().out
    assert provision(["--list"]) == 0
    assert capsys.readouterr().out == f"asking for packages\nasking for sources\n{answer}"
    assert answer.startswith("release")


@pytest.mark.provisioned
@pytest.mark.shares
def test_the_command_ends_with_versions_hashes_and_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert provision([]) == 0
    said = capsys.readouterr().out.splitlines()
    ended = said[-11:]
    assert [line.split()[0] for line in ended[::2]] == ["QEMU", "kernel", "initramfs", "bare", "nodelay", "folder"]
    assert [len(line.split()[1]) for line in ended[1::2]] == [64] * 5
    assert ended[-1].endswith(str(cache_folder()))
