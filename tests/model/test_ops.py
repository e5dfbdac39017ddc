import numpy as np
import pytest

from model import ops


def draw(valid, offset=0.0):
    rng = np.random.default_rng(0)
    values = rng.normal(offset, 1, (3, 6, 5, 4)).astype(np.float32)
    return values, rng.random((3, 6, 5, 1)) < valid


def test_masked_moments_are_numpys_over_the_valid_pixels():
    values, mask = draw(0.4)
    mean, variance, count = ops.masked_moments(np.where(mask, values, np.float32(np.nan)), mask)
    chosen = values[mask[..., 0]].astype(np.float64)
    np.testing.assert_allclose(mean, chosen.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, chosen.var(axis=0), rtol=1e-5)
    assert count == len(chosen)


def test_masked_moments_survive_a_mean_far_from_zero():
    # Mean of squares less square of mean would lose every digit here.
    values, mask = draw(0.6, offset=3e4)
    _, variance, _ = ops.masked_moments(values, mask)
    expected = values[mask[..., 0]].astype(np.float64).var(axis=0)
    np.testing.assert_allclose(variance, expected, rtol=1e-3)


def test_masked_moments_of_nothing_are_zero():
    values, mask = draw(0.0)
    mean, variance, count = ops.masked_moments(np.full_like(values, np.nan), mask)
    np.testing.assert_array_equal([*mean, *variance, count], np.zeros(9))


def test_counts_leave_out_what_lies_beyond_the_border():
    count = ops.count_valid(np.ones((1, 3, 4, 1), bool), (3, 3))
    np.testing.assert_array_equal(count[0, :, :, 0], [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]])


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding", "dilation_rate"),
    [
        ((3, 5), (1, 1), "same", (2, 3)),
        ((3, 3), (2, 3), "same", (1, 1)),
        ((2, 3), (2, 3), "valid", (1, 1)),
        ((3, 2), (2, 1), "valid", (3, 4)),
        ((17, 17), (1, 1), "valid", (1, 1)),  # a byte does not hold 289
    ],
)
def test_counts_are_those_of_the_windows(kernel_size, strides, padding, dilation_rate):
    mask = np.random.default_rng(0).random((2, 23, 26, 1)) < 0.8
    spans = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    top, left = [span // 2 if padding == "same" else 0 for span in spans]
    padded = np.pad(mask[..., 0], ((0, 0), (top, top), (left, left)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1], :: dilation_rate[0], :: dilation_rate[1]]

    count = ops.count_valid(mask, kernel_size, strides, padding, dilation_rate)
    np.testing.assert_array_equal(count[..., 0], windows.sum(axis=(3, 4)))


def test_a_scale_over_nothing_is_zero_whatever_the_normalization():
    for normalization in ops.NORMALIZATIONS:
        scale = ops.coverage_scale(np.zeros((1, 2, 2, 1), np.float32), 9, normalization)
        np.testing.assert_array_equal(scale, np.zeros((1, 2, 2, 1)))
