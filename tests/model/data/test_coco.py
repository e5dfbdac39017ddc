"""Annotations of COCO as labels, against pycocotools."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as reference

from model.data.folders import DatasetError, load_sample, read_dataset

HEIGHT, WIDTH = 30, 40
TRIANGLE = [3.0, 2.0, 30.5, 5.0, 10.0, 27.0]
SQUARE = [20.0, 10.0, 50.0, 10.0, 50.0, 25.0, 20.0, 25.0]


def encode(mask, *, compressed=True):
    encoded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    if compressed:
        return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat.astype(int))) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": [0, *runs] if flat[0] else runs}


CIRCLE = np.hypot(*np.mgrid[-15:15, -10:30]) < 8


def write_folder(root, annotations, *, categories=("dark", "bright"), lines=(), images=2):
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(images):
        values = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(values).save(root / "images" / f"scene{index}.png")
    names = [f"scene{index}" for index in range(images)]
    (root / "train.txt").write_text(names[0])
    (root / "validation.txt").write_text("\n".join(names[1:]))
    content = {
        "images": [
            {"id": 10 + index, "file_name": f"photos/{name}.png", "height": HEIGHT, "width": WIDTH}
            for index, name in enumerate(names)
        ],
        "categories": [{"id": 5 + n, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "segmentation": shape}
            for number, (image, category, shape) in enumerate(annotations)
        ],
    }
    (root / "labels.json").write_text(json.dumps(content))
    (root / "dataset.toml").write_text(
        "\n".join(
            [
                'name = "annotated"\nannotations = "labels.json"',
                (
                    'classes = [{name = "dark", color = "#4477aa"}, {name = "bright", '
                    'color = "#ccbb44"}]'
                ),
                *lines,
            ]
        )
    )
    return root


GOOD = [
    (10, 5, [TRIANGLE]),
    (10, 6, [SQUARE]),
    (10, 6, encode(CIRCLE)),
    (11, 5, encode(CIRCLE, compressed=False)),
    (11, 6, [TRIANGLE]),
]


def read_labels(folder):
    dataset = read_dataset(folder)
    entries = (*dataset.training, *dataset.validation)
    return [load_sample(entry, dataset.description).labels for entry in entries]


def faults_of(folder):
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    return caught.value.faults


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_polygons_and_both_kinds_of_run_lengths_are_drawn_in_their_order(tmp_path):
    first, second = read_labels(write_folder(tmp_path / "data", GOOD))
    (square,) = reference.decode(reference.frPyObjects([SQUARE], HEIGHT, WIDTH)).transpose(2, 0, 1)
    (triangle,) = reference.decode(reference.frPyObjects([TRIANGLE], HEIGHT, WIDTH)).transpose(
        2, 0, 1
    )
    expected = np.where(triangle == 1, 0, 255)
    expected[(square == 1) | CIRCLE] = 1

    assert (first == expected).mean() > 0.97  # borders of polygons are rounded in other ways
    np.testing.assert_array_equal(first == 1, (square == 1) | CIRCLE)
    assert (second[triangle == 1] == 1).mean() > 0.95
    assert set(np.unique(second[CIRCLE])) == {0, 1}


def test_what_is_not_annotated_may_be_a_class(tmp_path):
    first, _ = read_labels(write_folder(tmp_path / "data", GOOD, lines=['background = "dark"']))

    assert set(np.unique(first)) == {0, 1}


def test_all_that_is_wrong_with_annotations_is_told_at_once(tmp_path):
    far = [100.0, 5.0, 120.0, 5.0, 120.0, 20.0]
    small = {"size": [3, 4], "counts": [12]}
    folder = write_folder(
        tmp_path / "data",
        [
            *GOOD,
            (10, 5, [far]),
            (10, 5, [[1.0, 2.0]]),
            (10, 5, []),
            (11, 5, small),
            (12, 5, [TRIANGLE]),
            (11, 7, [TRIANGLE]),
            (11, 99, [TRIANGLE]),
        ],
        categories=("dark", "bright", "car"),
    )
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "images" / "stray.png")

    assert faults_of(folder) == (
        "labels.json: annotation 9: image_id must be that of an image; it is 12",
        "labels.json: annotation 11: category_id must be that of a category; it is 99",
        "labels.json: categories must be names of classes, or in ignore; car are not",
        "images/stray.png: is not in labels.json",
        (
            "labels.json of photos/scene0.png: annotation 5: polygon must overlap its image "
            "of 30×40 "
            "pixels; it covers x 100 to 120, y 5 to 20; annotation 6: polygon must be x and "
            "y of three "
            "points or more; it is not; annotation 7: segmentation must be polygons or run "
            "lengths; "
            "there is none"
        ),
        (
            "labels.json of photos/scene1.png: annotation 8: run-length mask must be of the "
            "image's "
            "size; it is of 3×4"
        ),
    )


def test_an_image_of_another_size_than_its_annotations_is_told(tmp_path):
    folder = write_folder(tmp_path / "data", GOOD)
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(folder / "images" / "scene0.png")

    assert "scene0.png is 20×40, they are of 30×40" in faults_of(folder)[0]


def turn_image(folder, orientation):
    """Store a picture of the circle as a JPEG that its EXIF orientation turns upright."""
    tags = Image.Exif()
    tags[274] = orientation
    upright = np.dstack([255 * CIRCLE.astype(np.uint8)] * 3)
    stored = np.rot90(upright, {3: 2, 6: 1, 8: -1}[orientation])
    Image.fromarray(stored).save(folder / "images" / "scene0.jpg", quality=95, exif=tags)
    (folder / "images" / "scene0.png").unlink()


def resize_annotations(folder, size):
    content = json.loads((folder / "labels.json").read_text())
    height, width = size or (None, None)
    content["images"][0] |= {"height": height, "width": width}
    (folder / "labels.json").write_text(json.dumps(content))


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), None], ids=["size", "no size"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_annotations_are_those_of_the_upright_image(tmp_path, orientation, size):
    circle = [(10, 5, [[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]]), (10, 6, encode(CIRCLE))]
    folder = write_folder(tmp_path / "data", [*circle, *GOOD[3:]])
    turn_image(folder, orientation)
    resize_annotations(folder, size)
    dataset = read_dataset(folder)
    sample = load_sample(dataset.training[0], dataset.description)

    np.testing.assert_array_equal(sample.labels == 1, CIRCLE)
    np.testing.assert_array_equal(sample.image[..., 0] > 127, CIRCLE)


def test_annotations_of_the_size_before_a_turn_are_told_with_both_sizes(tmp_path):
    folder = write_folder(tmp_path / "data", GOOD)
    turn_image(folder, 6)
    resize_annotations(folder, (WIDTH, HEIGHT))

    (fault,) = faults_of(folder)
    assert fault.startswith("labels.json of photos/scene0.png: annotations must be of an image of")
    assert fault.endswith("photos/scene0.png is 30×40, they are of 40×30")


def test_an_annotated_image_that_cannot_be_read_is_told_once(tmp_path):
    folder = write_folder(tmp_path / "data", GOOD)
    (folder / "images" / "scene0.png").write_bytes(b"")

    (fault,) = faults_of(folder)
    assert fault.startswith("images/scene0.png: ")


def test_categories_that_are_ignored_are_unknown_pixels(tmp_path):
    shapes = [*GOOD, (10, 7, encode(CIRCLE))]
    names = ("dark", "bright", "car")
    lines = ['unknown = "ignore"']
    first, _ = read_labels(write_folder(tmp_path / "data", shapes, categories=names, lines=lines))

    assert (first[CIRCLE] == 255).all()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"images": [], "annotations": []}'])
def test_a_file_that_is_no_coco_is_told(tmp_path, text):
    folder = write_folder(tmp_path / "data", GOOD)
    (folder / "labels.json").write_text(text)

    assert faults_of(folder)[0].startswith("labels.json: must be JSON of COCO with images")
