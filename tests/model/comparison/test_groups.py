import json

import numpy as np
import pytest

from model.comparison.curves import FRACTIONS
from model.comparison.groups import (
    ALL_PATTERNS,
    ScoredRun,
    check_comparable,
    describe_comparison,
    group_runs,
)
from model.data.nodata import PATTERNS_TO_COMPARE
from model.scoring.flips import Flips
from model.training.mosaics import PRESETS

OLD = {
    name: value for name, value in PRESETS["groundcover"].to_json().items() if name != "twin"
} | {"network": {"channels": 3, "classes": 3, "widths": [15, 31, 47, 63], "convs_per_level": 2}}


def configure(seed=0, normalization="area", fill_levels=0, **fields):
    """Give a training's configuration as its record has it."""
    config = {**PRESETS["groundcover"].to_json(), "seed": seed, **fields}
    changed = {"normalization": normalization, "fill_levels": fill_levels}
    network = {**config["network"], **changed}
    return json.loads(json.dumps({**config, "network": network}))


def make_run(config, iou=0.5, **patterns):
    curves = {name: (patterns.get(name, iou),) * len(FRACTIONS) for name in PATTERNS_TO_COMPARE}
    return ScoredRun(config, curves, Flips(3, 100, 1, 10))


def test_runs_that_differ_only_in_their_seed_are_one_contestant_and_masked_ones_come_first():
    groups = group_runs(
        [
            make_run(configure(seed=1)),
            make_run(configure(twin="zero")),
            make_run(configure(seed=0)),
            make_run(configure(normalization="none")),
            make_run(configure(normalization="none", fill_levels=3)),
            make_run(configure(seed=2, twin="zero")),
        ]
    )

    assert [(entry.name, [run.config["seed"] for run in entry.runs]) for entry in groups] == [
        ("masked", [0, 1]),
        ("masked, none", [0]),
        ("masked, none, 3 fill levels", [0]),
        ("plain, zero", [0, 2]),
    ]


def test_contestants_that_differ_in_something_else_are_called_by_it():
    groups = group_runs([make_run(configure(steps=400)), make_run(configure(steps=40))])

    assert [entry.name for entry in groups] == ["masked, steps 400", "masked, steps 40"]


def test_a_run_from_before_there_were_twins_and_normalisations_is_masked_by_area():
    groups = group_runs([make_run(OLD), make_run(configure(seed=1))])

    assert [(entry.name, len(entry.runs)) for entry in groups] == [("masked", 2)]


def test_mean_and_spread_are_over_the_seeds():
    (entry,) = group_runs(
        [make_run(configure(seed=seed), iou) for seed, iou in enumerate((0.5, 0.6, 0.8))]
    )

    np.testing.assert_allclose(entry.mean("clouds"), 1.9 / 3)
    np.testing.assert_allclose(entry.spread("clouds"), 0.15)


def test_the_spread_of_all_patterns_is_that_of_each_seeds_mean():
    # What one pattern gains another loses: the seeds do not differ on the whole.
    (entry,) = group_runs(
        [
            make_run(configure(seed=0), 0.5, clouds=0.4, padding=0.6),
            make_run(configure(seed=1), 0.5, clouds=0.6, padding=0.4),
        ]
    )

    np.testing.assert_allclose(entry.mean(ALL_PATTERNS), 0.5)
    np.testing.assert_allclose(entry.spread(ALL_PATTERNS), 0, atol=1e-12)
    np.testing.assert_allclose(entry.spread("clouds"), 0.1)


def test_a_comparison_is_told_in_json():
    described = describe_comparison(
        group_runs([make_run(configure(twin="mean"), 0.12346)]), "mosaics of textures"
    )

    assert json.dumps(described, allow_nan=False)
    (entry,) = described["contestants"]
    assert described["data"] == "mosaics of textures"
    assert entry["name"] == "plain, mean"
    assert entry["config"]["twin"] == "mean"
    assert entry["seeds"] == [0]
    assert entry["mean_iou"]["all"]["mean"] == [0.1235] * len(FRACTIONS)
    assert entry["flips"] == [{"labels": 3, "pixels": 100, "images": 1, "of_images": 10}]


def record(seed=0, folder="fields", digest="a", **dataset):
    classes = [{"name": "crop"}, {"name": "water"}]
    return {
        "config": configure(seed=seed),
        "dataset": {"folder": folder, "digest": digest, "classes": classes, **dataset},
    }


def test_runs_on_the_same_images_are_compared_wherever_these_are():
    check_comparable([record(0), record(1, "elsewhere"), record(2)])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"config": configure()}, "one trained on fields and one trained on mosaics"),
        (record(1, "acres", "b"), "one trained on fields and one trained on acres"),
        (
            record(1, digest="c", fold="3/2"),
            r"trained on fields and one trained on fields \(fold 3",
        ),
        (record(1, classes=[{"name": "crop"}]), "one trained on fields"),
    ],
)
def test_runs_on_other_data_are_refused(other, message):
    with pytest.raises(ValueError, match=rf"all of the same images and fold\. .*{message}"):
        check_comparable([record(), other])


def test_two_runs_of_one_kind_and_seed_are_refused():
    check_comparable([{"config": configure(seed=seed)} for seed in (0, 1)])
    with pytest.raises(ValueError, match=r"Received: two of seed 1 and of the same configuration"):
        check_comparable([{"config": configure(seed=1)}, {"config": configure(seed=1)}])
