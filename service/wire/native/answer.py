"""Rendering of the answers of `POST /v1/segment`, in the media type that the client chose."""

from __future__ import annotations

from dataclasses import replace

from lacuna.errors import TooDetailedError
from lacuna.outputs import OutputType
from lacuna.raster.outlines import MAX_CORNERS, count_corners
from lacuna.sample import Segmentation
from lacuna.segmentation import NamedSegmentation
from service.wire.dialect import Answer
from service.wire.native.place import find_place, measure


def render(answer: Answer, kind: OutputType) -> bytes:
    """Render an answer.

    Args:
        answer: answer for one image.
        kind: type of the output.

    Raises:
        NotGeoreferencedError: if the type needs the image's place, and it is not known.
        TooDetailedError: if it has polygons, and there are too many.
        ValueError: if a plane is needed and was not computed.
    """
    segmentation = answer.segmentations[0]
    named = NamedSegmentation(
        segmentation.labels,
        answer.manifest.class_infos,
        answer.model,
        answer.version,
        segmentation.probabilities,
        {stage: seconds * 1000 for stage, seconds in answer.timings_s.items()},
        warnings=answer.warnings,
        confidence=segmentation.confidence,
        support=segmentation.support,
    )
    return kind.write(_locate(named, segmentation, kind))


def _locate(named: NamedSegmentation, found: Segmentation, kind: OutputType) -> NamedSegmentation:
    """Add where the image lies, as far as the type of the output tells it."""
    if kind.place == "needed":
        _check_detail(found)
    if found.georeference is None or kind.place == "unused":
        return named
    place = find_place(found.georeference, found.labels.shape)
    named = replace(named, georeference=place)
    return measure(named) if kind.place == "measured" and place is not None else named


def _check_detail(found: Segmentation) -> None:
    corners = count_corners(found.labels)
    if corners > MAX_CORNERS:
        raise TooDetailedError(
            f"polygons must have at most {MAX_CORNERS} points at which outlines turn; these have "
            f"{corners}: ask for image/tiff instead"
        )
