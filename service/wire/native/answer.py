"""Rendering of the answers of `POST /v1/segment`, in the media type that the client chose."""

from __future__ import annotations

from lacuna.outputs import OutputType
from lacuna.segmentation import NamedSegmentation
from service.wire.dialect import Answer


def render(answer: Answer, kind: OutputType) -> bytes:
    """Render an answer.

    Args:
        answer: answer for one image.
        kind: type of the output.

    Raises:
        ValueError: if probabilities are needed and were not computed.
    """
    segmentation = answer.segmentations[0]
    return kind.write(
        NamedSegmentation(
            segmentation.labels,
            answer.manifest.class_infos,
            answer.model,
            answer.version,
            segmentation.probabilities,
            {stage: seconds * 1000 for stage, seconds in answer.timings_s.items()},
            warnings=answer.warnings,
        )
    )
