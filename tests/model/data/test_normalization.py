import numpy as np
import pytest

from lacuna.appearance.statistics import measure_image
from model.data.facts import measure
from model.data.normalization import fit_normalization
from model.data.reading import TrainingImage


def measure_values(values):
    values = np.asarray(values)
    return measure_image(values, np.ones(values.shape[:2], np.bool_))


def draw_bands(seed, size=(30, 40)):
    """NDVI, reflectance as uint16 holds it, and elevation in metres: three ranges."""
    rng = np.random.default_rng(seed)
    means, scales = (0.3, 2500, 1800), (0.2, 600, 40)
    return rng.normal(means, scales, (*size, 3)).astype(np.float32)


def test_each_channel_has_the_mean_and_deviation_of_its_own_values():
    images = [draw_bands(seed, (10 + seed, 20)) for seed in range(4)]
    values = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    found = fit_normalization(map(measure_values, images), 3)

    assert found.means == pytest.approx(values.mean(axis=0))
    assert found.scales == pytest.approx(values.std(axis=0))


def test_a_few_wild_values_do_not_take_the_range_of_the_others():
    images = [draw_bands(seed) for seed in range(4)]
    expected = fit_normalization(map(measure_values, images), 3)
    for image in images:
        image[3, 5:12, 1] = 65535  # saturated
        image[7, 1:4, 2] = -32768  # a no-data value that nobody named
    found = fit_normalization(map(measure_values, images), 3)

    assert found.means[0] == pytest.approx(expected.means[0])
    distances = np.subtract(found.means, expected.means) / expected.scales
    assert np.abs(distances).max() < 0.1
    assert found.scales == pytest.approx(expected.scales, rel=0.15)


def test_rare_values_of_a_flat_channel_and_constants_are_kept():
    rare = np.zeros((50, 50, 2), np.float32)
    rare[0, :20, 0] = 1
    found = fit_normalization([measure_values(rare)], 2)

    assert found.means == pytest.approx((0.008, 0))
    assert found.scales == pytest.approx((rare[..., 0].std(), 1))


def test_a_grey_image_counts_in_every_channel():
    found = fit_normalization([measure_values(np.full((9, 9, 1), 7.0))], 3)

    assert found.means == (7.0, 7.0, 7.0)


def test_an_image_of_any_size_is_measured_in_little_memory_and_as_a_whole():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (2100, 1000, 3), np.uint16)
    valid = rng.random((2100, 1000)) < 0.7
    facts = measure(TrainingImage(values, valid), np.zeros((2100, 1000), np.uint8), "")

    assert facts.statistics.pixels == np.count_nonzero(valid)
    assert facts.statistics.mean == pytest.approx(values[valid].mean(axis=0, dtype=float))
    assert facts.statistics.variance == pytest.approx(values[valid].var(axis=0, dtype=float))
    assert len(facts.statistics.values) < 2000
