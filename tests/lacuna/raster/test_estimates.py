"""Memory that is announced for a decoder, against what it takes."""

import io
import json
import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits
from tests.support.images import npy_file, picture_file, saved, tiff_file
from tests.support.rasters import gdal_file

SIDE = 1024

# The libraries are loaded, and a small file is decoded, before the peak is reset.
MEASURE = """
import gc, json, sys
from pathlib import Path
from lacuna.errors import InvalidImageError
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import ImageLimits

def read(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def decode(file):
    try:
        file.decode(ImageLimits())
    except InvalidImageError:
        pass

measured = {}
for small in sorted(Path(sys.argv[1]).glob("*.small")):
    decode(ImageFile(small.read_bytes()))
    data = small.with_suffix(".large").read_bytes()
    file = ImageFile(data)
    estimate = file.estimate_bytes(ImageLimits())
    gc.collect()
    before = read("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    decode(file)
    measured[small.stem] = [estimate, read("VmHWM") - before]
    del file
print(json.dumps(measured))
"""


def ramp(side, channels=1, dtype=np.uint8):
    rows = (np.arange(side) % 100).astype(dtype)[:, None, None]
    values = np.broadcast_to(rows, (side, side, channels))
    return np.ascontiguousarray(values if channels > 1 else values[:, :, 0])


def tiff(values, photometric="minisblack", **options):
    return tiff_file(values, photometric=photometric, compression="zlib", **options)


def turned():
    return [(274, 3, 1, 6, True)]


def encode_tiffs(side):
    alpha = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    one_strip = {"rowsperstrip": side, "predictor": True}
    colormap = np.zeros((3, 256), np.uint16)
    contig = {"planarconfig": "contig"}
    return {
        "tiff-grey": tiff(ramp(side), **one_strip),
        "tiff-rgb": tiff(ramp(side, 3), "rgb", **one_strip),
        "tiff-planes": tiff(
            np.moveaxis(ramp(side, 3), 2, 0).copy(), "rgb", planarconfig="separate"
        ),
        "tiff-rgba": tiff(ramp(side, 4), **alpha),
        "tiff-int8": tiff(ramp(side, 4, np.int8), **contig),
        "tiff-int16": tiff(ramp(side, 1, np.int16)),
        "tiff-float64": tiff(ramp(side, 1, np.float64), **one_strip | {"predictor": False}),
        "tiff-float64-alpha": tiff(ramp(side, 4, np.float64), **alpha),
        "tiff-float64-turned": tiff(ramp(side, 1, np.float64), extratags=turned()),
        "tiff-cmyk": tiff(ramp(side, 4), "separated"),
        "tiff-cmyk-16": tiff(ramp(side, 4, np.uint16), "separated"),
        "tiff-palette": tiff(ramp(side), "palette", colormap=colormap),
        "tiff-white-is-zero": tiff(ramp(side, 1, np.uint16), "miniswhite"),
        "tiff-bits": tiff(ramp(side) > 50, "miniswhite"),
        "tiff-ycbcr": tiff(ramp(side, 3), "ycbcr", subsampling=(1, 1)),
        "tiff-jpeg": tiff_file(
            ramp(side, 3), photometric="ycbcr", compression="jpeg", rowsperstrip=side
        ),
        "tiff-masks": masked_tiff(side, 12, np.ones((side, side), np.uint8)),
        "tiff-wide-mask": masked_tiff(side, 1, np.ones((side, side, 8), np.float64)),
        "tiff-tile": tiff(ramp(16, 1, np.float64), tile=(side, side)),
        "tiff-lerc": gdal_file(ramp(side, 2, np.float64), compress="LERC", blockysize=side),
        "tiff-lerc-nan": gdal_file(holes(side), compress="LERC_ZSTD", blockysize=side),
        "tiff-lerc-tiles": gdal_file(holes(side), compress="LERC_DEFLATE", tiled=True),
        "tiff-lerc-alpha": gdal_file(
            ramp(side, 4) // 99 * 255, compress="LERC", ALPHA="YES", blockysize=side
        ),
        "tiff-lzma": gdal_file(ramp(side, 3), compress="LZMA", blockysize=side),
        "tiff-webp": gdal_file(ramp(side, 3), compress="WEBP", blockysize=side),
        "tiff-webp-lossless": gdal_file(
            ramp(side, 4), compress="WEBP", WEBP_LOSSLESS="YES", tiled=True
        ),
        "tiff-channel-pages": channel_pages(side, 12),
    }


def holes(side):
    values = ramp(side, 2, np.float32)
    values[values < 30] = np.nan
    return values


def channel_pages(side, count):
    buffer = io.BytesIO()
    pages = np.moveaxis(ramp(side, count, np.uint16), 2, 0)
    tifffile.imwrite(buffer, pages, ome=True, metadata={"axes": "CYX"}, compression="zlib")
    return buffer.getvalue()


def masked_tiff(side, count, mask):
    """An image and masks, written as pages of several and then marked as masks."""
    buffer = io.BytesIO()
    options = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(ramp(side), **options)
        for _ in range(count):
            planes = {"planarconfig": "contig"} if mask.ndim == 3 else {}
            writer.write(mask, subfiletype=2, **options, **planes)
    page, transparency = (struct.pack("<HHII", 254, 4, 1, kind) for kind in (2, 4))
    assert buffer.getvalue().count(page) == count
    return buffer.getvalue().replace(page, transparency)


