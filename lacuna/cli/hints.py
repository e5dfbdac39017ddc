"""Hints on what to do about an error, by its code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "unreachable": "is `lacuna serve` running there?",
        "timed_out": "a larger image takes longer; is the server overloaded?",
        "overloaded": "send fewer at once (--concurrency), or raise --patience",
        "not_ready": "its models are still loading; /readyz shows their progress",
        "deadline_exceeded": "allow more time with --timeout",
        "unauthenticated": "pass a key with --api-key-file",
        "unknown_model": "GET /v1/models lists those that are served",
        "unknown_version": "GET /v1/models lists those that are served",
        "invalid_configuration": "`lacuna config` shows all settings",
        "channel_mismatch": "is it the right model? --model chooses another",
    }
)
"""Most messages state the rule themselves; these need a hint besides."""
