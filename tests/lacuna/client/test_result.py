import io
import json
import pickle
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from lacuna.appearance.comparison import AnswerWarning
from lacuna.client import Area, ClassInfo, Result
from lacuna.raster import rle

CLASSES = (ClassInfo(0, "soil", "#ff0000"), ClassInfo(1, "crop", "#00ff00"))
LABELS = np.array([[0, 1, 1], [255, 255, 1]], np.uint8)
IMAGE = np.full((2, 3, 3), 100, np.uint8)


@pytest.fixture
def result():
    probabilities = np.full((2, 3, 2), 0.5, np.float32)
    return Result(LABELS, CLASSES, "fields", "3", probabilities, {"infer": 2.0}, IMAGE)


def test_areas_are_counted_of_the_valid_pixels(result):
    assert result.areas == {"soil": Area(1, 0.25), "crop": Area(3, 0.75)}
    assert result.valid_pixels == 4
    assert result.valid_fraction == pytest.approx(2 / 3)
    assert np.array_equal(result.valid, LABELS != 255)


def test_nothing_valid_is_no_fault():
    result = Result(np.full((2, 2), 255, np.uint8), CLASSES)

    assert result.areas["soil"] == Area(0, 0.0)


def test_an_overlay_mixes_image_and_colours(result):
    pixels = np.asarray(result.overlay(opacity=0.5))

    assert pixels[0, 0].tolist() == [178, 50, 50]
    assert pixels[0, 1].tolist() == [50, 178, 50]


def test_an_overlay_at_no_opacity_shows_the_image_but_where_it_is_invalid(result):
    pixels = np.asarray(result.overlay(opacity=0))

    assert (pixels[LABELS != 255] == 100).all()
    assert set(pixels[LABELS == 255].ravel().tolist()) <= {96, 160}


def test_what_stands_under_the_mask_is_not_in_the_overlay(result):
    other = IMAGE.copy()
    other[LABELS == 255] = 7

    assert result.overlay().tobytes() == result.overlay(other).tobytes()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_an_overlay_stretches_what_is_not_8_bits(dtype):
    image = np.array([[1000, 2000, 3000]]).astype(dtype)
    result = Result(np.zeros((1, 3), np.uint8), CLASSES, image=image)

    pixels = np.asarray(result.overlay(opacity=0))[0, :, 0]

    assert pixels.tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("dtype", "shown"), [(np.uint16, [4, 8, 12]), (np.float32, [0, 1, 2]), (np.int32, [0, 1, 2])]
)
def test_an_overlay_of_an_answer_with_a_warning_looks_as_dark_as_the_image_is(dtype, shown):
    image = np.array([[0, 1, 2]]).astype(dtype)
    image = image * 1028 + 1028 if dtype == np.uint16 else image
    warning = AnswerWarning("unlike_training", "the image is dark")
    result = Result(np.zeros((1, 3), np.uint8), CLASSES, image=image, warnings=(warning,))

    assert np.asarray(result.overlay(opacity=0))[0, :, 0].tolist() == shown


def test_an_overlay_bears_missing_values():
    image = np.array([[np.nan, 1.0, 2.0]], np.float32)
    result = Result(np.array([[255, 0, 0]], np.uint8), CLASSES, image=image)

    assert np.asarray(result.overlay(opacity=0))[0, 1:, 0].tolist() == [0, 255]


@pytest.mark.parametrize("image", [IMAGE[:1], None])
def test_an_overlay_needs_an_image_of_that_size(image):
    result = Result(LABELS, CLASSES, image=image)

    with pytest.raises(ValueError, match="image"):
        result.overlay()


def test_a_png_holds_labels_and_colours(result, tmp_path):
    with PIL.Image.open(result.save(tmp_path / "labels.png")) as picture:
        assert np.array_equal(np.asarray(picture), LABELS)
        assert picture.convert("RGBA").getpixel((1, 0)) == (0, 255, 0, 255)
        assert picture.convert("RGBA").getpixel((0, 1))[3] == 0


def test_arrays_are_saved_as_they_are(result, tmp_path):
    assert np.array_equal(np.load(result.save(tmp_path / "labels.npy")), LABELS)
    with np.load(result.save(tmp_path / "labels.npz")) as saved:
        assert np.array_equal(saved["labels"], LABELS)
        assert np.array_equal(saved["probabilities"], result.probabilities)


