"""Interface of a protocol: parsing of its requests and rendering of its answers.

A listener passes a `RequestHead` and a body. It may use HTTP, gRPC or any other transport.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from lacuna.appearance.comparison import AnswerWarning
from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample, Segmentation
from service.runtime.manifest import Manifest

Body = bytes | bytearray

MAX_INLINE_NUMBERS = 256 * 256
"""Most numbers of an answer that are rendered on the event loop. For more, a thread is faster."""


class ModelTarget(NamedTuple):
    """Model that a request names.

    Attributes:
        name: name of the model; None for the default one, or the only one.
        version: version of the model; None for the version of `label`, or for the highest version
            in service if there is no label.
        label: label of the version; None for none.
    """

    name: str | None
    version: str | None = None
    label: str | None = None


class RequestHead(NamedTuple):
    """Request without its body.

    Attributes:
        headers: headers by name; names are in lower case.
        query: parameters of the query.
        target: model that the path names; None if the body names it.
        timeout_s: seconds that the client will still wait, as the transport says; None for no
            limit.
        given_id: id that its client has given it, to watch it by; None for none.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    target: ModelTarget | None = None
    timeout_s: float | None = None
    given_id: str | None = None


class Footprint(NamedTuple):
    """Size of images that are not yet decoded.

    Attributes:
        pixels: height × width, of all images together.
        decode_bytes: memory that decoding them and their masks takes, in bytes.
    """

    pixels: int
    decode_bytes: int


class SegmentationRequest(Protocol):
    """Parsed request for segmentations of one or more images, which are not yet decoded."""

    @property
    def target(self) -> ModelTarget | None:
        """Model that the body names; None if the path names it."""
        ...

    @property
    def planes(self) -> Collection[str]:
        """Planes beside the labels that the answer holds."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Seconds that the client will wait; None for no limit."""
        ...

    @property
    def priority(self) -> int:
        """Priority; requests with larger numbers run first."""
        ...

    @property
    def stretch(self) -> str:
        """`percentile` to stretch the values to the range of the training data, or `none`."""
        ...

    @property
    def measures_inline(self) -> bool:
        """True if measuring on the event loop is faster than in a thread."""
        ...

    @property
    def decodes_inline(self) -> bool:
        """True if decoding on the event loop is faster than in a thread."""
        ...

    def measure(self, limits: ImageLimits) -> Footprint:
        """Measure the images by what is known before they are decoded.

        Raises:
            RequestError: if an image is malformed or too large.
        """
        ...

    def estimate_answer_bytes(self, pixels: int, classes: int) -> int:
        """Estimate the memory of labels, planes and the answer, in bytes.

        Args:
            pixels: height × width, of all images together.
            classes: number of classes of the model.
        """
        ...

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Decode the images, at least one, and adapt them to a model."""
        ...


ParsedRequest = TypeVar("ParsedRequest", bound=SegmentationRequest)


@dataclass(frozen=True)
class Answer:
    """Answer to a request, before rendering.

    Attributes:
        model: name of the model that answered.
        version: version of the model.
        manifest: manifest of the model.
        segmentations: one per image, with the planes that the request wants.
        timings_s: seconds spent in each stage so far.
        warnings: reasons why the segmentations may be wrong.
    """

    model: str
    version: str
    manifest: Manifest
    segmentations: Sequence[Segmentation]
    timings_s: Mapping[str, float]
    warnings: tuple[AnswerWarning, ...] = ()


class Reply(NamedTuple):
    """Rendered answer.

    Attributes:
        headers: headers of the answer.
        content: body of the answer.
        is_compressible: True if the content may be compressed for clients that accept it.
        release: function to call once the content was sent, which gives its memory back; None if
            it holds none.
    """

    headers: Mapping[str, str]
    content: bytes
    is_compressible: bool = True
    release: Callable[[], None] | None = None


class Dialect(Protocol[ParsedRequest]):
    """Protocol for segmentations.

    Attributes:
        name: name of the protocol, in metrics and traces.
    """

    @property
    def name(self) -> str:
        """Name of the protocol, in metrics and traces."""
        ...

    def parses_inline(self, head: RequestHead, body_bytes: int) -> bool:
        """Return True if parsing on the event loop is faster than in a thread."""
        ...

    def estimate_parse_bytes(self, head: RequestHead, body: Body) -> int:
        """Estimate the memory that parsing takes besides the body, in bytes."""
        ...

    def parse(self, head: RequestHead, body: Body) -> ParsedRequest:
        """Parse a request.

        Raises:
            RequestError: if it is malformed.
        """
        ...

    def renders_inline(self, request: ParsedRequest, numbers: int) -> bool:
        """Return True if rendering the numbers on the event loop is faster than in a thread."""
        ...

    def render(self, request: ParsedRequest, answer: Answer) -> Reply:
        """Render an answer."""
        ...
