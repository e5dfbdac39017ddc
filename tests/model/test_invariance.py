"""The promise, as properties of an exported network.

An image's result does not depend on the canvas it is padded into, on the images that share its
batch, on the values under its invalid pixels, or on where it is cut. Each property is written once,
holds to the last bit for the network that is shipped, and is shown to fail for a plain network and
for the textbook recipe: a test that cannot fail would prove nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from model.folding import fold_batch_norm
from model.network import BLOCKS, NetworkConfig
from service.runtime.manifest import Manifest
from tests.support.networks import (
    NetworkRuntime,
    manifest_of,
    plain_twin,
    random_network,
    textbook_stack,
)
from tests.support.strategies import fills, make_scene, scenes, seeds

CONFIG = NetworkConfig(widths=(8, 12, 16))
STRIDE, RADIUS = NetworkConfig().total_stride, NetworkConfig().receptive_radius
HALO = -(-RADIUS // STRIDE) * STRIDE

# A network that breaks the promise does so at once: no need to look for the smallest example.
biting = settings(phases=[Phase.generate], report_multiple_bugs=False)
# The network that is shipped is held to the most examples. Others share its layers.
fewer = settings(max_examples=20)


def run(runtime, image, mask):
    """Segment a batch, and check that both signatures agree."""
    images = np.ascontiguousarray(image, np.float32)
    labels, probabilities = runtime.run(images, mask, probabilities=True)
    np.testing.assert_array_equal(
        runtime.run(images, mask, probabilities=False).labels, labels, strict=True
    )
    return labels, probabilities


def run_alone(runtime, scene):
    labels, probabilities = run(runtime, scene.filled(0)[None], scene.mask[None])
    return labels[0], probabilities[0]


def assert_same(actual, expected):
    """No label changes, and probabilities are equal to the last bit."""
    labels, probabilities = actual
    assert np.count_nonzero(labels != expected[0]) == 0
    np.testing.assert_array_equal(probabilities, expected[1], strict=True)


def place(scene, height, width, fill, seed):
    """Put an image into the top left corner of a canvas of noise that the mask hides."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1e4, 1e4, (height, width, scene.image.shape[-1])).astype(np.float32)
    image[rng.random((height, width)) < 0.5] = fill
    mask = np.zeros((height, width), bool)
    top, left = scene.mask.shape
    image[:top, :left], mask[:top, :left] = scene.filled(fill), scene.mask
    return image, mask


def canvas_property(runtime, channels=3):
    @given(scenes(channels=channels), st.integers(0, 40), st.integers(0, 40), fills, seeds)
    def holds(scene, bottom, right, fill, seed):
        height, width = scene.mask.shape
        image, mask = place(scene, height + bottom, width + right, fill, seed)
        labels, probabilities = run(runtime, image[None], mask[None])
        inner = (0, slice(height), slice(width))
        assert_same((labels[inner], probabilities[inner]), run_alone(runtime, scene))

    return holds


def batch_property(runtime, channels=3):
    @given(st.lists(scenes(max_side=64, channels=channels), min_size=2, max_size=5), fills, seeds)
    def holds(batch, fill, seed):
        height = max(scene.mask.shape[0] for scene in batch)
        width = max(scene.mask.shape[1] for scene in batch)
        placed = [place(scene, height, width, fill, seed) for scene in batch]
        order = np.random.default_rng(seed).permutation(len(batch))
        images, masks = (np.stack(part)[order] for part in zip(*placed, strict=True))
        labels, probabilities = run(runtime, images, masks)
        for position, index in enumerate(order):
            inner = (position, *(slice(side) for side in batch[index].mask.shape))
            assert_same((labels[inner], probabilities[inner]), run_alone(runtime, batch[index]))

    return holds


def fill_property(runtime):
    @given(scenes(), fills)
    def holds(scene, fill):
        labels, probabilities = run(runtime, scene.filled(fill)[None], scene.mask[None])
        assert_same((labels[0], probabilities[0]), run_alone(runtime, scene))

    return holds


def tiling_property(runtime, stride=STRIDE, halo=HALO, least_cells=1):
    tile_sides = st.integers(least_cells, 6).map(lambda cells: cells * stride)

    @given(scenes(), tile_sides, tile_sides)
    def holds(scene, tile_height, tile_width):
        expected = run_alone(runtime, scene)
        height, width = scene.mask.shape
        for top in range(0, height, tile_height):
            for left in range(0, width, tile_width):
                first = max(top - halo, 0), max(left - halo, 0)
                cut = tuple(
                    slice(start, at + side + halo)
                    for start, at, side in zip(
                        first, (top, left), (tile_height, tile_width), strict=True
                    )
                )
                part = run(runtime, scene.filled(0)[cut][None], scene.mask[cut][None])
                inner = tuple(
                    slice(at - start, at - start + side)
                    for start, at, side in zip(
                        first, (top, left), (tile_height, tile_width), strict=True
                    )
                )
                whole = (slice(top, top + tile_height), slice(left, left + tile_width))
                assert_same(
                    tuple(array[0][inner] for array in part),
                    tuple(array[whole] for array in expected),
                )

    return holds


def runtime_of(network, config=CONFIG):
    return NetworkRuntime(network, Manifest.model_validate(manifest_of(config)))


