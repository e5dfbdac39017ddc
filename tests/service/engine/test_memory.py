import pytest

from service.engine.memory import (
    MemoryBudget,
    compute_budget,
    find_memory_limit,
    read_resident_bytes,
)

GiB = 1 << 30
MiB = 1 << 20


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "limit_bytes"),
    [
        ({"groups/memory.max": "1073741824\n"}, GiB),
        ({"groups/memory/memory.limit_in_bytes": "1073741824\n"}, GiB),
        ({"groups/a/b/memory.max": "max\n", "groups/a/memory.max": "1073741824\n"}, GiB),
        ({"groups/a/b/memory.max": "1048576\n", "groups/a/memory.max": "1073741824\n"}, MiB),
    ],
)
def test_the_limit_is_that_of_the_control_groups(tmp_path, files, limit_bytes):
    write(tmp_path / "self" / "cgroup", "8:memory:/x\n0::/a/b\n")
    for name, text in files.items():
        write(tmp_path / name, text)

    assert find_memory_limit(tmp_path / "groups", tmp_path / "self") == limit_bytes


@pytest.mark.parametrize("text", ["max\n", f"{1 << 62}\n", "nonsense\n", ""])
def test_without_a_limit_it_is_the_machines_memory(tmp_path, text):
    write(tmp_path / "groups" / "memory.max", text)
    machine_bytes = find_memory_limit(tmp_path / "none", tmp_path / "none")

    assert find_memory_limit(tmp_path / "groups", tmp_path / "none") == machine_bytes
    assert machine_bytes > GiB


def test_the_process_tells_its_resident_memory(tmp_path):
    write(tmp_path / "statm", "500 100 20 1 0 40 0\n")

    assert read_resident_bytes(tmp_path) == 100 * 4096
    assert read_resident_bytes(tmp_path / "none") == 0
    assert read_resident_bytes() > 10 * MiB


def test_requests_may_use_most_of_what_the_models_leave():
    assert compute_budget(4 * GiB, 2 * GiB) == int(0.85 * 2 * GiB)


def test_small_requests_are_answered_even_if_nothing_is_left():
    assert compute_budget(2 * GiB, 3 * GiB) == 128 * MiB


def test_bodies_small_images_and_large_ones_each_have_their_part():
    memory = MemoryBudget(1200 * MiB)

    assert memory.body_bytes == 400 * MiB
    assert memory.small_pool.total_bytes == 100 * MiB
    assert memory.pool.total_bytes == 700 * MiB
    assert memory.choose_pool(12 * MiB) is memory.small_pool
    assert memory.choose_pool(13 * MiB) is memory.pool


def test_memory_is_measured_again_but_not_at_once():
    now_s, free_bytes = 0.0, 1200 * MiB
    memory = MemoryBudget(None, 1.0, lambda: free_bytes, lambda: now_s)

    free_bytes, now_s = 600 * MiB, 4.9
    memory.measure()
    assert memory.image_bytes == 800 * MiB
    now_s = 5.0
    memory.measure()
    assert memory.image_bytes == 400 * MiB


def test_memory_that_was_set_is_not_measured():
    memory = MemoryBudget(1200 * MiB, 1.0, lambda: pytest.fail("it was measured"), lambda: 1e9)

    memory.measure()

    assert memory.image_bytes == 800 * MiB
