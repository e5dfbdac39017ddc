"""Limits of request bodies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BodyLimits:
    """Limits of a request body.

    Attributes:
        body_bytes: maximum size. The default admits a 4096 × 4096 RGB image as float32 with its
            mask, 218 million bytes.
        idle_s: maximum time between two pieces of the body. The default tolerates a phone that
            loses its network for a moment.
        body_s: maximum time for the whole body. The default admits the largest body at 6 Mbit/s.
    """

    body_bytes: int = 224 * 1024 * 1024
    idle_s: float = 20.0
    body_s: float = 300.0
