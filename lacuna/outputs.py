"""The table of output types. Everything else that names one reads it here.

A type is added by a row of this table and a function that writes it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from lacuna.errors import MalformedRequestError
from lacuna.planes import CONFIDENCE, PLANES, PROBABILITIES, SUPPORT, estimate_plane_bytes

if TYPE_CHECKING:
    from lacuna.segmentation import NamedSegmentation


class OutputType(NamedTuple):
    """A form in which a segmentation is written.

    Attributes:
        key: name in options and suffixes.
        media_type: of HTTP.
        holds: contents, for documents and help texts.
        writer: `module:function`, `(segmentation) -> bytes`, imported at its first use.
        planes: planes beside the labels that it holds, unless others are asked for.
        also: planes that can be asked for.
        is_compressible: True if compressing it for the network saves much at little cost.
        place: use of the image's place on Earth: it is not used, kept where it is known, measured
            in square metres besides, or needed.
        writes_inline: True if small ones are written faster on the event loop than in a thread.
        pixel_bytes: most memory of labels and output for a pixel, planes excepted; measured.
        plane_copies: most copies of a plane that are there while it is written; measured.
        corner_bytes: most memory for a point at which outlines of regions turn or meet; measured.
    """

    key: str
    media_type: str
    holds: str
    writer: str
    planes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    is_compressible: bool = False
    place: Literal["unused", "kept", "measured", "needed"] = "unused"
    writes_inline: bool = False
    pixel_bytes: int = 2
    plane_copies: int = 1
    corner_bytes: int = 0

    @property
    def suffix(self) -> str:
        """Suffix of file names."""
        return f".{self.key}"

    @property
    def has_probabilities(self) -> bool:
        """Whether it holds probabilities, unless other planes are asked for."""
        return PROBABILITIES in self.planes

    def estimate_pixel_bytes(self, classes: int, planes: tuple[str, ...] | None = None) -> int:
        """Estimate the memory of labels, planes and output for a pixel, in bytes.

        Args:
            classes: number of classes of the model.
            planes: planes that it holds; None for `planes`.
        """
        held = self.planes if planes is None else planes
        return self.pixel_bytes + estimate_plane_bytes(held, classes, self.plane_copies)

    def write(self, segmentation: NamedSegmentation) -> bytes:
        """Write a segmentation.

        Raises:
            ValueError: if probabilities are needed and there are none.
        """
        return _load(self.writer)(segmentation)


def check_planes(kind: OutputType, planes: Collection[str]) -> None:
    """Check that an output of a type can hold planes.

    Raises:
        MalformedRequestError: if it cannot.
    """
    if set(planes) <= set(kind.also):
        return
    able = [other.media_type for other in OUTPUT_TYPES if set(planes) <= set(other.also)]
    raise MalformedRequestError(
        f"also={','.join(planes)} must come with Accept: {' or '.join(able)}; the answer is of "
        f"type {kind.media_type}"
    )


@cache
def _load(name: str) -> Callable[[NamedSegmentation], bytes]:
    writer: Callable[[NamedSegmentation], bytes] = pkgutil.resolve_name(name)
    return writer


DEFAULT_TYPE = OutputType(
    "json",
    "application/json",
    "areas and COCO run lengths",
    "lacuna.writers:write_json",
    is_compressible=True,
    place="measured",
    pixel_bytes=12,
)
"""The type of an answer whose caller accepts every type."""

OUTPUT_TYPES = (
    OutputType(
        "png", "image/png", "labels as a palette, invalid transparent", "lacuna.writers:write_png"
    ),
    OutputType(
        "npy",
        "application/x-npy",
        "labels",
        "lacuna.writers:write_npy_labels",
        is_compressible=True,
        writes_inline=True,
    ),
    OutputType(
        "npz",
        "application/zip",
        "labels and probabilities",
        "lacuna.writers:write_npz",
        planes=(PROBABILITIES,),
        also=PLANES,
        pixel_bytes=7,
    ),
    OutputType(
        "tif",
        "image/tiff",
        "labels, 255 tagged as the no-data value; a COG if the image has a georeference",
        "lacuna.writers:write_tiff",
        also=(CONFIDENCE, SUPPORT),
        place="kept",
        pixel_bytes=6,
        plane_copies=3,
    ),
    OutputType(
        "geojson",
        "application/geo+json",
        "a polygon for each region, in WGS 84",
        "lacuna.geo.answers:write_geojson",
        also=(CONFIDENCE,),
        is_compressible=True,
        place="needed",
        pixel_bytes=8,
        corner_bytes=1000,
    ),
    DEFAULT_TYPE,
)

MEDIA_TYPES = (
    DEFAULT_TYPE.media_type,
    *(kind.media_type for kind in OUTPUT_TYPES if kind is not DEFAULT_TYPE),
)
"""Media types of answers, the default first."""

OUTPUT_SUFFIXES = tuple(kind.suffix for kind in OUTPUT_TYPES)
"""Suffixes of output files."""

_BY_MEDIA_TYPE = {kind.media_type: kind for kind in OUTPUT_TYPES}
_BY_SUFFIX = {kind.suffix: kind for kind in OUTPUT_TYPES}


def find_by_media_type(media_type: str) -> OutputType:
    """Return the output type of a media type, one of `MEDIA_TYPES`."""
    return _BY_MEDIA_TYPE[media_type]


def find_by_suffix(suffix: str) -> OutputType:
    """Return the output type of a file name's suffix.

    Raises:
        ValueError: if there is none.
    """
    found = _BY_SUFFIX.get(suffix.lower())
    if found is None:
        raise ValueError(f"a result must be saved as {', '.join(_BY_SUFFIX)}; it is {suffix!r}")
    return found


def describe() -> str:
    """Return the suffixes with what each holds, for help texts."""
    texts = [f"{kind.suffix} ({kind.holds})" for kind in OUTPUT_TYPES]
    return f"{', '.join(texts[:-1])} or {texts[-1]}"
