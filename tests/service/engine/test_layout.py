import pytest

from service.engine.layout import Layout, choose_layout, count_cores


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "layout"),
    [
        (None, None, 4, Layout(4, 1)),
        (None, 2, 4, Layout(2, 2)),
        (2, None, 4, Layout(2, 2)),
        (1, None, 4, Layout(1, 4)),
        (3, 5, 4, Layout(3, 5)),
        (None, 8, 4, Layout(1, 8)),
        (8, None, 4, Layout(8, 1)),
    ],
)
def test_cores_are_shared_out_where_the_settings_leave_it_open(workers, threads, cores, layout):
    assert choose_layout(workers, threads, cores) == layout


@pytest.mark.parametrize(
    ("text", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)]
)
def test_a_containers_quota_bounds_the_cores(tmp_path, text, cores):
    (tmp_path / "cpu.max").write_text(text + "\n")
    unbounded = count_cores(tmp_path / "nothing")

    assert count_cores(tmp_path / "cpu.max") == (cores or unbounded)
    assert unbounded >= 1
