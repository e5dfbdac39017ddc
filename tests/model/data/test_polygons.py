"""Classes of polygons: their names and numbers, and what means unknown."""

import pytest
import shapely
from affine import Affine

from lacuna.geo.grid import Grid
from lacuna.windows.window import Window
from model.data.description import read_description
from model.data.polygons import PolygonLabels
from tests.support.vectors import write_features

COLORS = {"water": "#4477aa", "cloud": "#ffffff", "land": "#ccbb44"}
VALUES = {"water": 3, "cloud": 255, "land": 0}


@pytest.fixture
def read(tmp_path):
    """Labels of pixels that have a polygon each, and the faults of these."""

    def read(classes, *lines, numbers=None):
        table = ", ".join(
            f'{{name = "{name}", color = "{color}"'
            + (f", value = {numbers[name]}" if numbers else "")
            + "}"
            for name, color in COLORS.items()
        )
        text = "\n".join(['name = "sky"', f"classes = [{table}]", *lines])
        (tmp_path / "dataset.toml").write_text(text)
        description, faults = read_description(tmp_path / "dataset.toml")
        assert not faults
        boxes = [shapely.box(column, 0, column + 1, 1) for column in range(len(classes))]
        path = write_features(tmp_path / "labels.geojson", boxes, classes)
        grid = Grid(1, len(classes), transform=Affine(1, 0, 0, 0, -1, 1))
        labels = PolygonLabels(path, grid, description)
        (row,) = labels.read(Window(0, 0, 1, len(classes)))
        return row.tolist(), labels.faults

    return read


@pytest.mark.parametrize("ignore", ['"cloud"', '"#FFFFFF"'], ids=["name", "color"])
def test_polygons_of_an_ignored_class_are_unknown_and_the_others_keep_their_numbers(read, ignore):
    labels, faults = read(["water", "cloud", "land", 0, 1, 2, "2", 255], f"ignore = [{ignore}]")

    assert labels == [0, 255, 1, 0, 255, 1, 1, 255]
    assert faults == ()


def test_numbers_of_polygons_are_the_values_of_their_classes(read):
    labels, faults = read(["water", "cloud", "land", 3, 255, 0, "3"], numbers=VALUES)

    assert labels == [0, 1, 2, 0, 1, 2, 0]
    assert faults == ()


def test_numbers_of_polygons_that_are_ignored_are_unknown(read):
    labels, faults = read([3, 255, 0, 9], 'ignore = ["cloud", 9]', numbers=VALUES)

    assert labels == [0, 255, 1, 255]
    assert faults == ()


def test_places_of_classes_with_values_are_no_numbers_of_polygons(read):
    labels, (fault,) = read([3, 1], numbers=VALUES)

    assert labels == [0, 255]
    assert fault == (
        "feature 2 must have a class in the attribute 'class': water, cloud, land, or an id; "
        "it is 1"
    )


def test_polygons_of_classes_in_no_table_are_told_or_unknown_on_demand(read):
    classes = ["water", "lava", 7, "8"]
    labels, faults = read(classes)
    assert labels == [0, 255, 255, 255]
    assert [fault.partition(" must")[0] for fault in faults] == [
        "feature 2",
        "feature 3",
        "feature 4",
    ]

    assert read(classes, 'unknown = "ignore"') == ([0, 255, 255, 255], ())


@pytest.mark.parametrize("value", [None, 1.5, True])
def test_polygons_without_a_class_are_told_even_if_unknown_ones_are_ignored(read, value):
    _, (fault,) = read(["water", value], 'unknown = "ignore"')

    assert fault.startswith("feature 2 must have a class in the attribute 'class'")
