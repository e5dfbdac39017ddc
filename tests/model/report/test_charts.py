import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.report.charts import Line, choose_ticks, draw_chart


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ticks_reach_around_all_values_in_a_few_equal_steps(first, second):
    low, high = sorted((first, second))
    ticks = choose_ticks(low, high)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    slack = (high - low) * 1e-6 + 1e-9

    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 1 <= len(steps) <= 7
    assert steps == pytest.approx([steps[0]] * len(steps), abs=1e-6 * abs(high - low) + 1e-9)


def test_ticks_are_round():
    assert choose_ticks(0.03, 0.47) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert choose_ticks(0, 2000) == [0, 500, 1000, 1500, 2000]
    assert choose_ticks(0.5, 0.5) == [0.5, 0.6]


def points(line):
    return [tuple(float(v) for v in pair.split(",")) for pair in line.get("points").split()]


def test_higher_values_are_drawn_higher_and_later_ones_further_right():
    chart = ET.fromstring(  # noqa: S314
        draw_chart("Loss", [10, 20, 30], [Line("one", "first", [3.0, 1.0, 2.0])])
    )
    (line,) = chart.findall("polyline")
    (x1, y1), (x2, y2), (x3, y3) = points(line)

    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert x1 < x2
    assert y1 < y3 < y2


def test_what_is_not_finite_is_left_out():
    chart = ET.fromstring(  # noqa: S314
        draw_chart("Loss", [1, 2], [Line("one", "first", [float("nan"), 1.0])])
    )

    assert len(points(chart.find("polyline"))) == 1


def test_a_title_cannot_break_out():
    assert "<b>" not in draw_chart('"><b>', [1], [])
    assert re.search(r'aria-label="&quot;', draw_chart('"><b>', [1], []))
