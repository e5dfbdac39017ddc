import struct

import numpy as np
import pytest

from lacuna.appearance.statistics import ChannelStatistics
from lacuna.appearance.stretching import stretch_sample
from lacuna.raster.adapt import to_sample
from lacuna.raster.geotiff import read_embedded_georeference
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from tests.support.geotiffs import geotiff_file
from tests.support.images import noise, tiff_file

VALUES = noise(37, 53, 3)
LEARNT = ChannelStatistics(100, 40, 5, 240, 20, 200, (60, 150), (4, 50))
GEOJP2 = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


def decode(data):
    return decode_image(data, ImageLimits())


def lossless_jp2(**options):
    options = {"QUALITY": 100, "REVERSIBLE": "YES"} | options
    return geotiff_file(VALUES, driver="JP2OpenJPEG", ext=".jp2", **options)


def test_a_tiffs_tags_are_read_as_they_stand():
    found = decode(geotiff_file(VALUES)).georeference

    assert found.pixel_scale == (10, 10, 0)
    assert found.tiepoints == (0, 0, 0, 500_000, 4_000_000, 0)
    assert found.keys[:2] == (1, 1)
    assert "UTM zone 18N" in found.text


def test_they_go_with_the_image_into_its_sample_stretched_or_not():
    raster = decode(geotiff_file(VALUES))
    sample = to_sample(raster, None, 3, "uint8")

    assert sample.georeference is raster.georeference
    assert stretch_sample(sample, [LEARNT] * 3).georeference is raster.georeference


def test_a_jpeg_2000_file_has_those_of_the_geotiff_in_its_box():
    raster = decode(lossless_jp2(GeoJP2="YES", GMLJP2="NO"))

    np.testing.assert_array_equal(raster.values, VALUES)
    assert raster.georeference == decode(geotiff_file(VALUES)).georeference
    assert decode(lossless_jp2(GeoJP2="NO", GMLJP2="YES")).georeference is None


def test_a_damaged_box_costs_the_georeference_and_nothing_else():
    data = lossless_jp2(GeoJP2="YES", GMLJP2="NO")
    start = data.index(GEOJP2) + len(GEOJP2)
    end = start + struct.unpack(">I", data[start - 24 : start - 20])[0] - 24
    whole = data[start:end]

    for position in range(len(whole)):
        spoilt = whole[:position] + b"\xff" + whole[position + 1 :]
        read_embedded_georeference(spoilt)
        read_embedded_georeference(whole[:position])
    raster = decode(data[:start] + bytes(end - start) + data[end:])
    np.testing.assert_array_equal(raster.values, VALUES)
    assert raster.georeference is None


def test_an_image_that_is_turned_has_none_because_the_tags_place_what_is_stored():
    scale = (33550, 12, 3, (1.0, 1.0, 0.0), True)

    assert decode(tiff_file(VALUES, extratags=[scale])).georeference is not None
    turned = decode(tiff_file(VALUES, extratags=[scale, (274, 3, 1, 6, True)]))
    assert turned.georeference is None


@pytest.mark.parametrize("keys", [(np.inf, 1.0), (np.nan,), (0.5,)])
def test_keys_that_are_no_whole_numbers_are_left_out(keys):
    tag = (34735, 12, len(keys), keys, True)

    assert decode(tiff_file(VALUES, extratags=[tag])).georeference is None
