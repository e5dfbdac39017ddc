"""Scenes for tests: generated rasters, and a runner whose answers tell where a window was cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from lacuna.appearance.comparison import FamiliarRange
from lacuna.errors import SceneError
from lacuna.sample import Sample, Segmentation
from lacuna.scenes.runner import SceneModel
from lacuna.segmentation import ClassInfo
from lacuna.windows.window import Window
from tests.support import rasters
from tests.support.gridded import GriddedModel

CLASSES = tuple(ClassInfo(number, f"class {number}", f"#{number:02x}8040") for number in range(251))
NORTH = Affine(10, 0, 500_000, 0, -10, 4_600_000)


def write_raster(path: Path, image: NDArray[Any], **profile: Any) -> Path:
    """Write bands (B, H, W) as a GeoTIFF that has a place on Earth."""
    return rasters.write_raster(path, image, **{"crs": "EPSG:32632", "transform": NORTH, **profile})


def read_raster(path: Path) -> NDArray[Any]:
    """Read all bands (B, H, W) of a raster."""
    with rasterio.open(path) as file:
        values: NDArray[Any] = file.read()
        return values


@dataclass
class GriddedRunner:
    """Runner of a gridded model, which keeps what it has seen.

    Attributes:
        gridded: model whose answers change with any mistake in cutting.
        window_pixels: largest height × width of a window.
        fails_after: number of windows after which it fails; None if it never does.
        confirms: whether the model is still there at the end.
        familiar: range of values that the model is familiar with.
        kept: windows of samples that it has segmented, as their sizes.
    """

    gridded: GriddedModel = field(default_factory=lambda: GriddedModel(8, 1))
    window_pixels: int = 80 * 80
    is_exact: bool = True
    version: str = "1"
    fails_after: int | None = None
    confirms: bool = True
    familiar: FamiliarRange | None = None
    concurrency: int = 3
    kept: list[Window] = field(default_factory=list)

    @property
    def model(self) -> SceneModel:
        """The model as scenes see it."""
        return SceneModel(
            name="gridded",
            version=self.version,
            checksum="c0ffee",
            classes=CLASSES,
            channels=1,
            dtype="uint8",
            bands=(),
            total_stride=self.gridded.total_stride,
            receptive_radius=self.gridded.halo,
            window_pixels=self.window_pixels,
            is_exact=self.is_exact,
        )

    async def segment(self, sample: Sample, keep: Window, *, probabilities: bool) -> Segmentation:
        """Segment a window."""
        if len(self.kept) == self.fails_after:
            raise SceneError("the runner must not be asked any more; it was")
        self.kept.append(keep)
        answer = self.gridded.answer(sample)
        labels, found = answer.labels[keep.slices], answer.probabilities
        if found is None or not probabilities:
            return Segmentation(labels)
        others = len(CLASSES) - found.shape[2]
        return Segmentation(labels, np.pad(found[keep.slices], ((0, 0), (0, 0), (0, others))))

    async def confirm(self) -> None:
        """Raise an error if the model was replaced."""
        if not self.confirms:
            raise SceneError("the model must not be replaced; it was")
