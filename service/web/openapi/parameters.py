"""Parameters of a segmentation, in the query or in a body."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from lacuna.planes import PLANES
from lacuna.raster.bands import Alpha
from service.web.openapi.operations import Object, describe_parameter
from service.web.openapi.schemas import list_members

ModelName = Annotated[
    str,
    Field(description="Name of the model; by default the server's default model, or the only one."),
]
Version = Annotated[str, Field(description="Version of the model; by default the one in service.")]
NoDataValue = TypeAliasType("NoDataValue", float | Literal["none", "nan"])
NoData = Annotated[
    NoDataValue,
    Field(
        description="Value of missing pixels, in place of those that the file names; `none` if "
        "there is no such value, whatever the file says."
    ),
]
Timeout = Annotated[
    float,
    Field(gt=0, description="Seconds that the client will wait for decoding, queue and inference."),
]
StretchMode = TypeAliasType("StretchMode", Literal["none", "percentile"])
Stretch = Annotated[
    StretchMode,
    Field(description="Whether values are stretched to the range of the training data."),
]
Bands = Annotated[
    str,
    Field(
        description="Channels of the image in order, as numbers from 1 or names, separated by "
        "commas, such as `4,3,2`; by default all bands but alpha."
    ),
]
AlphaMode = TypeAliasType("AlphaMode", Alpha)
AlphaChoice = Annotated[
    AlphaMode,
    Field(
        description="Band that is alpha: the one that is tagged as alpha (`auto`), that or else "
        "the last one (`yes`), or none (`no`)."
    ),
]
Also = Annotated[
    str,
    Field(
        description=f"Planes beside the labels, of {', '.join(PLANES)}, separated by commas. Only "
        "some types of answers can hold them."
    ),
]


class CommonParameters(TypedDict):
    """Parameters of previews and segmentations, but for those that differ in JSON."""

    model: NotRequired[ModelName]
    version: NotRequired[Version]
    nodata: NotRequired[NoData]
    stretch: NotRequired[Stretch]
    alpha: NotRequired[AlphaChoice]


class AnswerParameters(CommonParameters):
    """Parameters of segmentations, but for those that differ in JSON."""

    timeout_s: NotRequired[Timeout]
    also: NotRequired[Also]


class _PreviewQuery(CommonParameters):
    bands: NotRequired[Bands]


class _SegmentQuery(AnswerParameters):
    bands: NotRequired[Bands]


def _describe_query(kind: type) -> list[Object]:
    return [describe_parameter("query", *member) for member in list_members(kind).items()]


PREVIEW_QUERY = _describe_query(_PreviewQuery)
"""Parameters in the query of a preview."""

SEGMENT_QUERY = _describe_query(_SegmentQuery)
"""Parameters in the query of a segmentation."""
