"""Missing pixels of TIFF files as GDAL finds them.

The expected masks are those of GDAL 3.10.3 (`rasterio.open(…).dataset_mask()`) for the same bytes.
"""

import io
import struct
from types import MappingProxyType

import numpy as np
import pytest
import tifffile

from lacuna.raster.adapt import find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from tests.support.images import tiff_file

LIMITS = ImageLimits()
_PAGE = 2
GREY = np.array([[0, 1, 2, 3]], np.uint8)
BANDS = np.array([[[0, 0, 0], [1, 1, 9], [2, 9, 2], [3, 3, 3]]], np.uint8)
ALPHA = np.array([[255, 0, 255, 7]], np.uint8)
MASK = np.array([[1, 1, 0, 1]], np.uint8)


def nodata(text):
    return (42113, "s", 0, text, True)


def metadata(name, text):
    xml = f'<GDALMetadata>\n  <Item name="{name}">{text}</Item>\n</GDALMetadata>\n'
    return (42112, "s", 0, xml, True)


def rgb(*tags, alpha=False):
    values = np.dstack([BANDS, ALPHA]) if alpha else BANDS
    options = {"extrasamples": ["unassalpha"]} if alpha else {}
    return tiff_file(values, photometric="rgb", extratags=tags, **options)


def masked(*tags, values=BANDS, mask=MASK > 0, mask_options=MappingProxyType({}), **options):
    """An image with a mask page of RFC 15 behind it."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(values, metadata=None, photometric="rgb", extratags=tags, **options)
        file.write(mask, metadata=None, subfiletype=_PAGE, **mask_options)
    return as_mask(buffer.getvalue())


def as_mask(data):
    """Call a page a mask, which tifffile does not do for all that GDAL reads."""
    entry = struct.pack("<HHII", 254, 4, 1, _PAGE)
    assert data.count(entry) == 1
    return data.replace(entry, struct.pack("<HHII", 254, 4, 1, 4))


CASES = {
    "no-data value of all bands": (rgb(nodata("3")), [1, 1, 1, 0]),
    "a value for each band": (rgb(metadata("NODATA_VALUES", "1 1 9")), [1, 0, 1, 1]),
    "a value for each band before one of all": (
        rgb(nodata("0"), metadata("NODATA_VALUES", "3 3 3")),
        [1, 1, 1, 0],
    ),
    "values for another number of bands": (
        rgb(nodata("0"), metadata("NODATA_VALUES", "3 3")),
        [0, 1, 1, 1],
    ),
    "a mask page": (masked(), [1, 1, 0, 1]),
    "a mask page of eight bits": (masked(mask=255 * MASK), [1, 1, 0, 1]),
    "a mask page before a no-data value": (masked(nodata("0")), [1, 1, 0, 1]),
    "a mask page before a value for each band": (
        masked(metadata("NODATA_VALUES", "3 3 3")),
        [1, 1, 0, 1],
    ),
    "a mask page before alpha": (
        masked(values=np.dstack([BANDS, ALPHA]), extrasamples=["unassalpha"]),
        [1, 1, 0, 1],
    ),
    "white-is-zero": (
        tiff_file(GREY, photometric="miniswhite", extratags=[nodata("0")]),
        [0, 1, 1, 1],
    ),
    "a palette": (
        tiff_file(
            GREY,
            photometric="palette",
            colormap=np.arange(768, dtype=np.uint16).reshape(3, 256),
            extratags=[nodata("3")],
        ),
        [1, 1, 1, 0],
    ),
    "bilevel": (
        tiff_file(GREY > 1, photometric="minisblack", extratags=[nodata("1")]),
        [1, 1, 0, 0],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_missing_where_gdal_says_so(case):
    data, expected = CASES[case]

    valid = find_valid(decode_image(data, LIMITS))

    np.testing.assert_array_equal(valid, np.array([expected], bool))


# GDAL takes the no-data value alone, rasterio alpha alone; what either drops is not segmented.
@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (nodata("3"), [True, False, True, False]),
        (metadata("NODATA_VALUES", "0 0 0 255"), [False, False, True, True]),
        (metadata("NODATA_VALUES", "0 0 0 0"), [True, False, True, True]),
    ],
)
def test_alpha_and_a_no_data_value_both_count(tag, expected):
    valid = find_valid(decode_image(rgb(tag, alpha=True), LIMITS))

    assert valid.tolist() == [expected]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, [1, 1, 0, 1]), ("none", [1, 1, 0, 1]), (0, [0, 1, 0, 1])],
)
def test_a_mask_page_counts_whatever_no_data_value_is_given(given, expected):
    valid = find_valid(decode_image(masked(nodata("3")), LIMITS), given)

    np.testing.assert_array_equal(valid, np.array([expected], bool))


def test_the_mask_page_of_an_image_with_loss_is_cut_halfway():
    valid = np.zeros((48, 64), bool)
    valid[5:41, 9:50] = True
    data = masked(
        values=np.zeros((*valid.shape, 3), np.uint8),
        mask=255 * valid.astype(np.uint8),
        mask_options={"compression": "jpeg"},
    )

    found = find_valid(decode_image(data, LIMITS))

    np.testing.assert_array_equal(found, valid)


def test_alpha_that_was_compressed_with_loss_is_cut_halfway():
    valid = np.zeros((48, 64), bool)
    valid[5:41, 9:50] = True
    values = np.dstack([np.full((*valid.shape, 3), 90, np.uint8), 255 * valid.astype(np.uint8)])
    data = tiff_file(
        np.moveaxis(values, 2, 0),
        photometric="rgb",
        planarconfig="separate",
        extrasamples=["unassalpha"],
        compression="jpeg",
        compressionargs={"level": 75},
    )

    np.testing.assert_array_equal(find_valid(decode_image(data, LIMITS)), valid)


def sidecar(values, **tags):
    """Mask that GDAL writes beside an image, as `scene.tif.msk`."""
    return tiff_file(
        values, compression="deflate", extratags=[metadata(*tag) for tag in tags.items()]
    )


def test_a_sidecar_is_a_mask():
    data = sidecar(255 * MASK, INTERNAL_MASK_FLAGS_1="2")

    np.testing.assert_array_equal(decode_mask(data, LIMITS), MASK.astype(bool))
