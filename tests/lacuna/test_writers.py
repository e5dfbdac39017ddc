import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from lacuna.georeference import Georeference
from lacuna.outputs import OUTPUT_TYPES, find_by_suffix
from lacuna.raster.adapt import find_valid
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.segmentation import ClassInfo, NamedSegmentation

LABELS = np.array([[0, 1, 255], [1, 0, 255]], np.uint8)
CLASSES = (ClassInfo(0, "grass", "#00ff00"), ClassInfo(1, "brick", "#ff0000"))
PROBABILITIES = np.eye(2, dtype=np.float32)[np.where(LABELS == 255, 0, LABELS)]
WHOLE = NamedSegmentation(LABELS, CLASSES, "ground", "1", PROBABILITIES)
PLACE = Georeference("EPSG:32618", (10, 0, 500_000, 0, -10, 4_000_000))
PLACED = replace(WHOLE, georeference=PLACE)


@pytest.mark.parametrize("kind", OUTPUT_TYPES, ids=lambda kind: kind.key)
def test_every_output_type_is_written_the_same_every_time(kind):
    for whole in (PLACED,) if kind.place == "needed" else (WHOLE, PLACED):
        assert kind.write(whole) == kind.write(whole) != b""
    assert find_by_suffix(kind.suffix.upper()) is kind


@pytest.mark.parametrize("kind", OUTPUT_TYPES, ids=lambda kind: kind.key)
def test_only_a_type_with_probabilities_needs_them(kind):
    bare = NamedSegmentation(LABELS, CLASSES, georeference=PLACE)

    if kind.has_probabilities:
        with pytest.raises(ValueError, match="needs probabilities"):
            kind.write(bare)
    else:
        assert kind.write(bare)


def test_a_suffix_of_no_type_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"saved as \.png, .*\.json; it is '\.gif'"):
        find_by_suffix(".gif")


def test_a_tiff_holds_labels_and_tells_its_no_data_value():
    data = find_by_suffix(".tif").write(WHOLE)

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), LABELS)
        assert page.tags.valueof(42113) == "255"
    valid = find_valid(decode_image(data, ImageLimits()))
    np.testing.assert_array_equal(valid, LABELS != 255)
