"""Samples of the demo: those that are shipped are those that the code draws."""

import numpy as np
import pytest
from PIL import Image

from model.data.samples import AERIAL, GROUNDCOVER, write_samples
from model.data.townscapes import CLASSES, draw_townscape
from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import read_manifest

SHIPPED = DEMO_REPOSITORY.parent / "samples"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return folder, write_samples(folder)


def test_each_model_has_a_folder_of_images_and_masks(written):
    folder, paths = written

    expected = {f"aerial/{name}" for name in AERIAL} | {
        f"groundcover/{name}" for name in GROUNDCOVER
    }
    assert {path.relative_to(folder).with_suffix("").as_posix() for path in paths} == expected
    for path in paths:
        with Image.open(path) as image, Image.open(path.with_stem(f"{path.stem}-mask")) as mask:
            assert (image.mode, image.size) == ("RGB", mask.size)


def test_what_is_shipped_is_what_the_code_draws(written):
    folder, paths = written

    for path in paths:
        with Image.open(path) as ours, Image.open(SHIPPED / path.relative_to(folder)) as theirs:
            difference = np.abs(np.asarray(ours, int) - np.asarray(theirs, int))
        # Another processor may round another way.
        assert np.count_nonzero(difference > 2) <= difference.size / 1000
        assert path.stat().st_size <= 500_000


@pytest.mark.parametrize("name", AERIAL)
def test_missing_pixels_of_a_drawn_sample_hide_a_part_of_the_view(name):
    sample = AERIAL[name]
    view = draw_townscape(np.random.default_rng(sample.seed), sample.size)
    with (
        Image.open(SHIPPED / "aerial" / f"{name}.png") as image,
        Image.open(SHIPPED / "aerial" / f"{name}-mask.png") as mask,
    ):
        pixels, valid = np.asarray(image), np.asarray(mask) > 0

    assert 1 - valid.mean() == pytest.approx(sample.missing, abs=0.02)
    assert (pixels[~valid] == sample.fill).all()
    assert np.abs(pixels[valid].astype(int) - view.image[valid]).mean() < 0.1


def test_the_classes_of_the_drawn_views_are_those_of_the_model():
    manifest = read_manifest(DEMO_REPOSITORY / "aerial" / "1")

    assert tuple(entry.name for entry in manifest.classes) == CLASSES
