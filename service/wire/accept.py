"""Choice of the media type of an answer by the header `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lacuna.errors import NotAcceptableError
from service.wire.quality import read_qualities


@lru_cache(maxsize=64)
def choose_media_type(accept: str | None, offered: tuple[str, ...]) -> str:
    """Choose the media type that the client prefers.

    Args:
        accept: value of the header; None or empty accepts every type.
        offered: media types that the server can produce, in its order of preference.

    Returns:
        The type of `offered` with the highest quality; the earliest one if several have it.

    Raises:
        NotAcceptableError: if the client accepts none of them.
    """
    ranges = read_qualities(accept or "*/*")
    qualities = {media_type: _rate(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: qualities[media_type])
    if qualities[best] <= 0:
        raise NotAcceptableError(f"Accept must allow one of {', '.join(offered)}; it is {accept}")
    return best


def _rate(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that covers a type; 0 if none does."""
    kind = media_type.partition("/")[0]
    for name in (media_type, f"{kind}/*", "*/*"):
        for media_range, quality in ranges:
            if media_range == name:
                return quality
    return 0.0
