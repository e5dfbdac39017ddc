"""Rendering of the answers of `POST /v1/segment`, in the media type that the client chose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import TooDetailedError
from lacuna.outputs import OutputType
from lacuna.raster.outlines import MAX_CORNERS, count_corners
from lacuna.segmentation import NamedSegmentation
from service.wire.dialect import Answer
from service.wire.native.place import locate


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
    if kind.place == "needed":
        _check_detail(segmentation.labels)
    return kind.write(locate(named, segmentation.georeference, kind))


def _check_detail(labels: NDArray[np.uint8]) -> None:
    corners = count_corners(labels)
    if corners > MAX_CORNERS:
        raise TooDetailedError(
            f"polygons must have at most {MAX_CORNERS} points at which outlines turn; these have "
            f"{corners}: ask for image/tiff instead"
        )
