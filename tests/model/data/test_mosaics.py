from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.mosaics import (
    MosaicConfig,
    draw_labels,
    draw_mosaic,
    iterate_mosaics,
    measure_mosaics,
    mosaic_dataset,
)
from model.data.textures import CLASSES, load_textures
from tests.support.strategies import seeds

SIZE = (48, 64)
CONFIG = MosaicConfig(size=SIZE, cell=(12, 20))


@pytest.fixture(scope="module")
def textures():
    return load_textures("train")


def take(textures, n, config=CONFIG, seed=0):
    return list(islice(iterate_mosaics(textures, config, seed), n))


@settings(max_examples=30)
@given(seed=seeds)
def test_labels_are_255_and_pixels_0_exactly_where_data_is_missing(seed):
    for image, mask, labels in take(load_textures("train"), 2, seed=seed):
        assert image.shape == (*SIZE, 3)
        assert image.dtype == labels.dtype == np.uint8
        assert mask.dtype == bool
        np.testing.assert_array_equal(labels == 255, ~mask)
        assert labels[mask].max(initial=0) < len(CLASSES)
        assert not image[~mask].any()


def test_mosaics_are_the_same_for_the_same_seed_and_others_for_another(textures):
    first, again, other = (take(textures, 3, seed=seed) for seed in (5, 5, 6))
    for one, same, different in zip(first, again, other, strict=True):
        for array, equal in zip(one, same, strict=True):
            np.testing.assert_array_equal(array, equal)
        assert np.any(one.image != different.image)
    assert np.any(first[0].image != first[1].image)


def test_a_label_names_the_texture_that_its_pixel_was_cut_from():
    # Textures of one grey value each, far enough apart for every exposure and tint.
    flat = [np.full((64, 64), value, np.uint8) for value in (0, 127, 255)]
    config = MosaicConfig(size=SIZE, cell=(12, 20), missing=(0.2, 0.5), tinting="natural")
    for image, mask, labels in take(flat, 10, config):
        for index in range(len(CLASSES)):
            here = image[labels == index].astype(float)
            if len(here) > 50:
                # One grey value, whatever the exposure: nothing but the sensor's noise is left.
                assert here.std(axis=0).max() < 8
        assert mask.any()


def test_natural_tints_are_those_of_the_classes():
    flat = [np.full((64, 64), 127, np.uint8)] * 3
    config = MosaicConfig(size=SIZE, cell=(12, 20), complete=1.0, tinting="natural")
    for image, _, labels in take(flat, 10, config):
        for index, known in enumerate(CLASSES):
            here = image[labels == index]
            if len(here) > 50 and here.min() > 20 and here.max() < 235:
                red, green, blue = here.astype(float).mean(axis=0)
                tint = known.tint
                assert red / green == pytest.approx(tint[0] / tint[1], abs=0.05)
                assert blue / green == pytest.approx(tint[2] / tint[1], abs=0.05)


def test_nothing_is_missing_as_often_as_asked(textures):
    for complete, expected in ((0.0, 0), (1.0, 20)):
        config = MosaicConfig(size=SIZE, missing=(0.3, 0.5), complete=complete)
        assert sum(mosaic.mask.all() for mosaic in take(textures, 20, config)) == expected


def test_missing_fractions_stay_within_the_range_asked_for(textures):
    config = MosaicConfig(size=SIZE, missing=(0.3, 0.5), complete=0.0)
    missing = [1 - mosaic.mask.mean() for mosaic in take(textures, 30, config)]
    assert min(missing) > 0.15
    assert max(missing) < 0.65


@given(seed=seeds, cell=st.floats(4, 60))
def test_every_pixel_of_a_map_of_labels_is_of_a_class(seed, cell):
    labels = draw_labels(np.random.default_rng(seed), SIZE, cell)
    assert labels.shape == SIZE
    assert labels.max() < len(CLASSES)


def test_maps_of_labels_hold_every_class_about_as_often():
    drawn = [draw_labels(np.random.default_rng(seed), (96, 96), 30) for seed in range(60)]
    shares = np.bincount(np.ravel(drawn), minlength=3) / np.size(drawn)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)


def test_batches_are_the_mosaics_in_their_order(textures):
    images, masks, labels = next(iter(mosaic_dataset(textures, CONFIG, 3, 4)))
    expected = take(textures, 4, seed=3)
    np.testing.assert_array_equal(images, [mosaic.image for mosaic in expected])
    np.testing.assert_array_equal(masks[..., 0], [mosaic.mask for mosaic in expected])
    np.testing.assert_array_equal(labels, [mosaic.labels for mosaic in expected])
    assert (images.dtype, masks.dtype) == ("float32", "bool")


def test_a_mosaic_can_be_drawn_of_any_size(textures):
    rng = np.random.default_rng(0)
    for size in ((1, 1), (5, 130), (700, 20)):
        mosaic = draw_mosaic(rng, textures, MosaicConfig(size=size, cell=(10, 20)))
        assert mosaic.image.shape == (*size, 3)


def test_mosaics_are_measured_as_they_are_trained_on():
    found = measure_mosaics(CONFIG, seed=3)

    values = [mosaic.image[mosaic.mask] for mosaic in take(load_textures("train"), 256, seed=3)]
    inside = np.concatenate(values).astype(float)
    assert [entry.mean for entry in found] == pytest.approx(inside.mean(axis=0), rel=1e-4)
    assert [entry.deviation for entry in found] == pytest.approx(inside.std(axis=0), rel=1e-4)
