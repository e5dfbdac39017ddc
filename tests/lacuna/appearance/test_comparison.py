import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lacuna.appearance.comparison import (
    UNLIKE_TRAINING,
    FamiliarRange,
    warn_unlike_training,
    write_warnings,
)
from lacuna.appearance.statistics import ChannelStatistics, combine, measure_image
from lacuna.raster.adapt import to_sample
from lacuna.raster.images import decode_image
from lacuna.raster.limits import UNLIMITED
from lacuna.sample import Sample
from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import read_manifest
from tests.support.apps import encode_image
from tests.support.images import noise, npy_file, tiff_file
from tests.support.strategies import seeds

SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"
NAMES = ("clouds", "dead_pixels", "stripes", "swath")
DEMO = read_manifest(DEMO_REPOSITORY / "groundcover" / "1").image.familiar_range
LEARNT = ChannelStatistics(100, 40, 0, 255, 20, 200, (60, 150), (4, 50))
EDGES = FamiliarRange([LEARNT])


def read_sample(name):
    image = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    return image, np.asarray(Image.open(SAMPLES / f"{name}-mask.png")) > 0


def check_file(file, mask):
    return DEMO.check(to_sample(decode_image(file, UNLIMITED), mask, 3, "uint8"))


def make_pattern(mean, deviation):
    """An image of exactly this mean and deviation, of which every pixel is looked at."""
    signs = np.where(np.arange(16) % 2, 1, -1)
    return Sample(
        np.full((16, 16, 1), mean, np.float32) + (signs * deviation).astype("f4")[:, None],
        np.ones((16, 16), np.bool_),
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_demos_samples_are_familiar_however_they_are_masked_and_cropped(name):
    image, mask = read_sample(name)
    rng = np.random.default_rng(0)

    assert DEMO.check(Sample(image, mask)) == ""
    assert DEMO.check(Sample(image, np.ones_like(mask))) == ""
    for side in (16, 24, 32, 64, 128):
        for _ in range(100):
            top, left = (int(rng.integers(0, have - side + 1)) for have in mask.shape)
            place = slice(top, top + side), slice(left, left + side)
            assert DEMO.check(Sample(image[place], mask[place])) == ""
            fewer = mask[place] & (rng.random((side, side)) < 0.8)
            assert DEMO.check(Sample(image[place], fewer)) == ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quality", [20, 90])
def test_compression_light_and_size_leave_a_sample_familiar(name, quality):
    image, mask = read_sample(name)
    assert check_file(encode_image(image, "JPEG", quality=quality), mask) == ""
    for gain, shift in ((0.7, 0), (1.3, 0), (1, -20), (1, 20)):
        assert check_file(npy_file(np.clip(image.astype("f4") * gain + shift, 0, 255)), mask) == ""
    half = np.asarray(Image.fromarray(image).resize((mask.shape[1] // 2, mask.shape[0] // 2)))
    assert check_file(encode_image(half), None) == ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "convert",
    [
        lambda image: tiff_file((image.astype(np.uint16) * 257) // 40, photometric="rgb"),
        lambda image: tiff_file(image.astype(np.uint16), photometric="rgb"),
        lambda image: tiff_file(image.astype(np.uint16) * 16, photometric="rgb"),
        lambda image: npy_file((image / 255).astype(np.float32)),
        lambda image: npy_file(image / 127.5 - 1),
        lambda image: npy_file(image.astype(np.uint16) * 257),
        lambda image: npy_file(image.astype(np.float64) * 1e30),
        lambda image: tiff_file((image / 255).astype(np.float32), photometric="rgb"),
        lambda image: encode_image(image // 40),
    ],
    ids=[
        "40 times darker", "8 bits in 16", "12 bits in 16", "0 to 1", "-1 to 1",
        "16 bits as numbers", "huge", "0 to 1 in a TIFF", "40 times darker in 8 bits",
    ],
)  # fmt: skip
def test_a_sample_in_other_units_is_not(name, convert):
    image, mask = read_sample(name)

    assert "channel 0" in check_file(convert(image), mask)
    top, left = np.argwhere(mask)[len(np.argwhere(mask)) // 2]
    place = slice(top, top + 40), slice(left, left + 40)
    if np.count_nonzero(mask[place]) >= 256:
        assert check_file(convert(image[place]), mask[place])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", [0, 255])
def test_what_stands_under_missing_pixels_is_not_looked_at(name, fill):
    image, mask = read_sample(name)
    dark = image // 40

    filled = [np.where(mask[..., None], values, np.uint8(fill)) for values in (image, dark)]
    assert DEMO.check(Sample(filled[0], mask)) == ""
    assert DEMO.check(Sample(filled[1], mask)) == DEMO.check(Sample(dark, mask)) != ""


@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 30), st.integers(0, 30), seeds)
def test_padding_changes_no_warning(height, width, above, beside, seed):
    rng = np.random.default_rng(seed)
    image = (noise(height, width, 3, seed=seed) * rng.uniform(0, 0.4)).astype(np.float32)
    mask = rng.random((height, width)) < rng.uniform(0.1, 1)
    canvas = [(above, 9), (beside, 5)]

    padded = Sample(np.pad(image, [*canvas, (0, 0)], constant_values=200), np.pad(mask, canvas))
    assert DEMO.check(padded) == DEMO.check(Sample(image, mask))


@given(st.integers(1, 3), seeds)
def test_no_image_of_the_training_data_is_unlike_it(channels, seed):
    rng = np.random.default_rng(seed)
    images = [
        (noise(48, 48, channels, seed=seed + i) * rng.uniform(0.1, 1)).astype(np.uint8)
        for i in range(6)
    ]
    whole = np.ones((48, 48), np.bool_)

    familiar = FamiliarRange(combine([measure_image(image, whole) for image in images], channels))
    assert [familiar.check(Sample(image, whole)) for image in images] == [""] * 6
    assert [familiar.check_image(measure_image(image, whole)) for image in images] == [""] * 6


def draw_wild(seed, share=0.001, channels=2):
    """An image of values around 100, one of which in a thousand is a million."""
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 40, (64, 80, channels))
    return np.where(rng.random(image.shape) < share, 1e6, image).astype(np.float32)


WHOLE = np.ones((64, 80), np.bool_)
WILD = FamiliarRange(combine([measure_image(draw_wild(seed), WHOLE) for seed in range(20)], 2))


@pytest.mark.parametrize("factor", [0.25, 2, 40, 257])
def test_wild_values_in_the_training_data_hide_no_other_units(factor):
    image = np.where(draw_wild(100) < 1e6, draw_wild(100) * np.float32(factor), 100)

    assert "its mean is" in WILD.check(Sample(image, WHOLE))
    assert "its mean is" in WILD.check_image(measure_image(image, WHOLE))


def test_wild_values_as_in_the_training_data_do_not_make_an_image_unlike():
    for seed in range(100):
        image = draw_wild(seed)
        assert WILD.check(Sample(image, WHOLE)) == ""
        assert WILD.check_image(measure_image(image, WHOLE)) == ""


def test_a_value_further_away_than_those_of_the_training_data_is_told():
    image = draw_wild(100, share=0.0)
    image[::2, ::2] = 1e7

    assert "its mean is" in WILD.check(Sample(image, WHOLE))


def test_the_range_of_a_model_without_outliers_knows_none():
    image, mask = read_sample(NAMES[0])
    image = np.where(np.arange(image.shape[1])[:, None] % 3 == 0, np.float32(1e6), image)

    assert "its mean is" in DEMO.check(Sample(image, mask))


@pytest.mark.parametrize(
    ("mean", "deviation", "familiar"),
    [
        (40.1, 20, True),
        (39.9, 20, False),
        (169.9, 20, True),
        (170.1, 20, False),
        (100, 0.51, True),
        (100, 0.49, False),
        (100, 99.9, True),
        (100, 100.1, False),
    ],
)
def test_the_limits_are_those_that_are_documented(mean, deviation, familiar):
    assert (EDGES.check(make_pattern(mean, deviation)) == "") is familiar


@pytest.mark.parametrize(("side", "told"), [(15, False), (16, True)])
def test_a_few_pixels_may_have_any_value(side, told):
    sample = Sample(np.zeros((side, side, 1), np.uint8), np.ones((side, side), np.bool_))

    assert bool(EDGES.check(sample)) is told


def test_one_odd_channel_is_enough_and_is_named():
    familiar = FamiliarRange([LEARNT, LEARNT])
    image = np.dstack([make_pattern(mean, 20).image for mean in (100, 3)])

    assert familiar.check(Sample(image, np.ones((16, 16), np.bool_))) == (
        "in channel 1 its mean is 3 and its deviation 20; parts of training images have means of "
        "60 to 150, and all together a deviation of 40"
    )


def test_many_images_have_one_short_warning_in_ascii():
    samples = [make_pattern(mean, 20) for mean in [100] * 3 + [2] * 200]

    (warning,) = warn_unlike_training(samples, EDGES)
    assert warning.code == UNLIKE_TRAINING
    assert "image 3 is unlike" in warning.message
    assert "(200 of 203 images are)" in warning.message
    written = write_warnings([warning])
    assert written.isascii()
    assert len(written) < 600
    assert json.loads(written) == [{"code": warning.code, "message": warning.message}]


def test_a_model_that_does_not_tell_what_it_was_trained_on_warns_of_nothing():
    assert warn_unlike_training([make_pattern(1e9, 0)], None) == ()
    assert warn_unlike_training([make_pattern(100, 20)], EDGES) == ()
