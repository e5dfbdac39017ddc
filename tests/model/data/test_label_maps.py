"""Label maps as people have them: colours, palettes, other numbers, other folders."""

import json

import numpy as np
import pytest
from PIL import Image

from model.data.folders import DatasetError, load_sample, read_dataset
from tests.support.folders import write_description, write_folder
from tests.support.rasters import write_raster

DARK, BRIGHT, GRAY = (0x44, 0x77, 0xAA), (0xCC, 0xBB, 0x44), (0x9B, 0x9B, 0x9B)
COLORS = np.array([DARK, BRIGHT], np.uint8)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "data", count=6, side=16)


def faults_of(folder, scene_bytes=2**26):
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder, scene_bytes)
    return caught.value.faults


def paths_of(folder):
    return sorted((folder / "labels").iterdir())


def read_all(folder, scene_bytes=2**26):
    dataset = read_dataset(folder, scene_bytes)
    entries = (*dataset.training, *dataset.validation)
    return {entry.name: load_sample(entry, dataset.description).labels for entry in entries}


def repaint(folder):
    """Make coloured label maps, every other one with a palette in another order."""
    for index, path in enumerate(paths_of(folder)):
        labels = np.asarray(Image.open(path))
        if index % 2:
            Image.fromarray(COLORS[labels]).save(path)
        else:
            picture = Image.fromarray(1 - labels, "P")
            picture.putpalette(COLORS[::-1].ravel().tolist())
            picture.save(path)
    write_description(folder, 'labels = "colors"')


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, expected[name])


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_colors_tell_the_classes_in_rgb_and_in_palettes_alike(folder):
    expected = read_all(folder)
    repaint(folder)

    same(read_all(folder), expected)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_colors_in_no_table_are_told_with_their_counts_and_files_or_ignored_on_demand(folder):
    expected = read_all(folder)
    repaint(folder)
    path = folder / "labels" / "scene01.png"
    labels = np.array(Image.open(path))
    labels[0, -3:] = GRAY
    labels[1, -1:] = (1, 2, 3)
    Image.fromarray(labels).save(path)
    assert faults_of(folder) == (
        (
            "labels/scene01.png: colors must be those of the classes, or in ignore; it holds "
            "#9b9b9b "
            "(3 pixels), #010203 (1 pixels)"
        ),
    )

    expected["scene01"][0, -3:], expected["scene01"][1, -1:] = 255, 255
    for line in ('unknown = "ignore"', 'ignore = ["#9B9B9B", "#010203"]'):
        write_description(folder, 'labels = "colors"', line)
        same(read_all(folder), expected)


def test_colored_labels_without_the_key_say_which_one(folder):
    path = paths_of(folder)[0]
    Image.fromarray(COLORS[np.asarray(Image.open(path))]).save(path)

    (fault,) = faults_of(folder)
    assert fault.endswith('one channel; there are 3; colours need labels = "colors"')


def test_labels_of_a_depth_without_colors_are_told(folder):
    path = paths_of(folder)[0]
    Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16)).save(path)
    write_description(folder, 'labels = "colors"', 'unknown = "ignore"')

    assert "coloured labels must be red, green and blue of 8 bits" in faults_of(folder)[0]


def test_two_classes_of_one_color_cannot_be_told_apart(folder):
    Image.fromarray(COLORS[np.asarray(Image.open(paths_of(folder)[0]))]).save(paths_of(folder)[0])
    (folder / "dataset.toml").write_text(
        'name = "x"\nlabels = "colors"\nclasses = [{name = "a", color = "#4477aa"}, '
        '{name = "b", color = "#4477AA"}]\n'
    )

    assert "a different color for each class; a and b have the same" in faults_of(folder)[0]


