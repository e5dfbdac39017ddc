"""Baseline networks: plain convolutions in the masked network's architecture."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.baselines import FILLS, BaselineNetwork, FillGaps
from model.fills import FILLS_OF_GAPS
from model.network import BLOCKS, NetworkConfig, build_network
from tests.support.networks import make_batch
from tests.support.strategies import seeds

CONFIG = NetworkConfig(widths=(4, 5), convs_per_level=2)


@pytest.mark.parametrize("fill", FILLS)
def test_values_under_the_mask_change_nothing(fill):
    baseline = build_network(CONFIG, BaselineNetwork(CONFIG, fill))
    (zeros, masks), (nans, _) = make_batch(9, 13), make_batch(9, 13, value=np.nan)

    np.testing.assert_array_equal(baseline([zeros, masks]), baseline([nans, masks]))


def test_each_fill_is_another_network():
    images, masks = make_batch(16, 16)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 4))
    answers = []
    for fill in FILLS:
        baseline = build_network(CONFIG, BaselineNetwork(CONFIG, fill))
        for layer in baseline.layers:
            if layer.name == "down0_conv0":
                layer.set_weights([kernel[:, :, : layer.kernel.shape[2]]])
        first = baseline.get_layer("down0_conv0").output
        answers.append(type(baseline)(baseline.input, first)([images, masks]).numpy())

    for one, other in itertools.combinations(answers, 2):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("folded", [False, True])
def test_a_baseline_has_the_masked_networks_kernels(block, folded):
    config = NetworkConfig(widths=(4, 5), block=block)
    masked = build_network(config)
    baseline = build_network(config, BaselineNetwork(config, folded=folded))

    kernels = [
        {weight.path: weight.shape for weight in network.weights if weight.path.endswith("kernel")}
        for network in (masked, baseline)
    ]
    assert kernels[0] == kernels[1]


def test_an_unknown_fill_is_refused():
    with pytest.raises(ValueError, match=r"mask, nearest, telea, linear\. Received: 'median'"):
        BaselineNetwork(CONFIG, "median")


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0.02, 0.2, 0.5, 0.9]), seeds)
def test_a_missing_pixel_takes_the_value_of_one_of_the_nearest_valid_ones(
    height, width, valid, seed
):
    rng = np.random.default_rng(seed)
    mask = rng.random((2, height, width, 1)) < valid
    x = np.where(mask, rng.normal(size=(2, height, width, 3)), np.nan).astype(np.float32)
    filled = FillGaps("nearest")([x, mask]).numpy()

    rows, columns = np.mgrid[:height, :width]
    for image, valid_here, actual in zip(x, mask[..., 0], filled, strict=True):
        for row, column in np.ndindex(height, width):
            distance = np.where(valid_here, (rows - row) ** 2 + (columns - column) ** 2, np.inf)
            nearest = image[(distance == distance.min()) & valid_here]
            if len(nearest):
                assert (nearest == actual[row, column]).all(axis=-1).any()
            else:
                assert not actual[row, column].any()


def test_what_is_padded_to_the_stride_is_filled_with_the_nearest_too():
    baseline = build_network(CONFIG, BaselineNetwork(CONFIG, "nearest"))
    filled = type(baseline)(baseline.input, baseline.get_layer("fill").output)
    image = np.arange(15, dtype=np.float32).reshape(1, 5, 3, 1).repeat(3, axis=-1)

    actual = filled([image, np.ones((1, 5, 3, 1), bool)]).numpy()[0, ..., 0]
    np.testing.assert_array_equal(actual, np.pad(image[0, ..., 0], [(0, 1), (0, 1)], mode="edge"))


@pytest.mark.parametrize("fill", FILLS_OF_GAPS)
def test_a_baseline_that_fills_gaps_gives_the_same_once_loaded(tmp_path, fill):
    baseline = build_network(CONFIG, BaselineNetwork(CONFIG, fill))
    baseline.save(tmp_path / "baseline.keras")
    loaded = keras.saving.load_model(tmp_path / "baseline.keras", compile=False)
    batch = make_batch(9, 13)

    assert loaded.get_layer("fill").output.shape == (None, None, None, 3)
    np.testing.assert_array_equal(loaded(batch), baseline(batch))


def test_a_baseline_fills_in_one_way():
    config = NetworkConfig(widths=(2, 3), fill_levels=1)

    with pytest.raises(ValueError, match=r"no fill levels, since `fill` is 'mean'. Received: 1"):
        BaselineNetwork(config, "mean")
