"""TIFF: any real sample format and number of bands, striped or tiled, classic or BigTIFF.

`lacuna.raster.tiff_pages` decides which page is the image and whether it may be decoded; here it
is read and its colours are worked out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from imagecodecs import bitorder_decode, jpeg8_decode, packints_decode
from numpy.typing import NDArray
from PIL import Image
from tifffile import TIFF, TiffFile, TiffPage

from lacuna.errors import InvalidImageError
from lacuna.raster.bands import EVERY_BAND, BandChoice, BandSelection, choose_bands
from lacuna.raster.colours import to_intensities
from lacuna.raster.damage import decoder_errors
from lacuna.raster.doubtful_alpha import describe_doubt, varies_like_image
from lacuna.raster.geotiff import (
    GDAL_NODATA,
    GEOREFERENCE_TAGS,
    read_band_names,
    read_colours,
    read_georeference,
    read_nodata,
    read_nodata_values,
)
from lacuna.raster.limits import ImageLimits
from lacuna.raster.nodata import equals_nodata
from lacuna.raster.orientation import ORIENTATION_TAG, turn, turn_upright
from lacuna.raster.raster import Raster, make_raster
from lacuna.raster.samples import take_bands
from lacuna.raster.tiff_channels import find_channel_pages
from lacuna.raster.tiff_lerc import LERC, read_lerc_samples
from lacuna.raster.tiff_pages import (
    COMPRESSIONS,
    JPEG,
    PREDICTORS,
    WEBP,
    Pages,
    check_page,
    choose_pages,
    refuse_stack,
)

# tifffile finds a codec, and imagecodecs loads its library, at the first use.
CODECS = (
    *(TIFF.DECOMPRESSORS[code] for code in COMPRESSIONS),
    *(TIFF.UNPREDICTORS[code] for code in PREDICTORS),
    jpeg8_decode,
    packints_decode,
    bitorder_decode,
)
"""Functions that decode the samples of a file."""

# tifffile logs what is wrong with a file, at every level, with text from the file; callers are
# told by the error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_MINISWHITE, _PALETTE, _CMYK, _YCBCR = 0, 3, 5, 6
_KNOWN_COLOURS = frozenset({_MINISWHITE, 1, 2, _PALETTE, 4, _CMYK, _YCBCR, 32803, 34892})


def decode_tiff(data: bytes, limits: ImageLimits, bands: BandSelection = EVERY_BAND) -> Raster:
    """Decode the one image of a TIFF file, at full resolution.

    Args:
        data: the file; it may hold overviews and a transparency mask beside the image.
        limits: the largest image that is decoded.
        bands: bands that are wanted.

    Returns:
        The bands as they are, but for palettes, CMYK and YCbCr, which become RGB, and
        white-is-zero, which is inverted. Missing pixels are those that GDAL finds (its RFC 15),
        except that alpha and a no-data value both count where there are both.

    Raises:
        InvalidImageError: if the file is damaged, cut short, of a kind that is not read, or holds
            several images.
        ImageTooLargeError: if its header exceeds the limits.
        ChannelMismatchError: if it has not the bands that are wanted.
    """
    with decoder_errors("TIFF"):
        pages = choose_pages(data)
        with TiffFile(BytesIO(data)) as file:
            page, samples = _read_pages(file, pages, data, limits)
            raster = _read_raster(page, samples, pages, bands)
            masks = [_open_page(file, index, data, limits) for index in pages.masks]
            mask = _read_mask(masks, raster.size, data)
            if mask is not None:
                raster = replace(raster, valid=mask, has_data=None)
            return turn_upright(raster, _read_orientation(page))


def decode_stored_tiff(data: bytes, limits: ImageLimits) -> NDArray[Any]:
    """Decode the numbers of the one image of a TIFF file as they are stored.

    Args:
        data: as for `decode_tiff`.
        limits: as for `decode_tiff`.

    Returns:
        (H, W, S) of the dtype stored, palette indices among them.

    Raises:
        InvalidImageError: as for `decode_tiff`.
        ImageTooLargeError: as for `decode_tiff`.
    """
    with decoder_errors("TIFF"):
        pages = choose_pages(data)
        with TiffFile(BytesIO(data)) as file:
            page, samples = _read_pages(file, pages, data, limits)
            return turn(samples, _read_orientation(page))


def _read_orientation(page: TiffPage) -> int:
    return int(page.tags.valueof(ORIENTATION_TAG, 1))


def _open_page(file: TiffFile, index: int, data: bytes, limits: ImageLimits) -> TiffPage:
    page = file.pages[index]
    if not isinstance(page, TiffPage):
        raise TypeError("a page without tags of its own")
    check_page(page, data, limits)
    refuse_stack(page)
    return page


def _read_pages(
    file: TiffFile, pages: Pages, data: bytes, limits: ImageLimits
) -> tuple[TiffPage, NDArray[Any]]:
    """Read the samples (H, W, S) of the image; with its page, or the first of its channels'."""
    page, *others = [_open_page(file, index, data, limits) for index in pages.images]
    if not others:
        find_channel_pages(page.description, 1)
        return page, _read_samples(page, data)
    for other in others:
        if (other.shaped, other.dtype, other.bitspersample, other.photometric) != (
            page.shaped,
            page.dtype,
            page.bitspersample,
            page.photometric,
        ):
            raise InvalidImageError("TIFF must have channels of one size and one type; it has not")
    return page, np.concatenate([_read_samples(one, data) for one in (page, *others)], axis=2)


