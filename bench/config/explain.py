"""Turns what Hydra, OmegaConf and pydantic refuse into one sentence: the key, the value, what is legal."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from pydantic import ValidationError

from bench.config.hypotheses import Hypothesis
from bench.errors import ConfigError
from bench.system.files import is_folder
from bench.system.places import CONF

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pydantic_core import ErrorDetails

HELP = "python -m bench --help lists every group, key and default"
_SPELLING = "write KEY=VALUE, or KEY=A,B,C for a sweep; other signs want quotes, twice in a shell: \"KEY='a~b'\""
_DASHES = ("\N{EN DASH}", "\N{EM DASH}", "\N{MINUS SIGN}", "\N{HYPHEN}")
_HYPHEN = "that is no hyphen, as an editor or a page has put it there: write -m, or --cfg"
_QUOTES = frozenset(
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
)
_UNIX_ENDS = r"sed -i 's/\r$//' SCRIPT"
_NO_VARIABLE = re.compile(r"KeyError raised while resolving interpolation: \"(Environment variable '(.+)' not found)\"")
_ASKED_BY = re.compile(r"In '(?!config')([^']+)':")
"""How Hydra says whose list of defaults asks for something."""

_OF_FILES: Mapping[str, str] = {
    r"Invalid defaults list in '([^']+)'": "its defaults are no list; write - GROUP: CHOICE on a line for each",
    r"In '([^']+)': ConfigTypeError": "it has a list where keys belong, or keys where a list belongs",
    r"In '([^']+)': Could not override": "what it overrides is no group; write - override /GROUP: CHOICE",
    r"In (?:')?([\w/.-]+?)'?: Too many keys in default": "one - GROUP: CHOICE on a line of its defaults",
}
"""What Hydra says of a file that it could read, in words for who wrote it."""

_LONGEST = 80
_WRITABLE = 1 << 256


def unknown(key: str, what: str, legal: Collection[str], inside: Collection[str] = ()) -> ConfigError:
    """Return the refusal of a name that is not one of the legal ones; ``inside``: where it is one, by dotted path."""
    near = sorted(inside) or difflib.get_close_matches(key.rpartition("=")[2].rpartition(".")[2], list(legal), n=1)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return ConfigError(f"unknown {what} {key}; {guess}legal: {', '.join(sorted(legal))}", hint=HELP)


def _inside(tree: DictConfig, key: str) -> list[str]:
    """Return the paths of a key in the groups of a configuration: who types ``interval`` means that of checkpoints."""
    groups = {str(name): one for name, one in tree.items_ex(resolve=False) if isinstance(one, DictConfig)}
    return [f"{name}.{key}" for name, one in groups.items() if name != "hydra" and key in one]


def explain_composition(error: Exception, place: str = "") -> ConfigError:
    """Return the refusal that an error of Hydra or OmegaConf stands for; ``place``: file and line, where known."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _missing(str(error.missing_cfg_file), _ASKED_BY.search(str(error)), error.options)
    if isinstance(error, OverrideParseException):
        return ConfigError(f"cannot read {error.override!r}", hint=_mend(str(error.override)))
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(cause.parent_node, DictConfig):
        legal = {str(key) for key in cause.parent_node} - {"hydra", str(cause.key)}
        if legal:
            key = str(cause.full_key)
            return unknown(key, "key", legal, () if "." in key else _inside(cause.parent_node, key))
    said = " ".join(str(error).partition("full_key:")[0].split()) or "Hydra does not understand it"
    for form, words in _OF_FILES.items():
        if found := re.search(form, said):
            return ConfigError(f"{found[1]}.yaml: {words}", hint="as the files of conf/ do")
    if lacking := _NO_VARIABLE.search(said):
        name = lacking[2]
        hint = f"export {name}=VALUE, or write ${{oc.env:{name},DEFAULT}}"
        return ConfigError(f"{place}: {lacking[1]}" if place else lacking[1], hint=hint)
    adds = "append" in said or "looks like a config group" in said or "Multiple values for" in said
    return ConfigError(
        f"{place}: {said}" if place else f"the configuration cannot be composed: {said}",
        hint=f"what exists is set without a leading +, in a file by - override /GROUP: CHOICE; {HELP}"
        if adds
        else HELP,
    )


def _mend(word: str) -> str:
    """Return what mends a word that cannot be read: often it holds a sign that is not seen."""
    if word.startswith(_DASHES):
        return _HYPHEN
    if "\r" in word:
        return f"the script that says it has the line ends of Windows: {_UNIX_ENDS}"
    foreign = next((sign for sign in word if sign in _QUOTES or (sign != " " and not sign.isprintable())), "")
    if foreign:
        name = unicodedata.name(foreign, "a control character").lower()
        return f"it holds a sign ({name}) that an editor or a page has put there: type it anew"
    return _SPELLING


