import json
import os
import re
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from click.testing import CliRunner

from lacuna.cli import main
from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import MANIFEST_FILE
from tests.support.demo_model import DEMO, copy_demo, edit_manifest
from tests.support.onnx_models import save


def run(folder, *options):
    return CliRunner().invoke(main, ["check", str(folder), *options])


@pytest.fixture
def copied(tmp_path):
    return copy_demo(tmp_path)


def test_the_demo_model_keeps_the_promise():
    result = run(DEMO)

    assert result.exit_code == 0, result.output
    assert result.stdout.count("holds") == 9
    assert "windows" in result.stdout
    assert "tile_labels" not in result.stdout
    assert "Run by TensorFlow." in result.stdout
    assert "no answer changes" in result.stdout


def test_a_model_without_signatures_for_windows_keeps_the_promise_and_is_said_to_cost_more(copied):
    loaded = tf.saved_model.load(str(DEMO))
    older = {name: loaded.signatures[name] for name in ("serving_default", "labels")}
    manifest = read_manifest(copied)
    tf.saved_model.save(loaded, str(copied), signatures=older)
    (copied / MANIFEST_FILE).write_text(json.dumps({**manifest, "checksums": {}}))

    result = run(copied)

    assert result.exit_code == 0, result.output
    assert result.stdout.count("holds") == 7
    assert "Without the signatures tile and tile_labels" in result.stdout


def test_a_model_in_onnx_is_checked_and_told_what_its_tiles_cost(tmp_path):
    result = run(save(tmp_path / "m" / "1"))

    assert result.exit_code == 0, result.output
    assert result.stdout.count("holds") == 7
    assert "Run by ONNX Runtime." in result.stdout
    assert "In ONNX, tiles cost their halos in full." in result.stdout


def test_a_model_that_reaches_further_than_it_says_fails(copied):
    edit_manifest(copied, receptive_radius=8)

    result = run(copied)

    assert result.exit_code == 1
    assert "broken" in result.stdout
    assert "the manifest says 8" in result.stdout


def test_in_bfloat16_the_demo_model_keeps_the_promise_and_says_what_that_changes(copied):
    samples = copied / "assets.extra" / "samples"
    samples.mkdir()
    for name in ("swath.png", "swath-mask.png"):
        shutil.copy(DEMO_REPOSITORY.parent / "samples" / "groundcover" / name, samples)

    result = run(copied, "--precision", "bfloat16", "--write-scores")

    assert result.exit_code == 0, result.output
    assert result.stdout.count("holds") == 8
    written = read_manifest(copied)["scores"]
    assert written["mean_iou"] == read_manifest(DEMO)["scores"]["mean_iou"]
    random, samples = written["bfloat16"]
    assert (random["images"], samples["images"]) == ("random", "samples")
    for found in (random, samples):
        assert found["differing"] <= found["pixels"] / 1000
        counts = f"{found['differing']:,} of {found['pixels']:,} labels differ from float32"
        assert counts in result.stdout


def test_scores_are_written_of_another_precision_than_float32_alone(copied):
    result = run(copied, "--write-scores")

    assert result.exit_code == 2
    assert "--write-scores needs --precision bfloat16; it is float32" in result.stderr


def test_a_precision_that_is_none_is_refused(copied):
    result = run(copied, "--precision", "int8")

    assert result.exit_code == 2
    assert "'int8' is not one of 'float32', 'bfloat16'" in result.stderr


def test_a_folder_without_a_manifest_is_said(copied):
    (copied / MANIFEST_FILE).unlink()

    result = run(copied)

    assert result.exit_code == 1
    assert "must hold assets.extra/manifest.json" in result.stderr


def read_manifest(folder):
    return json.loads((folder / MANIFEST_FILE).read_text())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": {"channels": 4, "dtype": "uint8"}}, r"inputs must be image float32 .* 4\)"),
        (
            {"classes": [{"id": 0, "name": "a", "color": "#000000"}]},
            r"probabilities float32 .* 1\)",
        ),
    ],
)
def test_a_manifest_of_another_graph_is_said(copied, changes, message):
    edit_manifest(copied, **changes)

    result = run(copied)

    assert result.exit_code == 1
    assert re.search(message, result.stderr)


@pytest.mark.parametrize("stride", [3, 4, 12])
def test_a_stride_that_is_not_the_graphs_fails(copied, stride):
    edit_manifest(copied, total_stride=stride)

    result = run(copied)

    assert result.exit_code == 1
    assert f"the manifest says {stride}" in result.stdout
    assert "broken" in next(line for line in result.stdout.splitlines() if "total stride" in line)


@pytest.mark.parametrize("cut", [2, 400, 1500])
def test_a_manifest_that_is_cut_short_is_said(copied, cut):
    path = copied / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:-cut])

    result = run(copied)

    assert result.exit_code == 1
    assert "manifest.json must be JSON" in result.stderr


def test_a_changed_byte_is_said(copied):
    path = copied / "saved_model.pb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    result = run(copied)

    assert result.exit_code == 1
    assert "must have the checksums in manifest.json; changed: saved_model.pb" in result.stderr


def test_checksums_are_written_where_there_are_none(copied):
    expected = read_manifest(copied)["checksums"]
    edit_manifest(copied, checksums={})

    without = run(copied)
    written = run(copied, "--write-checksums")

    assert (without.exit_code, written.exit_code) == (0, 0)
    assert f"lacuna check --write-checksums {copied}" in without.stdout
    assert "checksums" not in written.stdout
    assert read_manifest(copied)["checksums"] == expected


def test_a_corrupt_graph_is_said(copied):
    edit_manifest(copied, checksums={})
    (copied / "saved_model.pb").write_bytes(b"not a graph")

    result = run(copied)

    assert result.exit_code == 1
    assert "saved_model.pb must load in TensorFlow" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("..", "the nearest is {}/1/saved_model.pb"),
        ("../..", "the nearest is {}/groundcover/1/saved_model.pb"),
        ("variables", "it is in the parent of {}: give that"),
        ("saved_model.pb", "{} is the graph itself: give its folder"),
        ("../model.keras", "{} is a Keras model: export it as a SavedModel"),
    ],
)
def test_another_folder_or_file_than_a_version_is_said(copied, given, message):
    (copied.parent / "model.keras").touch()
    folder = Path(os.path.normpath(copied / given))

    result = run(folder)

    assert result.exit_code == 1
    assert "the folder of a version must hold saved_model.pb or model.onnx; " in result.stderr
    assert message.format(folder) in result.stderr


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "1").symlink_to(tmp_path / "gone")

    result = run(tmp_path / "1")

    assert result.exit_code == 2
    assert f"{tmp_path / '1'} is a link to nothing" in result.stderr


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert run(tmp_path / "none").exit_code == 2
