"""The temperature of probabilities: found again where it is known, and folded into the export."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import optimize, special

from model.data.folders import read_dataset
from model.data.labelled import LabelledSample
from model.export import export_network
from model.folding import fold_batch_norm
from model.scoring.images import score_images
from model.scoring.temperature import TEMPERATURES, fit_temperature, fit_to_validation
from service.runtime.contract.checking import check_contract
from service.runtime.saved_model import SavedModelRuntime
from tests.support.folders import BRIGHT, DARK, write_folder
from tests.support.networks import SMALL, manifest_of, random_network
from tests.support.strategies import make_scene


class Answers:
    """A predictor whose logits are the images."""

    classes = 4
    halo = 0

    def predict(self, sample):
        return sample.image


def draw_sample(seed, temperature, size=(90, 110)):
    """Logits whose softmax at a temperature is the distribution that labels were drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (*size, 4)) + rng.normal(0, 30, (*size, 1))
    gumbel = rng.gumbel(size=(*size, 4))
    labels = (logits + gumbel).argmax(axis=-1).astype(np.uint8)
    mask = rng.random(size) < 0.8
    labels[~mask] = 255
    image = np.where(mask[..., None], logits * temperature, 1e6).astype(np.float32)
    return LabelledSample(image, mask, labels)


@pytest.mark.parametrize("temperature", [0.3, 0.71, 1.0, 1.9, 3.6])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    samples = [draw_sample(seed, temperature) for seed in range(3)]
    found = fit_temperature(Answers(), samples)

    assert found == pytest.approx(temperature, rel=0.05)


def test_every_pixel_counts_the_same_though_of_large_images_not_all_are_looked_at():
    large = [draw_sample(seed, 1.5, (500, 600)) for seed in range(3)]
    small = [draw_sample(seed, 4.0, (200, 200)) for seed in range(3, 6)]
    known = [sample.labels != 255 for sample in large + small]
    logits, labels = (
        np.concatenate([getattr(s, name)[k] for s, k in zip(large + small, known, strict=True)])
        for name in ("image", "labels")
    )

    def loss(temperature):
        logs = special.log_softmax(logits / temperature, axis=1)
        return -logs[np.arange(len(labels)), labels].mean()

    expected = optimize.minimize_scalar(loss, bounds=(0.25, 4), method="bounded").x

    assert fit_temperature(Answers(), large + small) == pytest.approx(expected, rel=0.03)


def test_a_temperature_that_one_image_asks_for_and_the_others_do_not_is_not_taken():
    odd, usual = draw_sample(0, 4.0), [draw_sample(seed, 0.9, (40, 50)) for seed in range(1, 6)]

    assert fit_temperature(Answers(), [odd, *usual]) == 1
    assert fit_temperature(Answers(), [odd]) == 1
    assert fit_temperature(Answers(), usual) == pytest.approx(0.9, rel=0.05)


def test_probabilities_at_the_temperature_are_right_as_often_as_they_say():
    samples = [draw_sample(seed, 2.5) for seed in range(3)]
    temperature = fit_temperature(Answers(), samples)
    score = score_images(Answers(), samples, in_detail=True, temperature=temperature)

    assert score.untempered.error > 0.1
    assert score.calibration.error < 0.02
    assert (score.calibration.pixels.sum(), score.calibration.right.sum()) == (
        score.untempered.pixels.sum(),
        score.untempered.right.sum(),
    )


@pytest.mark.parametrize(
    "image", [np.zeros((5, 6, 4)), np.full((5, 6, 4), np.nan)], ids=["alike", "diverged"]
)
def test_where_no_temperature_is_better_it_stays_1(image):
    labels = np.ones((5, 6), np.uint8)
    sample = LabelledSample(image.astype(np.float32), labels > 0, labels)

    assert fit_temperature(Answers(), [sample] * 2) == 1


def test_images_without_labels_say_nothing_of_the_temperature():
    unknown = draw_sample(0, 3.0)
    unknown.labels[:] = 255

    assert fit_temperature(Answers(), [unknown] * 2) == 1


def test_the_limits_hold_where_a_network_is_always_or_never_right():
    sure = draw_sample(0, 1.0)
    right = np.where(sure.mask, sure.image.argmax(axis=-1), 255).astype(np.uint8)
    wrong = np.where(sure.mask, sure.image.argmin(axis=-1), 255).astype(np.uint8)

    found = [fit_temperature(Answers(), 2 * [sure._replace(labels=x)]) for x in (right, wrong)]

    assert found == [TEMPERATURES[0], TEMPERATURES[-1]] == [0.25, 4]


