"""What the bill of materials of a release is made of: the locked packages that ship, and none that only develops."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement

from bench.system.places import PACKAGES
from tools.materials import VENDORED, completed
from tools.runtime import normal, runtime

LOCK = (PACKAGES / "requirements.txt").read_text()
PROJECT = tomllib.loads((PACKAGES / "pyproject.toml").read_text())["project"]
INVENTED = """\
alpha==1.0 \\
    --hash=sha256:aa
    # via colo-bench (pyproject.toml)
beta.one==2.0 \\
    --hash=sha256:bb \\
    --hash=sha256:bc
    # via
    #   alpha
    #   pytest
gamma==3.0 \\
    --hash=sha256:cc
    # via beta-one
pytest==9.0 \\
    --hash=sha256:dd
    # via colo-bench (pyproject.toml)
via==1.0 \\
    --hash=sha256:ee
    # via pytest

# The following packages are considered to be unsafe in a requirements file:
pip==26.0 \\
    --hash=sha256:ff
    # via pytest
"""


def names(text: str) -> list[str]:
    return [normal(line) for line in text.splitlines() if re.match(r"\w", line)]


def test_what_is_needed_all_the_way_down_is_kept_as_it_is_locked() -> None:
    assert runtime(INVENTED, ["Alpha>=0.5"]) == INVENTED.partition("pytest==")[0]
    assert names(runtime(INVENTED, ["alpha", "pytest"])) == names(INVENTED)
    with pytest.raises(ValueError, match="not in the lock: delta"):
        runtime(INVENTED, ["alpha", "delta>=1"])


def needed(name: str, known: set[str]) -> set[str]:
    """Return what an installed package says that it needs here, all the way down."""
    for line in requires(name) or ():
        one = Requirement(line)
        if (one.marker is None or one.marker.evaluate({"extra": ""})) and normal(one.name) not in known:
            known.add(normal(one.name))
            needed(one.name, known)
    return known


def test_the_list_that_ships_holds_what_the_packages_say_they_need_and_nothing_of_the_extras() -> None:
    shipped = set(names(runtime(LOCK, PROJECT["dependencies"])))
    assert needed("colo-bench", set()) - shipped == set()
    extras = {normal(one) for each in PROJECT["optional-dependencies"].values() for one in each}
    assert shipped & extras == set()
    assert shipped < set(names(LOCK))


def test_the_bill_says_of_which_version_it_is_what_needs_what_and_what_the_wheel_has_copies_of() -> None:
    listed = [{"name": name, "bom-ref": f"L{name}"} for name in ("alpha", "beta.one", "gamma")]
    bare = {"metadata": {"component": {"name": "colo-bench", "bom-ref": "root"}}, "components": listed}
    bill = completed(bare, "1.2.3", runtime(INVENTED, ["alpha"]), VENDORED.read_text())
    assert bill["metadata"]["component"]["version"] == "1.2.3"
    copied = bill["components"][len(listed) :]
    assert [(one["name"], one["licenses"]) for one in copied] == [
        ("uplot", [{"license": {"id": "MIT"}}]),
        ("crossfilter2", [{"license": {"id": "Apache-2.0"}}]),
    ]
    files = {file["name"] for one in copied for file in one["components"]}
    assert files == {path.name for path in VENDORED.parent.iterdir()} - {VENDORED.name}
    assert {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]} == {
        "root": ["Lalpha", *sorted(one["bom-ref"] for one in copied)],
        "Lalpha": ["Lbeta.one"],
        "Lbeta.one": ["Lgamma"],
        "Lgamma": [],
        **{one["bom-ref"]: [] for one in copied},
    }


def test_a_release_attaches_the_bill_of_what_ships() -> None:
    script = (PACKAGES / "tests" / "release.sh").read_text()
    assert "tools.runtime > dist/requirements.txt" in script
    assert "cyclonedx-py requirements dist/requirements.txt" in script
    assert "tools.materials dist\n" in script
    jobs = yaml.safe_load((PACKAGES / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    [attached] = [step["run"] for job in jobs.values() for step in job["steps"] if "gh release" in step.get("run", "")]
    assert "dist/*" in attached


def test_a_release_is_checked_by_the_python_of_the_set_up() -> None:
    # `make release PYTHON=python3.12` is for a machine whose python3 is too old.
    script = (PACKAGES / "tests" / "release.sh").read_text()
    assert [line for line in script.splitlines() if line.startswith("python")] == []
