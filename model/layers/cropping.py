"""Layers that crop the levels of a network to what the outputs of a box depend on.

A box is int32 (4,): first row, first column, −(last row + 1) and −(last column + 1). With the last
two negated, growing, rounding outwards and clipping are one operation each.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from model.layers.arguments import check_mask, read_positive


@keras.saving.register_keras_serializable("lacuna")
class PlanBoxes(keras.layers.Layer):
    """Boxes that the blocks of a U-Net must compute for the outputs of a window.

    From the output back to the input, each block computes what the next one reads, and a border as
    wide as its own kernels reach:

        up, l       box = even(read by up l - 1, or the window, grown by reach)
        coarsest    box = box of the next block / 2, grown by reach
        down, l     box = 2 · box of the next block, grown by reach

    A border that is not the canvas' own is computed without its neighbours, and is wrong. Nothing
    reads it.

    Args:
        levels: number of levels, each of half the resolution of the one before.
        reach: cells that the kernels of a block reach, all together.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[keep, mask]`: int32 (4,), top, left, height and width of the window in pixels;
            bool (N, H, W, 1), of the canvas, whose sides are multiples of the total stride.

    Returns:
        The boxes in cells of their levels: of the blocks on the way down, of those on the way up,
        and of the window.

    Raises:
        ValueError: if `levels` or `reach` is not a positive integer, or the mask not bool
            (N, H, W, 1).
    """

    def __init__(self, levels: int, reach: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = read_positive(levels, "levels")
        self.reach = read_positive(reach, "reach")

    def call(self, inputs: Any) -> list[Any]:
        """Go back from the window."""
        keep, mask = inputs
        check_mask(mask)
        canvas = tf.concat([[0, 0], -tf.shape(mask)[1:3]], 0)
        canvases = [canvas // 2**level for level in range(self.levels)]
        first, size = tf.split(keep, 2)
        window = tf.concat([first, -first - size], 0)
        up, box = [], window
        for canvas in canvases[:-1]:
            up.append(tf.maximum((box - self.reach) // 2 * 2, canvas))
            box = up[-1] // 2
        down = [tf.maximum(box - self.reach, canvases[-1])]
        for canvas in canvases[-2::-1]:
            down.append(tf.maximum(2 * down[-1] - self.reach, canvas))
        return [*down[::-1], *up[::-1], window]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "levels": self.levels, "reach": self.reach}


@keras.saving.register_keras_serializable("lacuna")
class CropToBox(keras.layers.Layer):
    """Crop of features to a box.

    Args:
        levels: how many levels the box is coarser than the features; -1 if it is one finer. Then
            its borders are even.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `[x, box]` or `[x, covered, box]`: (N, H, W, C); int32 (4,), the box that the
            features cover, of their level, by default the canvas; int32 (4,), the box to crop to.

    Returns:
        (N, height of the box, width of the box, C), in cells of the features.
    """

    def __init__(self, levels: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = levels

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Return the shape and dtype without tracing."""
        x, *_, _ = inputs
        n, _, _, channels = x.shape
        return keras.KerasTensor((n, None, None, channels), x.dtype)

    def call(self, inputs: Any) -> Any:
        """Slice."""
        x, *covered, box = inputs
        if self.levels:
            box = box * 2**self.levels if self.levels > 0 else box // 2**-self.levels
        first, end = tf.split(box, 2)
        begin = first - tf.split(covered[0], 2)[0] if covered else first
        begin = tf.pad(begin, [[1, 1]])
        size = tf.pad(-end - first, [[1, 1]], constant_values=-1)
        cropped = tf.slice(x, begin, size)
        cropped.set_shape((x.shape[0], None, None, x.shape[-1]))
        return cropped

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "levels": self.levels}
