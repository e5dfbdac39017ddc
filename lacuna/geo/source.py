"""Rasters of any size that GDAL opens, read window by window at full resolution.

Rows and columns are those of the file: an orientation in EXIF turns no scene.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from rasterio.windows import Window as GdalWindow

from lacuna.errors import InvalidMaskError
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.layout import Layout, describe_bands, lay_out
from lacuna.geo.opening import open_dataset
from lacuna.geo.sparse import holds_block
from lacuna.geo.validity import Samples, read_validity
from lacuna.raster import bands as band_choice
from lacuna.raster.adapt import find_valid
from lacuna.raster.bands import Alpha
from lacuna.raster.doubtful_alpha import describe_doubt, varies_like_image
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster, make_raster
from lacuna.raster.samples import take_bands
from lacuna.raster.sidecar import SIDECAR_SUFFIX
from lacuna.windows.window import Window

_DOUBTED_SIDE = 512


class RasterSource:
    """Open raster, of which windows are read. One thread at a time may use it.

    Args:
        dataset: rasterio dataset; it is closed with the source.
        name: path or name for messages.
        layout: the bands that are read.
        scale: apply the scale and offset of each band.

    Attributes:
        name: path or name for messages.
        grid: size and place of the raster.
        bands: all bands of the file.
        chosen: the bands that are read as channels, in order.
    """

    def __init__(self, dataset: Any, name: str, layout: Layout, *, scale: bool = False) -> None:
        self._dataset, self._layout = dataset, layout
        self.name = name
        self.grid = Grid.of(dataset)
        self.bands = describe_bands(dataset)
        self.chosen = layout.channels
        self._dtype = np.dtype(self.chosen[0].dtype)
        self._channels = layout.locate(layout.channels)
        self._validity = read_validity(dataset, layout)
        units = [(band.scale, band.offset) for band in self.chosen]
        is_scaled = scale and set(units) != {(1, 0)} and not layout.colours.makes_rgb
        self._units = np.array(units).T if is_scaled else None

    @cached_property
    def block_shape(self) -> tuple[int, int]:
        """Height and width of the blocks in which the file stores a band, in pixels."""
        height, width = self._dataset.block_shapes[self.chosen[0].number - 1]
        return height, width

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """Metadata of the file."""
        return dict(self._dataset.tags())

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names of the files that it is read from: masks beside it, and the sources of a VRT."""
        with gdal("raster must be whole and undamaged", self.name):
            return tuple(self._dataset.files)

    @property
    def pixel_bytes(self) -> int:
        """Bytes that `Samples` take for a pixel."""
        return len(self._layout.numbers) * self._dtype.itemsize + bool(self._validity.masked)

    def forbid_sidecar(self) -> None:
        """Refuse a mask beside the file where another one is given: GDAL would read both.

        Raises:
            InvalidMaskError: if there is such a mask.
        """
        sidecar = self.name + SIDECAR_SUFFIX
        if sidecar in self.files:
            raise InvalidMaskError(
                f"{sidecar} must not lie beside a raster whose mask is given, because GDAL reads "
                "it with the raster; move it"
            )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Doubts that people should be told about, in one sentence each, without the name."""
        crs = self.grid.crs
        notes = []
        if crs is not None and not (crs.is_geographic or crs.is_projected):
            notes.append("its coordinate reference system is not known to GDAL")
        if self._layout.choice.alphas and self._doubts_alpha():
            notes.append(describe_doubt(self._layout.choice))
        return tuple(notes)

    def read(self, window: Window) -> Raster:
        """Read a window.

        Args:
            window: inside the raster.

        Returns:
            The channels and what the file says about missing pixels; as the in-memory reader of
            TIFF, where that reads the file, but for an orientation in EXIF.

        Raises:
            InvalidImageError: if the file is damaged or cannot be read.
            ValueError: if the window is not inside the raster.
        """
        return self.interpret(self.read_samples(window))

    def read_samples(self, window: Window) -> Samples:
        """Read the stored numbers of a window; see `read`."""
        height, width = self.grid.size
        if (
            min(window.top, window.left) < 0
            or min(window.height, window.width) < 1
            or window.top + window.height > height
            or window.left + window.width > width
        ):
            raise ValueError(f"window must be inside the {height}×{width} raster; it is {window}")
        where = GdalWindow(window.left, window.top, window.width, window.height)
        numbers = self._layout.numbers
        values = np.empty((window.height, window.width, len(numbers)), self._dtype)
        last = window.top + window.height - 1
        with gdal(
            "raster must be whole and undamaged", f"{self.name}, rows {window.top} to {last}"
        ):
            self._dataset.read(list(numbers), window=where, out=np.moveaxis(values, 2, 0))
            masks = [
                self._dataset.read_masks(number, window=where) for number in self._validity.masked
            ]
        return Samples(values, np.maximum.reduce(masks) if masks else None)

    def interpret(self, samples: Samples) -> Raster:
        """Make a raster of stored numbers, as `read` does."""
        colours, choice = self._layout.colours, self._layout.choice
        stored = take_bands(samples.values, self._channels)
        valid, has_data = self._validity.find(samples, stored)
        if colours.has_transparency:
            opaque = colours.find_opaque(stored)
            valid = opaque if valid is None else valid & opaque
        values, full_scale = colours.convert(stored)
        if colours.makes_rgb:
            values = take_bands(values, choice.indices)
        if self._units is not None:
            scales, offsets = self._units
            values, full_scale = (stored * scales + offsets).astype(np.float32), None
        names = tuple(band.name for band in self.chosen)
        return make_raster(
            values,
            stored=None if values is stored else stored,
            valid=valid,
            has_data=has_data,
            full_scale=full_scale,
            white_is_zero=full_scale is not None and colours.white_is_zero,
            is_lossy=colours.is_lossy,
            band_names=names if any(names) and not colours.makes_rgb else (),
            bands=choice,
        )

    def may_hold_data(self, window: Window, nodata: NoData | None = None) -> bool:
        """Return whether a window may hold valid pixels, without reading its channels.

        Args:
            window: inside the raster.
            nodata: the value of missing pixels in place of those that the file names; None for
                these.

        Returns:
            False if the mask leaves no pixel of it, or if the file is sparse, leaves out all its
            blocks, and what is left out is missing.
        """
        with gdal("raster must be whole and undamaged", self.name):
            where = GdalWindow(window.left, window.top, window.width, window.height)
            if self._validity.mask in ("page", "sidecar"):
                masks = (
                    self._dataset.read_masks(number, window=where)
                    for number in self._validity.masked
                )
                return any(mask.max() >= self._validity.least_mask for mask in masks)
            if self._validity.masked or self._shows_absent(nodata):
                return True
            return holds_block(self._dataset, self._layout.numbers, window)

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shows_absent(self, nodata: NoData | None) -> bool:
        """Return whether pixels of blocks that a sparse file leaves out are valid."""
        # GDAL reads them as no data, or else as 0.
        fill = [self.bands[number - 1].nodata or 0 for number in self._layout.numbers]
        absent = self.interpret(Samples(np.array([[fill]]).astype(self._dtype), None))
        return bool(find_valid(absent, nodata).any())

    def _doubts_alpha(self) -> bool:
        height, width = (min(side, _DOUBTED_SIDE) for side in self.grid.size)
        top, left = (self.grid.height - height) // 2, (self.grid.width - width) // 2
        where = GdalWindow(left, top, width, height)
        with gdal("raster must be whole and undamaged", self.name):
            alpha = self._dataset.read(self._layout.alphas[-1].number, window=where)
        return varies_like_image(alpha)


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands: Sequence[band_choice.Band] | None = None,
    alpha: Alpha = "auto",
    scale: bool = False,
    expected: Sequence[str] = (),
) -> RasterSource:
    """Open a raster for windowed reading.

    Args:
        path: anything that GDAL opens: a file, `/vsicurl/https://…`, `NETCDF:"file.nc":band`.
        bands: numbers from 1, or names, of the channels; None for all bands but alpha.
        alpha: whether a band is alpha; see `lacuna.raster.bands`.
        scale: apply the scale and offset of each band; missing pixels are told before.
        expected: names of the channels of the model, which are read where the file has them.

    Returns:
        A context manager, which closes the file.

    Raises:
        InvalidImageError: if it is no raster, has no bands, holds several images, or numbers that
            are not read.
        ChannelMismatchError: if there are no such bands.
    """
    name = os.fspath(path)
    with gdal("raster must be one that GDAL opens", name):
        dataset = open_dataset(name)
        try:
            layout = lay_out(dataset, bands, alpha, expected)
            return RasterSource(dataset, name, layout, scale=scale)
        except BaseException:
            dataset.close()
            raise
