import hashlib
from collections import Counter

import numpy as np
import pytest

from model.data.batches import SampleReader, choose_entries, draw_batch, stream_batches
from model.data.crops import AugmentationConfig
from model.data.folders import read_dataset
from tests.support.folders import write_folder

CONFIG = AugmentationConfig(crop=16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_folder(tmp_path_factory.mktemp("batches") / "data", 8, 30))


def draw(dataset, seed, step):
    return draw_batch(dataset, SampleReader(dataset.description), CONFIG, seed, step, 3, 4)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_step_shows_the_same_whatever_was_drawn_before(dataset):
    reader = SampleReader(dataset.description)
    drawn = [draw_batch(dataset, reader, CONFIG, 5, step, 3, 4) for step in range(4)]

    assert same(drawn[3], draw(dataset, 5, 3))


def test_other_steps_and_other_seeds_show_something_else(dataset):
    assert not same(draw(dataset, 5, 3), draw(dataset, 5, 4))
    assert not same(draw(dataset, 5, 3), draw(dataset, 6, 3))


def test_every_image_has_its_turn_in_each_round(dataset):
    steps = [choose_entries(dataset.training, 1, step, 4) for step in range(3)]
    names = [entry.name for entries in steps for entry in entries]

    assert Counter(names[:6]) == Counter(names[6:]) == Counter(e.name for e in dataset.training)
    assert names[:6] != names[6:]


def test_the_stream_is_what_is_drawn(dataset):
    reader = SampleReader(dataset.description)
    batches = list(stream_batches(dataset, reader, CONFIG, 5, range(2, 5), 3, 4))

    assert len(batches) == 3
    for step, batch in enumerate(batches, 2):
        assert same([part.numpy() for part in batch], draw(dataset, 5, step))


def test_images_smaller_than_the_crop_are_padded_as_invalid(dataset):
    config = AugmentationConfig(crop=64, complete=1)
    batch = draw_batch(dataset, SampleReader(dataset.description), config, 0, 0, 3, 8)

    assert batch.image.shape[1] % 8 == batch.image.shape[2] % 8 == 0
    assert max(batch.image.shape[1:3]) <= 32
    assert (batch.labels[~batch.mask[..., 0]] == 255).all()
    assert (batch.image[~batch.mask[..., 0]] == 0).all()


def test_crops_of_images_that_are_read_whole_stay_what_they_were(tmp_path):
    # A frozen digest of the crops before there were scenes. Another one trains other networks.
    dataset = read_dataset(write_folder(tmp_path / "data", 8, 40))
    reader = SampleReader(dataset.description, scenes=dataset.scenes)
    crops = AugmentationConfig(crop=16, complete=1)
    digest = hashlib.sha256()
    for step in range(6):
        for part in draw_batch(dataset, reader, crops, 5, step, 3, 4):
            digest.update(part.tobytes())

    assert digest.hexdigest() == "94100c64fdb155ccb8dc049d23627a44c341872d33ed0737a6d551cd86ce3be7"


def test_a_reader_keeps_no_more_than_it_may(dataset):
    entry = dataset.training[0]

    generous, strict = SampleReader(dataset.description), SampleReader(dataset.description, 0)
    assert generous.read(entry) is generous.read(entry)
    assert strict.read(entry) is not strict.read(entry)
