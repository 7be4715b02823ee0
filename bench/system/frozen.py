"""The base of every configured value, and the fields that came after the first stored format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER = "came after schema 1"
"""Marks a field, as in ``guest: Annotated[Guest, LATER] = "linux"``: at its default it is in no id and no document.

So the ids of cells and runs, and with them every stored campaign, outlive the field. A field of a configured value
that is not in the first stored format needs it; a test tells who forgot.
"""


class Frozen(BaseModel):
    """A value: immutable, and without room for keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        tree: dict[str, Any] = write(self)
        for name in self._left_out():
            tree.pop(name, None)
        return tree

    def _left_out(self) -> Iterator[str]:
        for name, field in type(self).model_fields.items():
            if LATER in field.metadata and getattr(self, name) == field.get_default(call_default_factory=True):
                yield name

    def left_out(self) -> dict[str, Any]:
        """Return the fields that are not written because they stand at their default, by dotted path, as JSON."""
        gone = set(self._left_out())
        found: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in gone:
                found |= {f"{name}{path}": leaf for path, leaf in _leaves(value)}
            elif isinstance(value, Frozen):
                found |= {f"{name}.{path}": leaf for path, leaf in value.left_out().items()}
        return found


def _leaves(value: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Frozen):
        yield "", to_jsonable_python(value)
        return
    for name in type(value).model_fields:
        yield from ((f".{name}{path}", leaf) for path, leaf in _leaves(getattr(value, name)))
