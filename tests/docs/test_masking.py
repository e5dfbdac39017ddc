"""What the documentation says of the comparison is what was measured."""

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "masking.md").read_text()
SECTION = TEXT[TEXT.index("## Does masking pay?") :]
MEASURED = json.loads((DOCS / "pictures" / "comparison.json").read_text())
NAMES = [entry["name"] for entry in MEASURED["contestants"]]


def read_row(heading, name):
    """Give the cells of a contestant's row in the table below a heading."""
    table = SECTION[SECTION.index(heading) :]
    row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", table, re.MULTILINE)
    return [cell.strip(" *") for cell in row[1].split("|")]


def tell(values, column):
    return f"{values['mean'][column]:.3f} ± {values['spread'][column]:.3f}"


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_all_patterns_has_the_measured_numbers(name):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    values = entry["mean_iou"]["all"]

    assert read_row("Mean of all patterns", name) == [
        tell(values, column) for column in range(len(MEASURED["missing"]))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_by_pattern_has_the_measured_numbers(name):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    column = MEASURED["missing"].index(0.6)
    patterns = [pattern for pattern in entry["mean_iou"] if pattern != "all"]

    assert read_row("By pattern", name) == [
        tell(entry["mean_iou"][pattern], column) for pattern in patterns
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_flipped_labels_are_the_measured_ones(name):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    cells = read_row("Labels that flip", name)

    assert cells[0] == ", ".join(f"{flips['labels']:,}" for flips in entry["flips"])
    assert cells[1] == ", ".join(str(flips["images"]) for flips in entry["flips"])
    assert {flips["pixels"] for flips in entry["flips"]} == {472634}


def test_every_contestant_was_trained_with_the_same_seeds():
    assert [entry["seeds"] for entry in MEASURED["contestants"]] == [[0, 1, 2]] * len(NAMES)
