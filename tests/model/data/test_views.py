import keras
import numpy as np
import pytest

from model.data.batches import SampleReader
from model.data.folders import load_sample, read_dataset
from model.data.views import list_views
from model.network import NetworkConfig, build_network
from model.report.examples import choose_examples
from model.scoring.images import score_images
from model.scoring.prediction import Predictor
from tests.support.networks import randomize_batch_norm
from tests.support.scene_folders import write_scene_folder

CONFIG = NetworkConfig(channels=3, classes=2, widths=(4, 6), convs_per_level=1, pixel_scale=100)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_scene_folder(tmp_path_factory.mktemp("views") / "data"), 0)


@pytest.fixture(scope="module")
def predictor():
    keras.utils.set_random_seed(0)
    network = build_network(CONFIG)
    randomize_batch_norm(network, 0)
    return Predictor(network, CONFIG)


@pytest.fixture
def reader(dataset):
    return SampleReader(dataset.description, scenes=dataset.scenes)


def test_windows_of_a_scene_score_as_the_whole_does(dataset, predictor, reader):
    entries = dataset.training
    views = list_views(entries, dataset.scenes)
    windows = score_images(predictor, (reader.read_view(view, predictor.halo) for view in views))
    whole = score_images(predictor, [load_sample(entry, dataset.description) for entry in entries])

    assert len(views) == 4 + 1
    np.testing.assert_array_equal(windows.confusion, whole.confusion)
    assert windows.confusion.sum() == sum(dataset.class_pixels["training"])
    assert (windows.confusion.sum(axis=0) > 0).all()


def test_what_a_window_predicts_does_not_depend_on_where_it_was_cut(dataset, predictor, reader):
    view = list_views(dataset.training, dataset.scenes)[3]
    whole = predictor.predict(load_sample(view.entry, dataset.description))
    sample = reader.read_view(view, predictor.halo)
    inner = sample.labels.shape[0] - view.window.height, sample.labels.shape[1] - view.window.width

    assert inner == (predictor.halo, predictor.halo)
    np.testing.assert_allclose(
        predictor.predict(sample)[inner[0] :, inner[1] :], whole[view.window.slices], atol=1e-5
    )
    assert (sample.labels[: inner[0]] == 255).all()
    assert (sample.labels[:, : inner[1]] == 255).all()


def test_a_few_windows_are_spread_over_the_scene(dataset):
    few = list_views(dataset.training[:1], dataset.scenes, 2)

    assert [(view.window.top, view.window.left) for view in few] == [(0, 0), (512, 512)]
    assert [view.name for view in few] == ["scene0, row 0, column 0", "scene0, row 512, column 512"]


def test_images_that_are_no_scenes_are_scored_whole(dataset):
    views = list_views(dataset.training, {})

    assert [(view.name, view.window) for view in views] == [("scene0", None), ("scene1", None)]


def test_examples_of_a_report_are_windows(dataset, predictor, reader):
    examples = choose(dataset, predictor, reader, [5] * 5)

    assert len(examples) == 5
    assert all(example.sample.mask.shape == example.predicted.shape for example in examples)
    assert all(max(example.predicted.shape) <= 512 + 2 * predictor.halo for example in examples)


def test_examples_of_a_report_begin_with_the_window_of_the_most_errors(dataset, predictor, reader):
    right = [5, 8, 2, 9, 6]

    examples = choose(dataset, predictor, reader, right)

    names = [view.name for view in list_views(dataset.training, dataset.scenes)]
    assert [example.name for example in examples] == [names[index] for index in (2, 0, 4, 1, 3)]


def choose(dataset, predictor, reader, right):
    """Return the examples of all windows, of which so many of ten pixels are right."""
    views = list_views(dataset.training, dataset.scenes)
    confusions = [np.array([[one, 0], [10 - one, 0]]) for one in right]
    return choose_examples(predictor, views, confusions, reader)
