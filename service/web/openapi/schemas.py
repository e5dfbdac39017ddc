"""Schemas of JSON values, from types whose docstrings describe their members.

The types serve the document alone: routes read and write JSON by hand, which is faster.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_MEMBERS = re.compile(r"\s*^Attributes:$", re.MULTILINE)
_MEMBER = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)

BINARY: Schema = {"type": "string", "format": "binary"}
"""Schema of bytes."""


class _WithoutTitles(GenerateJsonSchema):
    """Generator of schemas whose members have no titles beside their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False."""
        del schema
        return False


def refer(*types: type) -> Schema:
    """Return the schema of a value of one of some types, all of them components."""
    references = [{"$ref": _REFERENCE.format(model=kind.__name__)} for kind in types]
    return references[0] if len(references) == 1 else {"anyOf": references}


def make_schemas(types: Iterable[type]) -> dict[str, Schema]:
    """Return the schemas of types, and of all types in them, by their names.

    Args:
        types: TypedDicts or models of pydantic. The descriptions of members are taken from the
            section `Attributes:` of their docstrings.
    """
    adapters = [(kind, "validation", TypeAdapter[Any](kind)) for kind in types]
    _, found = TypeAdapter.json_schemas(
        adapters,  # type: ignore[arg-type]
        ref_template=_REFERENCE,
        schema_generator=_WithoutTitles,
    )
    schemas: dict[str, Schema] = found["$defs"]
    for schema in schemas.values():
        _describe_members(schema)
    return schemas


def list_members(kind: type) -> dict[str, Schema]:
    """Return the schemas of the members of a type, by their names.

    A named type in them must be in another type, too, that is a component.
    """
    schema = TypeAdapter[Any](kind).json_schema(
        ref_template=_REFERENCE, schema_generator=_WithoutTitles
    )
    members: dict[str, Schema] = schema["properties"]
    return members


def _describe_members(schema: Schema) -> None:
    """Distribute the description of an object among its members."""
    summary, *sections = _MEMBERS.split(schema.get("description", ""), maxsplit=1)
    for name, text in _MEMBER.findall("".join(sections)):
        schema["properties"][name]["description"] = " ".join(text.split())
    if summary:
        schema["description"] = inspect.cleandoc(summary)
