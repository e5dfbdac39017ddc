"""What hypothesis draws: images with missing pixels, and ways to move them about.

Sizes and seeds are drawn, and arrays are made from them: that is faster than drawing every number,
and shrinks to the smallest size that fails.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

FILLS = (0.0, np.nan, np.inf, -np.inf, 1e30)


class Scene(NamedTuple):
    """An image with missing pixels.

    Attributes:
        image: float32 (H, W, C), 0 to 255.
        mask: bool (H, W).
        recipe: arguments of `make_scene`, which are what a failing test shows.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    recipe: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"make_scene{self.recipe}"

    def filled(self, value: float) -> NDArray[np.float32]:
        """Give the image with a value under its mask."""
        return np.where(self.mask[..., None], self.image, np.float32(value))


def make_scene(
    height: int, width: int, valid: float, seed: int, channels: int = 3, missing: str = "pixels"
) -> Scene:
    """Make an image with structure at two scales.

    Args:
        height: in pixels.
        width: in pixels.
        valid: about which fraction of pixels is valid.
        seed: of everything random.
        channels: of the image.
        missing: "pixels", or "areas" of about 8 pixels.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 8 + 1, width // 8 + 1, channels))
    image = 0.6 * magnify(coarse, 8)[:height, :width] + 0.4 * rng.random((height, width, channels))
    if missing == "areas":
        chance = magnify(rng.random((height // 8 + 1, width // 8 + 1)), 8)[:height, :width]
    else:
        chance = rng.random((height, width))
    recipe = (height, width, valid, seed, channels, missing)
    return Scene((image * 255).astype(np.float32), chance < valid, recipe)


def magnify(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Repeat rows and columns."""
    return values.repeat(factor, axis=0).repeat(factor, axis=1)


seeds = st.integers(0, 2**16)
fills = st.sampled_from(FILLS)
valid_fractions = st.sampled_from((0.0, 0.05, 0.3, 0.7, 0.95, 1.0))


@st.composite
def scenes(draw: st.DrawFn, max_side: int = 120, channels: int = 3) -> Scene:
    """Images of 1 × 1 pixels and more, with any fraction of them valid."""
    sides = st.integers(1, max_side)
    return make_scene(
        draw(sides),
        draw(sides),
        draw(valid_fractions),
        draw(seeds),
        channels,
        draw(st.sampled_from(("pixels", "areas"))),
    )
