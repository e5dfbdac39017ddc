import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.appearance.statistics import ChannelStatistics
from lacuna.appearance.stretching import stretch_sample
from lacuna.sample import Sample
from tests.support.images import noise
from tests.support.strategies import seeds

LEARNT = ChannelStatistics(100, 40, 5, 240, 20, 200, (60, 150), (4, 50))
OTHER = ChannelStatistics(0.5, 0.2, 0, 1, 0.1, 0.9, (0.2, 0.7), (0.01, 0.3))


def stretch(image, mask=None, learnt=(LEARNT,)):
    whole = np.ones(image.shape[:2], np.bool_)
    return stretch_sample(Sample(image, whole if mask is None else mask), learnt).image


@pytest.mark.parametrize(("gain", "shift"), [(1, 0), (1 / 40, 0), (1 / 255, -3), (1e6, 1e7)])
def test_percentiles_of_each_channel_become_those_of_the_training_data(gain, shift):
    image = (noise(61, 47, 2) * gain + shift).astype(np.float32)
    mask = noise(61, 47, seed=5) < 180

    found = stretch(image, mask, (LEARNT, OTHER))
    for channel, learnt in enumerate((LEARNT, OTHER)):
        values = image[..., channel].astype(np.float64)
        low, high = np.percentile(values[mask], (2, 98))
        expected = np.interp(values, (low, high), (learnt.low, learnt.high))
        inside = mask & (values >= low) & (values <= high)
        np.testing.assert_allclose(found[..., channel][inside], expected[inside], rtol=1e-5)
        assert (found[..., channel][mask] >= np.float32(learnt.minimum)).all()
        assert (found[..., channel][mask] <= np.float32(learnt.maximum)).all()
    assert not found[~mask].any()
    assert found.dtype == np.float32


def test_the_order_of_values_stays():
    image = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20, 1)

    assert (np.diff(stretch(image).ravel()) >= 0).all()


def test_an_even_channel_becomes_the_mean():
    assert (stretch(np.full((20, 20, 1), 7, np.uint8)) == 100).all()


def test_without_a_valid_pixel_nothing_is_left():
    assert not stretch(noise(9, 9, 1), np.zeros((9, 9), np.bool_)).any()


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.sampled_from([0, 255, 9e30, np.nan, -np.inf]),
    seeds,
)
def test_neither_canvas_nor_fill_changes_a_bit(height, width, corner, fill, seed):
    rng = np.random.default_rng(seed)
    image = noise(height, width, 2, seed=seed).astype(np.float32)
    mask = rng.random((height, width)) < 0.6
    canvas = [(corner[0], 7), (corner[1], 3)]
    filled = np.where(mask[..., None], image, np.float32(fill))
    padded = np.pad(filled, [*canvas, (0, 0)], constant_values=fill)

    alone = stretch(image, mask, (LEARNT, OTHER))
    found = stretch(padded, np.pad(mask, canvas), (LEARNT, OTHER))
    assert np.array_equal(found, np.pad(alone, [*canvas, (0, 0)]))
