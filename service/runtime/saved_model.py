"""Runtime of TensorFlow SavedModels. No other module of the service imports TensorFlow."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    SignatureMismatchError,
)
from lacuna.out_of_memory import check_address_space, is_out_of_memory, make_shortage_error
from service.runtime.checksums import verify_checksums
from service.runtime.manifest import Manifest, read_manifest
from service.runtime.protocol import BatchOutput

log = logging.getLogger(__name__)

LABELS = "labels"
SERVING_DEFAULT = "serving_default"

_ONEDNN_OUT_OF_MEMORY = "exception:Status: 1,"
"""Part of the message of an AbortedError: `dnnl_out_of_memory` is 1."""


def set_threads(calls: int, threads: int) -> None:
    """Set TensorFlow's thread pools for a number of concurrent calls.

    TensorFlow fixes its threads when it loads the first model. After that, this has no effect.

    Args:
        calls: Number of concurrent calls.
        threads: Number of threads for each call.
    """
    expected = {
        tf.config.threading.set_inter_op_parallelism_threads: calls,
        tf.config.threading.set_intra_op_parallelism_threads: threads,
    }
    try:
        for set_threads, number in expected.items():
            set_threads(number)
    except RuntimeError:  # "Inter op parallelism cannot be modified after initialization"
        log.debug("TensorFlow's threads are fixed already")


class SavedModelRuntime:
    """SavedModel with the two signatures `serving_default` and `labels`.

    Args:
        folder: Folder `<repository>/<model>/<version>` with `saved_model.pb` and the manifest.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the manifest is not valid.
        ChecksumMismatchError: if a file is not the one that the manifest has the checksum of.
        InvalidGraphError: if TensorFlow cannot load the graph.
        OutOfMemoryError: if there is no memory to load it now.
        SignatureMismatchError: if a signature is missing, or has other inputs or outputs.
    """

    def __init__(self, folder: Path) -> None:
        self._manifest = read_manifest(folder)
        verify_checksums(folder, self._manifest)
        try:
            # Kept, because signatures reference its resources weakly.
            self._loaded = tf.saved_model.load(str(folder))
        except Exception as error:
            if _is_out_of_memory(error):
                raise make_shortage_error("load the model") from error
            raise InvalidGraphError(
                f"saved_model.pb must load in TensorFlow {tf.__version__}; {error}"
            ) from error
        outputs = {
            "labels": tf.TensorSpec((None, None, None), tf.uint8),
            "probabilities": tf.TensorSpec(
                (None, None, None, len(self._manifest.classes)), tf.float32
            ),
        }
        self._full = self._find_signature(SERVING_DEFAULT, outputs)
        self._labels = self._find_signature(LABELS, {"labels": outputs["labels"]})

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        return self._manifest

    def run(
        self, images: NDArray[np.float32], masks: NDArray[np.bool_], *, probabilities: bool
    ) -> BatchOutput:
        """Segment a batch; see `Runtime.run`."""
        signature = self._full if probabilities else self._labels
        check_address_space()
        try:
            result = signature(
                image=tf.constant(images, tf.float32), mask=tf.constant(masks[..., None], tf.bool)
            )
            labels = result["labels"].numpy()
            scores = result["probabilities"].numpy() if probabilities else None
        except tf.errors.OpError as error:
            if _is_out_of_memory(error):
                raise make_shortage_error("run the model") from error
            raise InferenceError(f"the model failed: {error.message}") from error
        _check_shape("labels", labels, masks.shape)
        if scores is not None:
            _check_shape("probabilities", scores, (*masks.shape, len(self._manifest.classes)))
        return BatchOutput(labels, scores)

    def _find_signature(self, name: str, outputs: dict[str, tf.TensorSpec]) -> Any:
        signature = self._loaded.signatures.get(name)
        if signature is None:
            have = ", ".join(sorted(self._loaded.signatures)) or "none"
            raise SignatureMismatchError(f"the model must have a signature {name}; it has {have}")
        inputs = {
            "image": tf.TensorSpec((None, None, None, self._manifest.image.channels), tf.float32),
            "mask": tf.TensorSpec((None, None, None, 1), tf.bool),
        }
        _check_specs(f"{name}: inputs", inputs, signature.structured_input_signature[1])
        _check_specs(f"{name}: outputs", outputs, signature.structured_outputs)
        return signature


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, tf.errors.ResourceExhaustedError) or is_out_of_memory(error):
        return True
    return isinstance(error, tf.errors.AbortedError) and _ONEDNN_OUT_OF_MEMORY in error.message


def _check_specs(where: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Check names, dtypes and shapes. A model may leave more dimensions open than we require."""
    fits = expected.keys() == found.keys() and all(
        spec.dtype == found[name].dtype and _is_open(found[name].shape, spec.shape)
        for name, spec in expected.items()
    )
    if not fits:
        raise SignatureMismatchError(
            f"{where} must be {_describe(expected)}; they are {_describe(found)}"
        )


def _is_open(found: Any, expected: Any) -> bool:
    if found.rank is None:
        return True
    return found.rank == expected.rank and all(
        length is None or length == required
        for length, required in zip(found.as_list(), expected.as_list(), strict=True)
    )


def _describe(specs: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {spec.dtype.name} {spec.shape}" for name, spec in sorted(specs.items())
    )


def _check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise InferenceError(
            f"the model must return {name} of {expected}; it returned {array.shape}"
        )
