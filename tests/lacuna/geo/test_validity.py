"""Missing pixels of rasters, with GDAL and the in-memory reader of TIFF as the witnesses."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from lacuna.geo.source import open_raster
from lacuna.raster.adapt import find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.raster.sidecar import choose_mask
from lacuna.windows.window import Window
from tests.lacuna.raster.test_gdal_masks import CASES
from tests.support.images import noise
from tests.support.rasters import find_real_rasters, quiet, write_raster

LIMITS = ImageLimits()
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
SHAPE = (37, 53)


def find_in_windows(path, nodata=None, **options):
    """Find the valid pixels window by window."""
    with open_raster(path, **options) as source:
        height, width = source.grid.size
        valid = np.zeros((height, width), bool)
        for top in range(0, height, 20):
            for left in range(0, width, 30):
                window = Window(top, left, min(20, height - top), min(30, width - left))
                valid[window.slices] = find_valid(source.read(window), nodata)
    return valid


def find_as_a_request(path):
    """Find the valid pixels as the client and the server do."""
    mask, nodata = choose_mask(path, None, None)
    raster = decode_image(path.read_bytes(), LIMITS)
    decoded = None if mask is None else decode_mask(mask.read_bytes(), LIMITS)
    return find_valid(raster, nodata, decoded)


def find_as_gdal(path):
    with quiet(), rasterio.open(path) as dataset:
        return dataset.dataset_mask() > 0


def hole(*bands, value=0, dtype="uint8", count=3):
    """Noise of 1 to 200 with a rectangle of one value in some of its bands."""
    values = (1 + noise(count, *SHAPE) % 200).astype(dtype)
    for band in bands:
        values[band, 9:22, 11:40] = value
    return values


def alpha():
    plane = np.full(SHAPE, 255, np.uint8)
    plane[4:30, 20:33] = 0
    plane[:, 50] = 7
    return plane


def with_alpha(values):
    return np.concatenate([values, alpha()[None]])


MASK = alpha() > 0
KINDS = {
    "nothing": {"values": hole()},
    "a no-data value": {"values": hole(0, 1, 2), "nodata": 0},
    "a no-data value in some of the bands": {"values": hole(0, 2), "nodata": 0},
    "a no-data value in a planar file": {
        "values": hole(0, 1, 2),
        "nodata": 0,
        "interleave": "band",
    },
    "NaN": {"values": hole(0, 1, 2, value=np.nan, dtype="float32"), "nodata": np.nan},
    "NODATA_VALUES": {
        "values": hole(0, 1, 2, value=9),
        "tags": {"NODATA_VALUES": "9 9 9"},
    },
    "NODATA_VALUES that differ": {
        "values": hole(1, value=9),
        "tags": {"NODATA_VALUES": "9 9 9"},
    },
    "NODATA_VALUES of another number": {
        "values": hole(0, 1, 2, value=9),
        "tags": {"NODATA_VALUES": "9 9"},
    },
    "alpha": {"values": with_alpha(hole(0, 1, 2)), "interpretations": RGBA},
    "a mask in the file": {"values": hole(0, 1, 2), "mask": MASK},
    "a mask beside the file": {"values": hole(0, 1, 2), "mask": MASK, "internal_mask": False},
    "a mask in the file and a no-data value": {
        "values": hole(0, 1, 2),
        "nodata": 0,
        "mask": MASK,
    },
    "a mask beside the file and a no-data value": {
        "values": hole(0, 1, 2),
        "nodata": 0,
        "mask": MASK,
        "internal_mask": False,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_missing_pixels_are_those_of_gdal_and_of_a_request(kind, tmp_path):
    path = write_raster(tmp_path / "a.tif", **KINDS[kind])

    valid = find_in_windows(path)

    np.testing.assert_array_equal(valid, find_as_gdal(path))
    np.testing.assert_array_equal(valid, find_as_a_request(path))


@pytest.mark.parametrize(
    "kind",
    [
        {"values": with_alpha(hole(0, 1, 2)), "interpretations": RGBA, "nodata": 0},
        {
            "values": with_alpha(hole(0, 1, 2)),
            "interpretations": RGBA,
            "mask": MASK[::-1],
            "internal_mask": False,
        },
        {"values": hole(1, value=np.nan, dtype="float32"), "nodata": 5},
        {"values": hole(1, value=np.inf, dtype="float64")},
    ],
)
def test_what_gdal_takes_for_data_in_spite_of_a_sign_is_missing_as_in_a_request(kind, tmp_path):
    path = write_raster(tmp_path / "a.tif", **kind)

    valid = find_in_windows(path)

    np.testing.assert_array_equal(valid, find_as_a_request(path))
    assert (valid <= find_as_gdal(path)).all()


def test_a_no_data_value_that_the_type_cannot_hold_is_found_nowhere(tmp_path):
    path = write_raster(tmp_path / "a.tif", hole(0, 1, 2), nodata=0.5)

    assert find_in_windows(path).all()
    assert find_as_a_request(path).all()


@pytest.mark.parametrize("case", CASES)
def test_handmade_files_have_the_missing_pixels_of_gdal(case, tmp_path):
    data, expected = CASES[case]
    path = tmp_path / "a.tif"
    path.write_bytes(data)

    assert find_in_windows(path).tolist() == np.array([expected], bool).tolist()


@pytest.mark.parametrize("path", find_real_rasters())
def test_missing_pixels_of_a_real_raster_are_those_of_a_request(path):
    np.testing.assert_array_equal(find_in_windows(path), find_as_a_request(path))


@pytest.mark.parametrize("path", find_real_rasters())
def test_missing_pixels_of_a_real_raster_are_those_of_gdal(path):
    valid = find_in_windows(path)

    expected = find_as_gdal(path)
    with quiet(), rasterio.open(path) as dataset:
        if dataset.dtypes[0].startswith("float"):
            expected &= np.isfinite(dataset.read()).all(axis=0)
        if path.name == "alpha.tif":  # JPEG has made 1 of 0
            expected = dataset.read(4) >= 128
    np.testing.assert_array_equal(valid, expected)


def test_alpha_can_be_left_out(tmp_path):
    values = with_alpha(hole())
    path = write_raster(tmp_path / "a.tif", values, interpretations=RGBA)

    with open_raster(path, alpha="no") as source:
        raster = source.read(Window(0, 0, *SHAPE))

    np.testing.assert_array_equal(raster.values, np.moveaxis(values, 0, 2))
    assert find_valid(raster).all()


def test_alpha_can_be_taken_where_no_band_is_tagged(tmp_path):
    path = write_raster(tmp_path / "a.tif", with_alpha(hole()), photometric="minisblack")

    assert find_in_windows(path).all()
    np.testing.assert_array_equal(find_in_windows(path, alpha="yes"), MASK)


def test_alpha_counts_whatever_bands_are_chosen(tmp_path):
    path = write_raster(tmp_path / "a.tif", with_alpha(hole()), interpretations=RGBA)

    np.testing.assert_array_equal(find_in_windows(path, bands=[2]), MASK)


def test_only_the_bands_chosen_count_for_nodata_values(tmp_path):
    path = write_raster(tmp_path / "a.tif", hole(1, value=9), tags={"NODATA_VALUES": "9 9 9"})

    holds = hole(1, value=9) != 9
    np.testing.assert_array_equal(find_in_windows(path, bands=[2]), holds[1])
    np.testing.assert_array_equal(find_in_windows(path, bands=[2, 1]), holds[:2].any(axis=0))


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_counts_whatever_no_data_value_is_given(internal, tmp_path):
    path = write_raster(
        tmp_path / "a.tif", hole(0, 1, 2), nodata=0, mask=MASK, internal_mask=internal
    )

    np.testing.assert_array_equal(find_in_windows(path, "none"), MASK)
    np.testing.assert_array_equal(find_in_windows(path, 0), MASK & (hole(0, 1, 2) != 0).any(axis=0))


def test_no_data_values_of_bands_that_differ_all_count(tmp_path):
    values = np.array([[[1, 1, 0, 2]], [[2, 5, 2, 2]]], np.uint8)
    write_raster(tmp_path / "a.tif", values)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><NoDataValue>{number}</NoDataValue>'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        f"<SourceBand>{number}</SourceBand></SimpleSource></VRTRasterBand>"
        for number in (1, 2)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="4" rasterYSize="1">{bands}</VRTDataset>')

    assert find_in_windows(vrt).tolist() == [[False, True, True, True]]
    np.testing.assert_array_equal(find_in_windows(vrt), find_as_gdal(vrt))


def test_a_band_without_a_no_data_value_always_holds_data(tmp_path):
    write_raster(tmp_path / "a.tif", np.array([[[1, 2]], [[1, 2]]], np.uint8))
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="1">'
        '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>1</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        '<VRTRasterBand dataType="Byte" band="2"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )

    assert find_in_windows(vrt).all()
    assert find_as_gdal(vrt).all()
    assert find_in_windows(vrt, bands=[1]).tolist() == [[False, True]]


def test_masks_of_single_bands_are_missing_where_all_of_them_are(tmp_path):
    write_raster(tmp_path / "a.tif", np.ones((2, 1, 3), np.uint8))
    for number, plane in ((1, [0, 0, 255]), (2, [0, 255, 255])):
        write_raster(tmp_path / f"m{number}.tif", np.array([[plane]], np.uint8))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">a.tif</SourceFilename><SourceBand>{number}</SourceBand>'
        '</SimpleSource><MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">m{number}.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</MaskBand></VRTRasterBand>"
        for number in (1, 2)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="3" rasterYSize="1">{bands}</VRTDataset>')

    assert find_in_windows(vrt).tolist() == [[False, True, True]]
    np.testing.assert_array_equal(find_in_windows(vrt), find_as_gdal(vrt))
    assert find_in_windows(vrt, bands=[1]).tolist() == [[False, False, True]]


def test_a_mask_that_was_compressed_with_loss_is_cut_halfway(tmp_path):
    valid = np.zeros((48, 64), bool)
    valid[5:41, 9:50] = True
    path = write_raster(tmp_path / "a.tif", np.full((3, 48, 64), 90, np.uint8))
    write_raster(
        tmp_path / "a.tif.msk",
        255 * valid[None].astype(np.uint8),
        compress="jpeg",
        tags={"INTERNAL_MASK_FLAGS_1": "2"},
    )

    np.testing.assert_array_equal(find_in_windows(path), valid)
    np.testing.assert_array_equal(find_as_a_request(path), valid)
