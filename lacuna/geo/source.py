"""Rasters of any size that GDAL opens, read window by window at full resolution.

Rows and columns are those of the file: an orientation in EXIF turns no scene.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as GdalWindow

from lacuna.errors import InvalidImageError
from lacuna.geo.colours import read_colours
from lacuna.geo.environment import gdal
from lacuna.geo.grid import Grid
from lacuna.geo.opening import open_dataset
from lacuna.geo.sparse import holds_block
from lacuna.geo.validity import Samples, read_nodata_values, read_validity
from lacuna.raster import bands as band_choice
from lacuna.raster.adapt import find_valid
from lacuna.raster.bands import Alpha, BandChoice
from lacuna.raster.doubtful_alpha import describe_doubt, varies_like_image
from lacuna.raster.nodata import NoData
from lacuna.raster.raster import Raster, make_raster
from lacuna.windows.tiling import Window

_DOUBTED_SIDE = 512


@dataclass(frozen=True)
class Band:
    """Band of a raster, as its file describes it.

    Attributes:
        number: from 1.
        name: its description; empty if it has none.
        dtype: name of the dtype of its numbers: "uint8".
        interpretation: its colour interpretation in GDAL's words: "red", "undefined".
        nodata: value of missing pixels; None if it has none.
        scale: factor from its numbers to its unit.
        offset: number that is added to the product.
    """

    number: int
    name: str
    dtype: str
    interpretation: str
    nodata: float | None
    scale: float
    offset: float


class RasterSource:
    """Open raster, of which windows are read. One thread at a time may use it.

    Args:
        dataset: rasterio dataset; it is closed with the source.
        name: path or name for messages.
        choice: the bands that are read.
        scale: apply the scale and offset of each band.

    Attributes:
        name: path or name for messages.
        grid: size and place of the raster.
        bands: all bands of the file.
        chosen: the bands that are read as channels, in order.

    Raises:
        InvalidImageError: if the bands that are read are complex, or not of one dtype.
    """

    def __init__(
        self, dataset: Any, name: str, choice: BandChoice | None = None, *, scale: bool = False
    ) -> None:
        choice = choice or BandChoice(tuple(range(dataset.count)))
        self._dataset, self._choice = dataset, choice
        self.name = name
        self.grid = Grid.of(dataset)
        self.bands = describe_bands(dataset)
        self.chosen = tuple(self.bands[index] for index in choice.indices)
        self._read = self._choose_samples()
        self._channels = tuple(self._read.index(index) for index in choice.indices)
        self._dtype = self._check_dtypes()
        self._colours = read_colours(dataset, [band.number for band in self.chosen])
        alphas = tuple(self._read.index(index) for index in choice.alphas)
        self._validity = read_validity(dataset, choice, alphas, self._colours.bits)
        units = [(band.scale, band.offset) for band in self.chosen]
        self._units = np.array(units).T if scale and set(units) != {(1, 0)} else None

    @cached_property
    def block_shape(self) -> tuple[int, int]:
        """Height and width of the blocks in which the file stores a band, in pixels."""
        height, width = self._dataset.block_shapes[self._read[0]]
        return height, width

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """Metadata of the file."""
        return dict(self._dataset.tags())

    @property
    def pixel_bytes(self) -> int:
        """Bytes that `Samples` take for a pixel."""
        return len(self._read) * self._dtype.itemsize + bool(self._validity.masked)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What people should be told about the raster, in one sentence each."""
        crs = self.grid.crs
        notes = []
        if crs is not None and not (crs.is_geographic or crs.is_projected):
            notes.append(f"{self.name} has a coordinate reference system that is not known to GDAL")
        if self._choice.alphas and self._doubts_alpha():
            notes.append(f"{self.name}: {describe_doubt(self._choice)}")
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
        values = np.empty((window.height, window.width, len(self._read)), self._dtype)
        last = window.top + window.height - 1
        with gdal(
            "raster must be whole and undamaged", f"{self.name}, rows {window.top} to {last}"
        ):
            numbers = [index + 1 for index in self._read]
            self._dataset.read(numbers, window=where, out=np.moveaxis(values, 2, 0))
            masks = [
                self._dataset.read_masks(number, window=where) for number in self._validity.masked
            ]
        return Samples(values, np.maximum.reduce(masks) if masks else None)

    def interpret(self, samples: Samples) -> Raster:
        """Make a raster of stored numbers, as `read` does."""
        stored = _pick(samples.values, self._channels)
        valid, has_data = self._validity.find(samples, stored)
        if self._colours.has_transparency:
            opaque = self._colours.find_opaque(stored)
            valid = opaque if valid is None else valid & opaque
        values, full_scale = self._colours.convert(stored)
        if self._units is not None and values is stored:
            scales, offsets = self._units
            values, full_scale = (stored * scales + offsets).astype(np.float32), None
        names = tuple(band.name for band in self.chosen)
        return make_raster(
            values,
            stored=None if values is stored else stored,
            valid=valid,
            has_data=has_data,
            full_scale=full_scale,
            white_is_zero=full_scale is not None and self._colours.white_is_zero,
            is_lossy=self._colours.is_lossy,
            band_names=names if any(names) and values.shape == stored.shape else (),
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
            return holds_block(self._dataset, [index + 1 for index in self._read], window)

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose_samples(self) -> tuple[int, ...]:
        """Indices of the bands that are read: channels, alpha, and what validity needs."""
        if read_nodata_values(self._dataset) is not None:
            return tuple(range(len(self.bands)))
        return tuple(dict.fromkeys(self._choice.indices + self._choice.alphas))

    def _check_dtypes(self) -> np.dtype[Any]:
        bands = [self.bands[index] for index in self._read]
        dtypes = {band.dtype for band in bands}
        listed = ", ".join(f"{band.number} is {band.dtype}" for band in bands)
        if any("complex" in dtype for dtype in dtypes):
            raise InvalidImageError(f"bands must hold real numbers; of {self.name} band {listed}")
        if len(dtypes) > 1:
            raise InvalidImageError(
                f"bands that are read together must be of one type; of {self.name} band {listed}"
            )
        return np.dtype(dtypes.pop())

    def _shows_absent(self, nodata: NoData | None) -> bool:
        """Return whether pixels of blocks that a sparse file leaves out are valid."""
        # GDAL reads them as no data, or else as 0.
        fill = [self.bands[index].nodata or 0 for index in self._read]
        absent = self.interpret(Samples(np.array([[fill]]).astype(self._dtype), None))
        return bool(find_valid(absent, nodata).any())

    def _doubts_alpha(self) -> bool:
        height, width = (min(side, _DOUBTED_SIDE) for side in self.grid.size)
        top, left = (self.grid.height - height) // 2, (self.grid.width - width) // 2
        where = GdalWindow(left, top, width, height)
        with gdal("raster must be whole and undamaged", self.name):
            alpha = self._dataset.read(self._choice.alphas[-1] + 1, window=where)
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
            described = describe_bands(dataset)
            choice = band_choice.choose_bands(
                [band.name for band in described],
                [band.interpretation for band in described],
                bands,
                alpha,
                expected=expected,
            )
            return RasterSource(dataset, name, choice, scale=scale)
        except BaseException:
            dataset.close()
            raise


def describe_bands(dataset: Any) -> tuple[Band, ...]:
    """Return the bands of a rasterio dataset."""
    facts = zip(
        dataset.indexes,
        dataset.descriptions,
        dataset.dtypes,
        dataset.colorinterp,
        dataset.nodatavals,
        dataset.scales,
        dataset.offsets,
        strict=True,
    )
    return tuple(
        Band(number, name or "", dtype, colour.name, nodata, scale, offset)
        for number, name, dtype, colour, nodata, scale, offset in facts
    )


def _pick(values: NDArray[Any], channels: tuple[int, ...]) -> NDArray[Any]:
    """Return channels (H, W, C), as a view where these are the first."""
    if channels == tuple(range(len(channels))):
        return values[:, :, : len(channels)] if len(channels) < values.shape[2] else values
    return values[:, :, channels]
