import keras
import numpy as np
import pytest

from model.layers import MaskedGroupNormalization, MaskedInstanceNormalization


def draw(offset=3.0):
    rng = np.random.default_rng(0)
    return rng.normal(offset, 2, (2, 7, 9, 6)).astype(np.float32)


def make_pair(groups, x):
    """Build the layer and Keras' own, with the same weights at random."""
    ours = MaskedGroupNormalization(groups) if groups < 6 else MaskedInstanceNormalization()
    theirs = keras.layers.GroupNormalization(groups, epsilon=ours.epsilon)
    ours.build([x.shape, (*x.shape[:3], 1)])
    theirs.build(x.shape)
    rng = np.random.default_rng(1)
    for name in ("gamma", "beta"):
        values = rng.uniform(0.5, 2, 6)
        getattr(ours, name).assign(values)
        getattr(theirs, name).assign(values)
    return ours, theirs


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_where_all_is_valid_it_is_group_normalization_of_keras(groups):
    x = draw()
    ours, theirs = make_pair(groups, x)
    mask = np.ones((*x.shape[:3], 1), bool)
    np.testing.assert_allclose(ours([x, mask]), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_valid_rectangle_is_normalised_as_if_it_were_cut_out(groups):
    x = draw()
    ours, theirs = make_pair(groups, x)
    box = (slice(None), slice(1, 6), slice(2, 8))
    mask = np.zeros((*x.shape[:3], 1), bool)
    mask[box] = True
    hidden = np.where(mask, x, np.float32(np.nan))
    np.testing.assert_allclose(ours([hidden, mask])[box], theirs(x[box]), rtol=1e-4, atol=1e-4)


def test_moments_survive_a_mean_far_from_zero():
    x = draw(offset=3e4)
    y = MaskedInstanceNormalization()([x, np.ones((*x.shape[:3], 1), bool)])
    np.testing.assert_allclose(np.std(y, axis=(1, 2)), 1, rtol=0.01)


def test_images_of_a_batch_are_normalised_each_by_itself():
    x = draw()
    x[1] *= 100
    y = MaskedGroupNormalization(2)([x, np.ones((*x.shape[:3], 1), bool)])
    np.testing.assert_allclose(np.std(y, axis=(1, 2, 3)), 1, rtol=0.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskedGroupNormalization(0),
        lambda: MaskedGroupNormalization(2, epsilon=0),
        lambda: MaskedInstanceNormalization(-1.0),
        lambda: MaskedGroupNormalization(4)([draw(), np.ones((2, 7, 9, 1), bool)]),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="Received: "):
        make()
