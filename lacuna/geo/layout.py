"""Bands of a raster, and those of them that are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lacuna.errors import InvalidImageError
from lacuna.geo.colours import Colours, read_colours, read_interpretations
from lacuna.raster import bands as band_choice
from lacuna.raster.bands import Alpha, BandChoice, choose_bands

_RGB = ("red", "green", "blue")


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


@dataclass(frozen=True)
class Layout:
    """Bands that are read, and what becomes of them.

    Attributes:
        channels: bands that are read as channels, in order.
        alphas: bands that are read as alpha.
        colours: what their numbers stand for.
        choice: the bands that people chose. These are red, green and blue, and not those of the
            file, where its numbers become colours.
    """

    channels: tuple[Band, ...]
    alphas: tuple[Band, ...]
    colours: Colours
    choice: BandChoice

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of all bands that are read, each once: first channels, then alpha."""
        return tuple(dict.fromkeys(band.number for band in (*self.channels, *self.alphas)))

    def locate(self, bands: Sequence[Band]) -> tuple[int, ...]:
        """Return the indices of bands among those that are read."""
        return tuple(self.numbers.index(band.number) for band in bands)


def describe_bands(dataset: Any) -> tuple[Band, ...]:
    """Return the bands of a rasterio dataset."""
    facts = zip(
        dataset.indexes,
        dataset.descriptions,
        dataset.dtypes,
        read_interpretations(dataset),
        dataset.nodatavals,
        dataset.scales,
        dataset.offsets,
        strict=True,
    )
    return tuple(
        Band(number, name or "", dtype, colour, nodata, scale, offset)
        for number, name, dtype, colour, nodata, scale, offset in facts
    )


def lay_out(
    dataset: Any,
    wanted: Sequence[band_choice.Band] | None = None,
    alpha: Alpha = "auto",
    expected: Sequence[str] = (),
) -> Layout:
    """Choose the bands of a rasterio dataset that are read; see `lacuna.raster.bands`.

    Args:
        dataset: open for reading.
        wanted: numbers or names of the channels, in order; None for all bands but alpha.
        alpha: which band is alpha.
        expected: names of the channels of the model.

    Raises:
        ChannelMismatchError: if there are no such bands.
        InvalidImageError: if the bands are complex, or not of one dtype.
    """
    bands = describe_bands(dataset)
    facts = [band.name for band in bands], [band.interpretation for band in bands]
    choice = stored = choose_bands(*facts, None, alpha)
    colours = read_colours(dataset, [index + 1 for index in stored.indices])
    if colours.makes_rgb:
        choice = choose_bands((), _RGB, wanted, "no", expected=expected)
    else:
        choice = stored = choose_bands(*facts, wanted, alpha, expected=expected)
        colours = read_colours(dataset, [index + 1 for index in stored.indices])
    layout = Layout(
        tuple(bands[index] for index in stored.indices),
        tuple(bands[index] for index in stored.alphas),
        colours,
        choice,
    )
    _check_types([bands[number - 1] for number in layout.numbers])
    return layout


def _check_types(bands: Sequence[Band]) -> None:
    listed = ", ".join(f"{band.number} is {band.dtype}" for band in bands)
    if any("complex" in band.dtype for band in bands):
        raise InvalidImageError(f"bands must hold real numbers; band {listed}")
    if len({band.dtype for band in bands}) > 1:
        raise InvalidImageError(f"bands that are read together must be of one type; band {listed}")
