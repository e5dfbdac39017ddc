"""The trainer sees in a file what the server sees in it: values, and which of them are missing."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from lacuna.raster.adapt import find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from model.data.reading import read_image, read_labels, read_mask

LEVELS = np.array([[0, 60], [120, 250]], np.uint8)
INDICES = np.array([[0, 1], [2, 3]], np.uint8)
PALETTE = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [200, 210, 220]], np.uint16)
NODATA_TAG = 42113


def tiff(values, nodata=None, more=(), **options):
    buffer = io.BytesIO()
    tags = [] if nodata is None else [(NODATA_TAG, "s", 0, nodata, True)]
    tifffile.imwrite(buffer, values, extratags=[*tags, *more], **options)
    return buffer.getvalue()


def palette_tiff(scale, nodata=None):
    """A palette of 256 entries, of 16 bits as the specification has it or of 8 as some write."""
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, : len(PALETTE)] = PALETTE.T * scale
    return tiff(INDICES, nodata, photometric="palette", colormap=colormap)


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def picture(kind, image, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


NODATA_VALUES = (
    42112,
    "s",
    0,
    '<GDALMetadata><Item name="NODATA_VALUES">40 50 60</Item></GDALMetadata>',
    True,
)
COLOURS = PALETTE.astype(np.uint8).reshape(2, 2, 3)
WIDE = np.array([[16777216, 16777217], [16777218, 5]], np.int32)
KEYED = Image.fromarray(COLOURS)

# Data, the no-data value that is asked for, and the values and valid pixels that there are.
CASES = {
    "palette of 16 bits": (palette_tiff(257), None, COLOURS, [[1, 1], [1, 1]]),
    "palette of 8 bits": (palette_tiff(1), None, COLOURS, [[1, 1], [1, 1]]),
    "no-data index of a palette": (palette_tiff(257, "2"), None, COLOURS, [[1, 1], [0, 1]]),
    "no-data of white-is-zero": (
        tiff(LEVELS, "60", photometric="miniswhite"),
        None,
        (255 - LEVELS)[..., None],
        [[1, 0], [1, 1]],
    ),
    "no-data of white-is-zero, asked for": (
        tiff(LEVELS, photometric="miniswhite"),
        60,
        (255 - LEVELS)[..., None],
        [[1, 0], [1, 1]],
    ),
    "no-data index of a palette, asked for": (palette_tiff(257), 3, COLOURS, [[1, 1], [1, 0]]),
    "no-data inks of CMYK, asked for": (
        tiff(np.array([[[0, 0, 0, 0], [255, 0, 0, 0]]], np.uint8), photometric="separated"),
        0,
        np.array([[[255, 255, 255], [0, 255, 255]]], np.uint8),
        [[0, 1]],
    ),
    "no-data asked for in place of the file's": (
        tiff(LEVELS, "0"),
        250,
        LEVELS[..., None],
        [[1, 1], [1, 0]],
    ),
    "the file's no-data switched off": (
        tiff(LEVELS, "0"),
        "none",
        LEVELS[..., None],
        [[1, 1], [1, 1]],
    ),
    "no-data for each band": (
        tiff(COLOURS, more=[NODATA_VALUES], photometric="rgb"),
        None,
        COLOURS,
        [[1, 0], [1, 1]],
    ),
    "no-data turned with its image": (
        tiff(LEVELS, "60", more=[(274, "H", 1, 6, True)]),
        None,
        np.rot90(LEVELS, -1)[..., None],
        [[1, 1], [1, 0]],
    ),
    "no-data beyond float32": (
        tiff(WIDE, "16777217"),
        None,
        WIDE.astype(np.float32)[..., None],
        [[1, 0], [1, 1]],
    ),
    "no-data beyond float32, asked for": (
        npy(WIDE.astype(np.int64)),
        16777217,
        WIDE.astype(np.float32)[..., None],
        [[1, 0], [1, 1]],
    ),
    "no-data that only float64 holds": (
        npy(np.array([[0.1, np.float32(0.1)]])),
        0.1,
        np.array([[[0.1], [0.1]]], np.float32),
        [[0, 1]],
    ),
    "no-data in the other byte order": (
        tiff(WIDE, "16777217", byteorder=">"),
        None,
        WIDE.astype(np.float32)[..., None],
        [[1, 0], [1, 1]],
    ),
    "booleans": (
        npy(INDICES > 0),
        None,
        (INDICES > 0).astype(np.uint8)[..., None],
        [[1, 1], [1, 1]],
    ),
    "an array with a leading 1": (
        npy(LEVELS[None, :, :, None]),
        None,
        LEVELS[..., None],
        [[1, 1], [1, 1]],
    ),
    "a colour key": (
        picture("PNG", KEYED, transparency=(40, 50, 60)),
        None,
        COLOURS,
        [[1, 0], [1, 1]],
    ),
    "WebP with alpha": (
        picture("WEBP", Image.fromarray(np.dstack([COLOURS, LEVELS])), lossless=True, exact=True),
        None,
        COLOURS,
        [[0, 1], [1, 1]],
    ),
    "turned by EXIF": (
        picture("PNG", KEYED, exif=exif(6)),
        None,
        np.rot90(COLOURS, -1),
        [[1, 1], [1, 1]],
    ),
    "CMYK": (
        tiff(np.full((1, 1, 4), 0, np.uint8), photometric="separated"),
        None,
        np.full((1, 1, 3), 255, np.uint8),
        [[1]],
    ),
}


def read_as_server(data, nodata):
    raster = decode_image(data, ImageLimits())
    return raster.values, find_valid(raster, nodata)


@pytest.mark.parametrize("read", [read_as_server, read_image], ids=["server", "trainer"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_missing_pixels_are_the_same_to_both(case, read):
    data, nodata, values, valid = CASES[case]

    found, found_valid, *_ = read(data, nodata)

    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found_valid, np.array(valid, bool))


@pytest.mark.parametrize(
    "data",
    [
        picture("PNG", Image.fromarray(INDICES), exif=exif(6)),
        tiff(INDICES, more=[(274, "H", 1, 6, True)]),
    ],
    ids=["PNG", "TIFF"],
)
def test_a_label_map_is_turned_as_its_image_is(data):
    np.testing.assert_array_equal(read_labels(data), np.rot90(INDICES, -1))


HALF = 255 * (np.indices((48, 64)).sum(axis=0) > 40).astype(np.uint8)


def read_mask_as_server(data):
    return decode_mask(data, ImageLimits())


@pytest.mark.parametrize("read", [read_mask_as_server, read_mask], ids=["server", "trainer"])
@pytest.mark.parametrize(
    "data",
    [
        tiff(HALF, "255"),
        tiff(HALF, "0"),
        tiff(HALF, compression="jpeg"),
        picture("WEBP", Image.fromarray(HALF), quality=20),
        picture("JPEG", Image.fromarray(HALF)),
    ],
    ids=["tag of 255", "tag of 0", "JPEG in TIFF", "WebP with loss", "JPEG"],
)
def test_masks_are_the_same_to_both(data, read):
    np.testing.assert_array_equal(read(data), HALF > 0)
