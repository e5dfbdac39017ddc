"""Fills of gaps from the valid pixels around them, as practitioners use them."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator

from model.fills import FILLS_OF_GAPS, fill_images, find_fill
from model.triangles import interpolate
from tests.support.strategies import seeds

CLOUD = np.ones((24, 30), np.bool_)
CLOUD[5:17, 8:21] = CLOUD[20, 2] = False


def fill(name, image, mask):
    image = np.where(mask[..., None], image, np.nan).astype(np.float32)
    return fill_images(find_fill(name), image[None], mask[None])[0]


def draw_plane(*slopes):
    rows, columns = np.mgrid[:24, :30]
    return np.stack([rows * 2.0 - columns * slope for slope in slopes], axis=-1)


@pytest.mark.parametrize("name", FILLS_OF_GAPS)
def test_valid_pixels_stay_as_they_are_and_others_get_values_between_theirs(name):
    image = np.random.default_rng(0).uniform(-300, 700, (24, 30, 4)).astype(np.float32)
    filled = fill(name, image, CLOUD)
    low, high = image[CLOUD].min(axis=0), image[CLOUD].max(axis=0)

    np.testing.assert_array_equal(filled[CLOUD], image[CLOUD])
    # Telea's steps may leave the range by two grey levels of 255.
    assert (filled >= low - (high - low) / 100).all()
    assert (filled <= high + (high - low) / 100).all()


@pytest.mark.parametrize("name", FILLS_OF_GAPS)
def test_a_batch_without_a_missing_pixel_is_returned_itself(name):
    images = np.ones((2, 4, 5, 3), np.float32)

    assert fill_images(find_fill(name), images, np.ones((2, 4, 5), np.bool_)) is images


@pytest.mark.parametrize("name", FILLS_OF_GAPS)
def test_each_image_of_a_batch_is_filled_by_itself_and_with_0_if_it_has_no_valid_pixel(name):
    images = np.stack([np.full((4, 5, 1), value, np.float32) for value in (7, 8, 9)])
    masks = np.zeros((3, 4, 5), np.bool_)
    masks[0], masks[1, 2, 3] = True, True

    filled = fill_images(find_fill(name), images, masks)
    assert [np.unique(image).tolist() for image in filled] == [[7], [8], [0]]


def test_a_plane_is_restored_by_linear_interpolation():
    plane = draw_plane(1, -3)

    np.testing.assert_allclose(fill("linear", plane, CLOUD), plane, atol=1e-4)


def test_beyond_the_valid_pixels_linear_interpolation_takes_the_nearest():
    plane, mask = draw_plane(1), CLOUD.copy()
    mask[:, 25:] = False
    filled = fill("linear", plane, mask)

    np.testing.assert_allclose(filled[:, :25], plane[:, :25], atol=1e-4)
    np.testing.assert_array_equal(filled[:, 25:], plane[:, 24:25].repeat(5, axis=1))


def test_valid_pixels_on_one_line_span_no_triangle_and_are_continued():
    plane, mask = draw_plane(1), np.zeros_like(CLOUD)
    mask[:, 10] = True

    np.testing.assert_array_equal(
        fill("linear", plane, mask), plane[:, 10:11].repeat(30, axis=1).astype(np.float32)
    )


def test_colours_of_8_bits_are_inpainted_by_one_call_of_opencv():
    image = np.random.default_rng(0).integers(0, 256, (24, 30, 3)).astype(np.uint8)
    expected = cv2.inpaint(image, np.uint8(~CLOUD), 3, cv2.INPAINT_TELEA)

    np.testing.assert_array_equal(fill("telea", image, CLOUD)[~CLOUD], expected[~CLOUD])


@pytest.mark.parametrize("scale", [1e-4, 0.5, 1000.0])
def test_inpainting_does_not_depend_on_the_units_of_a_channel(scale):
    image = np.random.default_rng(0).integers(0, 256, (24, 30, 1))
    image[0, :2, 0] = 0, 255  # so that grey levels are what they were
    expected = cv2.inpaint(image[..., 0].astype(np.float32), np.uint8(~CLOUD), 3, cv2.INPAINT_TELEA)

    actual = fill("telea", image * scale - 7, CLOUD)[..., 0]
    np.testing.assert_allclose(actual[~CLOUD], expected[~CLOUD] * scale - 7, rtol=1e-3, atol=1e-5)


def test_an_unknown_fill_is_refused():
    with pytest.raises(ValueError, match=r"one of nearest, telea, linear\. Received: 'median'"):
        find_fill("median")


def test_without_opencv_a_command_names_the_extra_in_one_line():
    code = """
import sys
sys.modules["cv2"] = None  # as if it were not installed
import click
from model.cli import main
from model.fills import find_fill
main.add_command(click.command("fill")(lambda: find_fill("telea")))
main(["fill"])
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        "Error: the fill telea needs the extra `compare`: pip install 'lacuna-segmentation[compare]"
    )


@given(st.integers(2, 25), st.integers(2, 25), st.floats(0.1, 0.9), seeds)
def test_linear_interpolation_is_that_of_scipy(height, width, share, seed):
    rng = np.random.default_rng(seed)
    places = np.argwhere(rng.random((height, width)) < share)
    assume(len(places) and np.linalg.matrix_rank(places - places[0]) == 2)
    values = rng.normal(size=(len(places), 2))
    inside, actual = interpolate(places, values, (height, width))

    pixels = np.argwhere(np.ones((height, width), np.bool_))
    expected = LinearNDInterpolator(places, values)(pixels)
    holds = inside.ravel()
    known = np.isfinite(expected[:, 0])
    # SciPy may lose a pixel on the outermost side to rounding.
    assert not (known & ~holds).any()
    np.testing.assert_allclose(actual[known[holds]], expected[known], atol=1e-9)
