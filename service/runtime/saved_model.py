"""TensorFlow SavedModels. The only module of the service that imports TensorFlow."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.errors import InferenceError, InvalidGraphError, SignatureMismatchError
from service.runtime.manifest import Manifest, read_manifest
from service.runtime.protocol import BatchOutput

log = logging.getLogger(__name__)

LABELS = "labels"
SERVING_DEFAULT = "serving_default"


def set_threads(calls: int, threads: int) -> None:
    """Tell TensorFlow how many calls will run at once, and how many threads each may use.

    Args:
        calls: at once.
        threads: for each. What has once been in use stays as it was: TensorFlow fixes its threads
            when the first model is loaded.
    """
    wanted = {
        tf.config.threading.set_inter_op_parallelism_threads: calls,
        tf.config.threading.set_intra_op_parallelism_threads: threads,
    }
    try:
        for set_threads, number in wanted.items():
            set_threads(number)
    except RuntimeError:  # "Inter op parallelism cannot be modified after initialization"
        log.debug("TensorFlow's threads are fixed already")


class SavedModelRuntime:
    """A SavedModel with the two signatures `serving_default` and `labels`.

    Args:
        folder: `<repository>/<model>/<version>`, with `saved_model.pb` and the manifest.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if it is wrong.
        InvalidGraphError: if TensorFlow cannot load the graph.
        SignatureMismatchError: if a signature is missing or has other inputs or outputs.
    """

    def __init__(self, folder: Path) -> None:
        self._manifest = read_manifest(folder)
        try:
            # Held on to: signatures reference its resources weakly.
            self._loaded = tf.saved_model.load(str(folder))
        except Exception as error:
            raise InvalidGraphError(
                f"saved_model.pb must be one that TensorFlow {tf.__version__} loads; {error}"
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
        """What the model says of itself."""
        return self._manifest

    def run(
        self, images: NDArray[np.float32], masks: NDArray[np.bool_], *, probabilities: bool
    ) -> BatchOutput:
        """Segment a batch; see `Runtime.run`."""
        signature = self._full if probabilities else self._labels
        try:
            result = signature(
                image=tf.constant(images, tf.float32), mask=tf.constant(masks[..., None], tf.bool)
            )
            labels = result["labels"].numpy()
            scores = result["probabilities"].numpy() if probabilities else None
        except tf.errors.OpError as error:
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


def _check_specs(where: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Check names, dtypes and shapes; a model may leave open more dimensions than we fix."""
    fits = wanted.keys() == found.keys() and all(
        spec.dtype == found[name].dtype and _is_open(found[name].shape, spec.shape)
        for name, spec in wanted.items()
    )
    if not fits:
        raise SignatureMismatchError(
            f"{where} must be {_describe(wanted)}; they are {_describe(found)}"
        )


def _is_open(found: Any, wanted: Any) -> bool:
    if found.rank is None:
        return True
    return found.rank == wanted.rank and all(
        have is None or have == want
        for have, want in zip(found.as_list(), wanted.as_list(), strict=True)
    )


def _describe(specs: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {spec.dtype.name} {spec.shape}" for name, spec in sorted(specs.items())
    )


def _check_shape(name: str, array: NDArray[Any], wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise InferenceError(f"the model must return {name} of {wanted}; it returned {array.shape}")
