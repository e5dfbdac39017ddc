import keras
import numpy as np
import pytest

from model.network import NetworkConfig, build_network
from model.scoring.prediction import Predictor
from tests.model.scoring.test_images import make_sample
from tests.support.networks import randomize_batch_norm

CONFIG = NetworkConfig(channels=2, classes=3, widths=(4, 6), convs_per_level=1)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = build_network(CONFIG)
    randomize_batch_norm(network, 0)
    return network


def test_windows_change_nothing(network):
    sample = make_sample(61, 75)
    whole = Predictor(network, CONFIG).predict(sample)
    windowed = Predictor(network, CONFIG, max_pixels=16 * 16).predict(sample)

    assert whole.shape == (61, 75, 3)
    np.testing.assert_allclose(windowed, whole, atol=1e-5)


def test_a_prediction_is_the_networks(network):
    sample = make_sample(16, 20)
    batch = [sample.image[None].astype(np.float32), sample.mask[None, ..., None]]

    expected = network(batch, training=False).numpy()[0]
    np.testing.assert_allclose(Predictor(network, CONFIG).predict(sample), expected, atol=1e-5)
