import json
import shutil

import pytest
from click.testing import CliRunner

from lacuna.cli import main
from service.config import DEMO_REPOSITORY
from service.runtime.manifest import MANIFEST_FILE

DEMO = DEMO_REPOSITORY / "groundcover" / "1"


def run(folder):
    return CliRunner().invoke(main, ["check", str(folder)])


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(DEMO, tmp_path / "groundcover" / "1")


def edit_manifest(folder, **changes):
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_demo_model_keeps_the_promise():
    result = run(DEMO)

    assert result.exit_code == 0, result.output
    assert result.stdout.count("holds") == 7
    assert "no answer changes" in result.stdout


def test_a_model_that_reaches_further_than_it_says_fails(copied):
    edit_manifest(copied, receptive_radius=8)

    result = run(copied)

    assert result.exit_code == 1
    assert "broken" in result.stdout
    assert "the manifest says 8" in result.stdout


def test_a_folder_without_a_manifest_is_said(copied):
    (copied / MANIFEST_FILE).unlink()

    result = run(copied)

    assert result.exit_code == 1
    assert "must hold assets.extra/manifest.json" in result.stderr


def test_a_corrupt_graph_is_said(copied):
    (copied / "saved_model.pb").write_bytes(b"not a graph")

    result = run(copied)

    assert result.exit_code == 1
    assert "saved_model.pb must load in TensorFlow" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert run(tmp_path / "none").exit_code == 2
