import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.losses import MaskedCrossEntropy, MaskedLoss, make_loss
from tests.support.references import masked_cross_entropy


def draw(n=3, height=5, width=6, classes=4, known=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (n, height, width)).astype(np.uint8)
    labels[rng.random(labels.shape) > known] = 255
    return labels, rng.normal(0, 3, (n, height, width, classes)).astype(np.float32)


def differentiate(labels, logits):
    values = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = MaskedCrossEntropy()(labels, values)
    return float(loss), tape.gradient(loss, values).numpy()


@pytest.mark.parametrize("known", [0.0, 0.1, 0.6, 1.0])
def test_the_loss_is_that_of_the_reference(known):
    labels, logits = draw(known=known)
    expected = masked_cross_entropy(labels, logits)
    assert float(MaskedCrossEntropy()(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_logits_under_ignored_pixels_change_nothing_and_have_gradient_zero(value):
    labels, logits = draw()
    ignored = labels == 255
    expected, _ = differentiate(labels, logits)
    logits[ignored] = value
    loss, gradient = differentiate(labels, logits)
    assert loss == expected
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[ignored], 0)
    assert np.all(np.any(gradient[~ignored], axis=-1))


def test_the_gradient_is_softmax_less_truth_over_the_pixels_of_each_image():
    labels, logits = draw()
    _, gradient = differentiate(labels, logits)
    known = labels != 255
    power = np.exp(logits.astype(np.float64))
    expected = power / power.sum(axis=-1, keepdims=True) - np.eye(4)[np.where(known, labels, 0)]
    pixels = known.sum(axis=(1, 2))[:, None, None, None]
    expected = np.where(known[..., None], expected / pixels / len(labels), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_nothing_labelled_gives_a_loss_and_a_gradient_of_zero():
    labels, logits = draw(known=0.0)
    loss, gradient = differentiate(labels, np.full_like(logits, np.nan))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_an_image_without_a_labelled_pixel_does_not_count():
    labels, logits = draw()
    labels[1] = 255
    both = MaskedCrossEntropy()(labels, logits)
    assert float(both) == pytest.approx(
        float(MaskedCrossEntropy()(labels[[0, 2]], logits[[0, 2]])), rel=1e-6
    )


def test_images_count_alike_however_few_of_their_pixels_are_valid():
    labels, logits = draw(n=2, known=1.0)
    labels[1] = 255
    labels[1, 0, 0] = 0
    separate = [float(MaskedCrossEntropy()(labels[[i]], logits[[i]])) for i in range(2)]
    assert float(MaskedCrossEntropy()(labels, logits)) == pytest.approx(np.mean(separate), rel=1e-5)


def test_a_canvas_of_ignored_pixels_does_not_change_the_loss():
    labels, logits = draw()
    expected = float(MaskedCrossEntropy()(labels, logits))
    around = [(0, 0), (0, 3), (0, 7)]
    padded = np.pad(logits, [*around, (0, 0)], constant_values=np.nan)
    actual = float(MaskedCrossEntropy()(np.pad(labels, around, constant_values=255), padded))
    assert actual == pytest.approx(expected, rel=1e-6)


def test_the_loss_survives_serialisation():
    loss = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(MaskedCrossEntropy(name="a_name"))
    )
    assert isinstance(loss, MaskedCrossEntropy)
    assert loss.name == "a_name"


def soften(logits):
    power = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def average(labels, logits, score):
    """Mean of a score over the images that have a labelled pixel."""
    scores = []
    for truth, guess in zip(labels, soften(logits), strict=True):
        known = truth != 255
        if known.any():
            scores.append(score(truth[known], guess[known]))
    return np.mean(scores)


def weigh(truth, guess):
    target = 0.9 * np.eye(4)[truth] + 0.1 / 4
    each = -(target * np.log(guess)).sum(axis=1) * np.array([1, 2, 0.5, 4])[truth]
    return each.mean()


def focus(truth, guess):
    right = guess[np.arange(len(truth)), truth]
    return (-np.log(right) * (1 - right) ** 2).mean()


def overlap(truth, guess):
    hits = np.eye(4)[truth]
    dice = 2 * (hits * guess).sum(axis=0) / (hits + guess).sum(axis=0)
    return 1 - dice[hits.any(axis=0)].mean()


def extend(truth, guess):
    """The Lovász extension as an integral: of 1 - IoU of the errors above each threshold."""
    losses = []
    for label in np.unique(truth):
        hits = truth == label
        errors = np.abs(hits - guess[:, label])
        levels = np.concatenate([[0], np.sort(errors)])
        total = 0.0
        for low, high in itertools.pairwise(levels):
            wrong = errors > low
            union = np.count_nonzero(hits | wrong)
            total += (high - low) * (1 - np.count_nonzero(hits & ~wrong) / union)
        losses.append(total)
    return np.mean(losses)


TERMS = {
    "focal": (MaskedLoss(["focal"]), focus),
    "dice": (MaskedLoss(["dice"]), overlap),
    "lovasz": (MaskedLoss(["lovasz"]), extend),
    "cross-entropy": (MaskedLoss(["cross-entropy"], (1, 2, 0.5, 4), 0.1), weigh),
}


@pytest.mark.parametrize("term", TERMS)
def test_each_term_is_that_of_its_definition_and_reads_no_ignored_pixel(term):
    labels, logits = draw()
    labels[2] = 255
    loss, score = TERMS[term]
    expected = average(labels, logits, score)
    ignored = labels == 255
    values = tf.constant(np.where(ignored[..., None], np.float32(np.nan), logits))
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = loss(labels, values)
    gradient = tape.gradient(found, values).numpy()

    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[ignored], 0)


def test_terms_are_added_and_plain_cross_entropy_stays_what_it_was():
    labels, logits = draw()
    parts = [float(make_loss(term)(labels, logits)) for term in ("cross-entropy", "dice")]

    assert float(make_loss("cross-entropy+dice")(labels, logits)) == pytest.approx(sum(parts))
    assert isinstance(make_loss("cross-entropy"), MaskedCrossEntropy)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(TERMS["dice"][0])
    )
    assert again.terms == ("dice",)


@pytest.mark.parametrize(
    ("terms", "smoothing"), [("hinge", 0), ("", 0), ("dice", 1), ("dice", -0.1)]
)
def test_a_loss_that_makes_no_sense_is_refused(terms, smoothing):
    with pytest.raises(ValueError, match="Received"):
        make_loss(terms, label_smoothing=smoothing)


@pytest.mark.parametrize("options", [{"class_weights": (1, 2)}, {"label_smoothing": 0.1}])
def test_weights_and_smoothing_need_a_loss_that_has_them(options):
    with pytest.raises(ValueError, match="need cross-entropy or focal"):
        make_loss("dice+lovasz", **options)

    assert make_loss("dice+focal", **options).terms == ("dice", "focal")
