"""Networks to test with: one with every weight at random, and two that break the promise."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lacuna.windows.window import Window
from model.baselines import BaselineNetwork
from model.data.textures import CLASSES
from model.export import build_manifest, describe_classes, export_network
from model.layers import FillInvalid, MaskedBatchNormalization
from model.layers import PartialConv2D as Partial
from model.network import BLOCKS, NetworkConfig, build_network
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput
from tests.support.freezing import freeze
from tests.support.strategies import make_scene

SMALL = NetworkConfig(widths=(5, 6, 7), convs_per_level=2)
SHAPES = [
    NetworkConfig(),
    *(
        NetworkConfig(widths=(4, 5, 6, 7)[:levels], convs_per_level=convs)
        for levels, convs in ((1, 1), (1, 3), (2, 2), (3, 1), (3, 3), (4, 2))
    ),
    *(
        NetworkConfig(widths=widths, convs_per_level=convs, block=block)
        for block, (widths, convs) in itertools.product(
            ("residual", "separable"), (((5,), 2), ((4, 5, 6), 1))
        )
    ),
    *(
        NetworkConfig(widths=(4, 5), block=block, normalization=normalization)
        for block, normalization in itertools.product(BLOCKS, ("none", "mean", "variance"))
    ),
    NetworkConfig(widths=(4, 5, 6), fill_levels=2),
    NetworkConfig(widths=(4, 5, 6), fill_levels=1, convs_per_level=1, block="separable"),
    # As many channels as the first level has: what is added to its output is the raw image.
    NetworkConfig(widths=(3, 4), block="residual", pixel_mean=100.0),
    NetworkConfig(widths=(4, 5), block="residual", normalization="none", fill_levels=1),
]


def make_batch(height, width, channels=3, value=0.0):
    """Make three images, one complete, two with missing pixels, which hold `value`."""
    scenes = [
        make_scene(height, width, valid, seed, channels, missing)
        for seed, (valid, missing) in enumerate([(1.0, "areas"), (0.6, "areas"), (0.2, "pixels")])
    ]
    images = np.stack([scene.filled(value) for scene in scenes])
    return images, np.stack([scene.mask for scene in scenes])[..., None]


class NetworkRuntime:
    """A Keras network from `[image, mask]` to logits, behind the service's protocol.

    Args:
        network: the network.
        manifest: what it is said to be.
    """

    def __init__(self, network: keras.Model, manifest: Manifest) -> None:
        channels = manifest.image.channels

        def compute(image: Any, mask: Any) -> Any:
            return network([image, mask], training=False)

        self._manifest = manifest
        self._compute = freeze(
            compute,
            tf.TensorSpec((None, None, None, channels), tf.float32),
            tf.TensorSpec((None, None, None, 1), tf.bool),
        )

    @property
    def manifest(self) -> Manifest:
        """What the network is said to be."""
        return self._manifest

    @property
    def can_keep(self) -> bool:
        """False: the network computes whole images."""
        return False

    @property
    def can_skip(self) -> bool:
        """False: the network computes whole images."""
        return False

    def run(
        self,
        images: NDArray[np.float32],
        masks: NDArray[np.bool_],
        *,
        probabilities: bool,
        keep: Window | None = None,
    ) -> BatchOutput:
        """Segment a batch; see `Runtime.run`."""
        assert keep is None
        logits = self._compute(images, masks[..., None])
        labels = np.where(masks, np.argmax(logits, axis=-1), 255).astype(np.uint8)
        scores = np.where(masks[..., None], tf.nn.softmax(logits), np.float32(0))
        return BatchOutput(labels, scores if probabilities else None)


def manifest_of(config: NetworkConfig, name: str = "random") -> dict[str, Any]:
    """Give a manifest for a network of the demo's classes."""
    classes = describe_classes([c.name for c in CLASSES], [c.color for c in CLASSES])
    return build_manifest(name, "Weights at random.", config, classes)


def export_random_network(folder: Path) -> None:
    """Export a network of the default shape with every weight at random."""
    config = NetworkConfig()
    export_network(random_network(config), config, manifest_of(config), folder)


def export_small_network(folder: Path) -> None:
    """Export a network that is small enough to be loaded and probed at once."""
    config = NetworkConfig(widths=(2, 3), convs_per_level=1)
    export_network(random_network(config), config, manifest_of(config, "small"), folder)


def random_network(config: NetworkConfig, seed: int = 0) -> keras.Model:
    """Build a network whose batch normalisation has statistics, scales and offsets at random.

    Untrained ones would be 0 and 1, and an offset that leaks into the padding would not show.
    """
    keras.utils.set_random_seed(seed)
    network = build_network(config)
    randomize_batch_norm(network, seed)
    return network


def randomize_batch_norm(network: keras.Model, seed: int) -> None:
    """Give every batch normalisation, and the logits' bias, numbers at random."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, MaskedBatchNormalization):
            channels = layer.gamma.shape[0]
            layer.gamma.assign(rng.uniform(0.5, 1.5, channels))
            layer.beta.assign(rng.normal(0, 0.5, channels))
            layer.moving_mean.assign(rng.normal(0, 0.5, channels))
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, channels))
    logits = network.get_layer("logits")
    logits.bias.assign(rng.normal(0, 0.1, logits.bias.shape))


def plain_twin(config: NetworkConfig, seed: int = 0) -> keras.Model:
    """Build the same U-Net of plain convolutions with biases: zero-padded, blind to masks.

    It does what is commonly done: missing pixels become 0 once, before the first convolution, and
    the answer is masked.
    """
    keras.utils.set_random_seed(seed)
    network = build_network(config, BaselineNetwork(config, folded=True))
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    return network


def textbook_stack(config: NetworkConfig, seed: int = 0, mask_update: str = "any") -> keras.Model:
    """Build the recipe of the partial-convolution paper: each layer takes the mask the last gave.

    Args:
        config: its channels, classes and scaling; it has four layers of one resolution.
        seed: of the weights.
        mask_update: `"any"` in the paper; with `"keep"` the same stack keeps the promise.
    """
    keras.utils.set_random_seed(seed)
    image, mask = _inputs(config)
    x, valid = _rescale(config)(image), mask
    for _ in range(4):
        x, valid = Partial(
            8,
            3,
            mask_update=mask_update,
            activation="relu",
            bias_initializer=keras.initializers.RandomNormal(stddev=0.5),
        )([x, valid])
    logits = keras.layers.Conv2D(config.classes, 1)(x)
    return keras.Model([image, mask], FillInvalid()([logits, mask]), name="textbook")


def _inputs(config: NetworkConfig) -> tuple[Any, Any]:
    image = keras.Input((None, None, config.channels), name="image")
    return image, keras.Input((None, None, 1), dtype="bool", name="mask")


def _rescale(config: NetworkConfig) -> keras.layers.Rescaling:
    return keras.layers.Rescaling(*(values.tolist() for values in config.rescaling))
