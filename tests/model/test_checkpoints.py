import numpy as np
import pytest

from model.checkpoints import (
    CHECKPOINT_FILE,
    Progress,
    claim_folder,
    load_progress,
    replace_file,
    save_progress,
)

PLAN = {"config": {"steps": 200, "seed": 0}, "dataset": {"digest": "abc", "nodata": float("nan")}}


def test_progress_is_read_back_as_it_was(tmp_path):
    weights = [np.full((2, 3), index, np.float32) for index in range(12)]
    optimizer = [np.asarray(7, np.int64), np.ones(3, np.float32)]
    history = [{"step": 4, "loss": 0.1 + 0.2, "val_mean_iou": 1 / 3}]
    save_progress(tmp_path, Progress(4, history, weights, optimizer, weights[::-1]))
    loaded = load_progress(tmp_path)

    assert (loaded.step, loaded.history) == (4, history)
    for actual, expected in (
        (loaded.weights, weights),
        (loaded.optimizer, optimizer),
        (loaded.best, weights[::-1]),
    ):
        assert [array.dtype for array in actual] == [array.dtype for array in expected]
        assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))


def test_a_folder_without_a_checkpoint_has_no_progress(tmp_path):
    assert load_progress(tmp_path) is None


def test_a_checkpoint_that_was_cut_short_leaves_the_last_one(tmp_path):
    save_progress(tmp_path, Progress(3))
    (tmp_path / f".{CHECKPOINT_FILE}.unfinished").write_bytes(b"half of the next")

    assert load_progress(tmp_path).step == 3
    save_progress(tmp_path, Progress(6))
    assert load_progress(tmp_path).step == 6
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"long ago")
    replace_file(path, b"now")

    assert path.read_bytes() == b"now"


def test_the_same_plan_may_go_on(tmp_path):
    claim_folder(tmp_path / "new", PLAN)
    claim_folder(tmp_path / "new", PLAN)


def test_another_plan_is_refused_with_what_differs(tmp_path):
    claim_folder(tmp_path, PLAN)
    other = {**PLAN, "config": {"steps": 300, "seed": 0}}

    with pytest.raises(ValueError, match=r"where config\.steps was 200, and is 300 now$"):
        claim_folder(tmp_path, other)


def test_the_folder_of_a_run_of_another_kind_is_refused(tmp_path):
    (tmp_path / "network.keras").write_bytes(b"")

    with pytest.raises(ValueError, match="a folder of its own"):
        claim_folder(tmp_path, PLAN)