def _read_raster(
    page: TiffPage, samples: NDArray[Any], pages: Pages, bands: BandSelection
) -> Raster:
    count = samples.shape[2]
    if _is_converted(page):
        raster = _read_converted(page, samples, bands)
    elif len(pages.images) > 1:
        raster = _read_bands(page, samples, bands, pages.names, ("undefined",) * count)
    else:
        names = read_band_names(page, count)
        raster = _read_bands(page, samples, bands, names, read_colours(page, count))
    place = None if pages.damaged & GEOREFERENCE_TAGS else read_georeference(page)
    return replace(raster, georeference=place, hides_nodata=GDAL_NODATA in pages.damaged)


def _is_converted(page: TiffPage) -> bool:
    """Return whether samples become red, green and blue."""
    photometric = int(page.photometric)
    if photometric not in _KNOWN_COLOURS:
        raise InvalidImageError(
            "TIFF colours must be grey, RGB, palette, CMYK or YCbCr; "
            f"they are of photometric interpretation {photometric}"
        )
    if photometric == _PALETTE:
        return True
    is_coded = photometric == _YCBCR and page.compression != JPEG
    return (photometric == _CMYK or is_coded) and _is_intensity(page)


def _read_bands(
    page: TiffPage,
    samples: NDArray[Any],
    bands: BandSelection,
    names: Sequence[str],
    colours: Sequence[str],
) -> Raster:
    choice = choose_bands(names, colours, bands.bands, bands.alpha, expected=bands.expected)
    channels = take_bands(samples, choice.indices)
    values, full_scale = _scale(page, channels)
    alpha = samples[:, :, choice.alpha or 0]
    is_doubtful = choice.alpha is not None and bands.alpha == "auto" and varies_like_image(alpha)
    return make_raster(
        values,
        stored=None if values is channels else channels,
        valid=_read_alphas(page, samples, choice),
        has_data=_find_data(page, samples, channels, choice),
        full_scale=full_scale,
        white_is_zero=full_scale is not None and int(page.photometric) == _MINISWHITE,
        is_lossy=_is_lossy(page),
        band_names=tuple(names[index] for index in choice.indices) if names else (),
        bands=choice,
        doubts=(describe_doubt(choice),) if is_doubtful else (),
    )


def _read_converted(page: TiffPage, samples: NDArray[Any], bands: BandSelection) -> Raster:
    """Read a picture whose bands are red, green and blue, and after them those that are alpha."""
    tagged = choose_bands((), read_colours(page, samples.shape[2]))
    stored = take_bands(samples, tagged.indices)
    rgb, full_scale = _convert_colours(page, stored)
    colours = ("red", "green", "blue", *("alpha",) * len(tagged.alphas))
    choice = choose_bands((), colours, bands.bands, bands.alpha, expected=bands.expected)
    if max(choice.indices) >= rgb.shape[2]:
        rgb = np.dstack([rgb, samples[:, :, list(tagged.alphas)].astype(rgb.dtype)])
    return make_raster(
        take_bands(rgb, choice.indices),
        stored=stored,
        valid=_read_alphas(page, samples, tagged) if choice.alphas else None,
        has_data=_find_data(page, samples, stored, tagged),
        full_scale=full_scale,
        is_lossy=_is_lossy(page),
        bands=choice,
    )


