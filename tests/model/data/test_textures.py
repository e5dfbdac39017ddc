import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from model.data.textures import CLASSES, draw_crop, load_textures
from tests.support.strategies import seeds


def columns_of(part, whole):
    """Find which columns of a photograph a part is, by looking for each of them."""
    found = [np.flatnonzero((whole == column[:, None]).all(axis=0)) for column in part.T]
    return {int(at) for places in found for at in places}


@pytest.mark.parametrize("index", range(len(CLASSES)))
def test_train_and_test_textures_share_no_column_and_do_not_touch(index):
    whole = getattr(data, CLASSES[index].name)()
    train, test = (columns_of(load_textures(split)[index], whole) for split in ("train", "test"))
    assert len(train) == 320
    assert len(test) == 176
    assert min(test) - max(train) > 8


def test_textures_stand_in_the_order_of_the_classes():
    for texture, known in zip(load_textures("train"), CLASSES, strict=True):
        whole = getattr(data, known.name)()
        assert texture.dtype == np.uint8
        assert columns_of(texture[:, :3], whole) == {0, 1, 2}


def test_classes_have_names_and_colours_of_their_own():
    assert len({known.name for known in CLASSES}) == len(CLASSES)
    assert len({known.color for known in CLASSES}) == len(CLASSES)


@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    zoom=st.floats(0.3, 3),
    side=st.integers(20, 60),
)
def test_a_crop_has_the_size_asked_for_whatever_the_textures(seed, size, zoom, side):
    texture = np.random.default_rng(seed).integers(0, 256, (side, 40)).astype(np.uint8)
    crop = draw_crop(np.random.default_rng(seed), texture, size, zoom)
    assert crop.shape == size
    assert crop.dtype == np.float32
    assert crop.min() >= 0
    assert crop.max() <= 255


def test_a_crop_at_a_zoom_of_one_is_a_piece_of_the_texture_turned_or_mirrored():
    texture = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    turned = [np.rot90(t, k) for t in (texture, texture[:, ::-1]) for k in range(4)]
    places = set()
    for seed in range(60):
        crop = draw_crop(np.random.default_rng(seed), texture, (12, 9), 1.0)
        views = [np.lib.stride_tricks.sliding_window_view(t, (12, 9)) for t in turned]
        hits = [index for index, view in enumerate(views) if (view == crop).all((2, 3)).any()]
        assert len(hits) == 1
        places.update(hits)
    assert places == set(range(8))
