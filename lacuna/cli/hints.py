"""What people can do about an error, by its code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "unreachable": "is `lacuna serve` running there?",
        "timed_out": "a larger image takes longer; is the server overloaded?",
        "overloaded": "fewer at once (--concurrency), or more --patience",
        "not_ready": "its models are still loading; /readyz tells how far they are",
        "deadline_exceeded": "give it more with --timeout",
        "unauthenticated": "give a key with --api-key-file",
        "unknown_model": "GET /v1/models lists those that are served",
        "unknown_version": "GET /v1/models lists those that are served",
        "invalid_configuration": "`lacuna config` shows all settings",
        "channel_mismatch": "is it the right model? --model chooses another",
    }
)
"""A few words each; most messages say themselves what would be right."""
