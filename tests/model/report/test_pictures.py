import base64
import io

import numpy as np
import pytest
from PIL import Image

from model.report.pictures import show_image, show_labels, show_mask

MASK = np.array([[True, False], [True, True]])


def pixels(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image)


def test_a_photograph_is_shown_as_it_is_and_clear_where_missing():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    shown = pixels(show_image(image, MASK))

    np.testing.assert_array_equal(shown[..., :3][MASK], image[MASK])
    np.testing.assert_array_equal(shown[..., 3], MASK * 255)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_images_are_stretched_over_their_valid_values(channels):
    image = np.full((2, 2, channels), 1e6, np.float32)
    image[0, 0], image[1, 0], image[1, 1] = -3, 0, 3
    shown = pixels(show_image(image, MASK))[..., 0]

    assert (shown[0, 0], shown[1, 1]) == (0, 255)
    assert shown[1, 0] in (127, 128)


def test_a_mask_is_white_where_valid():
    assert pixels(show_mask(MASK))[..., 0].tolist() == [[255, 0], [255, 255]]


def test_labels_have_the_colours_of_their_classes_and_are_clear_where_there_is_none():
    labels = np.array([[0, 1], [255, 1]], np.uint8)
    shown = pixels(show_labels(labels, [(1, 2, 3), (4, 5, 6)]))

    assert shown.tolist() == [
        [[1, 2, 3, 255], [4, 5, 6, 255]],
        [[0, 0, 0, 0], [4, 5, 6, 255]],
    ]


def test_a_large_image_is_made_smaller():
    assert pixels(show_mask(np.ones((900, 300), bool))).shape[:2] == (320, 107)
    assert pixels(show_image(np.zeros((3, 1000, 1), np.uint8), np.ones((3, 1000), bool))).shape == (
        (1, 320, 4)
    )
