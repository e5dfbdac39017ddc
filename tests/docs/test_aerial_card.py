"""The card of `aerial` says of regions that a network has not seen what was measured."""

import json
import re
from pathlib import Path
from statistics import mean, stdev

import pytest

from tests.support.tables import read_row

CARD = Path(__file__).parents[2] / "docs" / "models" / "aerial.md"
TEXT = CARD.read_text()
MEASURED = json.loads(CARD.with_name("aerial-regions.json").read_text())["contestants"]
COMPLETE = "missing_0"
QUANTILE = 2.571
"""97.5 % quantile of Student's distribution with five degrees of freedom: six regions less one."""


def tell(entry, score):
    spread = f" ± {score['spread']:.3f}" if len(entry["seeds"]) > 1 else ""
    return f"{score['mean']:.3f}{spread}"


@pytest.mark.parametrize("entry", MEASURED, ids=lambda entry: entry["name"])
def test_each_region_has_the_measured_scores(entry):
    parts = [*entry["folds"].values(), entry["mean"]]

    assert read_row(TEXT, "**By region**", entry["name"]) == [
        tell(entry, part["mean_iou"][COMPLETE]) for part in parts
    ]


@pytest.mark.parametrize("entry", MEASURED, ids=lambda entry: entry["name"])
def test_each_class_has_the_measured_scores(entry):
    assert read_row(TEXT, "**By class**", entry["name"]) == [
        tell(entry, score) for score in entry["mean"]["class_iou"][COMPLETE].values()
    ]


@pytest.mark.parametrize("entry", MEASURED, ids=lambda entry: entry["name"])
def test_missing_pixels_cost_what_was_measured(entry):
    assert read_row(TEXT, "**With missing pixels**", entry["name"]) == [
        tell(entry, score) for score in entry["mean"]["mean_iou"].values()
    ]


def test_what_is_expected_of_other_regions_follows_from_the_scores():
    masked = MEASURED[0]
    scores = [fold["mean_iou"][COMPLETE]["mean"] for fold in masked["folds"].values()]
    assert masked["name"].startswith("masked")
    assert len(scores) == 6

    for count, words in ((1, "for one further region"), (2, "for two further regions in the mean")):
        reach = QUANTILE * stdev(scores) * (1 / count + 1 / len(scores)) ** 0.5
        low, high = mean(scores) - reach, mean(scores) + reach
        assert f"{low:.2f} to {high:.2f} {words}" in re.sub(r"\s+", " ", TEXT)
