import keras
import numpy as np
import pytest
import tensorflow as tf

from model.layers.cropping import CropToBox, PlanBoxes


def plan(keep, height, width, levels=4, reach=2):
    """Return the boxes as top, left, bottom and right."""
    mask = tf.ones((1, height, width, 1), tf.bool)
    boxes = PlanBoxes(levels, reach)([tf.constant(keep, tf.int32), mask])
    return [tuple((box * [1, 1, -1, -1]).numpy().tolist()) for box in boxes]


def square(first, last):
    return first, first, last, last


def test_each_block_computes_what_the_next_one_reads_and_the_reach_of_its_kernels():
    down = [square(10, 358), square(6, 178), square(4, 88), square(3, 43)]
    up = [square(10, 82), square(24, 160), square(54, 314)]

    assert plan((56, 56, 256, 256), 368, 368) == [*down, *up, square(56, 312)]


def test_boxes_end_at_the_canvas():
    down = [(0, 0, 40, 46), (0, 0, 20, 22), (0, 0, 10, 10), (0, 0, 5, 4)]

    assert plan((3, 0, 1, 1), 40, 64)[:4] == down


def test_a_window_of_the_whole_canvas_needs_all_of_it():
    *blocks, window = plan((0, 0, 16, 24), 16, 24, levels=2)

    assert blocks == [(0, 0, 16, 24), (0, 0, 8, 12), (0, 0, 16, 24)]
    assert window == (0, 0, 16, 24)


def test_a_network_of_one_level_needs_the_reach_of_its_kernels():
    assert plan((5, 6, 2, 3), 20, 20, levels=1, reach=3) == [(2, 3, 10, 12), (5, 6, 7, 9)]


@pytest.mark.parametrize("arguments", [(0, 2), (4, 0), (4, 1.5)])
def test_levels_and_reach_must_be_positive_integers(arguments):
    with pytest.raises(ValueError, match="must be a positive integer"):
        PlanBoxes(*arguments)


def test_a_mask_must_be_bool():
    with pytest.raises(ValueError, match="bool"):
        PlanBoxes(2, 1)([tf.constant([0, 0, 1, 1]), tf.ones((1, 8, 8, 1))])


@pytest.mark.parametrize("dtype", ["float32", "bool"])
@pytest.mark.parametrize(("levels", "covered"), [(0, 0), (1, 1), (-1, 1)])
def test_channels_and_dtype_of_a_crop_are_known_before_any_image_is(levels, covered, dtype):
    boxes = [keras.Input((), dtype="int32")] * (covered + 1)

    known = CropToBox(levels)([keras.Input((None, None, 7), dtype=dtype), *boxes])

    assert (known.shape, known.dtype) == ((None, None, None, 7), dtype)


def test_a_crop_needs_a_box_and_features_of_images():
    for inputs in ([keras.Input((None, None, 7))], [keras.Input((None, 7)), keras.Input(())]):
        with pytest.raises(ValueError, match="unpack"):
            CropToBox()(inputs)


X = np.arange(6 * 8).reshape(1, 6, 8, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("levels", "boxes", "rows", "columns"),
    [
        (0, [[1, 2, -4, -3]], slice(1, 4), slice(2, 3)),
        (0, [[10, 20, -16, -28], [11, 22, -14, -28]], slice(1, 4), slice(2, 8)),
        (1, [[1, 2, -3, -4]], slice(2, 6), slice(4, 8)),
        (-1, [[10, 20, -16, -28], [22, 40, -24, -50]], slice(1, 2), slice(0, 5)),
    ],
)
def test_features_are_cropped_to_a_box_of_their_own_the_next_or_the_last_level(
    levels, boxes, rows, columns
):
    cropped = CropToBox(levels)([X, *(tf.constant(box) for box in boxes)])

    np.testing.assert_array_equal(cropped, X[:, rows, columns])


@pytest.mark.parametrize("layer", [PlanBoxes(3, 2), CropToBox(-1)])
def test_a_layer_is_made_again_from_its_configuration(layer):
    again = type(layer).from_config(layer.get_config())

    assert again.get_config() == layer.get_config()