def _read_alphas(
    page: TiffPage, samples: NDArray[Any], choice: BandChoice
) -> NDArray[np.bool_] | None:
    """Find the valid pixels by alpha, associated or not.

    Colours under associated alpha stay multiplied: where alpha is 0 they are dropped, and partly
    covered pixels are real data of an edge.
    """
    if choice.alpha is None:
        return None
    return np.asarray(np.all(_is_set(page, samples[:, :, list(choice.alphas)]), axis=2), np.bool_)


def _is_lossy(page: TiffPage) -> bool | None:
    """Return whether values were changed by compression; None where the page does not tell."""
    return None if page.compression in (WEBP, LERC) else bool(page.compression == JPEG)


def _is_set(page: TiffPage, samples: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether alpha or a mask is not 0, or after compression with loss at least half."""
    # WebP keeps alpha without loss.
    return samples >= 2 ** (page.bitspersample - 1) if page.compression == JPEG else samples > 0


def _find_data(
    page: TiffPage, samples: NDArray[Any], channels: NDArray[Any], choice: BandChoice
) -> NDArray[np.bool_] | None:
    """Find the pixels that do not hold the no-data values that the tags name."""
    count = samples.shape[2]
    values = read_nodata_values(page, count)
    if values is None:
        nodata = read_nodata(page)
        return None if nodata is None else ~equals_nodata(channels, nodata)
    # They are of all bands together, alpha among them, unless some are left out.
    if sorted((*choice.indices, *choice.alphas)) == [*range(count)]:
        return ~equals_nodata(samples, values)
    return ~equals_nodata(channels, [values[index] for index in choice.indices])


def _read_samples(page: TiffPage, data: bytes) -> NDArray[Any]:
    """Samples (H, W, S), whether they were stored by pixel or by plane."""
    planes: NDArray[Any]
    if page.compression == LERC:
        planes = read_lerc_samples(page, data)
    else:
        # One thread: requests are decoded side by side already.
        planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]
    height, width = planes.shape[1:3]
    return np.moveaxis(planes, 0, 2).reshape(height, width, -1)


def _scale(page: TiffPage, values: NDArray[Any]) -> tuple[NDArray[Any], float | None]:
    """Return values of which more means brighter, and the one that means white."""
    return to_intensities(
        values, page.bitspersample, white_is_zero=int(page.photometric) == _MINISWHITE
    )


def _is_intensity(page: TiffPage) -> bool:
    """Return whether samples have a bit depth, of which the highest value means white."""
    return page.dtype is not None and page.dtype.kind in "bu" and page.bitspersample <= 16


def _convert_colours(page: TiffPage, values: NDArray[Any]) -> tuple[NDArray[Any], float | None]:
    """Return red, green and blue, and the value that means white."""
    photometric = int(page.photometric)
    if photometric == _PALETTE:
        return _look_up(page, values), 255.0
    if photometric == _CMYK:
        return to_intensities(values, page.bitspersample, is_cmyk=True)
    return _ycbcr_to_rgb(values), 255.0


def _look_up(page: TiffPage, indices: NDArray[Any]) -> NDArray[np.uint8]:
    colormap = page.colormap
    if colormap is None or indices.shape[2] != 1:
        raise ValueError("a palette picture must have a palette and one sample per pixel")
    # Sixteen bits by the specification; some writers fill eight, or multiply by 256, as GDAL knows.
    if colormap.max() > 255:
        colormap = colormap // (257 if (colormap % 256).any() else 256)
    return np.ascontiguousarray(colormap.astype(np.uint8).T[indices[:, :, 0]])


def _ycbcr_to_rgb(values: NDArray[Any]) -> NDArray[Any]:
    if values.shape[2] != 3 or values.dtype != np.uint8:
        raise ValueError("YCbCr must be of three samples of eight bits")
    height, width, _ = values.shape
    picture = Image.frombytes("YCbCr", (width, height), values.tobytes())
    return np.array(picture.convert("RGB"))


def _read_mask(
    pages: list[TiffPage], size: tuple[int, int], data: bytes
) -> NDArray[np.bool_] | None:
    """Intersect the transparency masks; one of another size belongs to an overview."""
    masks = [
        np.any(_is_set(page, _read_samples(page, data)), axis=2)
        for page in pages
        if (page.imagelength, page.imagewidth) == size
    ]
    return np.logical_and.reduce(masks) if masks else None
