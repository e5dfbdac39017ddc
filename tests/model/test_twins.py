"""Plain networks of the masked one's shape."""

import numpy as np
import pytest

from model.network import BLOCKS, NetworkConfig, build_network
from model.twins import FILLS, PlainForm
from tests.support.networks import make_batch

CONFIG = NetworkConfig(widths=(4, 5), convs_per_level=2)


@pytest.mark.parametrize("fill", FILLS)
def test_values_under_the_mask_change_nothing(fill):
    twin = build_network(CONFIG, PlainForm(CONFIG, fill))
    (zeros, masks), (nans, _) = make_batch(9, 13), make_batch(9, 13, value=np.nan)

    np.testing.assert_array_equal(twin([zeros, masks]), twin([nans, masks]))


def test_each_fill_is_another_network():
    images, masks = make_batch(16, 16)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 4))
    answers = []
    for fill in FILLS:
        twin = build_network(CONFIG, PlainForm(CONFIG, fill))
        for layer in twin.layers:
            if layer.name == "down0_conv0":
                layer.set_weights([kernel[:, :, : layer.kernel.shape[2]]])
        first = twin.get_layer("down0_conv0").output
        answers.append(type(twin)(twin.input, first)([images, masks]).numpy())

    assert not np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("folded", [False, True])
def test_a_twin_has_the_masked_networks_kernels(block, folded):
    config = NetworkConfig(widths=(4, 5), block=block)
    masked = build_network(config)
    twin = build_network(config, PlainForm(config, folded=folded))

    kernels = [
        {weight.path: weight.shape for weight in network.weights if weight.path.endswith("kernel")}
        for network in (masked, twin)
    ]
    assert kernels[0] == kernels[1]


def test_an_unknown_fill_is_refused():
    with pytest.raises(ValueError, match=r"must be one of zero, mean, mask\. Received: 'nearest'"):
        PlainForm(CONFIG, "nearest")
