"""Records of releases are made of the rows that the benchmarks write."""

import csv
import re

from benchmarks.picture import draw_picture
from benchmarks.record import collect, update_history
from benchmarks.rows import Row, write_rows

RUN = {"version": "1.0.0", "date": "2026-01-02", "cores": 2, "python": "3.11.0"}
SPEED = Row("A", "64×64 & more", 0.91, 0.87)
START = Row("start", "from a cache", 7.25, 6, "s", is_limit=True)


def read_history(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_rows_of_all_benchmarks_are_collected(tmp_path):
    write_rows(tmp_path / "one" / "serving.json", [SPEED])
    write_rows(tmp_path / "one" / "memory.json", [START])

    assert collect(tmp_path / "one") == [SPEED, START]


def test_a_target_is_to_be_reached_and_a_limit_not_to_be_exceeded():
    assert SPEED.holds
    assert not SPEED._replace(value=0.86).holds
    assert not START.holds
    assert START._replace(value=6).holds


def test_a_release_has_one_line_and_a_new_figure_a_column(tmp_path):
    path = tmp_path / "history" / "releases.csv"
    update_history(path, RUN, [SPEED])
    update_history(path, RUN | {"version": "1.1.0"}, [SPEED, START])
    update_history(path, RUN | {"version": "1.1.0"}, [SPEED._replace(value=0.93), START])

    lines = read_history(path)
    assert [line["version"] for line in lines] == ["1.0.0", "1.1.0"]
    assert [line["A"] for line in lines] == ["0.91", "0.93"]
    assert [line["start"] for line in lines] == ["", "7.25"]


def test_a_bar_is_as_long_as_its_value_in_relation_to_its_target():
    picture = draw_picture(RUN, [SPEED, START])

    bars = re.findall(r'<rect class="(bar[^"]*)" x="(\d+)" y="\d+" width="([\d.]+)"', picture)
    (target,) = set(re.findall(r'class="target" d="M(\d+)', picture))
    unit = int(target) - int(bars[0][1])
    assert [round(float(length) / unit, 2) for _, _, length in bars] == [1.05, 1.21]
    assert [style for style, _, _ in bars] == ["bar", "bar missed"]
