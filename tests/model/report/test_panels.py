import re
import xml.etree.ElementTree as ET

import pytest

from model.comparison.curves import FRACTIONS
from model.comparison.groups import RunGroup, ScoredRun
from model.data.nodata import PATTERNS_TO_COMPARE
from model.report.panels import draw_panels
from model.scoring.flips import Flips

SVG = "{http://www.w3.org/2000/svg}"


def contest(name, *slopes, fractions=FRACTIONS):
    runs = []
    for slope in slopes:
        curve = tuple(0.9 - slope * fraction for fraction in fractions)
        curves = dict.fromkeys(PATTERNS_TO_COMPARE, curve)
        runs.append(
            ScoredRun({}, {**curves, "padding": (0.9,) * len(fractions)}, Flips(0, 1, 0, 1))
        )
    return RunGroup(name, runs, fractions)


@pytest.fixture(scope="module")
def picture():
    groups = [contest("masked", 0.1, 0.3), contest("plain <zero>", 0.6)]
    return ET.fromstring(draw_panels(groups))  # noqa: S314


def read_points(element):
    return [tuple(float(v) for v in pair.split(",")) for pair in element.get("points").split()]


def panels_of(picture):
    return {group.find(f"{SVG}text").text: group for group in picture.findall(f"{SVG}g")}


def test_there_is_a_panel_for_each_pattern_and_one_for_all(picture):
    assert list(panels_of(picture)) == [
        "mean of all patterns", "clouds", "stripes", "swath", "dead pixels", "padding",
    ]  # fmt: skip


def test_every_contestant_has_a_line_in_every_panel_and_a_name_in_the_legend(picture):
    for panel in panels_of(picture).values():
        assert len(panel.findall(f"{SVG}polyline")) == 2
    names = [text.text for text in picture.findall(f"{SVG}text") if text.get("class") == "name"]
    assert names == ["masked", "plain <zero>"]


def test_better_scores_are_drawn_higher(picture):
    panels = panels_of(picture)
    worse, better = (read_points(line) for line in panels["clouds"].findall(f"{SVG}polyline"))

    assert worse[0] == better[0]
    assert worse[-1][1] > better[-1][1] > better[0][1]


def test_every_panel_has_a_scale_of_its_own(picture):
    ticks = {
        name: {
            text.text for text in panel.findall(f"{SVG}text") if text.get("text-anchor") == "end"
        }
        for name, panel in panels_of(picture).items()
    }

    assert "0.4" in ticks["clouds"]
    assert "0.4" not in ticks["padding"]


def test_a_band_is_as_wide_as_the_spread_over_the_seeds(picture):
    panel = panels_of(picture)["clouds"]
    wide, none = (read_points(band) for band in panel.findall(f"{SVG}polygon"))
    line = read_points(panel.findall(f"{SVG}polyline")[1])
    below = line[-1][1] - line[0][1]

    # Half of 0.3 - 0.1, where the mean has lost 0.2: half of what it lost.
    assert wide[6][1] - wide[5][1] == pytest.approx(below, abs=0.3)
    assert none[6] == none[5]


def test_the_picture_is_one_file_with_colours_for_dark_pages(picture):
    text = ET.tostring(picture, encoding="unicode")

    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"href|url\(|@import", text)


def test_lines_have_a_point_for_each_fraction_that_was_scored():
    groups = [contest("masked", 0.1, fractions=(0.0, 0.3))]
    clouds = panels_of(ET.fromstring(draw_panels(groups)))["clouds"]  # noqa: S314

    assert len(read_points(clouds.find(f"{SVG}polyline"))) == 2
    assert "30%" in clouds.itertext()