def test_json_says_what_the_server_says(result, tmp_path):
    content = json.loads(result.save(str(tmp_path / "labels.json")).read_text())

    assert content["model"] == {"name": "fields", "version": "3"}
    assert content["size"] == {"height": 2, "width": 3}
    crop = content["classes"][1]
    assert (crop["name"], crop["pixels"], crop["fraction"]) == ("crop", 3, 0.75)
    assert np.array_equal(rle.decode(crop["segmentation"]), LABELS == 1)


def test_another_form_is_refused(result, tmp_path):
    with pytest.raises(ValueError, match=r"\.gif"):
        result.save(tmp_path / "labels.gif")
    with pytest.raises(ValueError, match="probabilities=True"):
        Result(LABELS, CLASSES).save(tmp_path / "labels.npz")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_leaves_what_was_there(result, tmp_path):
    kept = tmp_path / "labels.png"
    kept.mkdir()

    with pytest.raises(OSError, match="directory"):
        result.save(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.png"]


def test_its_line_is_short_whatever_its_size(result):
    assert repr(result) == "<Result 2×3, 66.7% valid: crop 75.0%, soil 25.0%; fields 3>"


def test_its_line_names_the_largest_classes():
    classes = tuple(ClassInfo(n, f"kind {n}", "#808080") for n in range(9))
    result = Result(np.arange(9, dtype=np.uint8).reshape(3, 3), classes)

    assert repr(result) == (
        "<Result 3×3, 100.0% valid: kind 0 11.1%, kind 1 11.1%, kind 2 11.1%, kind 3 11.1%, …>"
    )


def test_its_line_says_that_nothing_is_valid():
    result = Result(np.full((2, 2), 255, np.uint8), CLASSES)

    assert repr(result) == "<Result 2×2, 0.0% valid>"


def test_areas_print_as_a_table(result):
    assert str(result.areas).splitlines() == [
        "class  pixels  fraction",
        "soil        1     25.0%",
        "crop        3     75.0%",
    ]


def test_areas_in_square_metres_have_a_column(result):
    measured = replace(result, areas_m2={"soil": 100.04, "crop": 300.0})

    assert str(measured.areas).splitlines()[1] == "soil        1     25.0%  100.0"
    assert measured.areas.to_pandas()["area_m2"].tolist() == [100.04, 300.0]


def test_areas_become_a_table_of_pandas(result):
    table = result.areas.to_pandas()

    assert table.index.name == "class"
    assert table.to_dict() == {
        "pixels": {"soil": 1, "crop": 3},
        "fraction": {"soil": 0.25, "crop": 0.75},
    }


def test_a_notebook_shows_the_overlay(result):
    shown = PIL.Image.open(io.BytesIO(result._repr_png_()))

    assert shown.tobytes() == result.overlay().tobytes()


def test_a_notebook_shows_large_images_smaller():
    result = Result(np.zeros((50, 3000), np.uint8), CLASSES)

    shown = PIL.Image.open(io.BytesIO(result._repr_png_()))

    assert shown.size == (1024, 17)
    assert shown.getpixel((5, 5)) == (255, 0, 0)


def test_a_notebook_shows_the_labels_where_the_image_is_gone(result, tmp_path):
    gone = replace(result, image=tmp_path / "gone.png")

    shown = PIL.Image.open(io.BytesIO(gone._repr_png_()))

    assert shown.getpixel((1, 0)) == (0, 255, 0)


def test_the_legend_names_the_classes_there_are_and_what_is_invalid(result):
    classes = (*CLASSES, ClassInfo(2, "<b>none</b>", "#0000ff"))
    labels = np.where(LABELS == 0, 2, LABELS).astype(np.uint8)

    text = replace(result, labels=labels, classes=classes)._repr_html_()

    assert "background:rgb(0,255,0)" in text
    assert "crop 75.0%" in text
    assert "&lt;b&gt;none&lt;/b&gt; 25.0%" in text
    assert "invalid, 33.3% of the image" in text
    assert "soil" not in text
    assert "<b>" not in text


@pytest.mark.parametrize("image", [IMAGE, b"bytes", memoryview(b"bytes"), "path.png", None])
def test_it_can_be_pickled(result, image):
    found = pickle.loads(pickle.dumps(replace(result, image=image)))  # noqa: S301 (our own)

    assert repr(found) == repr(result)
    assert np.array_equal(found.labels, LABELS)
    assert found.areas == result.areas
    assert np.array_equal(found.image, image if image is None else np.asarray(image)) or (
        found.image == image
    )


def test_it_is_a_dict_and_a_text_in_json(result):
    assert json.loads(result.to_json()) == result.to_dict()
    assert result.to_dict()["size"] == {"height": 2, "width": 3}
