"""Windows of rasters, with rasterio and the in-memory reader of TIFF as the witnesses."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from lacuna.errors import ChannelMismatchError, InvalidImageError
from lacuna.geo.source import open_raster
from lacuna.raster.adapt import fit_to_model
from lacuna.raster.bands import BandSelection
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.windows.window import Window
from tests.support.images import noise, tiff_file
from tests.support.rasters import find_real_rasters, quiet, write_raster

LIMITS = ImageLimits()
RED, GREEN, BLUE, ALPHA = (
    ColorInterp.red,
    ColorInterp.green,
    ColorInterp.blue,
    ColorInterp.alpha,
)
NUMBERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
LAYOUTS = {
    "striped": {},
    "planar": {"interleave": "band"},
    "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 32, "interleave": "pixel"},
    "planar tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16, "interleave": "band"},
    "BigTIFF": {"BIGTIFF": "YES"},
    "sparse": {"SPARSE_OK": "TRUE", "tiled": True, "blockxsize": 16, "blockysize": 16},
}


def bands(count, dtype="uint8", height=37, width=53):
    return noise(count, height, width, dtype=np.dtype(dtype))


def whole(path, **options):
    with open_raster(path, **options) as source:
        return source.read(Window(0, 0, *source.grid.size))


def assert_same(found, expected):
    """Hold a raster to another, in all that a model's sample is made of."""
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.values.dtype == expected.values.dtype
    assert (found.full_scale, found.white_is_zero) == (expected.full_scale, expected.white_is_zero)
    assert found.band_names == expected.band_names
    assert found.is_lossy == expected.is_lossy
    for name in ("valid", "has_data"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        np.testing.assert_array_equal(one, other)
    if expected.bands is not None:
        assert found.bands == expected.bands
    if expected.stored is None:
        assert found.stored is None
    else:
        np.testing.assert_array_equal(found.stored, expected.stored)


def assert_read_as_a_request(path):
    assert_same(whole(path), decode_image(path.read_bytes(), LIMITS))


@pytest.mark.parametrize("path", find_real_rasters())
def test_a_real_raster_is_read_as_a_request_reads_it(path):
    assert_read_as_a_request(path)


@pytest.mark.parametrize("path", find_real_rasters())
def test_windows_of_a_real_raster_are_parts_of_it(path):
    expected = whole(path)
    with open_raster(path) as source:
        height, width = source.grid.size
        for window in (
            Window(0, 0, 1, 1),
            Window(height // 2, width // 3, height - height // 2, 1),
            Window(height - 1, width // 2, 1, width - width // 2),
        ):
            found = source.read(window)
            np.testing.assert_array_equal(found.values, expected.values[window.slices])
            for name in ("valid", "has_data"):
                part, all_of_it = getattr(found, name), getattr(expected, name)
                np.testing.assert_array_equal(
                    part, None if all_of_it is None else all_of_it[window.slices]
                )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12])
def test_rasters_of_any_layout_are_read_as_a_request_reads_them(layout, count, tmp_path):
    path = write_raster(
        tmp_path / "a.tif", bands(count), photometric="minisblack", **LAYOUTS[layout]
    )

    assert_read_as_a_request(path)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("nodata", [None, 3])
def test_numbers_of_any_type_are_read_as_a_request_reads_them(dtype, nodata, tmp_path):
    values = bands(2, dtype)
    values[:, 5:9, 7:20] = 3
    values[0, 20:, 30:] = 3

    path = write_raster(tmp_path / "a.tif", values, nodata=nodata)

    assert_read_as_a_request(path)
    np.testing.assert_array_equal(
        (whole(path).values if whole(path).stored is None else whole(path).stored),
        np.moveaxis(values, 0, 2),
    )


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_no_data_of_64_bits_is_told_to_the_last_bit(dtype, tmp_path):
    highest = np.iinfo(dtype).max
    values = np.array([[highest, highest - 1, 7]], dtype)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_file(values, extratags=[(42113, "s", 0, str(highest), True)]))

    assert whole(path).has_data.tolist() == [[False, True, True]]
    np.testing.assert_array_equal(whole(path).stored[:, :, 0], values)


