"""Parsing of requests to `POST …/infer`.

The body is JSON. With the header `Inference-Header-Content-Length`, the body is that many bytes of
JSON, followed by the raw bytes of each input that has `binary_data_size`, in the order of `inputs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidMaskError, MalformedRequestError
from lacuna.excerpts import quote
from lacuna.raster.band_parameters import parse_selection
from lacuna.raster.bands import EVERY_BAND, BandSelection
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.raster import Raster, narrow
from lacuna.raster.samples import check_selection, select_bands
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import ImageInput, check_count, check_pixels, read_samples
from service.wire.dialect import Footprint, ModelTarget
from service.wire.json_object import estimate_parse_bytes, read_member, read_object
from service.wire.oip.inputs import read_inputs
from service.wire.oip.outputs import OUTPUTS, RequestedOutput, read_outputs
from service.wire.oip.tensors import Tensor
from service.wire.outputs import LABELS

HEADER_LENGTH = "Inference-Header-Content-Length"

_DEFAULT_PRIORITY = 2
"""Default of the protocol's `priority`: 1 runs first, larger numbers later, 0 means the default."""

_MAX_INLINE_BYTES = 64 * 1024
"""Largest JSON that is parsed on the event loop. For more, a thread is faster."""

_MAX_INLINE_RAW_BYTES = 256 * 1024
"""Largest body whose raw tensors are decoded on the event loop. Raw bytes are not parsed."""

_SELECTED_BYTES = 4
"""Most bytes for each number of the channels that are wanted."""

_MAX_WHOLE = (1 << 63) - 1


@dataclass(frozen=True, eq=False)
class InferRequest:
    """Request whose tensors are not yet decoded.

    Attributes:
        image: tensor N×H×W×C.
        mask: tensor N×H×W or N×H×W×1; None for no mask.
        outputs: requested outputs, at least one.
        id: id that the answer repeats; None for none.
        timeout_s: seconds that the client will wait; None for no limit.
        priority: priority; larger numbers run first, 0 is the default.
        decodes_inline: True if decoding is faster on the event loop than in a thread.
        bands: channels of the images that are wanted.
        target: model that the message names; None if the path of the request does.
        stretch: always `none`; the protocol has no parameter for it.
    """

    image: Tensor
    mask: Tensor | None
    outputs: list[RequestedOutput]
    id: str | None = None
    timeout_s: float | None = None
    priority: int = 0
    decodes_inline: bool = False
    bands: BandSelection = EVERY_BAND
    target: ModelTarget | None = None
    stretch: str = "none"

    @property
    def planes(self) -> tuple[str, ...]:
        """Planes beside the labels that the answer holds."""
        return tuple(output.name for output in self.outputs if output.name != LABELS)

    @property
    def measures_inline(self) -> bool:
        """True, because shapes are a few numbers."""
        return True

    def measure(self, limits: ImageLimits) -> Footprint:
        """Measure the tensors by their shapes.

        Args:
            limits: limits of all images together.

        Raises:
            RequestError: if there are too many images, or they are too large.
        """
        count, height, width, channels = self.image.shape
        check_count(count)
        check_size(limits, height, width, channels)
        check_selection(limits, height, width, self.bands)
        pixels = count * height * width
        check_pixels(limits, pixels)
        mask_bytes = 0 if self.mask is None else self.mask.estimate_bytes()
        selected_bytes = pixels * len(self.bands.bands or ()) * _SELECTED_BYTES
        return Footprint(pixels, self.image.estimate_bytes() + mask_bytes + selected_bytes)

    def estimate_answer_bytes(self, pixels: int, classes: int) -> int:
        """Estimate the memory of labels, planes and the answer, in bytes.

        Args:
            pixels: height × width, of all images together.
            classes: number of classes of the model.
        """
        return pixels * sum(output.estimate_pixel_bytes(classes) for output in self.outputs)

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Convert the tensors to samples of a model, one per image.

        Args:
            manifest: manifest of the model.
            limits: limits of all images together.

        Raises:
            RequestError: if a tensor is malformed or too large, or they do not match each other or
                the model.
        """
        self.measure(limits)
        count = self.image.shape[0]
        masks = [None] * count if self.mask is None else _read_masks(self.mask, count)
        inputs = [
            _make_image_input(image, mask, self.bands)
            for image, mask in zip(self.image.read(), masks, strict=True)
        ]
        return read_samples(inputs, manifest, limits)


def parse_infer(
    header_length: str | None,
    body: bytes | bytearray,
    limits: ImageLimits,
    default_outputs: Sequence[str] = OUTPUTS,
) -> InferRequest:
    """Parse a request.

    Args:
        header_length: value of the header `Inference-Header-Content-Length`; None if it is missing.
        body: whole body, decompressed.
        limits: limits of the images.
        default_outputs: outputs of a request that names none.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    text, raw = _split(header_length, body)
    try:
        content = read_object(text, limits)
    except MalformedRequestError as error:
        if header_length is not None:
            raise
        raise MalformedRequestError(
            f"{error.message}; if raw bytes follow the JSON, {HEADER_LENGTH} must be its length"
        ) from error
    parameters = read_member(content, "parameters", dict, "the request") or {}
    tensors = read_inputs(read_member(content, "inputs", list, "the request") or [], raw)
    return make_request(
        tensors,
        read_outputs(content, parameters, default_outputs),
        parameters,
        read_member(content, "id", str, "the request"),
        decodes_inline=len(body) <= (_MAX_INLINE_RAW_BYTES if raw else _MAX_INLINE_BYTES),
    )


