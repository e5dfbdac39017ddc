import tracemalloc

import numpy as np
import pytest

from lacuna.errors import (
    EmptyBodyError,
    ImageTooLargeError,
    InvalidMaskError,
    MalformedRequestError,
)
from lacuna.raster.limits import ImageLimits
from lacuna.raster.raster import Raster
from lacuna.raster.samples import select_bands
from lacuna.sample import Segmentation
from service.runtime.fake import FAKE_MANIFEST
from service.wire.batch import (
    MAX_IMAGES,
    ImageInput,
    check_count,
    estimate_sample_bytes,
    read_samples,
)
from service.wire.dialect import Footprint
from service.wire.outputs import choose_output
from tests.support.images import noise
from tests.support.trained import describe_trained

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
MASK = IMAGE[:, :, 0] % 2 == 0


def make_image_input(image=IMAGE, mask=None):
    return ImageInput(
        lambda _: Footprint(image.shape[0] * image.shape[1], image.nbytes),
        lambda _, bands: select_bands(Raster(image), bands),
        None if mask is None else lambda _: mask,
    )


def read(*images, image_pixels=100):
    return read_samples(images, FAKE_MANIFEST, ImageLimits(image_pixels))


def test_each_image_becomes_a_sample_with_its_mask():
    first, second = read(make_image_input(mask=MASK), make_image_input(IMAGE[:2]))

    assert np.array_equal(first.mask, MASK)
    assert np.array_equal(first.image, IMAGE)
    assert second.size == (2, 4)
    assert second.mask.all()


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_take_no_more_memory_than_estimated_whether_stretched_or_not(channels):
    manifest = describe_trained(channels)
    image = make_image_input(noise(640, 700, channels), noise(640, 700) < 200)
    for stretch in ("none", "percentile"):
        tracemalloc.start()
        samples = read_samples([image], manifest, ImageLimits(), stretch)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert samples[0].image.shape == (640, 700, channels)
        assert peak_bytes < estimate_sample_bytes(manifest.image, 640 * 700, stretch)


def test_an_error_tells_which_image_it_is_about():
    with pytest.raises(InvalidMaskError, match=r"image 1: mask must have .* mask is 2×4"):
        read(make_image_input(), make_image_input(mask=MASK[:2]))


def test_where_there_is_one_image_it_has_no_number():
    with pytest.raises(InvalidMaskError, match=r"^mask must have"):
        read(make_image_input(mask=MASK[:2]))


def test_the_limit_is_that_of_all_images_together():
    assert len(read(*[make_image_input()] * 2, image_pixels=24)) == 2
    with pytest.raises(ImageTooLargeError, match="at most 23 pixels together; they have 24"):
        read(*[make_image_input()] * 2, image_pixels=23)


def test_a_models_own_limit_is_that_of_all_images_together_too():
    limits = ImageLimits(100).narrow("fake", 23)

    with pytest.raises(ImageTooLargeError, match="request for model fake must have at most 23 pi"):
        read_samples([make_image_input()] * 2, FAKE_MANIFEST, limits)


def test_there_are_as_many_images_as_a_request_may_hold():
    check_count(1)
    check_count(MAX_IMAGES)
    with pytest.raises(EmptyBodyError, match="it holds none"):
        check_count(0)
    with pytest.raises(MalformedRequestError, match="at most 256 images; it holds 257"):
        check_count(MAX_IMAGES + 1)


def test_an_output_is_chosen_by_its_name():
    labels, probabilities = np.zeros((3, 4), np.uint8), np.zeros((3, 4, 2), np.float32)
    segmentation = Segmentation(labels, probabilities)

    assert choose_output(segmentation, "labels") is labels
    assert choose_output(segmentation, "probabilities") is probabilities
    with pytest.raises(ValueError, match="segmentation must have probabilities"):
        choose_output(Segmentation(labels), "probabilities")