@pytest.mark.parametrize("compress", ["jpeg", "lzw", "deflate", "zstd", "packbits"])
def test_compressed_rasters_are_read_as_a_request_reads_them(compress, tmp_path):
    path = write_raster(
        tmp_path / "a.tif",
        bands(3, height=64, width=80),
        compress=compress,
        tiled=True,
        blockxsize=32,
        blockysize=32,
        interleave="pixel",
    )

    assert_read_as_a_request(path)


@pytest.mark.parametrize("compress", ["lerc", "lzma", "webp", "lerc_deflate", "lerc_zstd"])
def test_compressions_that_rasterio_has_are_read(compress, tmp_path):
    options = {"WEBP_LOSSLESS": "YES"} if compress == "webp" else {}
    values = bands(3)

    path = write_raster(tmp_path / "a.tif", values, compress=compress, **options)

    np.testing.assert_array_equal(whole(path).values, np.moveaxis(values, 0, 2))


@pytest.mark.parametrize(
    "tags",
    [
        {"photometric": "miniswhite"},
        {"photometric": "miniswhite", "extratags": [(42113, "s", 0, "3", True)]},
        {
            "photometric": "palette",
            "colormap": (np.arange(768) * 80 % 65536).astype(np.uint16).reshape(3, 256),
        },
        {
            "photometric": "palette",
            "colormap": (np.arange(768) % 256).astype(np.uint16).reshape(3, 256),
            "extratags": [(42113, "s", 0, "3", True)],
        },
    ],
)
def test_colours_of_one_band_are_those_of_a_request(tags, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_file(noise(37, 53), **tags))

    assert_read_as_a_request(path)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("bits", [1, 12])
def test_odd_depths_are_those_of_a_request(photometric, bits, tmp_path):
    values = noise(37, 53, dtype=np.uint16) >> (16 - bits)
    path = tmp_path / "a.tif"
    path.write_bytes(
        tiff_file(values > 0, photometric=photometric)
        if bits == 1
        else tiff_file(values, photometric=photometric, bitspersample=bits)
    )

    assert_read_as_a_request(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_are_those_of_a_request(dtype, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_file(noise(37, 53, 4, dtype=dtype), photometric="separated"))

    assert_read_as_a_request(path)


def test_transparent_colours_of_a_palette_are_missing(tmp_path):
    write_raster(tmp_path / "a.tif", np.array([[[0, 1, 2, 3]]], np.uint8))
    vrt = tmp_path / "a.vrt"
    colours = [(0, 0, 0, 255), (10, 20, 30, 0), (40, 50, 60, 255), (70, 80, 90, 255)]
    entries = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in colours)
    vrt.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1">'
        f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable><SimpleSource>"
        f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )

    raster = whole(vrt)

    assert raster.values[0].tolist() == [list(colour[:3]) for colour in colours]
    assert raster.valid.tolist() == [[True, False, True, True]]


def test_bands_are_chosen_by_number_and_by_name_in_the_order_given(tmp_path):
    values = bands(5, "uint16")
    path = write_raster(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        names=("coastal", "Blue", "green", "red", "nir"),
    )

    by_number, by_name = whole(path, bands=[4, 3, 2]), whole(path, bands=["RED", "Green", "blue"])

    np.testing.assert_array_equal(by_number.values, np.moveaxis(values[[3, 2, 1]], 0, 2))
    np.testing.assert_array_equal(by_name.values, by_number.values)
    assert by_name.band_names == ("red", "green", "Blue")


COLOURS = np.arange(256, dtype=np.uint16) // np.array([[1], [2], [3]], np.uint16) * np.uint16(257)
FILES = {
    "a stack": tiff_file(
        noise(37, 53, 5, dtype=np.uint16), photometric="minisblack", planarconfig="contig"
    ),
    "RGB": tiff_file(noise(37, 53, 3), photometric="rgb"),
    "RGBA": tiff_file(noise(37, 53, 4), photometric="rgb", extrasamples=["unassalpha"]),
    "a palette": tiff_file(noise(37, 53), photometric="palette", colormap=COLOURS),
    "inks": tiff_file(noise(37, 53, 4), photometric="separated"),
}


