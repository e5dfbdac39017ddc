import hashlib
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from model.data.batches import (
    SampleReader,
    choose_entries,
    choose_turns,
    draw_batch,
    stream_batches,
)
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

    assert digest.hexdigest() == "8121e533164e2129e90a8a7a7f7568fc20c930514d159054e4a0cb144f3c8957"


def test_a_reader_keeps_no_more_than_it_may(dataset):
    entry = dataset.training[0]

    generous, strict = SampleReader(dataset.description), SampleReader(dataset.description, 0)
    assert generous.read(entry) is generous.read(entry)
    assert strict.read(entry) is not strict.read(entry)


def test_images_beyond_the_memory_are_decoded_once_and_read_from_temporary_files(tmp_path):
    folder = write_folder(tmp_path / "data", 6, 20)
    dataset = read_dataset(folder)
    reader = SampleReader(dataset.description, 0)
    before = [reader.read(entry) for entry in dataset.training]
    shutil.rmtree(folder)

    for entry, sample in zip(dataset.training, before, strict=True):
        assert same(reader.read(entry), sample)
    assert not before[0].image.flags.writeable


def test_crops_by_area_and_by_class_follow_the_pixels(tmp_path):
    folder = write_folder(tmp_path / "data", 8, 40)
    for index in range(6):
        labels = np.zeros_like(np.asarray(Image.open(folder / "labels" / f"scene{index:02}.png")))
        labels[3, 4] = index == 2
        Image.fromarray(labels).save(folder / "labels" / f"scene{index:02}.png")
    dataset = read_dataset(folder)
    areas = {name: sum(pixels) for name, pixels in dataset.image_pixels.items()}
    turns = [turn for step in range(60) for turn in choose_turns(dataset, "area", 0, step, 10)]
    seen = Counter(turn.entry.name for turn in turns)
    total = sum(areas[entry.name] for entry in dataset.training)

    assert all(turn.target is None for turn in turns)
    assert all(abs(seen[e.name] / 600 - areas[e.name] / total) < 0.06 for e in dataset.training)

    turns = [turn for step in range(20) for turn in choose_turns(dataset, "classes", 0, step, 10)]
    rare = [turn for turn in turns if turn.target == 1]
    assert {turn.entry.name for turn in rare} == {"scene02"}
    assert 70 < len(rare) < 130
    reader, rng = SampleReader(dataset.description), np.random.default_rng(0)
    assert all((reader.cut(rng, turn.entry, 8, 1).labels == 1).any() for turn in rare[:20])


@pytest.mark.parametrize(
    "change", [{"zoom": (0, 1)}, {"zoom": (2, 1)}, {"sampling": "luck"}, {"crop": 0}]
)
def test_a_variation_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValueError, match=f"`{next(iter(change))}`"):
        AugmentationConfig(**change)


def test_a_batch_of_turned_and_scaled_crops_has_the_same_shapes(dataset):
    config = AugmentationConfig(crop=16, rotation=180, zoom=(0.7, 1.5), band_brightness=0.2)
    batch = draw_batch(dataset, SampleReader(dataset.description), config, 0, 0, 4, 4)

    assert batch.image.shape == (4, 16, 16, 3)
    assert (batch.labels != 255).any()
    assert (batch.image[~batch.mask[..., 0]] == 0).all()
