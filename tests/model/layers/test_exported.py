import numpy as np
import pytest

from model.layers import AppendMask, CutUpSampling2D, EmbedMask, FillInvalid, MaskedUpSampling2D
from model.layers import PadToMultiple as Pad

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(1, 1), (7, 12), (8, 16)])
def test_embedding_is_padding_filling_and_appending_the_mask(size):
    x = RNG.normal(size=(2, *size, 3)).astype(np.float32)
    mask = RNG.random((2, *size, 1)) < 0.6
    x[~mask[..., 0]] = np.nan

    padded, padded_mask = Pad(8)([x, mask])
    expected = AppendMask()([FillInvalid()([padded, padded_mask]), padded_mask])
    actual, actual_mask = EmbedMask(8)([x, mask])

    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(actual_mask, padded_mask)


def test_cutting_while_upsampling_is_upsampling_and_masking():
    x = RNG.normal(size=(2, 3, 5, 4)).astype(np.float32)
    mask = RNG.random((2, 6, 10, 1)) < 0.6

    np.testing.assert_array_equal(CutUpSampling2D()([x, mask]), MaskedUpSampling2D(2)([x, mask]))


@pytest.mark.parametrize("multiple", [0, -8, 1.5, None])
def test_a_multiple_that_is_none_is_refused(multiple):
    with pytest.raises(ValueError, match=r"must be a positive integer\. Received"):
        EmbedMask(multiple)


@pytest.mark.parametrize("layer", [EmbedMask(8), CutUpSampling2D()])
def test_a_mask_that_is_not_bool_is_refused(layer):
    with pytest.raises(ValueError, match="must be bool"):
        layer([np.ones((1, 2, 2, 1), np.float32), np.ones((1, 4, 4, 1), np.float32)])


def test_both_are_made_again_from_their_configuration():
    assert EmbedMask.from_config(EmbedMask(8).get_config()).multiple == 8
    assert CutUpSampling2D.from_config(CutUpSampling2D(name="up").get_config()).name == "up"
