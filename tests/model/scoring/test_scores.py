import json

import numpy as np

from model.scoring.images import SCORED_DATA
from model.scoring.scores import Score, describe_scores, read_scores, write_scores

# Classes with an IoU of 3/4, 4/5 and none.
SCORE = Score(0.3, np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), 0.5)


def test_scores_are_described_with_their_classes():
    assert describe_scores([SCORE], "abc", SCORED_DATA) == {
        "data": "validation images that were held out from training",
        "mean_iou": {"missing_30": 0.775},
        "class_iou": {"missing_30": {"a": 0.75, "b": 0.8, "c": None}},
    }


def test_scores_are_read_back_as_they_are_described(tmp_path):
    # Classes with an IoU of 1/2, 1/4 and none.
    score = Score(0.3, np.array([[3, 3, 0], [0, 1, 0], [0, 0, 0]]))
    described = describe_scores([score], ("grass", "gravel", "brick"), "mosaics")
    write_scores(tmp_path, described)

    assert read_scores(tmp_path) == described
    assert described["mean_iou"] == {"missing_30": 0.375}
    assert json.dumps(described, allow_nan=False)


def test_a_run_without_scores_has_none(tmp_path):
    assert read_scores(tmp_path) == {}
