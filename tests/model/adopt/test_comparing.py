"""Samples on which a converted network is compared with the original."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from model.adopt.comparing import compare_samples, draw_samples, read_samples
from model.adopt.options import Scaling
from model.adopt.source import AdoptionError
from model.convert import convert


def adopt(sides=(None, None), dtype="uint8", stride=4):
    """Make what is read of an adoption."""
    image = keras.Input((*sides, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image))
    return SimpleNamespace(
        plan=SimpleNamespace(
            options=SimpleNamespace(dtype=dtype, threshold=0.5),
            layout=SimpleNamespace(channels=3),
            scaling=Scaling((1.0,) * 3, (0.0,) * 3),
            meaning="logits",
        ),
        source=SimpleNamespace(
            network=network, output=SimpleNamespace(name=network.output_names[0])
        ),
        manifest={"total_stride": stride},
        conversion=None,
    )


def write(path, shape, dtype=np.uint8):
    Image.fromarray(np.full(shape, 7, dtype)).save(path)


def test_images_are_read_in_order_and_cropped_without_masks_and_other_files(tmp_path):
    write(tmp_path / "b.png", (20, 30, 4))
    write(tmp_path / "a.png", (600, 40, 3))
    write(tmp_path / "a-mask.png", (600, 40))
    write(tmp_path / "small.png", (3, 40, 3))
    (tmp_path / "notes.txt").write_text("no image")
    samples = read_samples(tmp_path, adopt())

    assert samples.source == f"2 images in {tmp_path}"
    assert [image.shape for image in samples.images] == [(512, 40, 3), (20, 30, 3)]
    assert [mask.all() for mask in samples.masks] == [True, True]


def test_samples_that_the_network_does_not_take_are_refused(tmp_path):
    with pytest.raises(AdoptionError, match=r"of at least 4 pixels in height and width; .* has"):
        read_samples(tmp_path, adopt())
    write(tmp_path / "small.png", (63, 64, 3))
    with pytest.raises(AdoptionError, match=r"of at least 64 pixels"):
        read_samples(tmp_path, adopt(sides=(64, 32)))
    with pytest.raises(AdoptionError, match=r"3 channels of uint16, .*small.png has 3 of uint8"):
        read_samples(tmp_path, adopt(dtype="uint16"))
    write(tmp_path / "grey.png", (64, 64))
    with pytest.raises(AdoptionError, match=r"3 channels of uint8, .*grey.png has 1 of uint8"):
        read_samples(tmp_path, adopt())


def test_a_sample_that_cannot_be_read_is_named(tmp_path):
    write(tmp_path / "a.png", (20, 30, 3))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])

    with pytest.raises(AdoptionError, match=r"images that can be read; .*b\.png is not: \w"):
        read_samples(tmp_path, adopt())


def test_random_images_are_the_same_each_time_and_fit_the_network():
    one, two = (draw_samples(adopt(sides=(160, 130))) for _ in range(2))

    np.testing.assert_array_equal(one.images, two.images)
    assert {image.shape for image in one.images} == {(160, 160, 3)}
    assert "random images" in one.source


def test_a_network_of_one_size_is_compared_on_images_of_this_size():
    adoption = adopt(sides=(32, 40))
    adoption.conversion = convert(adoption.source.network)
    rows = {row.case: row for row in compare_samples(adoption, draw_samples(adoption))}

    assert rows["elsewhere"].pixels == 3 * 30 * 38
    assert (rows["elsewhere"].before, rows["elsewhere"].after) == (0, 0)
    assert rows["in another canvas"].before is None
    assert rows["in another canvas"].after == 0
