"""Images and masks in JSON."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

PixelValues = Annotated[
    list[list[float | list[float | None] | None]],
    Field(description="Rows of pixels, each a number or one for each channel; `null` is missing."),
]
MaskValues = Annotated[
    list[list[bool | float | list[bool | float]]],
    Field(description="Rows of pixels; true or non-zero = valid."),
]


class EncodedFile(TypedDict):
    """File of a supported format in base64.

    Attributes:
        b64: Bytes of the file.
    """

    b64: str


class EncodedImage(EncodedFile):
    """File of a supported format in base64, with its media type.

    Attributes:
        b64: Bytes of the file; also a data URL, or the alphabet for URLs.
        format: Media type of the file; the bytes decide.
    """

    format: NotRequired[str]


class MaskRunLengths(TypedDict):
    """Mask as COCO run lengths, counted down the columns, invalid pixels first.

    Attributes:
        size: Height and width.
        counts: Lengths of the runs, in COCO's compressed form or as numbers.
    """

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str | list[int]