@pytest.mark.parametrize("alpha", ["auto", "no"])
@pytest.mark.parametrize("wanted", [(1,), (3, 1), (2, 2)])
@pytest.mark.parametrize("kind", FILES)
def test_the_bands_chosen_are_those_of_a_request(kind, wanted, alpha, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(FILES[kind])

    found = whole(path, bands=wanted, alpha=alpha)

    assert_same(found, decode_image(FILES[kind], LIMITS, bands=BandSelection(wanted, alpha)))


def test_bands_are_chosen_by_their_colours(tmp_path):
    values = bands(3)
    path = write_raster(tmp_path / "a.tif", values, interpretations=(BLUE, GREEN, RED))

    found = whole(path, bands=["red", "green", "blue"])

    np.testing.assert_array_equal(found.values, np.moveaxis(values[::-1], 0, 2))


def test_the_bands_that_a_model_expects_are_read(tmp_path):
    values = bands(4)
    path = write_raster(
        tmp_path / "a.tif", values, photometric="minisblack", names=("blue", "green", "red", "nir")
    )

    found = whole(path, expected=["red", "green", "blue"])

    np.testing.assert_array_equal(found.values, np.moveaxis(values[2::-1], 0, 2))


@pytest.mark.parametrize("wanted", [[9], ["swir"], [0]])
def test_a_band_that_is_not_there_is_refused_with_those_that_are(wanted, tmp_path):
    path = write_raster(
        tmp_path / "a.tif", bands(2), photometric="minisblack", names=("red", "nir")
    )

    with pytest.raises(ChannelMismatchError, match=r"1 \(red\), 2 \(nir\)"):
        open_raster(path, bands=wanted)


def test_the_source_describes_its_bands(tmp_path):
    path = write_raster(
        tmp_path / "a.tif",
        bands(4),
        nodata=7,
        names=("", "two"),
        interpretations=(RED, GREEN, BLUE, ALPHA),
        tags={"sensor": "seven"},
        tiled=True,
        blockxsize=16,
        blockysize=32,
    )
    with quiet(), rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5, 1, 1, 1), (0, 2, 0, 0)

    with open_raster(path, bands=[3, 1]) as source:
        assert [band.number for band in source.bands] == [1, 2, 3, 4]
        assert [band.name for band in source.bands] == ["", "two", "", ""]
        assert [band.interpretation for band in source.bands] == ["red", "green", "blue", "alpha"]
        assert {band.dtype for band in source.bands} == {"uint8"}
        assert {band.nodata for band in source.bands} == {7}
        assert [(band.scale, band.offset) for band in source.bands[:2]] == [(0.5, 0), (1, 2)]
        assert [band.number for band in source.chosen] == [3, 1]
        assert source.block_shape == (32, 16)
        assert source.tags["sensor"] == "seven"
        assert source.pixel_bytes == 3


def test_scale_and_offset_are_applied_when_asked_for(tmp_path):
    values = np.array([[[0, 10, 20, 65535]], [[5, 5, 5, 65535]]], np.uint16)
    path = write_raster(tmp_path / "a.tif", values, nodata=65535)
    with quiet(), rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1, 2), (-1, 0)

    raw, scaled = whole(path), whole(path, scale=True)

    np.testing.assert_array_equal(raw.values, np.moveaxis(values, 0, 2))
    assert scaled.values.dtype == np.float32
    np.testing.assert_array_equal(
        scaled.values[0, :3], np.array([[-1, 10], [0, 10], [1, 10]], np.float32)
    )
    assert scaled.full_scale is None
    assert scaled.has_data.tolist() == raw.has_data.tolist() == [[True, True, True, False]]
    np.testing.assert_array_equal(scaled.stored, raw.values)


def test_numbers_without_scale_stay_as_they_are_when_scaling_is_asked_for(tmp_path):
    path = write_raster(tmp_path / "a.tif", bands(3))

    assert_same(whole(path, scale=True), whole(path))


def test_only_the_bands_chosen_decide_about_no_data(tmp_path):
    values = np.array([[[0, 0, 1]], [[0, 4, 0]], [[9, 9, 9]]], np.uint8)
    path = write_raster(tmp_path / "a.tif", values, nodata=0)

    assert whole(path).has_data.tolist() == [[True, True, True]]
    assert whole(path, bands=[1, 2]).has_data.tolist() == [[False, True, True]]


