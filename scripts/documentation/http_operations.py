"""Reference of HTTP, from the server's OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.documentation.markdown import fence, write_table
from service.assembly import assemble_services
from service.config import Settings
from service.web.app import make_app

_INTRODUCTION = """\
# HTTP operations

From the server's own document, `GET /openapi.json`, which generators of clients read.
[HTTP](../http.md) explains the interface, and [its errors](../http.md#errors) have a table."""
_METHODS = ("get", "put", "post", "delete", "patch")


def write_http_page() -> dict[str, str]:
    """Return the page, by its path below docs/."""
    document = make_document()
    parts = [_INTRODUCTION]
    for tag, operations in _group(document).items():
        parts.append(f"## {tag}")
        for path, method, operation in operations:
            parts += _describe(path, method, operation)
    parts.append("## Schemas")
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        parts += [f"### Schema {name}", *_describe_schema(schema)]
    return {"reference/http-operations.md": "\n\n".join([*parts, ""])}


def _group(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    """Return paths, methods and operations by the first tag of each, in the order of the tags."""
    groups = {tag["name"]: [] for tag in document.get("tags", [])}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                (tag, *_) = operations[method].get("tags", ["Others"])
                groups.setdefault(tag, []).append((path, method, operations[method]))
    return {tag: operations for tag, operations in groups.items() if operations}


def make_document() -> dict[str, Any]:
    """Return the OpenAPI document of a server with default settings. No model is loaded."""
    services = assemble_services(Settings(), _refuse_load)
    try:
        return make_app(services).openapi()
    finally:
        services.exchange.pipeline.segmenter.close()


def _refuse_load(*_: Any) -> Any:
    raise NotImplementedError("models are loaded only while the application runs")


def _describe(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    for key in ("summary", "description"):
        if operation.get(key):
            yield operation[key]
    if operation.get("parameters"):
        rows = [_describe_parameter(parameter) for parameter in operation["parameters"]]
        yield write_table(("parameter", "in", "type", "meaning"), rows)
    body = operation.get("requestBody", {})
    if body:
        yield "**Body**: " + _list_types(body)
        yield from _show_example("Example of a body", body)
    rows = [_describe_answer(*answer) for answer in operation["responses"].items()]
    yield write_table(("status", "answer", "types"), rows)
    yield from _show_example("Example of an answer", operation["responses"].get("200", {}))


def _show_example(title: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the first example in JSON, if there is one."""
    for kind, media in body.get("content", {}).items():
        named = [entry.get("value") for entry in media.get("examples", {}).values()]
        for example in [media.get("example"), *named]:
            if kind.endswith("json") and example is not None:
                yield f"{title}:"
                yield fence(_write_json(example), "json")
                return


def _describe_schema(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("description"):
        yield schema["description"]
    if "properties" not in schema:
        yield fence(_write_json(schema), "json")
        return
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", _name_type(part) + ("" if name in required else ", optional"), _tell(part))
        for name, part in schema["properties"].items()
    ]
    yield write_table(("member", "type", "meaning"), rows)


def _tell(schema: Mapping[str, Any]) -> str:
    """Return the meaning of a member, and its default."""
    default = schema.get("default")
    told = "" if default in (None, "", []) else f" Default: `{default}`."
    return schema.get("description", "") + told


def _write_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _describe_parameter(parameter: Mapping[str, Any]) -> tuple[str, ...]:
    schema = parameter.get("schema", {})
    kind = _name_type(schema) + ("" if parameter.get("required") else ", optional")
    meaning = parameter.get("description") or schema.get("description", "")
    return f"`{parameter['name']}`", parameter["in"], kind, meaning


def _describe_answer(status: str, answer: Mapping[str, Any]) -> tuple[str, ...]:
    return status, answer.get("description", ""), _list_types(answer)


def _list_types(body: Mapping[str, Any]) -> str:
    types = body.get("content", {})
    return ", ".join(f"`{kind}`{_name_reference(media)}" for kind, media in types.items())


def _name_reference(media: Mapping[str, Any]) -> str:
    name = _name_type(media.get("schema", {}))
    return f" ({name})" if name.startswith("[") else ""


def _name_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a value; of a schema with a name, a link to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#schema-{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    parts = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if parts:
        return " or ".join(dict.fromkeys(_name_type(part) for part in parts))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    return f"{kind} of {_name_type(schema['items'])}" if schema.get("items") else str(kind)
