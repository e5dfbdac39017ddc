"""The documentation says of the comparisons what was measured."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.tables import read_row

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "masking.md").read_text()
START, ON_SATELLITE_IMAGES = "## Does masking pay?", "### On satellite images"


@dataclass(frozen=True)
class Comparison:
    """A part of the text and the numbers it is about."""

    text: str
    file: str
    pixels: int
    """Labels of each network that could flip."""
    shown: tuple[float, ...]
    """Fractions that have a table by pattern."""

    @property
    def measured(self):
        return json.loads((DOCS / "pictures" / self.file).read_text())

    def read_cells(self, heading, name):
        """Return the cells of a contestant's row below a heading, of which the best are bold."""
        return [cell.strip("*") for cell in read_row(self.text, heading, name)]


MOSAICS = Comparison(
    TEXT[TEXT.index(START) : TEXT.index(ON_SATELLITE_IMAGES)], "comparison.json", 472634, (0.6, 0.8)
)
REGION = Comparison(
    TEXT[TEXT.index(ON_SATELLITE_IMAGES) :], "comparison-aerial.json", 2493696, (0.4, 0.8)
)
COMPARISONS = [MOSAICS, REGION]
CONTESTANTS = [
    pytest.param(comparison, entry, id=f"{comparison.file}-{entry['name']}")
    for comparison in COMPARISONS
    for entry in comparison.measured["contestants"]
]


def tell(values, column):
    return f"{values['mean'][column]:.3f} ± {values['spread'][column]:.3f}"


def find_lead(ahead, behind, column):
    """Return the lead of one network over another, less the spreads of both."""
    spreads = ahead["spread"][column] + behind["spread"][column]
    return ahead["mean"][column] - behind["mean"][column] - spreads


@pytest.mark.parametrize(("comparison", "entry"), CONTESTANTS)
def test_the_table_of_all_patterns_has_the_measured_numbers(comparison, entry):
    values = entry["mean_iou"]["all"]

    assert comparison.read_cells("Mean of all patterns", entry["name"]) == [
        tell(values, column) for column in range(len(comparison.measured["missing"]))
    ]


@pytest.mark.parametrize(("comparison", "entry"), CONTESTANTS)
def test_the_tables_by_pattern_have_the_measured_numbers(comparison, entry):
    patterns = [pattern for pattern in entry["mean_iou"] if pattern != "all"]
    assert len(patterns) == 5

    for missing in comparison.shown:
        column = comparison.measured["missing"].index(missing)
        heading = f"**By pattern**, at {missing * 100:.0f} %"
        assert comparison.read_cells(heading, entry["name"]) == [
            tell(entry["mean_iou"][pattern], column) for pattern in patterns
        ]


@pytest.mark.parametrize(("comparison", "entry"), CONTESTANTS)
def test_the_flipped_labels_are_the_measured_ones(comparison, entry):
    cells = comparison.read_cells("Labels that flip", entry["name"])

    assert cells[0] == ", ".join(f"{flips['labels']:,}" for flips in entry["flips"])
    assert cells[1] == ", ".join(str(flips["images"]) for flips in entry["flips"])
    assert {flips["pixels"] for flips in entry["flips"]} == {comparison.pixels}


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda comparison: comparison.file)
def test_all_seven_contestants_were_trained_with_the_same_seeds(comparison):
    seeds = [entry["seeds"] for entry in comparison.measured["contestants"]]

    assert seeds == [[0, 1, 2]] * 7


@pytest.mark.parametrize(
    ("comparison", "told"),
    [
        (MOSAICS, {("plain, linear", "dead_pixels", 0.8)}),
        (REGION, {("plain, nearest", "dead_pixels", 0.8)}),
    ],
    ids=lambda value: getattr(value, "file", ""),
)
def test_the_masked_network_loses_by_more_than_the_spread_where_the_text_says_so(comparison, told):
    masked, *others = comparison.measured["contestants"]
    lost = {
        (other["name"], pattern, missing)
        for other in others
        for pattern, values in masked["mean_iou"].items()
        for column, missing in enumerate(comparison.measured["missing"])
        if find_lead(other["mean_iou"][pattern], values, column) > 0
    }

    assert masked["name"].startswith("masked")
    assert lost == told
