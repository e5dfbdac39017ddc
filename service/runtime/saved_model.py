"""Runtime of TensorFlow SavedModels. No other module of the service imports TensorFlow."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import (
    InferenceError,
    InvalidGraphError,
    SignatureMismatchError,
)
from lacuna.out_of_memory import check_address_space, is_out_of_memory, make_shortage_error
from lacuna.windows.window import Window
from service.core.model_formats import SAVED_MODEL, ModelFormat
from service.runtime.checksums import verify_checksums
from service.runtime.manifest import Manifest, read_manifest
from service.runtime.protocol import BatchOutput, make_output

# On processors without AVX-512 TensorFlow uses oneDNN only if it is told to. What it uses instead
# rounds the last pixels of a batch otherwise, and takes 1.7 times as long (docs/decisions/0044).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if "TF_USE_LEGACY_KERAS" in os.environ:
    import tensorflow as tf
else:
    # Otherwise TensorFlow imports Keras with itself, which takes a quarter of the time. Instead it
    # looks for Keras 2, which is rarely there. Graphs need neither; Keras can still be imported.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        import tensorflow as tf
    finally:
        del os.environ["TF_USE_LEGACY_KERAS"]

log = logging.getLogger(__name__)

LABELS = "labels"
SERVING_DEFAULT = "serving_default"
TILE = "tile"
TILE_LABELS = "tile_labels"
STRIPS = "strips"
STRIPS_LABELS = "strips_labels"

_Signature = Callable[..., Mapping[str, Any]]
"""Function of tensors by name that returns tensors by name."""

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

    It may have two more, `tile` and `tile_labels`, which compute a window alone, and `strips` and
    `strips_labels`, which leave out blocks without a valid pixel.

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
        labels = {"labels": outputs["labels"]}
        self._signatures: dict[str, _Signature] = {
            SERVING_DEFAULT: self._find_signature(SERVING_DEFAULT, outputs),
            LABELS: self._find_signature(LABELS, labels),
        }
        if {TILE, TILE_LABELS} & set(self._loaded.signatures):
            keep = {"keep": tf.TensorSpec((4,), tf.int32)}
            self._signatures[TILE] = self._find_signature(TILE, outputs, keep)
            self._signatures[TILE_LABELS] = self._find_signature(TILE_LABELS, labels, keep)
        if {STRIPS, STRIPS_LABELS} & set(self._loaded.signatures):
            self._signatures[STRIPS] = self._find_signature(STRIPS, outputs)
            self._signatures[STRIPS_LABELS] = self._find_signature(STRIPS_LABELS, labels)

    def in_bfloat16(self) -> Self:
        """Return the model in bfloat16 arithmetic, as far as TensorFlow rewrites its operations.

        It shares the loaded graph with this one. Where TensorFlow has no such arithmetic, it
        computes in float32. It computes no strips: in their graph TensorFlow rounds elsewhere, so
        they would not have the bits of the whole.
        """
        fast = copy.copy(self)
        fast._signatures = {  # noqa: SLF001 (of the same class)
            name: _rewrite(signature)
            for name, signature in self._signatures.items()
            if name not in (STRIPS, STRIPS_LABELS)
        }
        return fast

    @property
    def manifest(self) -> Manifest:
        """Manifest of the model."""
        return self._manifest

    @property
    def model_format(self) -> ModelFormat:
        """Format of the model's files."""
        return SAVED_MODEL

    @property
    def can_keep(self) -> bool:
        """True if the model has signatures for windows."""
        return TILE in self._signatures

    @property
    def can_skip(self) -> bool:
        """True if the model has signatures for strips."""
        return STRIPS in self._signatures

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
        size, window = masks.shape[1:], {}
        name = SERVING_DEFAULT if probabilities else LABELS
        if on_strips:
            name = STRIPS if probabilities else STRIPS_LABELS
        elif keep is not None:
            name = TILE if probabilities else TILE_LABELS
            size, window = (keep.height, keep.width), {"keep": tf.constant(keep, tf.int32)}
        check_address_space()
        try:
            result = self._signatures[name](
                image=tf.constant(images, tf.float32),
                mask=tf.constant(masks[..., None], tf.bool),
                **window,
            )
            labels = result["labels"].numpy()
            scores = result["probabilities"].numpy() if probabilities else None
        except tf.errors.OpError as error:
            if _is_out_of_memory(error):
                raise make_shortage_error("run the model") from error
            raise InferenceError(f"the model failed: {error.message}") from error
        classes = len(self._manifest.classes)
        return make_output(labels, scores, (len(images), *size), classes)

    def _find_signature(
        self,
        name: str,
        outputs: Mapping[str, tf.TensorSpec],
        others: Mapping[str, tf.TensorSpec] = MappingProxyType({}),
    ) -> Any:
        """Return a signature of image, mask and other inputs, once they are as they must be."""
        signature = self._loaded.signatures.get(name)
        if signature is None:
            have = ", ".join(sorted(self._loaded.signatures)) or "none"
            raise SignatureMismatchError(f"the model must have a signature {name}; it has {have}")
        inputs = {
            "image": tf.TensorSpec((None, None, None, self._manifest.image.channels), tf.float32),
            "mask": tf.TensorSpec((None, None, None, 1), tf.bool),
            **others,
        }
        _check_specs(f"{name}: inputs", inputs, signature.structured_input_signature[1])
        _check_specs(f"{name}: outputs", outputs, signature.structured_outputs)
        return signature


def _rewrite(signature: Any) -> _Signature:
    """Return a signature that TensorFlow's optimizer rewrites in bfloat16.

    Options of the optimizer that are set by `tf.config` apply to all models of a process. As an
    argument of the operation that calls a function, they apply to this call.
    """
    specs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs

    def call_signature(*tensors: Any) -> list[Any]:
        results = signature(**dict(zip(specs, tensors, strict=True)))
        return [results[name] for name in outputs]

    graph = tf.function(
        call_signature, input_signature=list(specs.values()), autograph=False
    ).get_concrete_function()
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.auto_mixed_precision_onednn_bfloat16 = rewriting.ON
    options = config.SerializeToString()
    dtypes = [spec.dtype for spec in outputs.values()]

    def call(**tensors: Any) -> dict[str, Any]:
        values = [tensors[name] for name in specs]
        results = tf.raw_ops.StatefulPartitionedCall(
            args=[*values, *graph.captured_inputs], Tout=dtypes, f=graph, config_proto=options
        )
        return dict(zip(outputs, results, strict=True))

    return call


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, tf.errors.ResourceExhaustedError) or is_out_of_memory(error):
        return True
    return isinstance(error, tf.errors.AbortedError) and _ONEDNN_OUT_OF_MEMORY in error.message


def _check_specs(where: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
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


def _describe(specs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {spec.dtype.name} {spec.shape}" for name, spec in sorted(specs.items())
    )
