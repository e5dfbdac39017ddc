"""Reading `POST …/infer`.

The body is JSON; or, with the header `Inference-Header-Content-Length`, that many bytes of JSON,
and then the raw bytes of each input that has `binary_data_size`, one after the other, in the order
of `inputs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import InvalidMaskError, MalformedRequestError
from lacuna.raster.limits import ImageLimits, check_size
from lacuna.raster.raster import Raster, narrow
from lacuna.sample import Sample
from service.runtime.manifest import Manifest
from service.wire.batch import Entry, check_count, check_pixels, read_samples
from service.wire.dialect import ModelTarget
from service.wire.json_object import read_member, read_object
from service.wire.oip.inputs import read_inputs
from service.wire.oip.outputs import RequestedOutput, read_outputs
from service.wire.oip.tensors import Tensor
from service.wire.outputs import PROBABILITIES

HEADER_LENGTH = "Inference-Header-Content-Length"

_DEFAULT_PRIORITY = 2
"""1 goes first, larger numbers later; 0 stands for the default, which leaves room on both sides."""

_LIGHT_BYTES = 64 * 1024
"""Up to here JSON is read in less time than handing it to a thread and back takes."""

_LIGHT_RAW_BYTES = 256 * 1024
"""The same of raw tensors, which nobody looks at before they are fitted to the model."""

_MAX_WHOLE = (1 << 63) - 1


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request, read but for its pixels.

    Attributes:
        image: N×H×W×C.
        mask: N×H×W or N×H×W×1; None if there is none.
        outputs: wanted, at least one.
        id: to be sent back; None if there is none.
        timeout_s: how long the caller will wait; None for as long as it takes.
        priority: larger goes first, 0 is everybody's.
        is_light: reading the pixels takes a look at few bytes.
        target: None, for the path names the model.
    """

    image: Tensor
    mask: Tensor | None
    outputs: list[RequestedOutput]
    id: str | None = None
    timeout_s: float | None = None
    priority: int = 0
    is_light: bool = False
    target: ModelTarget | None = None

    @property
    def wants_probabilities(self) -> bool:
        """Whether they are among the outputs."""
        return any(output.name == PROBABILITIES for output in self.outputs)

    def read_samples(self, manifest: Manifest, limits: ImageLimits) -> list[Sample]:
        """Turn the inputs into a model's samples, one for each image.

        Args:
            manifest: of the model.
            limits: of all images together.

        Raises:
            RequestError: if they are damaged, too large, or do not suit each other or the model.
        """
        count, height, width, channels = self.image.shape
        check_count(count)
        check_size(limits, height, width, channels)
        check_pixels(limits, count * height * width)
        masks = [None] * count if self.mask is None else _read_masks(self.mask, count)
        entries = [
            _make_entry(image, mask) for image, mask in zip(self.image.read(), masks, strict=True)
        ]
        return read_samples(entries, manifest, limits)


def parse_infer(
    header_length: str | None, body: bytes | bytearray, limits: ImageLimits
) -> InferRequest:
    """Read a request.

    Args:
        header_length: the header `Inference-Header-Content-Length`; None if there is none.
        body: the whole of it, not compressed.
        limits: of the images in it.

    Raises:
        RequestError: if it cannot be understood.
    """
    text, raw = _split(header_length, body)
    try:
        content = read_object(text, limits)
    except MalformedRequestError as error:
        if header_length is not None:
            raise
        raise MalformedRequestError(
            f"{error.message}; if raw bytes follow it, {HEADER_LENGTH} must give its length"
        ) from error
    parameters = read_member(content, "parameters", dict, "the request") or {}
    tensors = read_inputs(read_member(content, "inputs", list, "the request") or [], raw)
    if "image" not in tensors:
        raise MalformedRequestError(
            f"inputs must have an image; they have {', '.join(tensors) or 'none'}"
        )
    return InferRequest(
        tensors["image"],
        tensors.get("mask"),
        read_outputs(content, parameters),
        read_member(content, "id", str, "the request"),
        _read_timeout(parameters),
        _read_priority(parameters),
        parses_at_once(header_length, len(body)),
    )


def parses_at_once(header_length: str | None, body_bytes: int) -> bool:
    """Tell whether reading a body takes less time than handing it to a thread and back."""
    return body_bytes <= (_LIGHT_BYTES if header_length is None else _LIGHT_RAW_BYTES)


def _split(
    header_length: str | None, body: bytes | bytearray
) -> tuple[bytes | bytearray, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 20):
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must be a number of bytes; it is {header_length!r:.100}"
        )
    length = int(header_length)
    if length == 0:
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must not be 0: a body without JSON cannot tell the image's shape, "
            "nor image from mask"
        )
    if length > len(body):
        raise MalformedRequestError(
            f"{HEADER_LENGTH} must be at most the body's {len(body)} bytes; it is {length}"
        )
    return body[:length], memoryview(body)[length:]


def _read_timeout(parameters: dict[str, Any]) -> float | None:
    timeout_us = _read_whole(parameters, "timeout")
    return timeout_us / 1e6 if timeout_us else None


def _read_priority(parameters: dict[str, Any]) -> int:
    return _DEFAULT_PRIORITY - (_read_whole(parameters, "priority") or _DEFAULT_PRIORITY)


def _read_whole(parameters: dict[str, Any], name: str) -> int:
    value = read_member(parameters, name, int, "the parameters") or 0
    if not 0 <= value <= _MAX_WHOLE:
        raise MalformedRequestError(f"{name} must be from 0 to {_MAX_WHOLE}; it is {value!r:.100}")
    return int(value)


def _make_entry(image: NDArray[Any], mask: NDArray[np.bool_] | None) -> Entry:
    return Entry(lambda _: Raster(narrow(image)), None if mask is None else lambda _: mask)


def _read_masks(tensor: Tensor, count: int) -> NDArray[np.bool_]:
    """Give the masks of `count` images as bool N×H×W."""
    if tensor.shape[0] != count or tensor.shape[3:] not in ((), (1,)):
        raise InvalidMaskError(
            f"mask must be [N, H, W] or [N, H, W, 1] with N = {count} as the image; "
            f"it is {list(tensor.shape)}"
        )
    return np.asarray(tensor.read() != 0, np.bool_).reshape(tensor.shape[:3])
