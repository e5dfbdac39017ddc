import numpy as np
import pytest

from lacuna.raster.bands import BandChoice
from lacuna.raster.doubtful_alpha import describe_doubt, varies_like_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_near_infrared_beside_missing_pixels_varies_like_an_image(dtype):
    band = RNG.integers(20, 200, (300, 200)).astype(dtype)
    band[:, :80] = 0

    assert varies_like_image(band)


def soft_edge():
    alpha = np.zeros((200, 300), np.uint8)
    alpha[:, 100:] = 255
    alpha[:, 90:110] = np.linspace(0, 255, 20)
    return alpha


@pytest.mark.parametrize(
    "alpha",
    [
        np.full((9, 9), 255, np.uint8),
        np.zeros((9, 9), np.uint8),
        np.full((9, 9), 128, np.uint8),
        (RNG.random((90, 70)) < 0.5).astype(np.uint16),
        soft_edge(),
        RNG.random((90, 70)).astype(np.float32),
    ],
    ids=["opaque", "transparent", "half", "0 and 1", "soft edge", "fractions"],
)
def test_alpha_does_not(alpha):
    assert not varies_like_image(alpha)


def test_the_doubt_names_the_band_and_the_remedy():
    text = describe_doubt(BandChoice((0, 1, 2), (3,)))

    assert "band 4 is tagged as alpha" in text
    assert "alpha=no" in text
