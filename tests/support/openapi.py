"""Values and answers held to an OpenAPI document; and bodies of bytes for schemathesis.

`SCHEMATHESIS_HOOKS=tests.support.openapi` makes the command line of schemathesis use it, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema
import schemathesis


@schemathesis.serializer("application/x-npy", "application/octet-stream", "image/*")
def send_bytes(_: object, value: object) -> bytes:
    """Return the bytes of a body, whatever was generated."""
    value = getattr(value, "data", value)
    return value if isinstance(value, bytes) else repr(value).encode()


class Described(NamedTuple):
    """Operation of a document."""

    method: str
    path: str
    operation: dict[str, Any]


def list_operations(document: dict[str, Any]) -> Iterator[Described]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Described(method, path, operation)


def list_examples(media: dict[str, Any]) -> list[Any]:
    """Return the examples of a media type."""
    named = [example["value"] for example in media.get("examples", {}).values()]
    return named + ([media["example"]] if "example" in media else [])


def check_value(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check that a value follows a schema and has no member that the schema does not name.

    Raises:
        jsonschema.ValidationError: if it does not.
    """
    closed = _close(schema | {"components": document["components"]})
    jsonschema.Draft202012Validator(closed).validate(value)


def _close(schema: Any) -> Any:
    """Return a schema whose objects have the members that it names, and no others."""
    if isinstance(schema, list):
        return [_close(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _close(part) for name, part in schema.items()}
    if isinstance(closed.get("properties"), dict) and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed
