"""Hints that the command line prints after an error message."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "unreachable": "is `lacuna serve` running there?",
        "timed_out": "the image may be too large for the timeout, or the server overloaded",
        "overloaded": "send fewer images at the same time (--concurrency), or raise --patience",
        "not_ready": "its models are still loading; /readyz shows the progress",
        "deadline_exceeded": "allow more time with --timeout",
        "unauthenticated": "pass a key with --api-key-file",
        "unknown_model": "GET /v1/models lists the available models",
        "unknown_version": "GET /v1/models lists the available versions",
        "invalid_configuration": "`lacuna config` shows all settings",
        "channel_mismatch": "is it the right model? --model chooses another",
    }
)
"""Hints by error code. Most errors need none, because their messages state the rule."""
