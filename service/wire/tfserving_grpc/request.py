"""Parsing of `tensorflow.serving.PredictRequest`.

The `tensor_content` of its tensors is taken out of the message where it stands, and is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lacuna.errors import MalformedRequestError
from lacuna.excerpts import list_names
from service.wire.dialect import ModelTarget
from service.wire.message_fields import Field, find_fields
from service.wire.messages import decode
from service.wire.tfserving.request import (
    INPUTS,
    SIGNATURES,
    PredictRequest,
    choose_signature,
)
from service.wire.tfserving_grpc.images import make_image_inputs
from service.wire.tfserving_grpc.tensors import (
    IMAGE_TYPES,
    MASK_TYPES,
    ProtoTensor,
    read_tensor,
)

_INPUTS = 2
_KEY, _VALUE = 1, 2
_SHAPE, _CONTENT = 2, 4

MAX_FIELDS = 4096
"""Most fields of a message and of what it holds; each takes some hundred bytes."""

_FIELD_BYTES = 16
"""Most bytes of memory for each byte of a message without the contents of its tensors: a number of
one byte becomes one of 8 in an array that grows by doubling; measured: 14.4."""

_MAX_INLINE_BYTES = 256 * 1024
_MAX_INLINE_DESCRIBED_BYTES = 16 * 1024
"""Largest messages that are parsed and decoded on the event loop: in all, and without the contents
of their tensors. For larger ones, a thread is faster."""


def parse_predict(message: bytes, timeout_s: float | None) -> PredictRequest:
    """Parse a request.

    Args:
        message: encoded message.
        timeout_s: seconds that the client will still wait; None for no limit.

    Raises:
        RequestError: if the request is malformed or too large.
    """
    parts = split_message(message)
    content = decode("tensorflow.serving.PredictRequest", parts.head)
    tensors = _read_inputs(parts)
    signature = choose_signature(content.model_spec.signature_name)
    return PredictRequest(
        make_image_inputs(tensors["image"], tensors.get("mask")),
        _choose_outputs(signature, list(content.output_filter)),
        by_rows=False,
        timeout_s=timeout_s,
        decodes_inline=parses_inline(len(message))
        and parts.described_bytes <= _MAX_INLINE_DESCRIBED_BYTES,
        target=read_target(content.model_spec),
        as_tensors=True,
        signature=signature,
    )


class Input(NamedTuple):
    """Input of a message.

    Attributes:
        name: name of the input.
        tensor: encoded `TensorProto` without its `tensor_content`.
        content: `tensor_content`, which is not copied; empty if there is none.
    """

    name: str
    tensor: bytes
    content: memoryview


class SplitMessage(NamedTuple):
    """Message whose large parts were taken out.

    Attributes:
        head: message without its inputs.
        inputs: inputs.
    """

    head: bytes
    inputs: list[Input]

    @property
    def described_bytes(self) -> int:
        """Bytes of the message without the contents of its tensors."""
        return len(self.head) + sum(len(given.tensor) for given in self.inputs)


def split_message(message: bytes) -> SplitMessage:
    """Take the inputs out of a message, and the contents out of the inputs.

    Raises:
        MalformedRequestError: if the message is not one, or has too many fields.
    """
    head: list[memoryview] = []
    inputs: list[Input] = []
    view, counter = memoryview(message), _Counter()
    for field in counter.find(message, 0, len(message)):
        if field.number == _INPUTS:
            inputs.append(_split_input(message, field, counter))
        else:
            head.append(view[field.begin : field.end])
    return SplitMessage(b"".join(head), inputs)


def _split_input(message: bytes, entry: Field, counter: _Counter) -> Input:
    view = memoryview(message)
    name, content, kept = view[:0], view[:0], list[memoryview]()
    for part in counter.find(message, entry.content, entry.end):
        if part.number == _KEY:
            name = view[part.content : part.end]
        if part.number != _VALUE:
            continue
        for field in counter.find(message, part.content, part.end):
            if field.number == _CONTENT:
                content = view[field.content : field.end]
                continue
            if field.number == _SHAPE:
                for _ in counter.find(message, field.content, field.end):
                    pass  # counts them
            kept.append(view[field.begin : field.end])
    return Input(bytes(name).decode("utf-8", "replace"), b"".join(kept), content)


class _Counter:
    """Count of the fields that were found in a message."""

    def __init__(self) -> None:
        self._count = 0

    def find(self, message: bytes, begin: int, end: int) -> Iterator[Field]:
        """Yield the fields of a part of the message, and count them."""
        for field in find_fields(message, begin, end):
            self._count += 1
            if self._count > MAX_FIELDS:
                raise MalformedRequestError(
                    f"a PredictRequest must have at most {MAX_FIELDS} fields; it has more"
                )
            yield field


def estimate_predict_bytes(message: bytes) -> int:
    """Estimate the memory that parsing a message takes besides it, in bytes."""
    return split_message(message).described_bytes * _FIELD_BYTES


def parses_inline(message_bytes: int) -> bool:
    """Return True if parsing a message on the event loop is faster than in a thread."""
    return message_bytes <= _MAX_INLINE_BYTES


def read_target(spec: Any) -> ModelTarget:
    """Return the model that a `ModelSpec` names.

    Raises:
        MalformedRequestError: if it names none.
    """
    if not spec.name:
        raise MalformedRequestError("model_spec must name a model; it has no name")
    choice = spec.WhichOneof("version_choice")
    version = str(spec.version.value) if choice == "version" else None
    return ModelTarget(spec.name, version, spec.version_label or None)


def _read_inputs(parts: SplitMessage) -> dict[str, ProtoTensor]:
    # Of repeated keys of a map, the last counts.
    given = {entry.name: entry for entry in parts.inputs}
    unknown = [name for name in given if name not in INPUTS]
    if unknown:
        raise MalformedRequestError(
            f"inputs must have only {' and '.join(INPUTS)}; they have {list_names(unknown)}"
        )
    if "image" not in given:
        raise MalformedRequestError(
            f"inputs must have an image; they have {', '.join(given) or 'none'}"
        )
    return {name: _read_input(entry) for name, entry in given.items()}


def _read_input(given: Input) -> ProtoTensor:
    proto = decode("tensorflow.TensorProto", given.tensor)
    if given.name == "image":
        return read_tensor("image", proto, given.content, IMAGE_TYPES, (4,))
    return read_tensor("mask", proto, given.content, MASK_TYPES, (3, 4))


def _choose_outputs(signature: str, wanted: list[str]) -> tuple[str, ...]:
    """Return the outputs that a request wants, in the order of the signature."""
    outputs = SIGNATURES[signature]
    unknown = [name for name in wanted if name not in outputs]
    if unknown:
        raise MalformedRequestError(
            f"output_filter must name outputs of {signature}, {', '.join(outputs)}; it names "
            f"{list_names(unknown)}"
        )
    return tuple(name for name in outputs if name in wanted) if wanted else outputs
