"""What the application is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.engine.repository import Repository
from service.pipeline import Pipeline
from service.web.body import BodyLimits


@dataclass(frozen=True)
class Parts:
    """The things that routes work with.

    Attributes:
        pipeline: that answers requests.
        body_limits: how much of a body is read.
    """

    pipeline: Pipeline
    body_limits: BodyLimits = field(default_factory=BodyLimits)

    @property
    def repository(self) -> Repository:
        """The models."""
        return self.pipeline.repository
