"""The interface of a protocol: how its requests are read and its answers written.

A listener hands over a `RequestHead` and a body; it may be HTTP, gRPC or anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample, Segmentation
from service.runtime.manifest import Manifest

Body = bytes | bytearray

LIGHT_NUMBERS = 256 * 256
"""Up to here writing numbers takes less time than handing them to a thread and back."""


class ModelTarget(NamedTuple):
    """The model that a request is for.

    Attributes:
        name: of the model; None for the only one.
        version: of the model; the highest that answers, if neither it nor a label is given.
        label: of the version.
    """

    name: str | None
    version: str | None = None
    label: str | None = None


class RequestHead(NamedTuple):
    """A request without its body.

    Attributes:
        headers: by name; looked up without regard to case.
        query: parameters of the query.
        target: the model that the path names; None where the body names it.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    target: ModelTarget | None = None


class SegmentationRequest(Protocol):
    """A request for the segmentation of one image or several, not yet decoded."""

    @property
    def target(self) -> ModelTarget | None:
        """The model that the body names; None where the path names it."""
        ...

    @property
    def wants_probabilities(self) -> bool:
        """Whether they are to be computed."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """How long the caller will wait, in seconds; None for as long as it takes."""
        ...

    @property
    def priority(self) -> int:
        """Larger goes first."""
        ...

    @property
    def is_light(self) -> bool:
        """Whether decoding takes less time than handing it to a thread and back."""
        ...

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Decode the images, at least one, and fit them to a model."""
        ...


Asked = TypeVar("Asked", bound=SegmentationRequest)


@dataclass(frozen=True)
class Answer:
    """The answer to a request, before it is written.

    Attributes:
        model: name of the model that gave it.
        version: of the model.
        manifest: the model's.
        segmentations: for each image, with probabilities where the request wants them.
        timings_s: seconds spent in each stage so far.
    """

    model: str
    version: str
    manifest: Manifest
    segmentations: Sequence[Segmentation]
    timings_s: Mapping[str, float]


class Reply(NamedTuple):
    """An answer as it is sent.

    Attributes:
        headers: that belong to it.
        content: the body.
        is_compressible: whether it may be sent in a coding that the caller accepts.
    """

    headers: Mapping[str, str]
    content: bytes
    is_compressible: bool = True


class Dialect(Protocol[Asked]):
    """A protocol.

    Attributes:
        name: of the protocol, in metrics and traces.
    """

    @property
    def name(self) -> str:
        """Name of the protocol, in metrics and traces."""
        ...

    def parses_at_once(self, head: RequestHead, body_bytes: int) -> bool:
        """Tell whether parsing takes less time than handing it to a thread and back."""
        ...

    def parse(self, head: RequestHead, body: Body) -> Asked:
        """Read a request.

        Raises:
            RequestError: if it cannot be understood.
        """
        ...

    def renders_at_once(self, asked: Asked, numbers: int) -> bool:
        """Tell whether rendering so many numbers takes less time than a thread costs."""
        ...

    def render(self, asked: Asked, answer: Answer) -> Reply:
        """Write an answer."""
        ...