class Brightness:
    """A predictor that is right about dark and bright pixels, and quite sure."""

    classes = 2
    halo = 0

    def predict(self, sample):
        distance = (sample.image.mean(axis=-1) - (DARK + BRIGHT) / 2) / 40
        return np.stack([-distance, distance], axis=-1).astype(np.float32)


def spoil_labels(folder, name):
    """Swap the two classes in a third of the rows of an image."""
    path = folder / "labels" / f"{name}.png"
    labels = np.array(Image.open(path))
    labels[::3] = 1 - labels[::3]
    Image.fromarray(labels).save(path)


def test_images_for_testing_have_no_say_in_the_temperature(tmp_path):
    folder = write_folder(tmp_path / "data", count=12)
    names = (folder / "train.txt").read_text().split()
    (folder / "train.txt").write_text("\n".join(names[:6]))
    (folder / "test.txt").write_text("\n".join(names[6:]))
    first = fit_to_validation(Brightness(), read_dataset(folder))
    for name in names:
        spoil_labels(folder, name)
    second = fit_to_validation(Brightness(), read_dataset(folder))
    for name in (folder / "validation.txt").read_text().split():
        spoil_labels(folder, name)

    assert first == second == 0.25
    assert fit_to_validation(Brightness(), read_dataset(folder)) > 3


NETWORKS = [
    SMALL,
    dataclasses.replace(SMALL, block="residual"),
    dataclasses.replace(SMALL, normalization="variance"),
]


@pytest.mark.parametrize("config", NETWORKS, ids=["conv", "residual", "variance"])
def test_folded_logits_are_divided_by_the_temperature_and_labels_stay(config):
    network = random_network(config, seed=3)
    scene = make_scene(61, 47, 0.7, seed=2)
    batch = [scene.image[None], scene.mask[None, ..., None]]
    expected = network(batch, training=False).numpy()
    found = fold_batch_norm(network, config, 1.7)(batch).numpy()
    first, second = np.sort(expected[scene.mask[None]], axis=-1)[:, :-3:-1].T
    clear = first - second > 2e-5 * np.abs(expected).max()  # no tie by rounding
    labels = (logits.argmax(axis=-1)[scene.mask[None]][clear] for logits in (found, expected))

    np.testing.assert_allclose(found * 1.7, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(*labels)


def test_a_temperature_of_1_changes_no_bit():
    network = random_network(SMALL)
    plain, tempered = fold_batch_norm(network, SMALL), fold_batch_norm(network, SMALL, 1.0)

    for weight, other in zip(plain.get_weights(), tempered.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_positive_and_finite(temperature):
    with pytest.raises(ValueError, match="must be positive and finite"):
        fold_batch_norm(random_network(SMALL), SMALL, temperature)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folders of one network, without a temperature and with one."""
    root, network = tmp_path_factory.mktemp("tempered"), random_network(SMALL, seed=3)
    folders = root / "plain" / "1", root / "tempered" / "1"
    for folder, temperature in zip(folders, (1.0, 2.3), strict=True):
        export_network(network, SMALL, manifest_of(SMALL), folder, temperature=temperature)
    return folders


def test_exported_probabilities_are_those_of_the_trained_network_at_the_temperature(exported):
    scene = make_scene(37, 53, 0.7, seed=2)
    images, masks = scene.image[None], scene.mask[None]
    logits = random_network(SMALL, seed=3)([images, masks[..., None]], training=False).numpy()
    powers = np.exp(logits.astype(np.float64) / 2.3)
    plain, tempered = (
        SavedModelRuntime(folder).run(images, masks, probabilities=True) for folder in exported
    )

    np.testing.assert_allclose(
        tempered.probabilities,
        np.where(masks[..., None], powers / powers.sum(axis=-1, keepdims=True), 0),
        atol=1e-5,
    )
    np.testing.assert_array_equal(tempered.labels, plain.labels)


def test_a_tempered_export_keeps_the_promise(exported):
    assert check_contract(SavedModelRuntime(exported[1])).holds


def test_a_temperature_is_no_operation_of_the_graph(exported):
    plain, tempered = (
        {
            name: Counter(
                node.op
                for part in (graph, *graph.library.function)
                for node in (part.node_def if hasattr(part, "node_def") else part.node)
            )
            for name, graph in _read_graphs(folder).items()
        }
        for folder in exported
    )

    assert tempered == plain


def _read_graphs(folder):
    signatures = tf.saved_model.load(str(folder)).signatures
    return {name: signature.graph.as_graph_def() for name, signature in signatures.items()}
