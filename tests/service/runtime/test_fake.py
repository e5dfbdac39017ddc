import numpy as np
import pytest
from scipy.ndimage import generic_filter

from lacuna.windows.window import Window
from service.runtime.fake import FakeRuntime
from tests.support.strategies import FILLS, make_scene


def test_a_pixel_is_labelled_by_the_mean_of_its_valid_neighbours():
    scene = make_scene(17, 22, 0.4, seed=0, channels=1)
    image = np.round(scene.image)
    known = np.where(scene.mask, image[..., 0], np.nan)
    means = generic_filter(known, lambda v: np.nanmean(v) if np.isfinite(v).any() else 0, 5,
                           mode="constant", cval=np.nan)  # fmt: skip
    expected = np.where(scene.mask, np.digitize(means, [256 / 3, 512 / 3]), 255)
    labels, _ = FakeRuntime().run(image[None], scene.mask[None], probabilities=False)
    np.testing.assert_array_equal(labels[0], expected)
    assert labels.dtype == np.uint8


@pytest.mark.parametrize("fill", FILLS)
def test_what_stands_under_the_mask_is_not_read(fill):
    scene = make_scene(17, 22, 0.4, seed=0, channels=1)
    expected, _ = FakeRuntime().run(scene.filled(0)[None], scene.mask[None], probabilities=False)
    labels, _ = FakeRuntime().run(scene.filled(fill)[None], scene.mask[None], probabilities=False)
    np.testing.assert_array_equal(labels, expected)


def test_probabilities_are_one_for_the_label_and_zero_where_invalid():
    scene = make_scene(9, 12, 0.5, seed=1, channels=1)
    labels, probabilities = FakeRuntime().run(
        scene.image[None], scene.mask[None], probabilities=True
    )
    assert probabilities.shape == (1, 9, 12, 3)
    np.testing.assert_array_equal(probabilities.sum(axis=-1), scene.mask[None])
    np.testing.assert_array_equal(probabilities.argmax(-1)[0][scene.mask], labels[0][scene.mask])


def test_probabilities_are_given_only_to_those_who_ask():
    scene = make_scene(9, 12, 0.5, seed=1, channels=1)
    assert FakeRuntime().run(scene.image[None], scene.mask[None], probabilities=False)[1] is None


def test_a_window_that_is_kept_has_the_outputs_of_the_whole():
    scene = make_scene(17, 22, 0.6, seed=2, channels=1)
    images, masks, keep = scene.image[None], scene.mask[None], Window(3, 5, 9, 17)
    whole = FakeRuntime().run(images, masks, probabilities=True)
    labels, scores = FakeRuntime(can_keep=True).run(images, masks, probabilities=True, keep=keep)
    np.testing.assert_array_equal(labels, whole.labels[:, 3:12, 5:22], strict=True)
    np.testing.assert_array_equal(scores, whole.probabilities[:, 3:12, 5:22], strict=True)
