"""Pages of the site that come from the code, and links of pages that lead out of ``docs/``."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import yaml
from mkdocs.structure.files import File
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from analysis import stats
from bench.cli import help_text
from bench.config.load import CAMPAIGN_KEYS, Settings
from bench.config.model import Cell
from bench.system.places import CONF
from bench.system.units import Unit
from bench.workload.base import Workload, registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_OUTWARD = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]*)(?:#[^)]*)?\)")
_DRAWN = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)
_SHOWN = 2
_SPELLINGS = "In a clone each has [another spelling](install.md#as-a-command)."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    made = {
        "reference/configuration.md": configuration(),
        "reference/statistics.md": statistics(),
        "commands.md": f"# Commands\n\n{_SPELLINGS}\n\n```text\n{help_text()}```\n",
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name what lies outside of the site by its path in the source; fail where it is not there."""

    def named(match: re.Match[str]) -> str:
        target = (ROOT / "docs" / page.file.src_path).parent.joinpath(match[2]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return match[0]
        if not target.exists():
            raise FileNotFoundError(f"{page.file.src_path}: {match[0]} leads nowhere")
        return f"{match[1]} (`{target.relative_to(ROOT)}`)"

    return _DRAWN.sub(_arrows, _OUTWARD.sub(named, markdown))


def _arrows(picture: re.Match[str]) -> str:
    """Return a picture as its arrows, a row for each beginning: what draws one would be fetched from elsewhere."""
    names = dict(re.findall(r"(\w+)\[(.+)\]", picture[1]))
    ends: dict[str, list[str]] = {}
    for one, other in re.findall(r"(\w+) --> (\w+)", picture[1]):
        ends.setdefault(names[one], []).append(f"→ `{names[other]}`")
    rows = (f"| `{name}` | {', '.join(each)} |" for name, each in ends.items())
    return "\n".join(("| from | to |", "| --- | --- |", *rows))


_ABOUT = (
    "A unit is that of the stored value; beside it stands how one is typed. A default is what holds where nothing is "
    "typed, by `config.yaml` and the choices that it names."
)
_TYPED = {
    "repeats": "`auto` or integer from 1 to 10000",
    "on_error": "`continue`, `stop` or `retry:N`",
    "hypotheses": "`auto`, `none` or [a list](../hypotheses.md)",
}
"""What people type where the value that it becomes is of another kind."""


def configuration() -> str:
    """Return every key with its legal values, unit and default, and the files of ``conf/`` whole."""
    defaults = dict(_defaults())
    files = "\n".join(
        f"## {path.relative_to(CONF)}\n\n```yaml\n{path.read_text()}```\n" for path in sorted(CONF.rglob("*.yaml"))
    )
    return "\n\n".join(
        (
            "# Every key",
            _ABOUT,
            "## Keys of a cell",
            _table(_keys(Cell, ""), defaults),
            *(_workload(name, kind) for name, kind in sorted(registry().items())),
            "## Keys of a campaign",
            "They hold for all of its runs and cannot be swept.",
            _table((row for row in _keys(Settings, "") if row[0].partition(".")[0] in CAMPAIGN_KEYS), defaults),
            "# The files",
            files,
        )
    )


def _workload(name: str, kind: type[Workload]) -> str:
    defaults = dict(_leaves(_file("workload", name), "workload."))
    return f"### workload={name}\n\n{_table(_keys(kind, 'workload.'), defaults)}"


def _table(rows: Iterable[tuple[str, str, str, Any]], defaults: Mapping[str, Any]) -> str:
    lines = [
        f"| `{key}` | {legal} | {unit} | {_default(defaults.get(key, default))} |" for key, legal, unit, default in rows
    ]
    return "\n".join(("| key | legal | unit | default |", "| --- | --- | --- | --- |", *lines))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, Any]]:
    """Yield each key below a model: its dotted path, what is legal, its unit, and the model's own default."""
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        inner, path = field.annotation, f"{prefix}{name}"
        if inner is Workload:  # a table for each kind
            continue
        whole = _model(inner)
        if whole and path not in _TYPED:
            yield from _keys(whole, f"{path}.")
        else:
            legal = _TYPED.get(path) or _legal(_resolved(schema["properties"][name], schema))
            yield path, legal, _unit(inner, field.metadata), field.get_default()


def _model(kind: object) -> type[BaseModel] | None:
    """Return the model that a type is, or may be."""
    kinds = get_args(kind) if NoneType in get_args(kind) else (kind,)
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _unit(kind: object, marks: Iterable[object] = ()) -> str:
    """Return the unit that a type is marked with, wherever in it the mark is: ``Size | None`` is in bytes too."""
    for one in (*marks, *get_args(kind)):
        if isinstance(one, Unit):
            return f"{one.name} (`{one.typed}`)" if one.typed else one.name
        if found := _unit(one):
            return found
    return ""


def _defaults() -> Iterator[tuple[str, Any]]:
    """Yield what ``config.yaml`` and the choices that it names set, by dotted path."""
    tree: dict[str, Any] = yaml.safe_load((CONF / "config.yaml").read_text())
    chosen = [entry for entry in tree.pop("defaults") if isinstance(entry, dict)]
    del tree["hydra"]
    for group, choice in (pair for entry in chosen for pair in entry.items()):
        if choice and not group.startswith("override"):
            yield from _leaves(_file(group, choice), f"{group}.")
    yield from _leaves(tree, "")


def _file(group: str, choice: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text())
    return content


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _default(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > _SHOWN:
        return f"a list of {len(value)}, below"
    return "" if value is PydanticUndefined else f"`{_word(value)}`"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=list)


def _resolved(field: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref", "").rpartition("/")[2]
    return root["$defs"][reference] if reference else field


def _legal(field: Mapping[str, Any]) -> str:
    if "const" in field:
        return f"`{_word(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_word(one)}`" for one in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_legal(one) for one in field["anyOf"]))
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    limits = " ".join(f"{word} {field[key]}" for key, word in bounds.items() if key in field)
    return f"{field.get('type', 'text')} {limits}".strip()


def statistics() -> str:
    """Return what ``analysis.stats`` and ``analysis.load`` offer, from their own docstrings."""
    parts = ["# Python\n\n`analysis.load(folder, ...)` reads campaigns; `examples/campaign.ipynb` shows it.\n"]
    from analysis import frames  # noqa: PLC0415 - pandas only where the page is made

    for module, names in ((frames, ("Frames", "read")), (stats, stats.__all__)):
        parts.append(f"## {module.__name__}\n")
        for name in sorted(names):
            thing = getattr(module, name)
            if not callable(thing):  # a constant, whose docstring would be that of its type
                parts.append(f"### {name}\n\n```text\n{name} = {thing!r}\n```\n")
                continue
            shown = f"{name}{inspect.signature(thing)}" if inspect.isfunction(thing) else name
            parts.append(f"### {name}\n\n```text\n{shown}\n\n{inspect.getdoc(thing) or ''}\n```\n")
    return "\n".join(parts)
