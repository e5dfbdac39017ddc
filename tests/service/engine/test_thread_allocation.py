import pytest

from service.engine.thread_allocation import ThreadAllocation, allocate_threads, count_cores


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "allocation"),
    [
        (None, None, 4, ThreadAllocation(4, 1)),
        (None, 2, 4, ThreadAllocation(2, 2)),
        (2, None, 4, ThreadAllocation(2, 2)),
        (1, None, 4, ThreadAllocation(1, 4)),
        (3, 5, 4, ThreadAllocation(3, 5)),
        (None, 8, 4, ThreadAllocation(1, 8)),
        (8, None, 4, ThreadAllocation(8, 1)),
    ],
)
def test_cores_are_shared_out_where_the_settings_leave_it_open(workers, threads, cores, allocation):
    assert allocate_threads(workers, threads, cores) == allocation


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "900000 1000"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_bounds_the_cores(tmp_path, files, cores):
    unbounded = count_cores(tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")

    assert count_cores(tmp_path) == (cores or unbounded)
    assert unbounded >= 1