def _missing(name: str, asked_by: re.Match[str] | None, options: Collection[str]) -> ConfigError:
    group, _, choice = name.partition("/")
    if asked_by and asked_by[1].startswith(f"{group}/") and "/" in choice:
        line = choice.replace("/", ": ")
        said = f"{asked_by[1]}.yaml: - {line} under defaults asks for a file of {group}/"
        return ConfigError(said, hint=f"write - override /{line}")
    by = f" (asked for by {asked_by[1]}.yaml)" if asked_by else ""
    refusal = unknown(f"{group}={choice}{by}", "choice", options)
    if "/" not in choice and not choice.endswith(".yaml"):
        return refusal
    hint = f"name it without folder and ending; one of your own lies in --config-dir DIR as DIR/{group}/NAME.yaml"
    return ConfigError(refusal.message, hint=hint)


def explain_values(
    error: ValidationError,
    tree: Mapping[str, Any],
    prefix: tuple[str, ...] = (),
    place: Callable[[str, Any], str] = lambda _key, _value: "",
    typed: Callable[[str, Any], str] = lambda _key, _value: "",
) -> ConfigError:
    """Return the refusal of illegal values: one line per value, with the file and line that it stands in, if in one.

    Args:
        error: what pydantic found.
        tree: the whole configuration that was validated, for the legal keys beside an unknown one.
        prefix: where in the tree the validated part stands.
        place: gives the file and line of a key with its value; empty for what was typed.
        typed: gives a key's value as it was written, where it is read as something else; empty where it is not known.
    """
    lines = []
    for detail in error.errors():
        key = ".".join((*prefix, *map(str, detail["loc"])))
        message = _explain_one(detail, tree, prefix, typed).message
        written = place(key, typed(key, detail["input"]) or detail["input"])
        lines.append(f"{written}: {message}" if written else message)
    return ConfigError("\n".join(lines), hint=HELP)


def _explain_one(
    detail: ErrorDetails, tree: Mapping[str, Any], prefix: tuple[str, ...], typed: Callable[[str, Any], str]
) -> ConfigError:
    where = (*prefix, *(str(part) for part in detail["loc"]))
    key, value = ".".join(where), detail["input"]
    nested = detail.get("ctx", {}).get("error")
    if isinstance(nested, ValidationError):
        return explain_values(nested, tree, where, typed=typed)
    if detail["type"] == "extra_forbidden":
        legal = Hypothesis.model_fields if where[0] == "hypotheses" else _beside(tree, where[:-1])
        return unknown(key, "key", {str(one) for one in legal} - {where[-1]})
    if key == "experiment":
        return ConfigError(f"{key}={_shown(value)}: an experiment is called by the name of its file, without a folder")
    if len(where) == 1 and isinstance(value, str) and is_folder(CONF / key):
        choice = _shown(value)
        fix = f"write - override /{key}: {choice} under defaults, or {key}: {choice} in hydra.sweeper.params"
        return ConfigError(f"{key}={choice}: a choice is no value; {fix}")
    message = _sentence(_MESSAGES.get(detail["type"], _as_it_is)(detail))
    if isinstance(value, dict | list):
        return ConfigError(f"{key}: {message}" if key else message)
    text = typed(key, value)
    if text and message.startswith(repr(value)):
        message = f"{text}{message.removeprefix(repr(value))}"
    return ConfigError(f"{key}={_shown(text or value)}: {message}")


def _as_it_is(detail: ErrorDetails) -> str:
    return detail["msg"].removeprefix("Value error, ")


def _at_least(detail: ErrorDetails) -> str:
    least = detail["ctx"]["ge"]
    return f"should be at least {least >> 20}M" if least and not least % (1 << 20) else f"should be at least {least}"


def _list(detail: ErrorDetails) -> str:
    return f"should be a list: write [{_shown(detail['input'])}], or [A,B]"


def _keys_of_its_own(detail: ErrorDetails) -> str:
    return f"it has keys of its own: write {'.'.join(map(str, detail['loc']))}.NAME=VALUE"


_MESSAGES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "greater_than_equal": _at_least,
    "less_than_equal": lambda detail: f"should be at most {detail['ctx']['le']}",
    "literal_error": lambda detail: _as_it_is(detail).replace("False", "false"),
    "tuple_type": _list,
    "model_type": _keys_of_its_own,
}
"""What pydantic says as its library would, said as it is typed here."""


def _beside(tree: Mapping[str, Any], path: tuple[str, ...]) -> Collection[Any]:
    """Return the keys of the mapping at a path of a configuration; the files list every legal one."""
    found: Any = tree
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else ()


def _sentence(message: str) -> str:
    """Return pydantic's message as the rest of a sentence, and our own as it is."""
    starts = {"Input should": "should", "String should": "should", "Field required": "missing"}
    return next(
        (end + message.removeprefix(start) for start, end in starts.items() if message.startswith(start)), message
    )


def _shown(value: object) -> str:
    """Return a value as it is typed, on one line and not at any length."""
    if isinstance(value, int) and abs(value) > _WRITABLE:
        return "a number of many digits"
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}"
