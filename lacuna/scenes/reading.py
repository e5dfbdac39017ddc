"""Windows of a scene as a model takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lacuna.geo.source import RasterSource
from lacuna.geo.strips import StripReader
from lacuna.raster.adapt import to_sample
from lacuna.raster.masks import check_mask_fits, read_mask
from lacuna.raster.nodata import NoData
from lacuna.sample import Sample
from lacuna.scenes.runner import SceneModel
from lacuna.windows.tiling import Tile, Window


@dataclass(frozen=True)
class SceneReader:
    """Reader of a scene's windows. Used by one thread at a time.

    Attributes:
        source: the scene.
        strips: reader of its windows.
        mask_strips: reader of a mask of the same size; None if none was given.
        model: model that takes the windows.
        nodata: value of missing pixels, in place of those that the file names; None for these.
    """

    source: RasterSource
    strips: StripReader
    mask_strips: StripReader | None
    model: SceneModel
    nodata: NoData | None

    def read(self, tile: Tile) -> Sample | None:
        """Read the input window of a tile.

        Returns:
            Sample of the model's bands and units, invalid pixels 0; None if no pixel that is kept
            is valid.

        Raises:
            LacunaError: if the file is damaged, or does not fit the model.
        """
        if self.nodata is None and not self.source.may_hold_data(tile.output):
            return None
        raster = self.strips.read(tile.input)
        mask = None if self.mask_strips is None else read_mask(self.mask_strips.read(tile.input))
        sample = to_sample(
            raster,
            mask,
            self.model.channels,
            self.model.dtype,
            nodata=self.nodata,
            model=f"model {self.model.name}",
        )
        kept = tile.output.move(-tile.input.top, -tile.input.left)
        if not sample.mask[kept.slices].any():
            return None
        image = np.where(sample.mask[:, :, None], sample.image, sample.image.dtype.type(0))
        return Sample(image, sample.mask)


def check_mask_size(scene: RasterSource, mask: RasterSource) -> None:
    """Hold a mask to the size of the scene.

    Raises:
        InvalidMaskError: if they differ.
    """
    size = mask.grid.height, mask.grid.width
    check_mask_fits(np.broadcast_to(np.True_, size), (scene.grid.height, scene.grid.width))


def check_bands(source: RasterSource, model: SceneModel) -> None:
    """Read one pixel as the model takes it, before anything else is done.

    Raises:
        ChannelMismatchError: if the bands cannot be taken for the model's.
    """
    to_sample(
        source.read(Window(0, 0, 1, 1)),
        None,
        model.channels,
        model.dtype,
        model=f"model {model.name}",
    )
