"""A network that was made elsewhere, as its file describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int | None, ...]
Floats = NDArray[np.float32]

IMAGE_RANK = 4
_INPUT_DTYPES = ("float32", "float16", "uint8", "int8", "int16", "uint16", "int32", "int64")
_OUTPUT_DTYPES = ("float32", "float16", "float64", "bfloat16")


class AdoptionError(ValueError):
    """A network cannot be adopted; the message states the rule, then what came."""


class TensorFacts(NamedTuple):
    """Input or output of a network.

    Attributes:
        name: name in the file.
        shape: lengths, None where any is taken; None if even the rank is open.
        dtype: NumPy's name of the type.
    """

    name: str
    shape: Shape | None
    dtype: str

    def __str__(self) -> str:
        """Return name, type and shape."""
        if self.shape is None:
            return f"{self.name} {self.dtype} (rank unknown)"
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"{self.name} {self.dtype} ({lengths})"


@dataclass(frozen=True)
class Source:
    """Network that was made elsewhere.

    Attributes:
        kind: `"Keras"`, `"SavedModel"` or `"ONNX"`.
        input: its image.
        output: its scores.
        run: function from the input to the output, arrays as the network has them.
        graph: what is wrapped: a frozen function of TensorFlow, or a model of ONNX.
        scales_itself: True if its first layers scale raw values.
        activation: activation of its last layer, as Keras names it; None if it is not known.
        network: the Keras network from the image to the scores alone; None if the source is of
            another kind.
    """

    kind: str
    input: TensorFacts
    output: TensorFacts
    run: Callable[[NDArray[Any]], NDArray[Any]]
    graph: Any
    scales_itself: bool = False
    activation: str | None = None
    network: Any = None


def choose_tensor(tensors: Sequence[TensorFacts], role: str, name: str | None) -> TensorFacts:
    """Choose the input or the output of a network.

    Args:
        tensors: all of that role.
        role: `"input"` or `"output"`.
        name: name of the one; None for the only one.

    Raises:
        AdoptionError: if there is none of that name, or several and no name.
    """
    listed = "; ".join(str(tensor) for tensor in tensors) or "none"
    if name is not None:
        for tensor in tensors:
            if tensor.name == name:
                return tensor
        raise AdoptionError(f"the {role} {name} must be one of the network's; they are {listed}")
    if len(tensors) == 1:
        return tensors[0]
    if role == "output" and tensors:
        raise AdoptionError(
            f"the output with the scores must be named by --scores, as there are several; they are "
            f"{listed}"
        )
    raise AdoptionError(f"a network must take one image and nothing else; its inputs are {listed}")


def check_image(tensor: TensorFacts) -> None:
    """Check that an input may be an image.

    Raises:
        AdoptionError: if its rank is open or not 4, or its type is not one of numbers.
    """
    _check_rank(tensor, "input", (IMAGE_RANK,))
    if tensor.dtype not in _INPUT_DTYPES:
        raise AdoptionError(f"the input must be one of {', '.join(_INPUT_DTYPES)}; it is {tensor}")


def check_scores(tensor: TensorFacts) -> None:
    """Check that an output may be scores of pixels.

    Raises:
        AdoptionError: if its rank is open or not 3 or 4, or it is not of floating-point numbers.
    """
    _check_rank(tensor, "output", (IMAGE_RANK - 1, IMAGE_RANK))
    if tensor.dtype not in _OUTPUT_DTYPES:
        raise AdoptionError(
            "the output must be scores, one for each class, of floating-point numbers; it is "
            f"{tensor}"
        )


def _check_rank(tensor: TensorFacts, role: str, ranks: tuple[int, ...]) -> None:
    if tensor.shape is None or len(tensor.shape) not in ranks:
        rule = " or ".join(str(rank) for rank in ranks)
        raise AdoptionError(f"the {role} must have a known rank of {rule}; it is {tensor}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, of at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def as_float(array: Any) -> Floats:
    """Return an array as float32."""
    return np.asarray(array, np.float32)
