"""Segmentation of windows of scenes with a model of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lacuna.raster.limits import ImageLimits
from lacuna.sample import Segmentation
from lacuna.scenes.runner import SceneModel
from service.local.engine import LocalEngine

if TYPE_CHECKING:
    from lacuna.appearance.comparison import FamiliarRange
    from lacuna.sample import Sample
    from lacuna.windows.window import Window
    from service.engine.served import ServedModel


class LocalRunner:
    """Runner of a scene's windows through the engine of this process.

    Args:
        engine: engine.
        model: model to run, leased for the duration.
    """

    def __init__(self, engine: LocalEngine, model: ServedModel) -> None:
        self._segmenter = engine.segmenter
        self._served = model
        # Each worker has a window, and the next is ready when it ends.
        self.concurrency = 2 * engine.workers + 1
        is_exact = model.has_exact_windows
        window_pixels = engine.segmenter.window_pixels if is_exact else ImageLimits().image_pixels
        self.model = describe_model(model, window_pixels)

    @property
    def familiar(self) -> FamiliarRange | None:
        """Range of values that the model is familiar with; None if it is not known."""
        return self._served.runtime.manifest.image.familiar_range

    async def segment(self, sample: Sample, keep: Window, *, probabilities: bool) -> Segmentation:
        """Segment a window; see `SceneRunner`."""
        result = await self._segmenter.segment(
            self._served, sample, probabilities=probabilities, keep=keep
        )
        labels, found = result.segmentation.labels, result.segmentation.probabilities
        kept = keep.slices
        return Segmentation(labels[kept], None if found is None else found[kept])

    async def confirm(self) -> None:
        """Do nothing: the model is leased, and cannot be replaced."""


def describe_model(model: ServedModel, window_pixels: int) -> SceneModel:
    """Describe a model as scenes need it.

    Args:
        model: model that is served.
        window_pixels: largest height × width of a window; of a scene, if windows are not exact.
    """
    manifest = model.runtime.manifest
    return SceneModel(
        name=model.name,
        version=model.version,
        checksum=manifest.checksum,
        classes=manifest.class_infos,
        channels=manifest.image.channels,
        dtype=manifest.image.dtype,
        bands=manifest.image.bands or (),
        total_stride=manifest.total_stride,
        receptive_radius=manifest.receptive_radius,
        window_pixels=window_pixels,
        is_exact=model.has_exact_windows,
    )