def test_512_bands_are_read(tmp_path):
    values = bands(512, height=3, width=2)
    path = write_raster(tmp_path / "a.tif", values, photometric="minisblack")

    np.testing.assert_array_equal(whole(path).values, np.moveaxis(values, 0, 2))


def test_a_model_gets_the_sample_of_a_request(tmp_path):
    values = bands(4, "uint16")
    values[3] = np.where(values[3] > 30000, 65535, 0)
    path = write_raster(
        tmp_path / "a.tif", values, interpretations=(RED, GREEN, BLUE, ALPHA), alpha="unspecified"
    )

    found = fit_to_model(whole(path), 3, "uint8")

    expected = fit_to_model(decode_image(path.read_bytes(), LIMITS), 3, "uint8")
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused(dtype, tmp_path):
    path = tmp_path / "a.tif"
    with quiet(), rasterio.open(path, "w", driver="GTiff", dtype=dtype, count=1, height=2, width=3):
        pass

    with pytest.raises(InvalidImageError, match="must hold real numbers; band 1 is complex"):
        open_raster(path)


def test_bands_of_different_types_are_refused_together_and_read_alone(tmp_path):
    for name, dtype in (("a", "uint8"), ("b", "float32")):
        write_raster(tmp_path / f"{name}.tif", np.ones((1, 2, 3), dtype))
    vrt = tmp_path / "both.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="3" rasterYSize="2">'
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        '<VRTRasterBand dataType="Float32" band="2"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">b.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )

    with pytest.raises(InvalidImageError, match="band 1 is uint8, 2 is float32"):
        open_raster(vrt)
    assert whole(vrt, bands=[2]).values.dtype == np.float32


def test_white_is_that_of_the_bands_chosen(tmp_path):
    for name, dtype in (("a", "uint8"), ("b", "uint16")):
        write_raster(tmp_path / f"{name}.tif", np.ones((1, 2, 3), dtype))
    vrt = tmp_path / "both.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="3" rasterYSize="2">'
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        '<VRTRasterBand dataType="UInt16" band="2"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">b.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )

    assert whole(vrt, bands=[1]).full_scale == 255
    assert whole(vrt, bands=[2]).full_scale == 65535


@pytest.mark.parametrize(
    "window", [Window(-1, 0, 2, 2), Window(0, 0, 38, 2), Window(0, 50, 2, 4), Window(0, 0, 0, 1)]
)
def test_a_window_beyond_the_raster_is_refused(window, tmp_path):
    with (
        open_raster(write_raster(tmp_path / "a.tif", bands(1))) as source,
        pytest.raises(ValueError, match="must be inside the 37×53 raster"),
    ):
        source.read(window)


def test_overviews_are_left_alone(tmp_path):
    values = bands(3, height=256, width=256)
    path = write_raster(tmp_path / "a.tif", values, tiled=True, blockxsize=64, blockysize=64)
    with quiet(), rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])

    np.testing.assert_array_equal(whole(path).values, np.moveaxis(values, 0, 2))


def test_alpha_that_varies_like_an_image_is_noted(tmp_path):
    path = write_raster(tmp_path / "a.tif", bands(4), interpretations=(RED, GREEN, BLUE, ALPHA))

    with open_raster(path) as source:
        (note,) = source.notes
    assert note.startswith("band 4 is tagged as alpha")
    with open_raster(path, alpha="no") as source:
        assert source.notes == ()
        assert len(source.chosen) == 4


def test_a_coordinate_reference_system_that_nobody_knows_is_noted_and_kept(tmp_path):
    path = write_raster(
        tmp_path / "a.tif",
        bands(1),
        crs='LOCAL_CS["site grid",UNIT["metre",1]]',
        transform=rasterio.Affine(1, 0, 0, 0, -1, 0),
    )

    with open_raster(path) as source:
        (note,) = source.notes
        assert note == "its coordinate reference system is not known to GDAL"
        assert "site grid" in source.grid.crs.to_wkt()
