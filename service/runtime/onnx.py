"""Runtime of models in ONNX. No other module of the service imports ONNX Runtime."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    PrecisionError,
    SignatureMismatchError,
)
from lacuna.out_of_memory import check_address_space, is_out_of_memory, make_shortage_error
from lacuna.windows.window import Window
from service.core.model_formats import ONNX, ModelFormat
from service.runtime.checksums import verify_checksums
from service.runtime.manifest import Manifest, read_manifest
from service.runtime.protocol import BatchOutput, make_output

# Otherwise ONNX Runtime reports its use to its makers. It reads this once, when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

GRAPH_FILE = ONNX.files[0]

_SILENT = 4
"""Severity of messages to write to the standard error. Failures are raised as well."""

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
_SHORTAGE = re.compile(r"bad.?alloc|failed to allocate", re.IGNORECASE)

onnxruntime.set_default_logger_severity(_SILENT)


class _Tensor(NamedTuple):
    """Type and shape of an input or output; a side that may have any length has a name or None."""

    type: str
    shape: Sequence[int | str | None]

    def allows(self, required: _Tensor) -> bool:
        """Return True if it has the required type, and a shape that is at least as open.

        A graph need not state the shapes of its outputs.
        """
        if self.type != required.type:
            return False
        return not self.shape or (
            len(self.shape) == len(required.shape)
            and all(
                not isinstance(side, int) or side == length
                for side, length in zip(self.shape, required.shape, strict=True)
            )
        )


class OnnxRuntime:
    """Model in ONNX, from `image` and `mask` to `labels` and `probabilities`.

    Args:
        folder: Folder `<repository>/<model>/<version>` with `model.onnx` and the manifest.
        threads: Number of threads that share a call.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the manifest is not valid.
        ChecksumMismatchError: if a file is not the one that the manifest has the checksum of.
        InvalidGraphError: if ONNX Runtime cannot load the graph.
        OutOfMemoryError: if there is no memory to load it now.
        SignatureMismatchError: if the graph has other inputs or outputs.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._manifest = read_manifest(folder)
        verify_checksums(folder, self._manifest)
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / GRAPH_FILE),
                _make_options(threads),
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            if _is_out_of_memory(error):
                raise make_shortage_error("load the model") from error
            raise InvalidGraphError(
                f"{GRAPH_FILE} must load in ONNX Runtime {onnxruntime.__version__}; "
                f"{_read_reason(error).replace(f'{folder}{os.sep}', '')}"
            ) from error
        self._check_tensors()

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        return self._manifest

    @property
    def model_format(self) -> ModelFormat:
        """Format of the model's files."""
        return ONNX

    def in_bfloat16(self) -> OnnxRuntime:
        """Refuse: ONNX Runtime has no bfloat16 for CPUs."""
        raise PrecisionError("a model must be a SavedModel to run in bfloat16; it is in ONNX")

    @property
    def can_keep(self) -> bool:
        """False: a graph has one signature, which computes whole images."""
        return False

    @property
    def can_skip(self) -> bool:
        """False, for the same reason."""
        return False

    def run(
        self,
        images: NDArray[np.float32],
        masks: NDArray[np.bool_],
        *,
        probabilities: bool,
        keep: Window | None = None,
        on_strips: bool = False,
    ) -> BatchOutput:
        """Segment a batch; see `Runtime.run`."""
        del keep, on_strips
        names = ["labels", "probabilities"] if probabilities else ["labels"]
        check_address_space()
        try:
            labels, *scores = self._session.run(names, {"image": images, "mask": masks[..., None]})
        except Exception as error:
            if _is_out_of_memory(error):
                raise make_shortage_error("run the model") from error
            raise InferenceError(f"the model failed: {_read_reason(error)}") from error
        classes = len(self._manifest.classes)
        return make_output(labels, scores[0] if scores else None, masks.shape, classes)

    def _check_tensors(self) -> None:
        inputs = {
            "image": _Tensor("float", (None, None, None, self._manifest.image.channels)),
            "mask": _Tensor("bool", (None, None, None, 1)),
        }
        outputs = {
            "labels": _Tensor("uint8", (None, None, None)),
            "probabilities": _Tensor("float", (None, None, None, len(self._manifest.classes))),
        }
        _check_tensors("inputs", inputs, self._session.get_inputs())
        _check_tensors("outputs", outputs, self._session.get_outputs())


def _make_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its own arena would keep all that the largest calls took. The process' allocator gives
    # memory back (service.engine.allocator), and reuses it best array by array.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Threads that wait for work must not occupy the cores of other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _is_out_of_memory(error: Exception) -> bool:
    return is_out_of_memory(error) or _SHORTAGE.search(str(error)) is not None


def _read_reason(error: Exception) -> str:
    """Return the message of ONNX Runtime on one line, without its code."""
    return " ".join(_PREFIX.sub("", str(error)).split())


def _check_tensors(where: str, expected: Mapping[str, _Tensor], found: Sequence[Any]) -> None:
    """Check names, types and shapes. A model may leave more dimensions open than we require."""
    tensors = {
        tensor.name: _Tensor(re.sub(r"tensor\((\w+)\)", r"\1", tensor.type), tensor.shape)
        for tensor in found
    }
    fits = expected.keys() == tensors.keys() and all(
        tensors[name].allows(tensor) for name, tensor in expected.items()
    )
    if not fits:
        raise SignatureMismatchError(
            f"{where} must be {_describe(expected)}; they are {_describe(tensors)}"
        )


def _describe(tensors: Mapping[str, _Tensor]) -> str:
    return ", ".join(
        f"{name} {tensor.type} ({', '.join(map(_describe_side, tensor.shape))})"
        for name, tensor in sorted(tensors.items())
    )


def _describe_side(length: int | str | None) -> str:
    return str(length) if isinstance(length, int) else "None"
