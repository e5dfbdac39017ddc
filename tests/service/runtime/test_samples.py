import numpy as np
import pytest
from PIL import Image

from service.runtime.fake import FAKE_MANIFEST
from service.runtime.manifest import read_manifest
from service.runtime.samples import read_samples
from tests.support.demo_model import DEMO, copy_demo


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m" / "1" / "assets.extra" / "samples").mkdir(parents=True)
    return tmp_path / "m" / "1"


def save(folder, name, array):
    Image.fromarray(array).save(folder / "assets.extra" / "samples" / name)


def test_a_model_without_samples_has_none(tmp_path):
    assert read_samples(tmp_path, FAKE_MANIFEST) == []


def test_the_demo_has_those_that_the_page_shows(tmp_path):
    manifest = read_manifest(DEMO)

    sizes = [sample.size for sample in read_samples(DEMO, manifest)]

    assert sizes == [(320, 448), (256, 256), (301, 403), (288, 512)]
    aerial = DEMO.parents[1] / "aerial" / "1"
    sizes = [sample.size for sample in read_samples(aerial, read_manifest(aerial))]
    assert sizes == [(512, 512), (448, 448), (512, 512), (512, 512)]
    assert read_samples(copy_demo(tmp_path), manifest) == []


def test_images_are_read_with_their_masks_and_fitted_to_the_model(folder):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    valid = grey % 2 == 0
    save(folder, "b.png", np.stack([grey] * 3, axis=-1))
    save(folder, "b-mask.png", np.where(valid, 255, 0).astype(np.uint8))
    save(folder, "a.png", grey)

    first, second = read_samples(folder, FAKE_MANIFEST)

    assert first.mask.all()
    np.testing.assert_array_equal(second.image[..., 0], grey)
    np.testing.assert_array_equal(second.mask, valid)


def test_of_a_large_image_a_part_is_read(folder):
    save(folder, "a.png", np.zeros((700, 600), np.uint8))

    (sample,) = read_samples(folder, FAKE_MANIFEST)

    assert sample.size == (512, 512)


def test_of_many_images_the_first_16_are_read(folder):
    for index in range(18):
        save(folder, f"{index:02}.png", np.full((1, 1), index, np.uint8))

    values = [int(sample.image[0, 0, 0]) for sample in read_samples(folder, FAKE_MANIFEST)]

    assert values == list(range(16))


def test_an_image_that_cannot_be_read_is_left_out_and_said(folder, caplog):
    save(folder, "a.png", np.zeros((2, 2), np.uint8))
    save(folder, "b.png", np.zeros((2, 2), np.uint8))
    save(folder, "b-mask.png", np.zeros((3, 3), np.uint8))
    (folder / "assets.extra" / "samples" / "c.png").write_text("no image")

    (sample,) = read_samples(folder, FAKE_MANIFEST)

    assert sample.size == (2, 2)
    left_out = [record.sample for record in caplog.records]
    assert left_out == ["b", "c"]
