"""The interface between a scene and whatever segments its windows: this machine, or servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lacuna.appearance.comparison import FamiliarRange
from lacuna.raster.adapt import Depth
from lacuna.sample import Sample, Segmentation
from lacuna.segmentation import ClassInfo
from lacuna.windows.window import Window


@dataclass(frozen=True)
class SceneModel:
    """Model that segments a scene.

    Attributes:
        name: name of the model.
        version: version of the model, digits.
        checksum: SHA-256 of the model's files together; empty if it is not known.
        classes: classes, class 0 first.
        channels: number of bands that it takes.
        dtype: value range that it was trained on.
        bands: names of the bands that it takes; empty if they are not known.
        total_stride: side in pixels of a cell of the coarsest level; windows start on multiples.
        receptive_radius: distance in pixels beyond which no pixel influences an output.
        window_pixels: largest height × width of a window; of a scene, if windows are not exact.
        is_exact: whether windows give what the whole scene gives.
    """

    name: str
    version: str
    checksum: str
    classes: tuple[ClassInfo, ...]
    channels: int
    dtype: Depth
    bands: tuple[str, ...]
    total_stride: int
    receptive_radius: int
    window_pixels: int
    is_exact: bool

    @property
    def halo(self) -> int:
        """Border in pixels that a window needs around what is kept: whole cells."""
        return -(-self.receptive_radius // self.total_stride) * self.total_stride


class SceneRunner(Protocol):
    """Engine that segments windows, several at a time."""

    @property
    def model(self) -> SceneModel:
        """Model that it runs."""
        ...

    @property
    def familiar(self) -> FamiliarRange | None:
        """Range of values that the model is familiar with; None if it is not known."""
        ...

    @property
    def concurrency(self) -> int:
        """Number of windows that keep it busy."""
        ...

    async def segment(self, sample: Sample, keep: Window, *, probabilities: bool) -> Segmentation:
        """Segment a window.

        Args:
            sample: the pixels of `keep` and of its halo, as the model takes them.
            keep: window inside the sample whose output is wanted.
            probabilities: True for probabilities beside labels.

        Returns:
            Segmentation of `keep` alone.

        Raises:
            LacunaError: if it fails.
        """
        ...

    async def confirm(self) -> None:
        """Check that all windows were segmented by the model.

        Raises:
            SceneError: if it was replaced meanwhile.
        """
        ...