def test_classes_may_have_any_numbers_and_zero_may_mean_unknown(folder):
    expected = read_all(folder)
    for path in paths_of(folder):
        labels = np.asarray(Image.open(path))
        stored = np.array([255, 7], np.uint8)[labels]
        stored[0, 0] = 0
        Image.fromarray(stored).save(path)
        expected[path.stem][0, 0] = 255
    classes = """[
      {name = "dark", color = "#4477aa", value = 255},
      {name = "bright", color = "#ccbb44", value = 7},
    ]"""
    (folder / "dataset.toml").write_text(f'name = "x"\nignore = 0\nclasses = {classes}\n')
    same(read_all(folder), expected)

    (folder / "dataset.toml").write_text(f'name = "x"\nclasses = {classes}\n')
    assert faults_of(folder)[0] == ("labels/scene00.png: class ids must be 255, 7; it holds 0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ignore = 0", "ignore must hold no number of a class; 0 is dark"),
        ('ignore = "purple"', "ignore must hold numbers, colors like #4477aa, or names"),
        ('ignore = "dark"', "classes must be a list of 2 to 255"),
        ('unknown = "maybe"', 'unknown must be "error" or "ignore"'),
        ('labels = "grey"', 'labels must be "numbers" or "colors"'),
        ('labels_folder = "/x"', "labels_folder must be a path in the folder"),
        ('images_folder = "../x"', "images_folder must be a path in the folder"),
        ('group = "("', "group must be a regular expression"),
        ('test_groups = ["1"]', "test_groups needs group"),
        ("test_fraction = 1", "test_fraction must be between 0 and 1"),
    ],
)
def test_what_is_wrong_with_these_keys_is_told(folder, line, message):
    write_description(folder, line)

    assert any(message in fault for fault in faults_of(folder))


TABLES = {
    "classes.json": json.dumps(
        {
            "classes": [
                {"title": "dark", "shape": "polygon", "color": "#4477AA"},
                {"title": "nothing", "shape": "polygon", "color": "#9B9B9B"},
                {"title": "bright", "shape": "polygon", "color": "#CCBB44"},
            ],
            "tags": [],
        }
    ),
    "class_dict.csv": "\ufeffname, r, g, b\n"
    "dark,68,119,170\nnothing,155,155,155\nbright,204,187,68\n",
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_classes_are_read_from_the_tables_of_annotation_tools(folder, table):
    expected = read_all(folder)
    repaint(folder)
    (folder / table).write_text(TABLES[table], encoding="utf-8")
    text = f'name = "x"\nlabels = "colors"\nignore = "nothing"\nclasses = "{table}"\n'
    (folder / "dataset.toml").write_text(text)

    same(read_all(folder), expected)
    (folder / table).write_text("{}" if table.endswith("json") else "a,b\n1,2\n")
    assert faults_of(folder)[0].startswith(f"dataset.toml: classes: {table} must be a table of")


def test_folders_may_have_other_names_and_files_other_ends(folder):
    expected = read_all(folder)
    for name in ("images", "labels", "masks"):
        end = {"images": "_sat", "labels": "_truth", "masks": "_valid"}[name]
        for path in list((folder / name).iterdir()):
            target = folder / "all" / f"{path.stem}{end}{path.suffix}"
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
    write_description(
        folder,
        'images_folder = "all"\nlabels_folder = "all"\nmasks_folder = "all"',
        'image_suffix = "_sat"\nlabel_suffix = "_truth"\nmask_suffix = "_valid"',
    )
    same(read_all(folder), expected)

    (folder / "all" / "scene02_truth.png").unlink()
    assert faults_of(folder)[0].startswith(
        "all/scene02_sat.png: has no label map all/scene02_truth, which may be"
    )


def test_a_class_that_no_training_image_has_is_told_by_name(folder):
    for path in paths_of(folder)[:5]:
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)

    assert faults_of(folder) == (
        "dataset.toml: classes must occur in training images; none has a pixel of class bright",
    )


@pytest.mark.parametrize("scene_bytes", [0, 2**26])
def test_colored_rasters_are_read_whole_and_by_windows_alike(folder, scene_bytes):
    expected = read_all(folder)
    for path in paths_of(folder):
        image = folder / "images" / path.name
        for source in (path, image):
            values = np.asarray(Image.open(source))
            values = COLORS[values] if source == path else values
            write_raster(source.with_suffix(".tif"), np.moveaxis(values, 2, 0))
            source.unlink()
        mask = folder / "masks" / path.name
        if mask.exists():
            write_raster(mask.with_suffix(".tif"), np.asarray(Image.open(mask))[None] * np.uint8(1))
            mask.unlink()
    write_description(folder, 'labels = "colors"', 'alpha = "no"')

    dataset = read_dataset(folder, scene_bytes)
    assert len(dataset.scenes) == (6 if scene_bytes == 0 else 0)
    same(read_all(folder, scene_bytes), expected)
