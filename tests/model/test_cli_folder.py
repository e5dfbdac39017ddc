"""From a folder of images to a model that a server takes, by one command."""

import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lacuna.raster.npy import write_npy
from model.cli import main
from model.data.folders import read_dataset
from model.training.runs import load_run, load_start, read_network_config
from model.training.starting import read_start
from service.local.loading import load_model
from service.runtime.contract.checking import check_contract
from service.runtime.manifest import read_manifest
from service.runtime.saved_model import SavedModelRuntime
from tests.support.apps import load_repository, serve
from tests.support.folders import draw_regions, write_description, write_folder
from tests.support.onnx_models import save

OPTIONS = (
    "--network", "small", "--crop", 32, "--steps", 60, "--batch-size", 4, "--validate-every", 20,
)  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("own") / "data")
    write_description(folder, 'description = "Dark & bright <regions>."')
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Folder of a run, and what the command said."""
    output = tmp_path_factory.mktemp("own-runs") / "deep" / "run"
    result = run("train", "--data", folder, "-o", output, *OPTIONS)
    assert result.exit_code == 0, result.output
    return output, result.stdout


@pytest.fixture(scope="module")
def beside(trained, tmp_path_factory):
    """A server of the trained model, of its network in ONNX, and of a model of the future."""
    root = tmp_path_factory.mktemp("beside")
    shutil.copytree(trained[0] / "model" / "regions", root / "regions")
    result = run("export", trained[0], root / "onnx" / "1", "--format", "onnx")
    assert result.exit_code == 0, result.output
    save(root / "future" / "1", opset=999)
    with serve(load_repository(root, load_model)) as client:
        yield client


@pytest.fixture(scope="module")
def page(trained):
    return (trained[0] / "report.html").read_text()


def test_the_report_and_the_scores_tell_how_far_to_trust_them(trained, page):
    scores = json.loads((trained[0] / "scores.json").read_text())
    low, high = scores["interval_95"]["mean_iou"]

    assert low <= scores["mean_iou"]["missing_0"] <= high
    assert 0 <= scores["calibration_error"] < 0.5
    assert scores["pixel_baseline"]["mean_iou"] > 0.9  # dark and bright pixels
    for words in ("precision", "recall", "by single pixels alone", "expected calibration error"):
        assert words in page
    assert page.count("<figcaption>errors</figcaption>") == 3


def test_the_report_and_the_output_tell_the_temperature_and_the_calibration_without_it(
    trained, page
):
    output, said = trained
    scores = json.loads((output / "scores.json").read_text())
    temperature, untempered = scores["temperature"], scores["calibration_error_untempered"]

    assert 0.25 <= temperature <= 4
    assert temperature != 1
    for row in (
        f'temperature, fitted to the validation images</th><td class="value">{temperature:.3f}<',
        f'the same without the temperature</th><td class="value">{untempered:.3f}<',
    ):
        assert row in page
    assert f"temperature, fitted to the validation images: {temperature:.3f}" in said


def test_the_export_is_calibrated_as_the_scores_say(trained, folder, tmp_path):
    output, scores = trained[0], json.loads((trained[0] / "scores.json").read_text())
    file, version = tmp_path / "scores.json", output / "model" / "regions" / "1"
    arguments = ("--data", folder, "--part", "validation", "--output", file)
    result = run("evaluate", version, *arguments)

    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["calibration_error"] == pytest.approx(scores["calibration_error"], abs=2e-4)
    assert abs(found["calibration_error"] - scores["calibration_error_untempered"]) > 1e-3
    assert "temperature" not in found
    assert read_manifest(version).scores["temperature"] == scores["temperature"]


def test_the_command_says_how_to_check_and_serve_what_it_made(trained):
    output, said = trained

    assert f"lacuna check {output}/model/regions/1" in said
    assert f"lacuna serve --model-repository {output}/model" in said
    assert "May be padded, batched and tiled: no answer changes." in said


def test_training_can_go_on_from_the_exported_version(folder, trained):
    start = read_start(trained[0] / "model" / "regions" / "1")
    network, config = load_start(start)

    assert config == read_network_config(load_run(trained[0])[1])
    assert network.trainable_variables
    start.check_dataset(read_dataset(folder))


def test_a_trained_model_and_its_network_in_onnx_are_served_side_by_side_and_agree(beside):
    generator = np.random.default_rng(0)
    for size, valid in (((51, 38), 1.0), ((96, 130), 0.6), ((64, 64), 0.3)):
        image, _ = draw_regions(size, seed=1000)
        mask = generator.random(size) < valid
        files = {"image": write_npy(image), "mask": write_npy(mask)}
        answers = [
            beside.post(
                f"/v1/segment?model={name}", files=files, headers={"Accept": "application/zip"}
            )
            for name in ("regions", "onnx")
        ]
        first, second = (np.load(io.BytesIO(answer.content)) for answer in answers)

        assert np.unique(first["labels"][mask]).size > 1
        np.testing.assert_array_equal(second["labels"], first["labels"])
        np.testing.assert_allclose(second["probabilities"], first["probabilities"], atol=1e-5)


def test_each_of_them_names_its_platform_and_keeps_the_promise(beside):
    platforms = {"regions": "tensorflow_savedmodel", "onnx": "onnxruntime_onnx"}

    for name, platform in platforms.items():
        assert beside.get(f"/v2/models/{name}").json()["platform"] == platform
        assert beside.get(f"/v2/models/{name}/config").json()["platform"] == platform
    contracts = {
        model["name"]: model["contract"]["padding_invariant"]
        for model in beside.get("/v1/models").json()["models"]
        if model["state"] == "ready"
    }
    assert contracts == {"regions": True, "onnx": True}


def test_a_file_that_onnx_runtime_cannot_load_leaves_the_others_serving(beside):
    (future,) = (
        version
        for version in beside.post("/v2/repository/index", json={}).json()
        if version["name"] == "future"
    )

    assert future["state"] == "UNAVAILABLE"
    assert future["reason"].startswith("model.onnx must load in ONNX Runtime")
    assert "999" in future["reason"]


def test_the_export_labels_what_it_never_saw(trained):
    runtime = SavedModelRuntime(trained[0] / "model" / "regions" / "1")
    image, labels = draw_regions((51, 38), seed=1000)
    mask = np.ones(labels.shape, np.bool_)
    mask[10:20] = False
    output = runtime.run(image[None].astype(np.float32), mask[None], probabilities=False)

    assert (output.labels[0][~mask] == 255).all()
    assert (output.labels[0] == labels)[mask].mean() > 0.95


def test_a_server_may_pad_batch_and_tile_the_export(trained):
    runtime = SavedModelRuntime(trained[0] / "model" / "regions" / "1")

    assert check_contract(runtime).holds


def test_the_manifest_tells_the_folders_classes_and_the_scores(trained):
    manifest = read_manifest(trained[0] / "model" / "regions" / "1")

    assert [(entry.name, entry.color) for entry in manifest.classes] == [
        ("dark", "#4477aa"),
        ("bright", "#ccbb44"),
    ]
    assert (manifest.image.channels, manifest.image.dtype) == (3, "uint8")
    assert list(manifest.scores["mean_iou"]) == ["missing_0", "missing_30", "missing_60"]
    assert manifest.scores["mean_iou"]["missing_0"] > 0.9
    assert manifest.scores == json.loads((trained[0] / "scores.json").read_text())
    assert manifest.training["data"].startswith("9 images")


def test_the_manifest_tells_the_values_of_the_training_images(trained, folder):
    manifest = read_manifest(trained[0] / "model" / "regions" / "1")

    assert manifest.image.channel_statistics == read_dataset(folder).statistics


class Reader(HTMLParser):
    """Gathers what a page would load, and which elements are left open."""

    VOID = frozenset({"meta", "img", "line", "circle", "polyline", "br", "link"})

    def __init__(self):
        super().__init__()
        self.sources, self.open, self.unbalanced = [], [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [
            value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID and self.open.pop() != tag:
            self.unbalanced.append(tag)


def test_the_report_needs_nothing_but_itself(page):
    reader = Reader()
    reader.feed(page)

    assert len(reader.sources) == 3 * 5
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "<script" not in page
    assert not reader.open
    assert not reader.unbalanced


def test_the_report_says_what_the_run_reached(page, trained):
    scores = json.loads((trained[0] / "scores.json").read_text())

    for value in scores["mean_iou"].values():
        assert f"{value:.3f}" in page
    assert "Dark &amp; bright &lt;regions&gt;." in page
    for chart in re.findall(r"<svg.*?</svg>", page):
        assert len(ET.fromstring(chart).findall("polyline")) == 2  # noqa: S314


def test_evaluating_again_gives_the_same_scores(trained):
    path = trained[0] / "scores.json"
    before = path.read_text()
    result = run("evaluate", trained[0])

    assert result.exit_code == 0, result.output
    assert path.read_text() == before
    assert "bright" in result.stdout
    assert re.search(r"the canvas does: 0 of [\d,]+ labels .* in 0 of 3 images", result.stdout)


def test_a_run_can_be_exported_as_another_version(trained, tmp_path):
    result = run("export", trained[0], tmp_path / "regions" / "2")

    assert result.exit_code == 0, result.output
    assert read_manifest(tmp_path / "regions" / "2").name == "regions"


def test_the_same_command_again_trains_nothing_and_ends_as_before(trained, folder):
    before = (trained[0] / "network.keras").read_bytes()
    weights = (trained[0] / "checkpoint.npz").stat().st_mtime_ns
    result = run("train", "--data", folder, "-o", trained[0], *OPTIONS)

    assert result.exit_code == 0, result.output
    assert (trained[0] / "checkpoint.npz").stat().st_mtime_ns == weights
    assert len((trained[0] / "network.keras").read_bytes()) == len(before)


def test_another_configuration_is_refused_in_one_line(trained, folder):
    result = run("train", "--data", folder, "-o", trained[0], *OPTIONS, "--seed", 5)

    assert result.exit_code == 1
    assert "config.seed was 0 and is now 5" in result.stderr


def test_a_preset_does_not_take_the_folder_of_a_run_on_images(trained):
    result = run("train", "-o", trained[0], "--steps", 2)

    assert result.exit_code == 1
    assert "a run must have a folder of its own" in result.stderr
    assert (trained[0] / "checkpoint.npz").exists()


@pytest.mark.parametrize("command", ["train", "validate"])
def test_a_bad_folder_is_told_before_anything_is_done(tmp_path, command):
    folder = write_folder(tmp_path / "data")
    (folder / "labels" / "scene00.png").unlink()
    Image.fromarray(np.full((5, 5), 9, np.uint8)).save(folder / "labels" / "scene01.png")
    if command == "train":
        result = run("train", "--data", folder, "-o", tmp_path / "run")
    else:
        result = run("validate", folder)

    assert result.exit_code == 1
    assert "has 3 faults" in result.stderr
    for fault in ("images/scene00.png: has no label map", "this is 5×5", "it holds 9"):
        assert fault in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_good_folder_is_described(folder):
    result = run("validate", folder)

    assert result.exit_code == 0
    assert "9 training images, 3 validation images; 3 channels of uint8" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--crop", 32), "--crop needs --data"),
        (("--patience", 3), "--patience needs --data"),
        (("--data", ".", "--preset", "groundcover"), "exclude each other"),
        (("--data", ".", "--twin", "zero", "--normalization", "mean"), "exclude each other"),
        (("--data", ".", "--twin", "zero", "--fill-levels", 2), "exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, arguments, message):
    result = run("train", "-o", tmp_path / "run", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_an_unknown_network_is_refused_with_the_known_ones(folder, tmp_path):
    result = run("train", "--data", folder, "-o", tmp_path / "run", "--network", "huge")

    assert result.exit_code == 2
    assert "must be one of default, small" in result.stderr
