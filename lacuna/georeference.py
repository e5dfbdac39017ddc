"""The place of an image on Earth: as its file states it, and as it is understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class GeoTiffTags:
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


class ControlPoint(NamedTuple):
    """Pixel whose place on Earth is known (a GCP of GDAL).

    Attributes:
        row: from the image's upper edge, in pixels.
        column: from its left edge, in pixels.
        x: in units of the CRS.
        y: in units of the CRS.
        z: height.
    """

    row: float
    column: float
    x: float
    y: float
    z: float = 0.0


@dataclass(frozen=True)
class Georeference:
    """Place of an image on Earth.

    Attributes:
        crs: coordinate reference system, `EPSG:32618`, or WKT where no code says the same; None if
            it is unknown.
        transform: a, b, c, d, e and f of x = a·column + b·row + c, y = d·column + e·row + f, where
            (0, 0) is the outer corner of the first pixel; None if there is none.
        gcps: control points, where the file has these instead of a transform.
        pixel_area_m2: mean area of a pixel on the ellipsoid; None if CRS or transform are unknown.
    """

    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    gcps: tuple[ControlPoint, ...] = ()
    pixel_area_m2: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values; `gcps` only if there are any."""
        content: dict[str, Any] = {
            "crs": self.crs,
            "transform": None if self.transform is None else list(self.transform),
            "pixel_area_m2": self.pixel_area_m2,
        }
        if self.gcps:
            content["gcps"] = [point._asdict() for point in self.gcps]
        return content
