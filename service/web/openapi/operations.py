"""Operations of the document, in the form in which FastAPI takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from starlette.responses import Response

Object = dict[str, Any]
Access = Literal["open", "key", "admin"]

KEY_SCHEMES: Mapping[str, Object] = MappingProxyType(
    {
        "BearerKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "API key, or admin key, in `Authorization: Bearer KEY`.",
        },
        "HeaderKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "API key, or admin key, in `X-API-Key: KEY`.",
        },
    }
)
"""Security schemes: the two headers that a key may be in."""

_KEYS: list[Object] = [{name: []} for name in KEY_SCHEMES]
_SECURITY: Mapping[Access, list[Object]] = MappingProxyType(
    # A server without keys needs none.
    {"open": [], "key": [{}, *_KEYS], "admin": _KEYS}
)


def _make_header(description: str, kind: str = "string", *, required: bool = True) -> Object:
    return {"description": description, "required": required, "schema": {"type": kind}}


HEADERS: Mapping[str, Object] = MappingProxyType(
    {
        "X-Request-ID": _make_header(
            "Id of the request, which is in the log: its own `X-Request-ID`, or else a new one."
        ),
        "Retry-After": _make_header("Seconds after which a retry is worth it.", "integer"),
        "WWW-Authenticate": _make_header("How a key is sent: `Bearer`."),
        "Accept-Encoding": _make_header(
            "Codings that a body may have, if its `Content-Encoding` is what is not supported.",
            required=False,
        ),
        "Server-Timing": _make_header("Milliseconds of decode, queue, infer and encode."),
        "Lacuna-Computed-Pixels": _make_header("Pixels that the model computed.", "integer"),
        "X-Lacuna-Warnings": _make_header(
            "JSON array of objects with `code` and `message`, in ASCII: reasons why the answer may "
            "be wrong. Missing without warnings.",
            required=False,
        ),
        "Inference-Header-Content-Length": _make_header(
            "Bytes of the JSON before the raw tensors.", "integer", required=False
        ),
        "Lacuna-Preview": _make_header(
            "`exact` if the picture has all values of the image unchanged, or else `approximate`."
        ),
        "Lacuna-Preview-Range": _make_header(
            "`model` if the picture is drawn in the range of the model, or else `image`."
        ),
    }
)
"""Headers of answers, by their names, which are also their names among the components."""


def refer_to_headers(*names: str) -> Object:
    """Return the headers of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def describe_parameter(
    where: str, name: str, schema: Object, description: str = "", **fields: Any
) -> Object:
    """Return a parameter.

    Args:
        where: `path`, `query` or `header`.
        name: its name.
        schema: schema of its value; its description is the parameter's unless that is given.
        description: for people.
        **fields: further fields of OpenAPI.
    """
    schema = dict(schema)
    text = schema.pop("description", "")
    return {
        "in": where,
        "name": name,
        "required": where == "path",
        "description": description or text,
        "schema": schema,
        **fields,
    }


MODEL = describe_parameter(
    "path", "name", {"type": "string"}, "Name of the model.", example="groundcover"
)
VERSION = describe_parameter(
    "path", "version", {"type": "string"}, "Version of the model.", example="1"
)
LABEL = describe_parameter(
    "path",
    "label",
    {"type": "string"},
    "Label of a version: `latest`, `stable` or a configured one.",
    example="latest",
)


def describe_answer(description: str, content: Object | None = None, *headers: str) -> Object:
    """Return an answer.

    Args:
        description: for people.
        content: media types with schemas and examples; None for an empty body.
        *headers: names in `HEADERS`, besides `X-Request-ID`.
    """
    answer = {"description": description, "headers": refer_to_headers("X-Request-ID", *headers)}
    return answer | ({} if content is None else {"content": content})


def describe_json(schema: Object, example: Any = None, **examples: Any) -> Object:
    """Return content in JSON.

    Args:
        schema: its schema.
        example: only example; None for none, or if there are several.
        **examples: examples by their names.
    """
    media: Object = {"schema": schema}
    if example is not None:
        media["example"] = example
    if examples:
        media["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": media}


def describe_success(description: str, schema: Object, example: Any) -> dict[int, Object]:
    """Return the answer 200 in JSON, by its status.

    Args:
        description: for people.
        schema: schema of the JSON.
        example: example of it.
    """
    return {200: describe_answer(description, describe_json(schema, example))}


@dataclass(frozen=True)
class Operation:
    """Operation of the document.

    Attributes:
        name: unique name, which generated clients take for their methods.
        summary: one line for people.
        answers: answers by status.
        description: more for people, in Markdown.
        parameters: parameters in path, query and headers.
        body: content of the request; None for no body.
        needs_body: False if the body may be missing.
        access: key that a request needs: none, one if the server has keys, or the admin key.
    """

    name: str
    summary: str
    answers: Mapping[int, Object]
    description: str = ""
    parameters: Sequence[Object] = ()
    body: Object | None = None
    needs_body: bool = True
    access: Access = "key"

    def with_version(self) -> Operation:
        """Return the same operation for a version in the path."""
        return self._extend("version", VERSION)

    def with_label(self) -> Operation:
        """Return the same operation for a label in the path."""
        return self._extend("label", LABEL)

    def _extend(self, what: str, parameter: Object) -> Operation:
        return replace(
            self,
            name=f"{self.name}_with_{what}",
            summary=f"{self.summary}, by {what}",
            parameters=[*self.parameters, parameter],
        )

    def declare(self) -> dict[str, Any]:
        """Return the arguments of FastAPI's decorators for routes."""
        extra: Object = {"security": _SECURITY[self.access]}
        if self.parameters:
            extra["parameters"] = list(self.parameters)
        if self.body is not None:
            extra["requestBody"] = {"required": self.needs_body, "content": self.body}
        return {
            "operation_id": self.name,
            "summary": self.summary,
            "description": self.description,
            # Nothing is added to what is described here, because a `Response` has no media type.
            "response_class": Response,
            "responses": dict(self.answers),
            "openapi_extra": extra,
        }
