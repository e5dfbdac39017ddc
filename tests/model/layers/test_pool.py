import keras
import numpy as np
import pytest

from model.layers import (
    MaskedAveragePooling2D,
    MaskedGlobalAveragePooling2D,
    MaskedGlobalMaxPooling2D,
    MaskedMaxPooling2D,
)

CELLS = [
    (MaskedMaxPooling2D, keras.layers.MaxPooling2D),
    (MaskedAveragePooling2D, keras.layers.AveragePooling2D),
]
WHOLE = [
    (MaskedGlobalMaxPooling2D, keras.layers.GlobalMaxPooling2D),
    (MaskedGlobalAveragePooling2D, keras.layers.GlobalAveragePooling2D),
]


def draw(offset=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(offset, 1, (2, 7, 9, 3)).astype(np.float32)
    return x, rng.random((2, 7, 9, 1)) < 0.4


@pytest.mark.parametrize("size", [1, 2, 3, (2, 3)])
@pytest.mark.parametrize(("ours", "theirs"), CELLS)
def test_where_all_is_valid_whole_cells_are_those_of_keras(ours, theirs, size):
    x, _ = draw()
    y, updated = ours(size)([x, np.ones((*x.shape[:3], 1), bool)])
    expected = theirs(size)(x)  # leaves out the cells that reach past the end
    rows, columns = expected.shape[1:3]
    np.testing.assert_allclose(y[:, :rows, :columns], expected, rtol=1e-5, atol=1e-6)
    assert np.all(updated)


@pytest.mark.parametrize(("ours", "theirs"), CELLS)
def test_cells_that_reach_past_the_end_pool_what_there_is(ours, theirs):
    x, _ = draw()
    y, _ = ours(4)([x, np.ones((*x.shape[:3], 1), bool)])
    np.testing.assert_allclose(y[:, 1:, 2:], theirs((3, 1))(x[:, 4:, 8:]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs"), WHOLE)
def test_where_all_is_valid_whole_images_are_those_of_keras(ours, theirs):
    x, _ = draw()
    mask = np.ones((*x.shape[:3], 1), bool)
    for keepdims in (False, True):
        np.testing.assert_allclose(
            ours(keepdims)([x, mask]), theirs(keepdims=keepdims)(x), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("layer", [MaskedMaxPooling2D(3), MaskedGlobalMaxPooling2D(keepdims=True)])
def test_the_maximum_of_negative_pixels_is_negative(layer):
    x, mask = draw(offset=-100)
    y = keras.tree.flatten(layer([x, mask]))[0]
    assert mask[:, :3, :3].any(axis=(1, 2)).all()
    assert np.all(y[:, 0, 0] < 0)


def test_means_of_half_precision_are_summed_in_single():
    # 4096 ones summed one by one in float16 stop at 2048.
    ones = np.ones((1, 64, 64, 1), np.float16)
    assert MaskedGlobalAveragePooling2D(dtype="float16")([ones, ones > 0]) == 1


def test_a_size_that_is_none_is_refused():
    for layer in (MaskedMaxPooling2D, MaskedAveragePooling2D):
        for size in (0, (1, 2, 3), 1.5):
            with pytest.raises(ValueError, match="Received: "):
                layer(size)