def make_request(
    tensors: Mapping[str, Tensor],
    outputs: list[RequestedOutput],
    parameters: dict[str, Any],
    request_id: str | None,
    *,
    decodes_inline: bool,
    target: ModelTarget | None = None,
    waits_s: float | None = None,
) -> InferRequest:
    """Make a request of its parts.

    Args:
        tensors: inputs by name.
        outputs: requested outputs, at least one.
        parameters: parameters of the request.
        request_id: id that the answer repeats; None for none.
        decodes_inline: True if decoding is faster on the event loop than in a thread.
        target: model that the message names; None if the path of the request does.
        waits_s: seconds that the client will still wait, as the transport says; None for no limit.

    Raises:
        MalformedRequestError: if there is no image, or a parameter is malformed.
    """
    if "image" not in tensors:
        raise MalformedRequestError(
            f"inputs must have an image; they have {', '.join(tensors) or 'none'}"
        )
    return InferRequest(
        tensors["image"],
        tensors.get("mask"),
        outputs,
        request_id,
        _read_timeout(parameters, waits_s),
        _read_priority(parameters),
        decodes_inline,
        parse_selection(parameters.get("bands"), parameters.get("alpha")),
        target,
    )


def estimate_infer_bytes(header_length: str | None, body: bytes | bytearray) -> int:
    """Estimate the memory that parsing a body takes, in bytes. Raw tensors are not parsed."""
    text_bytes = _count_text_bytes(header_length, len(body))
    return estimate_parse_bytes(body if text_bytes == len(body) else body[:text_bytes])


def parses_inline(header_length: str | None, body_bytes: int) -> bool:
    """Return True if parsing a body on the event loop is faster than in a thread."""
    return _count_text_bytes(header_length, body_bytes) <= _MAX_INLINE_BYTES


def _count_text_bytes(header_length: str | None, body_bytes: int) -> int:
    """Return the length of the JSON before raw bytes, in bytes; of the body if it is not stated."""
    if header_length is None or not _is_length(header_length):
        return body_bytes
    return min(int(header_length), body_bytes)


def _split(
    header_length: str | None, body: bytes | bytearray
) -> tuple[bytes | bytearray, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not _is_length(header_length):
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must be a number of bytes; it is {quote(header_length)}"
        )
    length = int(header_length)
    if length == 0:
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must be more than 0, because the JSON names the inputs and their "
            "shapes; it is 0"
        )
    if length > len(body):
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must be at most the body's {len(body)} bytes; it is {length}"
        )
    return body[:length], memoryview(body)[length:]


def _is_length(header_length: str) -> bool:
    # Python refuses to convert more than 4,300 digits.
    return header_length.isascii() and header_length.isdigit() and len(header_length) < 20


def _read_timeout(parameters: dict[str, Any], waits_s: float | None) -> float | None:
    timeout_us = _read_whole(parameters, "timeout")
    if not timeout_us:
        return waits_s
    return timeout_us / 1e6 if waits_s is None else min(timeout_us / 1e6, waits_s)


def _read_priority(parameters: dict[str, Any]) -> int:
    return _DEFAULT_PRIORITY - (_read_whole(parameters, "priority") or _DEFAULT_PRIORITY)


def _read_whole(parameters: dict[str, Any], name: str) -> int:
    value = read_member(parameters, name, int, "the parameters") or 0
    if not 0 <= value <= _MAX_WHOLE:
        raise MalformedRequestError(f"{name} must be from 0 to {_MAX_WHOLE}; it is {quote(value)}")
    return int(value)


def _make_image_input(
    image: NDArray[Any], mask: NDArray[np.bool_] | None, bands: BandSelection
) -> ImageInput:
    return ImageInput(
        lambda _: Footprint(image.shape[0] * image.shape[1], image.nbytes),
        lambda _, bands: select_bands(Raster(narrow(image)), bands),
        None if mask is None else lambda _: mask,
        bands=bands,
    )


def _read_masks(tensor: Tensor, count: int) -> NDArray[np.bool_]:
    """Return the masks of `count` images, bool (N, H, W)."""
    if tensor.shape[0] != count or tensor.shape[3:] not in ((), (1,)):
        raise InvalidMaskError(
            f"mask must be [N, H, W] or [N, H, W, 1], with N = {count} like the image; "
            f"it is {list(tensor.shape)}"
        )
    return np.asarray(tensor.read() != 0, np.bool_).reshape(tensor.shape[:3])
