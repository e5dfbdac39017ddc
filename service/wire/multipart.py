"""Forms with files, read from memory into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from service.errors import MalformedRequestError

# Everything stays in memory: the body is there already, and a root file system may be read-only.
_CONFIG: dict[str, Any] = {"MAX_MEMORY_FILE_SIZE": float("inf")}


@dataclass(frozen=True)
class FormPart:
    """One field of a form.

    Attributes:
        data: its bytes.
        media_type: what it was declared as, if it was.
    """

    data: bytes
    media_type: str | None


def parse_form(body: bytes, content_type: str) -> Mapping[str, FormPart]:
    """Read a multipart/form-data body.

    Args:
        body: the whole of it.
        content_type: the header, with the boundary.

    Returns:
        Each field by its name.

    Raises:
        MalformedRequestError: if the form is damaged or cut short, or has a field twice.
    """
    parts: dict[str, FormPart] = {}
    ended: list[bool] = []

    def add(name: bytes | None, data: bytes, media_type: str | None) -> None:
        key = (name or b"").decode("utf-8", "replace")
        if key in parts:
            raise MalformedRequestError(f"a form must have each field once; {key} is there twice")
        parts[key] = FormPart(data, media_type)

    def add_field(field: Field) -> None:
        add(field.field_name, field.value or b"", field.content_type)

    def add_file(file: File) -> None:
        file.file_object.seek(0)
        add(file.field_name, file.file_object.read(), file.content_type)

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedRequestError("Content-Type must name the form's boundary; it does not")
    try:
        parser = FormParser(
            "multipart/form-data",
            add_field,
            add_file,
            on_end=lambda: ended.append(True),
            boundary=boundary,
            config=_CONFIG,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequestError(f"the form cannot be read: {error}") from error
    if not ended:
        raise MalformedRequestError("a form must end with its boundary; it is cut short")
    return parts
