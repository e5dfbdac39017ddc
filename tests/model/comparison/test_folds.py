import json

import pytest
from click.testing import CliRunner

from model.cli import main
from model.cli.fold_runs import summarise_folds
from model.network import NetworkConfig

FRACTIONS = ("missing_0", "missing_30", "missing_60")


def score(iou):
    """Scores of a fold in which water does not occur."""
    return {
        "mean_iou": dict.fromkeys(FRACTIONS, iou),
        "class_iou": {key: {"crop": iou, "water": None} for key in FRACTIONS},
    }


def write_folds(folder, north, south, seed=0, digest="a", **config):
    """Write what `train --folds groups` leaves of two folds."""
    folds = {"north": score(north), "south": score(south)}
    for name in folds:
        (folder / f"fold-{name}").mkdir(parents=True)
        network = NetworkConfig(classes=2).to_json()
        record = {
            "config": {"name": "fields", "seed": seed, "network": network, **config},
            "dataset": {"digest": f"{digest}-{name}"},
        }
        (folder / f"fold-{name}" / "training.json").write_text(json.dumps(record))
    summary = {"folds": folds, "mean": summarise_folds(list(folds.values()))}
    (folder / "folds.json").write_text(json.dumps(summary))
    return folder


def evaluate(*arguments):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Output for three seeds of a masked network and one of a twin, and the numbers."""
    root = tmp_path_factory.mktemp("folds")
    folders = [
        write_folds(root / "twin", 0.3, 0.4, twin="linear"),
        write_folds(root / "masked-2", 0.6, 0.9, seed=2),
        write_folds(root / "masked-0", 0.5, 0.7),
        write_folds(root / "masked-1", 0.55, 0.5, seed=1),
    ]
    result = evaluate(*folders, "--output", root / "table.json")
    assert result.exit_code == 0, result.output
    return result.stdout, json.loads((root / "table.json").read_text())


def test_cross_validations_that_differ_only_in_their_seed_are_one_group(compared):
    _, numbers = compared

    assert [(entry["name"], entry["seeds"]) for entry in numbers["contestants"]] == [
        ("masked", [0, 1, 2]),
        ("plain, linear", [0]),
    ]


def test_each_fold_and_the_mean_of_all_have_mean_and_spread_over_the_seeds(compared):
    _, numbers = compared
    masked, twin = numbers["contestants"]

    for key in FRACTIONS:
        assert masked["folds"]["north"]["mean_iou"][key] == {"mean": 0.55, "spread": 0.05}
        assert masked["folds"]["south"]["mean_iou"][key] == {"mean": 0.7, "spread": 0.2}
        # Means over the folds: 0.6, 0.525 and 0.75.
        assert masked["mean"]["mean_iou"][key] == {"mean": 0.625, "spread": 0.1125}
        assert masked["mean"]["class_iou"][key] == {
            "crop": {"mean": 0.625, "spread": 0.1125},
            "water": {"mean": None, "spread": None},
        }
        assert twin["mean"]["mean_iou"][key] == {"mean": 0.35, "spread": 0}


def test_the_table_has_a_row_for_each_group_and_fold_at_each_fraction(compared):
    said, _ = compared
    rows = [line.split() for line in said.splitlines()]

    assert [row[1] for row in rows if row[:1] == ["IoU,"]] == ["0", "30", "60"]
    for row in (
        ["masked", "north", "0.550", "±", "0.050", "0.550", "–"],
        ["masked", "mean", "of", "all", "0.625", "±", "0.112", "0.625", "–"],
        ["plain,", "linear", "south", "0.400", "0.400", "–"],
    ):
        assert rows.count(row) == 3


def test_the_table_tells_the_seeds(compared):
    said, _ = compared

    assert said.splitlines()[-3:-1] == ["masked: seeds 0, 1, 2", "plain, linear: seeds 0"]


def test_what_cannot_be_compared_is_said_in_one_line(tmp_path):
    folds, again = (write_folds(tmp_path / name, 0.5, 0.6) for name in ("folds", "again"))
    others = write_folds(tmp_path / "others", 0.5, 0.6, digest="b", seed=1)
    partial = write_folds(tmp_path / "partial", 0.5, 0.6, seed=1)
    (partial / "fold-north" / "training.json").unlink()
    run = tmp_path / "run"
    run.mkdir()
    for arguments, message in (
        ((folds, again), "Received: two of seed 0"),
        ((folds, others), "must have the same folds of the same images"),
        ((folds, partial), "fold-north/training.json is missing"),
        ((folds, run), "all hold folds.json, or all be runs"),
        ((folds, "--curves", tmp_path / "curves.svg"), "--curves and --missing are for runs"),
        ((folds, "--missing", 0.5), "--curves and --missing are for runs"),
        ((run, "--output", tmp_path / "table.json"), "--output needs --data, or folders of folds"),
    ):
        result = evaluate(*arguments)
        assert result.exit_code
        assert message in result.stderr.splitlines()[-1]
