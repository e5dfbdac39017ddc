"""All warnings about an answer."""

from __future__ import annotations

from collections.abc import Sequence

from lacuna.appearance.comparison import AnswerWarning, FamiliarRange, warn_unlike_training
from lacuna.sample import Sample

DOUBTFUL_IMAGE = "doubtful_image"
"""Code of the warning about an image that may not have been read as it is meant."""


def find_warnings(
    samples: Sequence[Sample], familiar: FamiliarRange | None
) -> tuple[AnswerWarning, ...]:
    """Find the warnings about the answer to a request.

    Args:
        samples: Images, at least one.
        familiar: Range that the model is familiar with; None if it is not known.
    """
    unlike = warn_unlike_training(samples, familiar)
    if not any(sample.doubts for sample in samples):
        return unlike
    return (*warn_doubtful(samples), *unlike)


def warn_doubtful(samples: Sequence[Sample]) -> tuple[AnswerWarning, ...]:
    """Warn of images whose files left doubts when they were read.

    Args:
        samples: Images, at least one.

    Returns:
        One warning for each doubt, of the first image that has it.
    """
    found: dict[str, int] = {}
    for index, sample in enumerate(samples):
        for doubt in sample.doubts:
            found.setdefault(doubt, index)
    return tuple(
        AnswerWarning(DOUBTFUL_IMAGE, doubt if len(samples) == 1 else f"image {index}: {doubt}")
        for doubt, index in found.items()
    )
