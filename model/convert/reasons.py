"""Why layers cannot be converted."""

from __future__ import annotations

_ATTENTION = "attention relates every pixel to every other"
_FIXED = "it changes maps to fixed sizes"

STATISTICS = (
    "it takes statistics over the whole image, so tiles of an image would get other answers; "
    "--allow takes them over its valid pixels"
)

_REASONS = {
    "Lambda": "it runs code, which might look at other pixels",
    "Resizing": _FIXED,
    "CenterCrop": _FIXED,
    "RandomCrop": _FIXED,
    "Flatten": _FIXED,
    "Permute": "it exchanges axes",
    "MultiHeadAttention": _ATTENTION,
    "GroupQueryAttention": _ATTENTION,
    "Attention": _ATTENTION,
    "AdditiveAttention": _ATTENTION,
    "AdaptiveAveragePooling2D": _FIXED,
    "AdaptiveMaxPooling2D": _FIXED,
}


def explain(kind: str) -> str:
    """Return why a layer of this class cannot be converted."""
    return _REASONS.get(kind, "no masked layer is known for it")
