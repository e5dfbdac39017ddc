"""Drawn views of a town: all classes are there, and labels lie where their colours do."""

import numpy as np
import pytest

from model.data.samples import AERIAL
from model.data.townscapes import CLASSES, draw_townscape


def draw(seed, size=(512, 512)):
    return draw_townscape(np.random.default_rng(seed), size)


@pytest.mark.parametrize("sample", AERIAL.values(), ids=AERIAL)
def test_every_class_is_in_every_sample(sample):
    image, labels = draw(sample.seed, sample.size)

    assert image.shape == (*sample.size, 3)
    assert labels.shape == sample.size
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint8)
    shares = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    assert shares.shape == (len(CLASSES),)
    assert shares.min() >= 0.03


def test_a_seed_determines_the_view():
    first, again, other = draw(7, (400, 420)), draw(7, (400, 420)), draw(8, (400, 420))

    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert (first.image != other.image).mean() > 0.5


def test_classes_have_the_brightness_that_they_have_in_the_desert():
    image, labels = draw(3)
    means = {name: image[labels == index].mean() for index, name in enumerate(CLASSES)}

    assert means["land"] > means["building"] > means["road"] > means["vegetation"] > means["water"]
