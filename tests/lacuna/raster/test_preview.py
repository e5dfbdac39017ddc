import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lacuna.raster.adapt import find_valid
from lacuna.raster.preview import draw_preview
from lacuna.raster.raster import KEPT_DTYPES, Raster
from tests.support.images import noise
from tests.support.strategies import FILLS, seeds

ALL = np.ones((37, 53), np.bool_)
HOLE = noise(37, 53, seed=9) < 180


def draw(values, valid=ALL, **options):
    return draw_preview(Raster(values, **options), valid)


def opened(preview):
    return Image.open(io.BytesIO(preview.content))


def ramp(dtype, low, high):
    """Numbers from low to high, evenly, in one band."""
    return np.linspace(low, high, 37 * 53).astype(dtype).reshape(37, 53, 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_bytes_are_shown_as_they_are(channels, mode):
    values = noise(37, 53, channels)
    preview = draw(values, full_scale=255.0)

    assert preview.exact
    assert preview.size == (37, 53)
    assert opened(preview).mode == mode
    np.testing.assert_array_equal(np.asarray(opened(preview)).reshape(values.shape), values)


def test_a_grey_picture_is_drawn_however_its_one_band_lies_in_memory():
    values = noise(37, 53)

    np.testing.assert_array_equal(np.asarray(opened(draw(values[:, :, None]))), values)


@pytest.mark.parametrize(("channels", "mode"), [(1, "LA"), (3, "RGBA")])
def test_invalid_pixels_are_transparent_and_tell_nothing(channels, mode):
    values = noise(37, 53, channels)
    preview = draw(values, HOLE, full_scale=255.0)

    picture = np.asarray(opened(preview))
    assert opened(preview).mode == mode
    np.testing.assert_array_equal(picture[:, :, -1], np.where(HOLE, 255, 0))
    np.testing.assert_array_equal(picture[HOLE][:, :-1], values[HOLE])
    assert not picture[~HOLE].any()


@pytest.mark.parametrize(
    ("channels", "dtype", "full_scale"),
    [
        (2, "uint8", 255.0),
        (4, "uint8", 255.0),
        (3, "uint8", None),
        (1, "uint8", 63.0),
        (3, "uint16", 65535.0),
        (1, "float32", None),
    ],
)
def test_what_a_picture_of_bytes_cannot_tell_is_not_exact(channels, dtype, full_scale):
    assert not draw(noise(37, 53, channels, dtype=dtype), full_scale=full_scale).exact


@pytest.mark.parametrize(("channels", "shown"), [(2, 1), (4, 3), (13, 3)])
def test_the_first_bands_are_shown(channels, shown):
    values = noise(37, 53, channels)

    picture = np.asarray(opened(draw(values))).reshape(37, 53, -1)
    np.testing.assert_array_equal(picture, values[:, :, :shown])


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint16", 300, 9000), ("float32", -1e-3, 2e-3)]
)
def test_numbers_are_stretched_between_their_percentiles(dtype, low, high):
    picture = np.asarray(opened(draw(ramp(dtype, low, high)))).ravel()

    # An even ramp: 2 % are black, 2 % white, and between them it rises evenly.
    place = np.linspace(0, 1, 37 * 53)
    np.testing.assert_allclose(picture, np.clip((place - 0.02) / 0.96, 0, 1) * 255, atol=1)


def test_each_band_is_stretched_by_itself():
    bands = np.dstack([ramp("float32", low, low + 1) for low in (0, 100, -7)])

    picture = np.asarray(opened(draw(bands))).astype(int)
    np.testing.assert_allclose(picture[:, :, 1:], picture[:, :, :1].repeat(2, axis=2), atol=1)


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf, -9999, 1e30])
def test_what_stands_under_invalid_pixels_does_not_change_the_rest(fill):
    values = ramp("float32", 0, 1)

    filled = np.where(HOLE[:, :, None], values, np.float32(fill))
    assert draw(filled, HOLE).content == draw(values, HOLE).content


def test_where_nearly_all_is_alike_the_rest_is_seen():
    values = np.zeros((37, 53, 1), np.uint16)
    values[3, 4] = 7

    picture = np.asarray(opened(draw(values)))
    assert (picture[3, 4], picture.sum()) == (255, 255)


def test_a_large_image_is_drawn_whole_although_it_is_sampled():
    values = np.arange(1500 * 1500, dtype=np.float32).reshape(1500, 1500, 1)
    valid = np.zeros((1500, 1500), np.bool_)
    valid[701, 333:999] = True  # in a row that the sample leaves out

    picture = np.asarray(opened(draw(values, valid)))
    assert (np.diff(picture[701, 333:999, 0].astype(int)) >= 0).all()
    assert (picture[701, 333, 0], picture[701, 998, 0]) == (0, 255)


@given(
    st.sampled_from(KEPT_DTYPES),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
    st.sampled_from((0.0, 1e-44, 1.0, 3e38)),
    st.sampled_from(FILLS),
    seeds,
)
def test_any_image_is_drawn_without_a_warning(dtype, shape, scale, fill, seed):
    rng = np.random.default_rng(seed)
    values = noise(*shape, dtype=dtype, seed=seed)
    if dtype == np.float32:
        values = (np.clip(values, -1, 1) * np.float32(scale)).astype(np.float32)
        values[rng.random(shape) < 0.2] = fill
    raster = Raster(values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preview = draw_preview(raster, find_valid(raster))

    assert opened(preview).size == (shape[1], shape[0])
