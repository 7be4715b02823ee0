"""Pages of the site that come from the code, and links of pages that lead out of ``docs/``."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

from analysis import stats
from bench.cli import help_text
from bench.config.model import Cell
from bench.system.places import CONF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_OUTWARD = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]*)(?:#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    made = {
        "reference/configuration.md": configuration(),
        "reference/statistics.md": statistics(),
        "commands.md": f"# Commands\n\nEach is also `python -m bench` or `analysis`.\n\n```text\n{help_text()}```\n",
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

    return _OUTWARD.sub(named, markdown)


def configuration() -> str:
    """Return every key with its type, legal values and default, and the files of ``conf/`` whole."""
    schema = Cell.model_json_schema()
    rows = "\n".join(f"| `{key}` | {kind} | {default} |" for key, kind, default in _keys(schema, schema, ""))
    files = "\n".join(
        f"## {path.relative_to(CONF)}\n\n```yaml\n{path.read_text()}```\n" for path in sorted(CONF.rglob("*.yaml"))
    )
    return (
        "# Configuration\n\nSizes are stored in bytes (typed `512M`, `4G`), durations in seconds (`20s`), rates of "
        "a link in bit/s (`100mbit`). These are the keys of a cell; those of a campaign are in `config.yaml` below.\n\n"
        f"| key | legal | default |\n| --- | --- | --- |\n{rows}\n\n# The files\n\n{files}"
    )


def _keys(schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(field, root)
        if "properties" in inner:
            yield from _keys(inner, root, f"{prefix}{name}.")
        else:
            default = field.get("default", "")
            yield f"{prefix}{name}", _legal(inner), f"`{default}`" if default != "" else ""


def _resolved(field: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref", "").rpartition("/")[2]
    return root["$defs"][reference] if reference else field


def _legal(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
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
            shown = f"{name}{inspect.signature(thing)}" if inspect.isfunction(thing) else name
            parts.append(f"### {name}\n\n```text\n{shown}\n\n{inspect.getdoc(thing) or ''}\n```\n")
    return "\n".join(parts)
