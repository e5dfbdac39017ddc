import numpy as np

from model.training.checkpoints import (
    CHECKPOINT_FILE,
    Progress,
    load_progress,
    save_progress,
)


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
