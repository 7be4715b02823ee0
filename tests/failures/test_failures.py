"""The catalogue against the code: what is raised is in it, what is in it is raised, the document is made from it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bench import errors
from bench.errors import BenchError, GuestError, QmpError, StoreError
from bench.failures.catalogue import CATALOGUE, CAUSES
from bench.failures.cause import Phase, Trait
from bench.failures.document import document
from bench.failures.words import RULES
from bench.system.exits import MEANINGS, Exit

CHECKOUT = Path(__file__).parents[2]
SOURCES = [
    path
    for path in sorted((CHECKOUT / "bench").rglob("*.py"))
    if path.parent.name != "failures" or "words" in path.name
]
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BenchError)}
REQUIRED = (
    "qemu-missing",
    "qemu-not-executable",
    "colo-probe",
    "colo-hang",
    "colo-completed",
    "kvm",
    "unknown-cpu",
    "unknown-device",
    "unknown-option",
    "host-memory",
    "host-disk",
    "qemu-no-memory",
    "sides-differ",
    "nbd-export-missing",
    "replication-missing",
    "port-taken",
    "guest-panic",
    "guest-not-ready",
    "workload-died",
    "client-refused",
    "client-silent",
    "client-failed",
    "client-hung",
    "qmp-timeout",
    "qmp-garbled",
    "qmp-lost",
    "qemu-killed",
    "qemu-oom-killed",
    "qemu-exited",
    "qemu-hung",
    "checkpoint-stuck",
    "colo-exit",
    "trace-event-unknown",
    "trace-empty",
    "trace-torn",
    "disk-full",
    "read-only",
    "privilege-missing",
    "clock-stepped",
    "campaign-locked",
    "plan-unreadable",
    "ledger-unreadable",
    "cache-broken",
    "guest-image-broken",
    "netns-lost",
    "link-down",
    "process-stuck",
)
"""What a person who runs campaigns overnight has to be told by its name."""


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield the strings that an expression may give: its constants, but for those that it only compares with."""
    if isinstance(tree, ast.Constant):
        yield from [tree.value] if isinstance(tree.value, str) and tree.value else ()
    elif isinstance(tree, ast.IfExp):
        yield from texts(tree.body)
        yield from texts(tree.orelse)
    elif isinstance(tree, ast.BoolOp):
        for value in tree.values:
            yield from texts(value)
    elif isinstance(tree, ast.Call):  # a look-up in a table, which is a table of causes itself: its default
        for value in tree.args[1:]:
            yield from texts(value)


def causes_of(tree: ast.AST) -> Iterator[str]:
    """Yield every cause that a module names: where it raises or records one, in variables and in tables of them."""
    for node in ast.walk(tree):
        targets = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        if (isinstance(node, ast.keyword) and node.arg == "cause") or "cause" in targets:
            yield from texts(node.value)
        elif any("CAUSES" in name for name in targets):
            yield from (text for part in ast.walk(node.value) for text in texts(part))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"refused", "_rule"}:
            yield from texts(node.args[1 if node.func.id == "refused" else 0])


def defaults_of(tree: ast.AST) -> Iterator[str]:
    """Yield the cause of every error that is made without naming one."""
    for node in ast.walk(tree):
        made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS
        if made and not any(keyword.arg == "cause" for keyword in node.keywords):
            yield KINDS[node.func.id].cause


def named() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for cause in (*causes_of(tree), *defaults_of(tree)):
            found.setdefault(cause, set()).add(path.name)
    return found


def test_the_scan_finds_causes_wherever_they_are_named() -> None:
    code = """
cause = "one"
_CAUSES = {1: "two"}
raise HostError("x", cause="three" if y == "no" else "four")
raise HostError("x", cause=_CAUSES.get("no", "five") or "six")
raise StoreError("x")
"""
    tree = ast.parse(code)
    assert set(causes_of(tree)) == {"one", "two", "three", "four", "five", "six"}
    assert list(defaults_of(tree)) == ["store-failed"]


def test_every_cause_that_the_code_names_is_in_the_catalogue() -> None:
    assert {cause: where for cause, where in named().items() if cause not in CATALOGUE} == {}