@pytest.fixture(scope="module")
def plain():
    return runtime_of(plain_twin(CONFIG))


@pytest.fixture(scope="module")
def textbook():
    return runtime_of(textbook_stack(CONFIG))


def test_a_larger_canvas_changes_no_bit(exported):
    canvas_property(exported)()


def test_batch_mates_and_places_in_the_batch_change_no_bit(exported):
    batch_property(exported)()


def test_values_under_the_mask_change_no_bit(exported):
    fill_property(exported)()


def test_tiles_with_a_halo_of_the_receptive_radius_change_no_bit(exported):
    settings(max_examples=25)(tiling_property(exported))()


def test_the_same_stack_as_the_textbooks_keeps_the_promise_with_a_mask_that_keeps():
    network = runtime_of(textbook_stack(CONFIG, mask_update="keep"))
    fewer(canvas_property(network))()
    fewer(batch_property(network))()


def test_the_exported_network_uses_all_its_classes(exported):
    # Else equal labels would say little.
    scene = make_scene(120, 120, 0.9, seed=0)
    labels, probabilities = run_alone(exported, scene)
    shares = np.bincount(labels[scene.mask], minlength=3) / scene.mask.sum()
    assert shares.min() > 0.02
    assert np.median(probabilities[scene.mask].max(axis=-1)) < 0.99


def test_a_plain_network_depends_on_the_canvas(plain):
    with pytest.raises(AssertionError):
        biting(canvas_property(plain))()


def test_a_plain_network_depends_on_its_batch_mates(plain):
    with pytest.raises(AssertionError):
        biting(batch_property(plain))()


def test_a_textbook_network_depends_on_the_canvas(textbook):
    with pytest.raises(AssertionError):
        biting(canvas_property(textbook))()


def test_a_textbook_network_depends_on_its_batch_mates(textbook):
    with pytest.raises(AssertionError):
        biting(batch_property(textbook))()


def test_half_the_halo_is_too_little(exported):
    with pytest.raises(AssertionError):
        biting(tiling_property(exported, halo=HALO // 2 // STRIDE * STRIDE))()


def test_tiles_off_the_grid_of_the_total_stride_are_not_exact(exported):
    with pytest.raises(AssertionError):
        biting(tiling_property(exported, stride=STRIDE // 2, halo=HALO + STRIDE // 2))()


def exported_form(config):
    return runtime_of(fold_batch_norm(random_network(config), config))


@pytest.fixture(scope="module", params=["residual", "separable"])
def other_blocks(request):
    return exported_form(dataclasses.replace(CONFIG, block=request.param))


def test_networks_of_other_blocks_keep_the_promise_in_any_canvas(other_blocks):
    fewer(canvas_property(other_blocks))()


def test_networks_of_other_blocks_keep_the_promise_beside_any_batch_mates(other_blocks):
    fewer(batch_property(other_blocks))()


def test_networks_of_other_blocks_are_tiled_exactly(other_blocks):
    halo = -(-CONFIG.receptive_radius // CONFIG.total_stride) * CONFIG.total_stride
    # Their stride is small: tiles of one or two cells would be hundreds.
    tiles = tiling_property(other_blocks, CONFIG.total_stride, halo, least_cells=3)
    fewer(tiles)()


@pytest.fixture(scope="module")
def grey():
    config = dataclasses.replace(CONFIG, channels=1)
    return runtime_of(fold_batch_norm(random_network(config), config), config)


def test_a_network_of_one_channel_keeps_the_promise_in_any_canvas(grey):
    fewer(canvas_property(grey, channels=1))()


def test_a_network_of_one_channel_keeps_the_promise_beside_any_batch_mates(grey):
    fewer(batch_property(grey, channels=1))()


@pytest.fixture(scope="module", params=["none", "mean", "variance"])
def other_normalizations(request):
    return exported_form(dataclasses.replace(CONFIG, normalization=request.param))


def test_networks_of_other_normalizations_keep_the_promise_in_any_canvas(other_normalizations):
    fewer(canvas_property(other_normalizations))()


def test_networks_of_other_normalizations_keep_the_promise_beside_any_batch_mates(
    other_normalizations,
):
    fewer(batch_property(other_normalizations))()


@pytest.fixture(scope="module")
def filling():
    """A network as it is trained by default: it fills by reflection and scales no sums."""
    return exported_form(dataclasses.replace(CONFIG, normalization="none", fill_levels=2))


def test_a_network_that_fills_by_reflection_keeps_the_promise_in_any_canvas(filling):
    fewer(canvas_property(filling))()


def test_a_network_that_fills_by_reflection_keeps_the_promise_beside_any_batch_mates(filling):
    fewer(batch_property(filling))()


def test_a_network_that_fills_by_reflection_is_tiled_exactly(filling):
    fewer(tiling_property(filling, CONFIG.total_stride))()


def test_values_under_the_mask_do_not_reach_a_network_that_fills_by_reflection(filling):
    fewer(fill_property(filling))()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_single_channel_is_no_exception_where_offsets_come_after_the_product(block):
    config = NetworkConfig(1, widths=(1, 2), block=block, normalization="variance")
    runtime = NetworkRuntime(
        fold_batch_norm(random_network(config), config),
        Manifest.model_validate(manifest_of(config)),
    )
    fewer(batch_property(runtime, channels=1))()
