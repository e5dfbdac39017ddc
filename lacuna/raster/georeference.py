"""The place of an image on Earth, as its file states it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Georeference:
    """Tags of GeoTIFF (OGC 19-008r4, section 7), uninterpreted.

    Attributes:
        pixel_scale: ModelPixelScaleTag: size of a pixel along X, Y and Z.
        tiepoints: ModelTiepointTag: groups of I, J, K, X, Y, Z.
        transformation: ModelTransformationTag: a 4 × 4 matrix, row by row.
        keys: GeoKeyDirectoryTag: groups of four numbers.
        doubles: GeoDoubleParamsTag, to which keys refer.
        text: GeoAsciiParamsTag, to which keys refer.
    """

    pixel_scale: tuple[float, ...] = ()
    tiepoints: tuple[float, ...] = ()
    transformation: tuple[float, ...] = ()
    keys: tuple[int, ...] = ()
    doubles: tuple[float, ...] = ()
    text: str = ""
