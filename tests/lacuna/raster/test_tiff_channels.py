"""Channels in pages of their own, as OME-TIFF and ImageJ write them; GDAL reads single pages."""

import io
import warnings

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.errors import NotGeoreferencedWarning

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.bands import BandSelection
from lacuna.raster.images import ImageFile, decode_image
from lacuna.raster.label_maps import decode_label_map
from lacuna.raster.limits import ImageLimits
from lacuna.raster.tiff_channels import find_channel_pages
from tests.support.images import noise

LIMITS = ImageLimits()
STACK = noise(3, 20, 30, dtype=np.uint16)
PLAIN = {"metadata": None, "photometric": "minisblack"}
IMAGEJ = "ImageJ=1.54\nimages=3\n"
NAMES = ["DAPI", "GFP", "Cy5 <far red>"]


def write(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def ome(values=STACK, axes="CYX", **metadata):
    return write(values, ome=True, metadata={"axes": axes, **metadata})


def imagej(values=STACK, axes="CYX"):
    return write(values, imagej=True, metadata={"axes": axes})


@pytest.mark.parametrize("data", [ome(), imagej()], ids=["OME", "ImageJ"])
def test_pages_are_channels(data, tmp_path):
    raster = decode_image(data, LIMITS)

    np.testing.assert_array_equal(raster.values, np.moveaxis(STACK, 0, 2))
    header = ImageFile(data).read_header(LIMITS)
    assert (header.height, header.width, header.channels) == (20, 30, 3)
    (tmp_path / "a.tif").write_bytes(data)
    for channel in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(f"GTIFF_DIR:{channel + 1}:{tmp_path / 'a.tif'}") as page:
                np.testing.assert_array_equal(raster.values[:, :, channel], page.read(1))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"compression": "lzma"},
        {"bigtiff": True, "byteorder": ">"},
    ],
)
def test_pages_may_be_laid_out_and_compressed_in_any_way(options):
    data = write(STACK, ome=True, metadata={"axes": "CYX"}, **options)

    np.testing.assert_array_equal(decode_image(data, LIMITS).values, np.moveaxis(STACK, 0, 2))


def test_channels_of_ome_have_names_by_which_they_are_chosen():
    data = ome(Channel={"Name": NAMES})
    raster = decode_image(data, LIMITS, bands=BandSelection(("cy5 <far red>", 1)))

    np.testing.assert_array_equal(raster.values, np.moveaxis(STACK[[2, 0]], 0, 2))
    assert raster.band_names == (NAMES[2], NAMES[0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ome(axes="ZYX"), "a stack of 3 along Z"),
        (ome(axes="TYX"), "a stack of 3 along T"),
        (ome(noise(2, 3, 20, 30), "CZYX"), "a stack of 3 along Z"),
        (imagej(axes="ZYX"), "a stack of 3 along Z"),
        (imagej(axes="TYX"), "a stack of 3 along T"),
        (imagej(noise(5, 3, 20, 30), "ZCYX"), "a stack of 5 along Z"),
        (write(STACK, description=IMAGEJ, **PLAIN), "a stack of 3 images"),
        (write(STACK, **PLAIN), "it holds 3"),
        (write(STACK, photometric="minisblack"), "it holds 3"),
    ],
)
def test_a_stack_is_refused_with_its_axis(data, words):
    with pytest.raises(InvalidImageError, match="must hold one image") as caught:
        decode_image(data, LIMITS)
    assert words in caught.value.message


def test_channels_of_different_types_are_refused():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(STACK[0], description="ImageJ=1.54\nimages=2\nchannels=2\n", metadata=None)
        file.write(STACK[1].astype(np.uint8), metadata=None)

    with pytest.raises(InvalidImageError, match="channels of one size and one type"):
        decode_image(buffer.getvalue(), LIMITS)


def test_all_channels_together_are_held_to_the_limits():
    with pytest.raises(ImageTooLargeError, match="at most 2 channels; it has 3"):
        decode_image(ome(), ImageLimits(image_channels=2))
    with pytest.raises(ImageTooLargeError, match="samples"):
        decode_image(ome(noise(5, 20, 30)), ImageLimits(image_pixels=600))


def test_a_label_map_has_one_channel():
    with pytest.raises(InvalidImageError, match="labels must have one channel; there are 3"):
        decode_label_map(ome(), LIMITS)


PIXELS = '<OME><Image><Pixels SizeC="3" SizeZ="1" SizeT="1">{}</Pixels></Image></OME>'


@pytest.mark.parametrize(
    ("planes", "order"),
    [
        ("<TiffData/>", (0, 1, 2)),
        ('<TiffData IFD="0" PlaneCount="3"/>', (0, 1, 2)),
        (
            '<TiffData FirstC="1" IFD="0"/><TiffData IFD="2"/><TiffData FirstC="2" IFD=\'1\'/>',
            (2, 0, 1),
        ),
    ],
)
def test_pages_of_ome_stand_in_the_order_that_it_gives(planes, order):
    assert find_channel_pages(PIXELS.format(planes), 3).order == order


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (PIXELS.format('<TiffData FirstC="1" IFD="1"/>'), "OME-XML says otherwise"),
        (PIXELS.format('<TiffData IFD="7" PlaneCount="99999"/>'), "OME-XML says otherwise"),
        (PIXELS.format('<TiffData><UUID FileName="b.tif">1</UUID></TiffData>'), "in other files"),
        ("<OME></OME>", "it holds 0"),
        (f"<OME>{2 * '<Image><Pixels/></Image>'}</OME>", "it holds 2"),
        (PIXELS.replace('"3"', '"4"'), "a page for each of its 4 channels|one page for each"),
        ("ImageJ=1.54\nimages=2\nchannels=2\n", "one page for each of its 2 channels; it has 3"),
    ],
)
def test_a_description_that_does_not_fit_its_pages_is_refused(description, words):
    with pytest.raises(InvalidImageError, match=words):
        find_channel_pages(description, 3)


def test_other_descriptions_say_nothing_about_pages():
    assert find_channel_pages("a field in spring", 3) is None
    assert find_channel_pages(PIXELS, 1) is None


def test_a_huge_description_is_read_in_no_time():
    description = "<OME " + "a='" * 200_000 + "<Image <Pixels " * 100_000

    with pytest.raises(InvalidImageError, match="must hold one image"):
        find_channel_pages(description, 3)
