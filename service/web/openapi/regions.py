"""Regions of a segmentation as GeoJSON."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict


class Polygons(TypedDict):
    """Outlines in WGS 84.

    Attributes:
        type: `Polygon`, or `MultiPolygon` if the region crosses the antimeridian.
        coordinates: Rings of longitudes and latitudes; of a MultiPolygon, lists of rings.
    """

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[list[list[float | list[float]]]]


RegionProperties = TypedDict(
    "RegionProperties",
    {
        "class": Annotated[int, Field(description="Label of its class.")],
        "name": Annotated[str, Field(description="Name of its class.")],
        "pixels": Annotated[int, Field(description="Number of pixels.")],
        "area_m2": Annotated[float | None, Field(description="Area on the ellipsoid, if known.")],
        "confidence": NotRequired[
            Annotated[float, Field(description="Mean confidence, if `also` names it.")]
        ],
    },
)


class Region(TypedDict):
    """Region of one class, a feature of GeoJSON.

    Attributes:
        type: `Feature`.
        properties: Facts about it.
        geometry: Its outlines.
    """

    type: Literal["Feature"]
    properties: RegionProperties
    geometry: Polygons


class RegionCollection(TypedDict):
    """Regions as GeoJSON (RFC 7946).

    Attributes:
        type: `FeatureCollection`.
        features: The regions.
    """

    type: Literal["FeatureCollection"]
    features: list[Region]
