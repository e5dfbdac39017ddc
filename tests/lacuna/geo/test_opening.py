"""Whatever GDAL opens, and what it does not."""

import io
import os
import re
import socket
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.shutil import copy

from lacuna.errors import InvalidImageError, LacunaError
from lacuna.geo.source import open_raster
from lacuna.windows.window import Window
from tests.support.images import noise, picture_file, tiff_file
from tests.support.rasters import quiet, write_raster

BLOCKS = {"tiled": True, "blockxsize": 16, "blockysize": 16}
VALUES = noise(3, 37, 53)
CHANNELS_LAST = np.moveaxis(VALUES, 0, 2)


def whole(name, **options):
    with open_raster(name, **options) as source:
        return source.read(Window(0, 0, *source.grid.size)).values


def refusal(name, **options):
    """Return the message of the one error, which must be one line."""
    with pytest.raises(LacunaError) as caught:
        whole(name, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.fixture
def served(tmp_path):
    """Address of a server of the files in `tmp_path`."""
    # Another process: GDAL opens files while it holds Python's lock.
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--directory", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            yield f"http://127.0.0.1:{re.search(r'port ([0-9]+)', server.stdout.readline())[1]}"
        finally:
            server.terminate()


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_paths_are_texts_or_path_objects(kind, tmp_path):
    path = write_raster(tmp_path / "a scene?x=1#2.tif", VALUES)

    np.testing.assert_array_equal(whole(kind(path)), CHANNELS_LAST)


def test_a_raster_in_an_archive_is_read(tmp_path):
    path = write_raster(tmp_path / "a.tif", VALUES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "inside/a.tif")

    found = whole(f"/vsizip/{tmp_path}/a.zip/inside/a.tif")

    np.testing.assert_array_equal(found, CHANNELS_LAST)


@pytest.mark.parametrize("prefix", ["/vsicurl/", ""])
def test_a_raster_on_a_web_server_is_read(prefix, served, tmp_path):
    write_raster(tmp_path / "a.tif", VALUES, **BLOCKS)

    np.testing.assert_array_equal(whole(f"{prefix}{served}/a.tif"), CHANNELS_LAST)


def test_jpeg_2000_is_read(tmp_path):
    path = write_raster(
        tmp_path / "a.jp2",
        VALUES,
        driver="JP2OpenJPEG",
        QUALITY="100",
        REVERSIBLE="YES",
        crs="EPSG:32618",
        transform=rasterio.Affine(10, 0, 500000, 0, -10, 4e6),
    )

    np.testing.assert_array_equal(whole(path), CHANNELS_LAST)
    with open_raster(path) as source:
        assert source.grid.crs.to_epsg() == 32618
        assert source.grid.transform == rasterio.Affine(10, 0, 500000, 0, -10, 4e6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pictures_are_read(kind, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(picture_file(CHANNELS_LAST, kind))

    with quiet(), rasterio.open(path) as dataset:
        expected = np.moveaxis(dataset.read(), 0, 2)
    np.testing.assert_array_equal(whole(path), expected)


def test_one_variable_of_a_container_is_read(tmp_path):
    path = write_container(tmp_path / "a.nc")

    np.testing.assert_array_equal(whole(f'NETCDF:"{path}":Band2')[:, :, 0], VALUES[1])


def test_a_container_of_rasters_is_refused_with_their_names(tmp_path):
    path = write_container(tmp_path / "a.nc")

    message = refusal(path)

    assert message == (
        f"raster must have bands; {path} is a container of 2 rasters, one of which must be named: "
        f"netcdf:{path}:Band1, netcdf:{path}:Band2"
    )


def write_container(path):
    """Write a NetCDF file, whose bands are variables."""
    source = write_raster(path.with_suffix(".tif"), VALUES[:2])
    with quiet():
        copy(source, path, driver="netCDF")
    return path


def write_pages(path, description, pages=VALUES):
    path.write_bytes(
        b""
        if pages is None
        else tiff_file(pages, photometric="minisblack", description=description)
    )
    return path


IMAGEJ = "ImageJ=1.54f\nimages=3\nchannels={}\nslices={}\nframes={}\nhyperstack=true\n"
OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="x"><Image ID="Image:0"><Pixels '
    'DimensionOrder="XYCZT" SizeX="53" SizeY="37" SizeC="{}" SizeZ="{}" SizeT="{}" Type="uint8">'
    '<Channel ID="Channel:0:0" Name="DAPI"/><Channel ID="Channel:0:1" Name="GFP &amp; Co"/>'
    '<Channel ID="Channel:0:2"/></Pixels></Image></OME>'
)


@pytest.mark.parametrize(
    ("description", "names"),
    [
        ("ImageJ=1.54f\nimages=3\nchannels=3\nmode=composite\n", ()),
        (IMAGEJ.format(3, 1, 1), ()),
        (OME.format(3, 1, 1), ("DAPI", "GFP & Co", "")),
    ],
)
def test_pages_that_are_channels_are_bands(description, names, tmp_path):
    path = write_pages(tmp_path / "a.tif", description)

    np.testing.assert_array_equal(whole(path), CHANNELS_LAST)
    np.testing.assert_array_equal(whole(path, bands=[3, 1]), CHANNELS_LAST[:, :, [2, 0]])
    with open_raster(path) as source:
        assert source.read(Window(0, 0, 1, 1)).band_names == names
    if names:
        np.testing.assert_array_equal(whole(path, bands=["gfp & co"]), CHANNELS_LAST[:, :, 1:2])


def test_more_than_nine_pages_stay_in_order(tmp_path):
    values = noise(12, 7, 9)
    path = write_pages(tmp_path / "a.tif", "ImageJ=1.54f\nimages=12\nchannels=12\n", pages=values)

    np.testing.assert_array_equal(whole(path), np.moveaxis(values, 0, 2))


@pytest.mark.parametrize(
    "description",
    [
        IMAGEJ.format(1, 3, 1),
        IMAGEJ.format(1, 1, 3),
        "ImageJ=1.54f\nimages=3\nslices=3\n",
        "ImageJ=1.54f\nimages=3\n",
        OME.format(1, 3, 1),
        OME.format(1, 1, 3),
        OME.format(3, 2, 1),
        OME.format(2, 1, 1),
        OME.format(3, 1, 1) + OME.format(3, 1, 1),
        "",
        '{"shape": [3, 37, 53]}',
    ],
)
def test_pages_that_are_no_channels_are_refused_with_their_names(description, tmp_path):
    path = write_pages(tmp_path / "a.tif", description)

    message = refusal(path)

    assert message.startswith(f"TIFF must hold one image; {path} holds 3, one of which must be")
    assert f"GTIFF_DIR:2:{path}" in message
    np.testing.assert_array_equal(whole(f"GTIFF_DIR:2:{path}"), CHANNELS_LAST[:, :, 1:2])


def test_pages_that_are_channels_must_be_of_one_size(tmp_path):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        description = "ImageJ=1.54f\nimages=2\nchannels=2\n"
        file.write(VALUES[0], metadata=None, description=description)
        file.write(VALUES[0, 1:], metadata=None)
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())

    message = refusal(tmp_path / "a.tif")

    assert message.startswith("pages that are channels must be of one size and type")


def test_a_file_that_is_not_there_is_told(tmp_path):
    path = tmp_path / "a.tif"

    assert refusal(path) == (
        f"raster must be one that GDAL opens; {path}: No such file or directory"
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"II*\0"])
def test_a_file_that_is_no_raster_is_told(content, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(content)

    assert refusal(path).startswith(f"raster must be one that GDAL opens; {path}: ")


def test_a_folder_is_told(tmp_path):
    assert refusal(tmp_path) == f"raster must be one that GDAL opens; {tmp_path} is a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    path = write_raster(tmp_path / "a.tif", VALUES)
    path.chmod(0)

    assert "ermission denied" in refusal(path)


def test_a_server_that_does_not_answer_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        name = f"/vsicurl/http://127.0.0.1:{unused.getsockname()[1]}/a.tif"

        message = refusal(name)

    assert message.startswith(f"raster must be one that GDAL opens; {name}: ")


def test_a_scene_that_the_server_does_not_have_is_told(served):
    name = f"/vsicurl/{served}/a.tif"

    assert "404" in refusal(name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        BLOCKS,
        {**BLOCKS, "compress": "deflate"},
        {**BLOCKS, "compress": "jpeg"},
        {"compress": "lzw"},
        {"driver": "JP2OpenJPEG"},
    ],
)
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_truncated_raster_is_told(options, part, tmp_path):
    path = write_raster(tmp_path / "a", noise(3, 90, 130), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])

    assert "raster must be whole and undamaged; " in refusal(path) or "GDAL opens" in refusal(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_told(kind, tmp_path):
    path = tmp_path / "a"
    data = picture_file(np.moveaxis(noise(3, 90, 130), 0, 2), kind)
    path.write_bytes(data[: len(data) // 2])

    assert refusal(path).startswith("raster must be whole and undamaged; ")


def test_a_tile_that_is_beyond_the_file_is_told(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(1, 48, 48), **BLOCKS)
    with quiet(), rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1))
    data = path.read_bytes()
    entry = offset.to_bytes(4, "little")
    assert data.count(entry) == 1
    path.write_bytes(data.replace(entry, (10**8).to_bytes(4, "little")))

    with open_raster(path) as source:
        source.read(Window(0, 0, 16, 48))
        with pytest.raises(InvalidImageError, match=r"a\.tif, rows 16 to 20: "):
            source.read(Window(16, 0, 5, 48))


def test_a_mosaic_without_one_of_its_files_is_told(tmp_path):
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">gone.tif</SourceFilename>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )

    assert "gone.tif: No such file or directory" in refusal(vrt)


def test_a_container_without_rasters_is_told(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["profile"] = np.arange(3)

    assert refusal(path) == f"raster must have bands; {path} has none"


def test_colours_of_cielab_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_file(CHANNELS_LAST, photometric="cielab"))

    assert refusal(path) == (
        f"colours must be grey, RGB, palette, CMYK or YCbCr; {path} has CIELAB"
    )
