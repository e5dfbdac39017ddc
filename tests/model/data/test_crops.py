import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.crops import AugmentationConfig, collate, cut, remove_pixels, turn, vary
from model.data.folders import LabelledSample
from model.data.normalization import Normalization

PLAIN = Normalization((0.0,), (1.0,))
MOVES = AugmentationConfig(crop=8, brightness=0, contrast=0, complete=1)


def draw_piece(rng, sample, config, normalization=PLAIN):
    return vary(rng, cut(rng, sample, config.crop), config, normalization)


def coded_sample(height, width, seed=0, known=0.7):
    """A sample whose labels and mask can be read off its image: no two pixels are alike."""
    rng = np.random.default_rng(seed)
    image = np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width, 1)
    mask = rng.random((height, width)) < 0.8
    mask.flat[0] = True
    labels = np.where(rng.random((height, width)) < known, image[..., 0] % 7, 255)
    labels.flat[0] = 1
    return LabelledSample(
        np.where(mask[..., None], image, 0), mask, np.where(mask, labels, 255).astype(np.uint8)
    )


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_mask_and_labels_follow_the_image(height, width, seed):
    sample = coded_sample(height, width, seed)
    codes = {
        int(code): int(label)
        for code, label in zip(sample.image.ravel(), sample.labels.ravel(), strict=True)
    }
    piece = draw_piece(np.random.default_rng(seed), sample, MOVES)

    shown = piece.image[..., 0]
    np.testing.assert_array_equal(piece.mask, shown > 0)
    assert all(
        codes[int(code)] == label
        for code, label in zip(shown[piece.mask], piece.labels[piece.mask], strict=True)
    )
    assert sorted(piece.mask.shape) == sorted((min(height, 8), min(width, 8)))


def test_a_piece_is_one_of_the_image_turned_or_mirrored():
    image = np.array([[1, 2], [3, 4], [5, 6]])
    sample = LabelledSample(image[..., None], image > 0, image.astype(np.uint8))

    assert turn(sample, 1, mirror=False).image[..., 0].tolist() == [[2, 4, 6], [1, 3, 5]]
    assert turn(sample, 2, mirror=True).labels.tolist() == [[5, 6], [3, 4], [1, 2]]


def test_every_turn_and_both_sides_are_drawn():
    sample = coded_sample(8, 8)
    rng = np.random.default_rng(0)
    drawn = {draw_piece(rng, sample, MOVES).image.tobytes() for _ in range(200)}

    assert len(drawn) == 8


def test_a_piece_has_something_to_learn_from():
    labels = np.full((64, 64), 255, np.uint8)
    labels[50, 3] = 1
    sample = LabelledSample(np.ones((64, 64, 1), np.uint8), np.ones((64, 64), bool), labels)

    for seed in range(20):
        piece = draw_piece(np.random.default_rng(seed), sample, MOVES)
        assert (piece.labels == 1).sum() == 1


def test_what_is_taken_out_is_taken_out_of_all():
    sample = coded_sample(30, 30, known=1.0)
    config = AugmentationConfig(crop=30, missing=(0.5, 0.5), complete=0)
    piece = draw_piece(np.random.default_rng(3), sample, config)

    assert piece.mask.mean() == pytest.approx(0.4, abs=0.12)
    assert (piece.image[~piece.mask] == 0).all()
    assert (piece.labels[~piece.mask] == 255).all()


def test_light_changes_in_the_units_of_the_image_and_stays_in_their_range():
    values = np.linspace(0, 65535, 64).reshape(8, 8, 1).astype(np.uint16)
    sample = LabelledSample(values, np.ones((8, 8), bool), np.zeros((8, 8), np.uint8))
    config = AugmentationConfig(crop=8, turns=False, brightness=0.2, contrast=0, complete=1)
    light = Normalization((30000.0,), (20000.0,))
    seen = [
        draw_piece(np.random.default_rng(seed), sample, config, light).image for seed in range(50)
    ]

    shifts = [float((image - values)[4, 4, 0]) for image in seen]
    assert 3000 < max(shifts) <= 4000
    assert -4000 <= min(shifts) < -3000
    assert min(image.min() for image in seen) == 0
    assert max(image.max() for image in seen) == 65535


def test_contrast_leaves_the_mean_where_it_is():
    values = np.array([[[80.0], [100.0], [120.0]]], np.float32)
    sample = LabelledSample(values, np.ones((1, 3), bool), np.zeros((1, 3), np.uint8))
    config = AugmentationConfig(crop=8, turns=False, brightness=0, contrast=0.2, complete=1)
    light = Normalization((100.0,), (10.0,))
    image = draw_piece(np.random.default_rng(1), sample, config, light).image.ravel()

    assert image[1] == 100
    assert image[2] - 100 == pytest.approx(100 - image[0])
    assert 16 <= image[2] - 100 <= 24
    assert image[2] != 120


def test_a_batch_is_as_large_as_its_largest_up_to_a_multiple():
    samples = [coded_sample(5, 9), coded_sample(11, 3)]
    batch = collate(samples, 4)

    assert batch.image.shape == (2, 12, 12, 1)
    for index, sample in enumerate(samples):
        height, width = sample.mask.shape
        here = np.s_[index, :height, :width]
        np.testing.assert_array_equal(batch.image[here], sample.image)
        np.testing.assert_array_equal(batch.mask[here][..., 0], sample.mask)
        np.testing.assert_array_equal(batch.labels[here], sample.labels)
    assert batch.mask.sum() == sum(sample.mask.sum() for sample in samples)
    assert (batch.labels != 255).sum() == sum((s.labels != 255).sum() for s in samples)


def test_losing_pixels_changes_no_other():
    sample = coded_sample(6, 6)
    missing = np.zeros((6, 6), bool)
    missing[2:4] = True
    left = remove_pixels(sample, missing)

    np.testing.assert_array_equal(left.image[~missing], sample.image[~missing])
    assert not left.mask[missing].any()


def test_a_crop_of_no_pixels_is_refused():
    with pytest.raises(ValueError, match=r"`crop` must be positive\. Received: 0"):
        AugmentationConfig(crop=0)
