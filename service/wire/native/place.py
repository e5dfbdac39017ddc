"""Places of images on Earth, for the answers that tell them. GDAL is loaded for the first of these.

It takes a tenth of a second and 35 MB, which other answers do not pay.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from lacuna.errors import NotGeoreferencedError
from lacuna.georeference import Georeference, GeoTiffTags
from lacuna.out_of_memory import check_address_space
from lacuna.outputs import OutputType
from lacuna.segmentation import NamedSegmentation

Named = TypeVar("Named", bound=NamedSegmentation)

_LIBRARY_BYTES = 96 << 20
"""Address space that GDAL's libraries take; measured: 79 MB. Half loaded, they would be missing
until the process ends."""


def find_place(tags: GeoTiffTags, size: tuple[int, ...]) -> Georeference | None:
    """Return where an image lies.

    Args:
        tags: of its file.
        size: height and width in pixels.

    Returns:
        None if the tags say nothing that can be understood.
    """
    height, width = size
    place: Georeference = _load().describe_tags(tags, (height, width))
    return None if place == Georeference() else place


def locate(segmentation: Named, tags: GeoTiffTags | None, kind: OutputType) -> Named:
    """Add where the image of a segmentation lies, as far as an output tells it.

    Args:
        segmentation: of the image.
        tags: of its file; None for none.
        kind: type of the output.
    """
    if tags is None or kind.place == "unused":
        return segmentation
    place = find_place(tags, segmentation.labels.shape)
    located = replace(segmentation, georeference=place)
    if place is None or kind.place != "measured":
        return located
    measured: Named = _load().measure(located)
    return measured


def check_place(tags: GeoTiffTags | None, size: tuple[int, int]) -> None:
    """Check that an image lies on Earth.

    Raises:
        NotGeoreferencedError: if it does not.
    """
    place = None if tags is None else find_place(tags, size)
    if place is None or place.crs is None or place.transform is None:
        raise NotGeoreferencedError(
            "polygons need an image with a coordinate reference system and a transform; this one "
            f"has {_list_known(place)}"
        )


def _list_known(place: Georeference | None) -> str:
    if place is None:
        return "neither"
    known = {"a CRS": place.crs, "a transform": place.transform, "control points": place.gcps}
    return " and ".join(name for name, value in known.items() if value) or "neither"


@cache
def _load() -> Any:
    check_address_space(_LIBRARY_BYTES)
    from lacuna.geo import answers  # noqa: PLC0415 (most requests need no GDAL)

    return answers
