import json

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from lacuna.appearance.statistics import ChannelStatistics, combine, measure_image, pool
from tests.support.images import noise

SCENES = [noise(64, 96, 3, seed=1), noise(48, 32, 3, seed=2) // 2]
MASKS = [noise(64, 96, seed=3) < 200, np.ones((48, 32), np.bool_)]


def measure(scenes=SCENES, masks=MASKS, channels=3):
    return combine([measure_image(*pair) for pair in zip(scenes, masks, strict=True)], channels)


def test_mean_deviation_and_range_are_those_of_all_valid_values():
    values = np.concatenate([s[m] for s, m in zip(SCENES, MASKS, strict=True)]).astype(float)

    found = measure()
    for name, expected in (
        ("mean", values.mean(axis=0)),
        ("deviation", values.std(axis=0)),
        ("minimum", values.min(axis=0)),
        ("maximum", values.max(axis=0)),
    ):
        assert [getattr(entry, name) for entry in found] == pytest.approx(expected, rel=1e-4)


def test_low_and_high_are_percentiles_and_images_count_the_same_whatever_their_size():
    large, small = np.full((400, 400, 1), 10, np.uint8), np.full((32, 32, 1), 200, np.uint8)
    large[:200], small[:16] = 20, 100

    (found,) = measure([large, small], [np.ones((400, 400), bool), np.ones((32, 32), bool)], 1)
    expected = np.percentile(np.repeat([10, 20, 100, 200], 100), (2, 98))
    assert (found.low, found.high) == pytest.approx(expected)


def test_tiles_are_squares_of_16_pixels_and_the_image_itself():
    rng = np.random.default_rng(0)
    image = (rng.normal(0, 1, (96, 96, 1)) * np.arange(96)[:, None, None]).astype(np.float32)

    (found,) = measure([image], [np.ones((96, 96), bool)], 1)
    tiles = sliding_window_view(image[:, :, 0], (16, 16))[::16, ::16].reshape(36, 256)
    means, deviations = [np.append(part(tiles, axis=1), part(image)) for part in (np.mean, np.std)]
    assert found.tile_mean == pytest.approx(np.percentile(means, (0.5, 99.5)), rel=1e-3)
    assert found.tile_deviation == pytest.approx(np.percentile(deviations, (0.5, 99.5)), rel=1e-3)


def test_a_tile_that_is_mostly_missing_does_not_count():
    image, mask = np.full((32, 32, 1), 100, np.uint8), np.ones((32, 32), np.bool_)
    image[:16, :16] = 250
    mask[:16, :16] = np.arange(256).reshape(16, 16) < 127

    (found,) = measure([image], [mask], 1)
    assert found.tile_mean[1] < 130


@pytest.mark.parametrize("fill", [0, 255])
def test_what_stands_under_missing_pixels_does_not_count(fill):
    filled = [np.where(m[..., None], s, np.uint8(fill)) for s, m in zip(SCENES, MASKS, strict=True)]

    assert measure(filled) == measure()


def test_images_smaller_than_a_tile_are_measured():
    image = np.array([[[3], [5]]], np.float32)

    assert measure([image], [np.ones((1, 2), bool)], 1) == (
        ChannelStatistics(4, 1, 3, 5, 3.04, 4.96, (4, 4), (1, 1)),
    )


def draw_outliers(share, value=1e6, count=8):
    """Images of values around 100, without and with a share of wild ones."""
    rng = np.random.default_rng(0)
    plain = [rng.normal(100, 40, (96, 128, 1)).astype(np.float32) for _ in range(count)]
    return plain, [np.where(rng.random(x.shape) < share, np.float32(value), x) for x in plain]


@pytest.mark.parametrize("value", [1e6, -32768, np.finfo(np.float32).min])
def test_one_wild_value_in_a_thousand_leaves_the_statistics_of_the_others(value):
    masks = [np.ones((96, 128), np.bool_)] * 8
    (expected,), (found,) = (measure(s, masks, 1) for s in draw_outliers(0.001, value))

    assert found.mean == pytest.approx(expected.mean, abs=0.05 * expected.deviation)
    assert found.deviation == pytest.approx(expected.deviation, rel=0.05)
    assert found.tile_mean == pytest.approx(expected.tile_mean, abs=0.05 * expected.deviation)
    assert found.tile_deviation == pytest.approx(expected.tile_deviation, rel=0.15)
    assert value == pytest.approx(found.maximum if value > 0 else found.minimum, rel=1e-4)


def test_wild_values_are_left_out_of_small_shares_of_a_scene_as_well():
    whole = np.ones((96, 128), np.bool_)
    plain, wild = (
        combine([pool([measure_image(x, whole, 1 / 256) for x in images])], 1)
        for images in draw_outliers(0.001, count=40)
    )

    assert wild[0].deviation == pytest.approx(plain[0].deviation, rel=0.1)
    assert wild[0].tile_mean == pytest.approx(plain[0].tile_mean, abs=2)
    assert wild[0].tile_deviation == pytest.approx(plain[0].tile_deviation, rel=0.15)


def test_many_values_far_away_are_no_outliers():
    masks = [np.ones((96, 128), np.bool_)] * 8
    (found,) = measure(draw_outliers(0.05)[1], masks, 1)

    assert found.deviation == pytest.approx(1e6 * (0.05 * 0.95) ** 0.5, rel=0.1)


def test_grey_images_are_repeated():
    grey = noise(32, 32, 1)

    found = measure([grey, SCENES[1]], [np.ones((32, 32), bool), MASKS[1]])
    repeated = measure([grey.repeat(3, axis=2), SCENES[1]], [np.ones((32, 32), bool), MASKS[1]])
    assert found == repeated


def test_statistics_are_plain_json():
    fields = [entry._asdict() for entry in measure()]

    assert json.loads(json.dumps(fields))[0]["tile_mean"] == list(fields[0]["tile_mean"])
