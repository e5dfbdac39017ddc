from model.cli.fold_runs import summarise_folds


def test_scores_of_folds_are_averaged_over_those_in_which_a_class_occurs():
    scores = [
        {
            "mean_iou": {"missing_0": mean},
            "class_iou": {"missing_0": {"road": road, "water": None}},
        }
        for mean, road in ((0.5, 0.4), (0.7, None), (0.6, 0.8))
    ]

    assert summarise_folds(scores) == {
        "mean_iou": {"missing_0": 0.6},
        "class_iou": {"missing_0": {"road": 0.6, "water": None}},
    }