def test_every_cause_of_the_catalogue_is_raised_somewhere() -> None:
    assert set(CATALOGUE) - set(named()) == set()


def test_every_kind_of_error_has_a_cause_of_the_catalogue() -> None:
    assert {kind.cause for kind in KINDS.values()} <= set(CATALOGUE)


def test_the_catalogue_has_every_cause_that_it_was_asked_to_have() -> None:
    assert [name for name in REQUIRED if name not in CATALOGUE] == []


def test_names_are_distinct_and_every_entry_is_complete() -> None:
    assert len(CATALOGUE) == len(CAUSES)
    for cause in CAUSES:
        assert cause.phases
        assert len(set(cause.phases)) == len(cause.phases)
        assert cause.meaning.endswith(".")
        assert cause.proof.endswith(".")
        assert cause.fix
        assert not cause.fix.endswith(".")


def test_what_only_a_run_asks_of_far_hosts_arises_at_its_launch_too() -> None:
    asked = ("architecture", "far-address", "far-qemu-differs", "host-memory", "tune-missing", "tune-refused")
    assert [name for name in asked if Phase.LAUNCH not in CATALOGUE[name].phases] == []


def test_every_phase_has_a_cause() -> None:
    assert {phase for cause in CAUSES for phase in cause.phases} == set(Phase)


def test_what_qemus_words_mean_is_in_the_catalogue() -> None:
    assert {rule.cause for rule in RULES} <= set(CATALOGUE)


def test_an_error_takes_its_hint_and_whether_it_may_pass_from_the_catalogue() -> None:
    error = QmpError("no answer", cause="qmp-timeout")
    assert (error.hint, error.transient) == (CATALOGUE["qmp-timeout"].fix, True)
    assert (StoreError("x", cause="disk-full").transient, GuestError("x").transient) == (False, True)


def test_what_a_failure_quotes_does_nothing_to_a_terminal() -> None:
    error = GuestError("it said \x1b[2J\r\n", evidence=("\x1b]0;title\x07", "a\tb \N{SNOWMAN}"))
    assert str(error).splitlines()[:3] == ["it said \\x1b[2J", "  | \\x1b]0;title\\x07", "  | a\tb \N{SNOWMAN}"]
    assert "\x1b" not in error.message


def test_what_the_raise_site_knows_better_stands() -> None:
    error = GuestError("panic", cause="guest-panic", hint="", transient=False)
    assert (error.hint, error.transient) == ("", False)


def test_what_it_takes_to_understand_an_error_is_in_the_catalogue() -> None:
    by_trait = {trait: {cause.name for cause in CAUSES if trait in cause.traits} for trait in Trait}
    assert by_trait[Trait.SILENT] < by_trait[Trait.LATE]
    assert not by_trait[Trait.SILENT] & by_trait[Trait.BROKEN]
    assert all(by_trait.values())
    assert QmpError("no answer", cause="qmp-timeout").has(Trait.LATE)
    assert not QmpError("no", cause="qmp-refused").has(Trait.LATE)
    assert not BenchError("odd", cause="never-heard-of").has(Trait.LATE)


def test_a_name_that_the_catalogue_lacks_hides_nothing_and_is_not_tried_again() -> None:
    error = BenchError("odd", cause="never-heard-of")
    assert (str(error), error.hint, error.transient) == ("odd", "", False)


def test_the_document_is_what_the_code_gives() -> None:
    assert (CHECKOUT / "docs" / "failures.md").read_text() == document(MEANINGS.items()), "make docs"


def test_the_document_has_every_cause_once_and_every_exit_status() -> None:
    lines = document(MEANINGS.items()).splitlines()
    assert sorted(line.removeprefix("### ") for line in lines if line.startswith("### ")) == sorted(CATALOGUE)
    assert all(f"| {int(status)} | {MEANINGS[status]} |" in lines for status in Exit)


def test_the_readme_names_every_exit_status_and_no_other() -> None:
    _, _, rest = (CHECKOUT / "README.md").read_text().partition("The exit status is ")
    sentence = rest.partition("\n\n")[0]
    assert {int(number) for number in re.findall(r"\b\d+\b", sentence)} == set(Exit)
    assert "traceback" in sentence
