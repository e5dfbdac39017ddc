import numpy as np
import pytest

from model.scoring.flips import MAX_PADDING, Flips, count_flips, draw_test_mosaics, label_with
from tests.support.networks import SMALL, make_batch, random_network


def make_scenes(count=6, height=9, width=12):
    images, masks = make_batch(height, width)
    return [(images[index % 3], masks[index % 3, ..., 0]) for index in range(count)]


def test_a_labeller_that_looks_at_pixels_alone_flips_nothing():
    scenes = make_scenes()
    flips = count_flips(lambda image, mask: (image[..., 0] > 0).astype(int), scenes)

    assert flips == Flips(0, sum(int(mask.sum()) for _, mask in scenes), 0, 6)


def test_labels_of_valid_pixels_that_differ_are_counted_and_their_images():
    def label(image, mask):
        """Mark the last column of the canvas."""
        columns = np.arange(mask.shape[1])
        return np.broadcast_to(columns == columns[-1], mask.shape).astype(int)

    image = np.zeros((9, 12, 3), np.float32)
    complete, hidden = np.ones((9, 12), bool), np.ones((9, 12), bool)
    hidden[:, 11] = False

    assert count_flips(label, [(image, complete), (image, hidden)]) == Flips(9, 9 * 23, 1, 2)


def test_every_image_is_padded_on_both_sides_by_a_different_amount():
    sizes = []

    def label(image, mask):
        assert not mask[9:].any()
        assert not mask[:, 12:].any()
        sizes.append(mask.shape)
        return np.zeros(mask.shape, int)

    count_flips(label, make_scenes())
    grown = np.array(sizes[1::2]) - [9, 12]

    assert sizes[::2] == [(9, 12)] * 6
    assert grown.min() >= 1
    assert grown.max() <= MAX_PADDING
    assert len(np.unique(grown)) > 6


def test_a_network_is_asked_for_its_likeliest_class():
    network = random_network(SMALL)
    (image, mask), *_ = make_scenes()
    logits = network([image[None], mask[None, ..., None]]).numpy()[0]

    np.testing.assert_array_equal(label_with(network)(image, mask), logits.argmax(axis=-1))


def test_the_canvases_to_count_on_are_the_same_every_time():
    first, again = (list(draw_test_mosaics(3)) for _ in range(2))

    assert len({mosaic.mask.shape for mosaic in first}) == 3
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize(
    ("flips", "text"),
    [
        (Flips(2742, 472634, 78, 100), "2,742 of 472,634 labels (0.58%), in 78 of 100 images"),
        (Flips(0, 0, 0, 0), "0 of 0 labels (0.00%), in 0 of 0 images"),
    ],
)
def test_flips_are_told_in_words(flips, text):
    assert str(flips) == text
