"""The documentation says of the comparison what was measured."""

import json
from pathlib import Path

import pytest

from tests.support.tables import read_row

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "masking.md").read_text()
SECTION = TEXT[TEXT.index("## Does masking pay?") :]
MEASURED = json.loads((DOCS / "pictures" / "comparison.json").read_text())
NAMES = [entry["name"] for entry in MEASURED["contestants"]]


def read_cells(heading, name):
    """Return the cells of a contestant's row in the table below a heading; the best are bold."""
    return [cell.strip("*") for cell in read_row(SECTION, heading, name)]


def tell(values, column):
    return f"{values['mean'][column]:.3f} ± {values['spread'][column]:.3f}"


def find_lead(ahead, behind, column):
    """Return the lead of one network over another, less the spreads of both."""
    spreads = ahead["spread"][column] + behind["spread"][column]
    return ahead["mean"][column] - behind["mean"][column] - spreads


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_all_patterns_has_the_measured_numbers(name):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    values = entry["mean_iou"]["all"]

    assert read_cells("Mean of all patterns", name) == [
        tell(values, column) for column in range(len(MEASURED["missing"]))
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", [0.6, 0.8])
def test_the_table_by_pattern_has_the_measured_numbers(name, missing):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    column = MEASURED["missing"].index(missing)
    patterns = [pattern for pattern in entry["mean_iou"] if pattern != "all"]

    assert read_cells(f"**By pattern**, at {missing * 100:.0f} %", name) == [
        tell(entry["mean_iou"][pattern], column) for pattern in patterns
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_flipped_labels_are_the_measured_ones(name):
    (entry,) = [entry for entry in MEASURED["contestants"] if entry["name"] == name]
    cells = read_cells("Labels that flip", name)

    assert cells[0] == ", ".join(f"{flips['labels']:,}" for flips in entry["flips"])
    assert cells[1] == ", ".join(str(flips["images"]) for flips in entry["flips"])
    assert {flips["pixels"] for flips in entry["flips"]} == {472634}


def test_every_contestant_was_trained_with_the_same_seeds():
    assert [entry["seeds"] for entry in MEASURED["contestants"]] == [[0, 1, 2]] * len(NAMES)


def test_the_masked_network_loses_by_more_than_the_spread_where_the_text_says_so():
    masked, *others = MEASURED["contestants"]
    lost = {
        (other["name"], pattern, missing)
        for other in others
        for pattern, values in masked["mean_iou"].items()
        for column, missing in enumerate(MEASURED["missing"])
        if find_lead(other["mean_iou"][pattern], values, column) > 0
    }

    assert masked["name"].startswith("masked")
    assert lost == {("plain, linear", "dead_pixels", 0.8)}