def encode_pictures(side):
    rgb = ramp(side, 3)
    palette = Image.fromarray(ramp(side)).convert("P")
    return {
        "png": picture_file(ramp(side, 4), "PNG"),
        "png-16": imagecodecs.png_encode(ramp(side, 4, np.uint16), level=1),
        "png-colour-key": picture_file(rgb, "PNG", transparency=(1, 1, 1)),
        "png-palette": saved(palette, "PNG", transparency=3),
        "jpeg": picture_file(rgb, "JPEG"),
        "jpeg-progressive": picture_file(rgb, "JPEG", progressive=True),
        "jpeg-cmyk": saved(Image.fromarray(ramp(side, 4), "CMYK"), "JPEG"),
        "webp": picture_file(rgb, "WEBP", method=0),
        "webp-lossless": picture_file(ramp(side, 4), "WEBP", lossless=True, method=0),
        "npy-int32": npy_file(ramp(side, 3, np.int32)),
        "npy-columns": npy_file(np.asfortranarray(ramp(side, 3, np.uint16))),
        "jp2": picture_file(rgb, "JPEG2000"),
        "jp2-tiles": picture_file(rgb, "JPEG2000", tile_size=(64, 64)),
        "jp2-int16": imagecodecs.jpeg2k_encode(ramp(side, 1, np.int16), level=0),
        "jp2-blocks": codestream(side),
        "jp2-precincts": codestream(side // 2, levels=5, precinct=0x11),
        "jp2-lowest-precincts": codestream(side // 2, precinct=0x00),
        "jp2-tile-precincts": codestream(side // 2, in_tile=0x11),
        "jp2-layers": codestream(64, components=64, levels=32, layers=65535),
        "jp2-many-tiles": codestream(64, components=1, tile=1),
    }


def codestream(side, *, tile=None, components=1, levels=0, precinct=None, layers=1, in_tile=None):
    """A codestream of code blocks of 4 × 4, with hardly any coded data."""
    size = struct.pack(">H8IH", 0, side, side, 0, 0, tile or side, tile or side, 0, 0, components)
    steps = bytes([0x40] + [8 << 3] * (1 + 3 * levels))
    coding = coding_style(levels, layers, precinct)
    later = b"" if in_tile is None else segment(0xFF52, coding_style(levels, layers, in_tile))
    return (
        b"\xff\x4f"
        + segment(0xFF51, size + b"\x07\x01\x01" * components)
        + segment(0xFF52, coding)
        + segment(0xFF5C, steps)
        + segment(0xFF90, struct.pack(">HIBB", 0, 0, 0, 1))
        + later
        + b"\xff\x93"
        + bytes(20)
        + b"\xff\xd9"
    )


def coding_style(levels, layers, precinct):
    precincts = b"" if precinct is None else bytes([precinct] * (levels + 1))
    return struct.pack(">BBHB5B", bool(precincts), 0, layers, 0, levels, 0, 0, 0, 1) + precincts


def segment(marker, content):
    return struct.pack(">HH", marker, 2 + len(content)) + content


def encode(side):
    return encode_tiffs(side) | encode_pictures(side)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for suffix, side in ((".small", 64), (".large", SIDE)):
        for name, data in encode(side).items():
            (folder / name).with_suffix(suffix).write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, folder], check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are Linux's")
@pytest.mark.parametrize("name", encode(64))
def test_a_decoder_takes_little_more_than_is_announced_for_it(measured, name):
    estimate, peak = measured[name]
    assert estimate >= 0.8 * peak


@pytest.mark.parametrize("components", [2, 16, 64])
def test_tiles_of_a_pixel_are_refused_by_the_header(components):
    file = ImageFile(codestream(200, components=components, tile=1))

    with pytest.raises(InvalidImageError, match=f"strips or tiles; it has {40000 * components}"):
        file.estimate_bytes(ImageLimits())


def test_strips_of_a_row_are_refused_where_the_rows_are_a_pixel_wide():
    thin = ImageFile(tiff_file(np.zeros((100_000, 1), np.uint8), rowsperstrip=1))

    with pytest.raises(InvalidImageError, match="at most 5658 strips or tiles; it has 100000"):
        thin.estimate_bytes(ImageLimits())


def test_strips_of_a_row_are_read_of_images_of_an_ordinary_width():
    rows = ImageFile(tiff_file(np.zeros((65_536, 64), np.uint8), rowsperstrip=1))

    assert rows.read_header(ImageLimits()).segments == 65_536


def test_a_tile_larger_than_any_image_is_refused_by_the_header():
    limits = ImageLimits(image_pixels=1 << 18)
    allowed = tiff_file(np.zeros((16, 16), np.uint8), tile=(512, 512))
    refused = tiff_file(np.zeros((16, 16), np.uint8), tile=(512, 528))

    assert ImageFile(allowed).decode(limits).size == (16, 16)
    with pytest.raises(ImageTooLargeError, match="no larger than 262144 pixels; they have 270336"):
        ImageFile(refused).estimate_bytes(limits)
