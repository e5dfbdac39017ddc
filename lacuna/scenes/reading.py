"""Windows of a scene as a model takes them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lacuna.geo.source import RasterSource
from lacuna.geo.strips import StripReader, part_columns
from lacuna.raster.adapt import to_sample
from lacuna.raster.masks import check_mask_fits, read_mask
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster
from lacuna.sample import Sample
from lacuna.scenes.runner import SceneModel
from lacuna.windows.window import Tile, Window

Part: TypeAlias = tuple[int, int]
"""First column of a part of a scene, and the one past its last."""

_CORNER = 16
"""Side in pixels of what is read to compare the bands with those of the model."""

_READ_BYTES = 128 << 20
"""Memory for rows that several windows need."""


class SceneReader:
    """Reader of a scene's windows, from top to bottom. Used by one thread at a time.

    Args:
        source: the scene.
        mask: mask of the same size; None if none was given.
        model: model that takes the windows.
        nodata: value of missing pixels, in place of those that the file names; None for these.
    """

    def __init__(
        self,
        source: RasterSource,
        mask: RasterSource | None,
        model: SceneModel,
        nodata: NoData | None = None,
    ) -> None:
        self._source, self._mask = source, mask
        self._model, self._nodata = model, nodata
        self._part: Part | None = None
        self._strips: list[StripReader] = []

    def part_columns(self, side: int) -> list[Part]:
        """Part the columns so that the rows that several windows need fit into memory.

        Args:
            side: side of what a window keeps, in pixels.
        """
        halo = self._model.halo
        sources = [source for source in (self._source, self._mask) if source is not None]
        parts = [
            part_columns(
                source,
                rows=side + 2 * halo,
                halo=halo,
                step=side,
                budget_bytes=_READ_BYTES // len(sources),
            )
            for source in sources
        ]
        return max(parts, key=len)

    def read(self, tile: Tile, part: Part) -> Sample | None:
        """Read the input window of a tile.

        Args:
            tile: a tile, no higher than those before it of the same part.
            part: columns that it belongs to.

        Returns:
            Sample of the model's bands and units; None if no pixel that is kept is valid.

        Raises:
            LacunaError: if the file is damaged, or does not fit the model.
        """
        if not self._source.may_hold_data(tile.output, self._nodata):
            return None
        self._turn_to(part)
        raster, *masks = [strips.read(tile.input) for strips in self._strips]
        mask = read_mask(masks[0]) if masks else None
        sample = _fit(raster, mask, self._model, self._nodata)
        kept = tile.output.move(-tile.input.top, -tile.input.left)
        return sample if sample.mask[kept.slices].any() else None

    def _turn_to(self, part: Part) -> None:
        if part == self._part:
            return
        self._part = part
        first, last = part
        halo, width = self._model.halo, self._source.grid.width
        columns = max(first - halo, 0), min(last + halo, width)
        sources = [source for source in (self._source, self._mask) if source is not None]
        self._strips = [StripReader(source, columns) for source in sources]


def check_mask(scene: RasterSource, mask: RasterSource) -> None:
    """Check that a mask has the size of the scene, which has no other one beside it.

    Raises:
        InvalidMaskError: if it has not, or the scene has.
    """
    scene.forbid_sidecar()
    size = mask.grid.height, mask.grid.width
    check_mask_fits(np.broadcast_to(np.True_, size), (scene.grid.height, scene.grid.width))


def check_bands(source: RasterSource, model: SceneModel) -> None:
    """Read a corner as the model takes it, before anything else is done.

    Raises:
        ChannelMismatchError: if the bands cannot be taken for the model's.
    """
    corner = Window(0, 0, *(min(side, _CORNER) for side in source.grid.size))
    _fit(source.read(corner), None, model, None)


def _fit(
    raster: Raster, mask: NDArray[np.bool_] | None, model: SceneModel, nodata: NoData | None
) -> Sample:
    return to_sample(
        raster,
        mask,
        model.channels,
        model.dtype,
        nodata=nodata,
        model=f"model {model.name}",
        names=model.bands,
    )
