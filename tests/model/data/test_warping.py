import math

import numpy as np
import pytest
from scipy import ndimage

from model.data.labelled import LabelledSample
from model.data.warping import Warp, warp_sample


def draw(size, seed=0, valid=1.0):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(0, 300, (*size, 2)), (4, 4, 0)) + 120
    mask = rng.random(size) < valid
    labels = np.where(mask, rng.integers(0, 5, size), 255).astype(np.uint8)
    return LabelledSample(np.where(mask[..., None], image, 0).astype(np.float32), mask, labels)


def test_a_quarter_turn_moves_whole_pixels():
    sample = draw((21, 21), valid=0.8)
    turned = warp_sample(sample, Warp(math.pi / 2, 1.0), 21)

    np.testing.assert_array_equal(turned.mask, np.rot90(sample.mask))
    np.testing.assert_array_equal(turned.labels, np.rot90(sample.labels))
    np.testing.assert_allclose(turned.image, np.rot90(sample.image), rtol=1e-3, atol=1e-2)


def test_any_angle_agrees_with_the_rotation_of_scipy_where_all_is_valid():
    sample = draw((60, 60))
    warp = Warp(math.radians(33), 1.0)
    turned = warp_sample(sample, warp, 30)
    expected = ndimage.rotate(sample.image, 33, axes=(1, 0), reshape=False, order=1)[15:45, 15:45]

    assert warp.find_source(30) == 42
    assert turned.mask.all()
    assert np.abs(turned.image - expected).max() < 0.5


@pytest.mark.parametrize("zoom", [0.6, 1.0, 1.7])
def test_what_is_missing_or_outside_stays_missing_and_changes_nothing(zoom):
    sample = draw((40, 50), valid=0.7)
    warped = warp_sample(sample, Warp(0.7, zoom), 32)
    flat = sample._replace(image=np.where(sample.mask[..., None], np.float32(80), 0))
    constant = warp_sample(flat, Warp(0.7, zoom), 32)

    assert 0 < warped.mask.mean() < 1
    assert ((warped.labels == 255) == ~warped.mask).all()
    assert (warped.image[~warped.mask] == 0).all()
    np.testing.assert_allclose(constant.image[constant.mask], 80, rtol=1e-4)


def test_integers_stay_integers():
    sample = draw((30, 30))
    bytes_ = sample._replace(image=sample.image.clip(0, 255).astype(np.uint8))

    assert warp_sample(bytes_, Warp(0.3, 1.2), 16).image.dtype == np.uint8
