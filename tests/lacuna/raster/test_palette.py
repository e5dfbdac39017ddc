import io

import numpy as np
from PIL import Image

from lacuna.raster.palette import labels_png
from tests.support.images import noise

COLORS = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]
LABELS = np.where(noise(37, 53) < 60, 255, noise(37, 53, seed=1) % 3).astype(np.uint8)


def opened():
    return Image.open(io.BytesIO(labels_png(LABELS, COLORS)))


def test_the_indices_of_the_picture_are_the_labels():
    assert opened().mode == "P"
    np.testing.assert_array_equal(np.asarray(opened()), LABELS)


def test_classes_have_their_colours():
    rgb = np.asarray(opened().convert("RGB"))
    for label, color in enumerate(COLORS):
        assert (rgb[label == LABELS] == color).all()


def test_only_what_is_not_valid_is_transparent():
    alpha = np.asarray(opened().convert("RGBA"))[:, :, 3]
    np.testing.assert_array_equal(alpha, np.where(LABELS == 255, 0, 255))


def test_a_class_without_a_colour_is_black_and_opaque():
    picture = Image.open(io.BytesIO(labels_png(np.array([[7]], np.uint8), COLORS)))
    assert picture.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 255)
