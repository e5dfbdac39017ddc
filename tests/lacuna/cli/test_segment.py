import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from lacuna.cli import main
from lacuna.outputs import OUTPUT_SUFFIXES
from service.platforms import DEMO_REPOSITORY
from tests.support.geotiffs import UTM, geotiff_file
from tests.support.images import noise, tiff_file
from tests.support.rasters import gdal_file

SAMPLES = DEMO_REPOSITORY.parent / "samples" / "groundcover"


def run(*arguments):
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


@pytest.fixture
def image(tmp_path):
    return Path(shutil.copy(SAMPLES / "stripes.png", tmp_path / "scene.png"))


@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".png", lambda data: np.asarray(Image.open(io.BytesIO(data))).shape),
        (".npy", lambda data: np.load(io.BytesIO(data)).shape),
        (".npz", lambda data: np.load(io.BytesIO(data))["probabilities"].shape[:2]),
        (".json", lambda data: tuple(json.loads(data)["size"].values())),
    ],
)
def test_the_output_is_written_as_its_name_says(image, tmp_path, suffix, read, segment):
    output = tmp_path / f"labels{suffix}"

    result = segment(image, "--mask", SAMPLES / "stripes-mask.png", "-o", output)

    assert result.exit_code == 0, result.output
    assert str(output) in result.stdout
    assert read(output.read_bytes()) == (301, 403)


@pytest.fixture
def tagged(tmp_path):
    """A file whose tag says that black is no data."""
    values = np.asarray(Image.open(SAMPLES / "stripes.png").convert("RGB"))[:64, :96]
    values = values.clip(1, 254)
    values[8:24] = 0
    values[40:48] = 255
    tag = (42113, "s", 0, "0", True)
    path = tmp_path / "tagged.tif"
    path.write_bytes(tiff_file(values, photometric="rgb", extratags=[tag]))
    return path


@pytest.mark.parametrize(
    ("options", "missing"),
    [([], slice(8, 24)), (["--nodata", "255"], slice(40, 48)), (["--nodata", "none"], slice(0))],
)
def test_a_nodata_value_stands_in_place_of_the_files(tagged, tmp_path, options, missing, segment):
    result = segment(tagged, *options, "-o", tmp_path / "labels.npy")

    assert result.exit_code == 0, result.output
    valid = np.ones((64, 96), bool)
    valid[missing] = False
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy") != 255, valid)


def test_a_nodata_value_that_is_no_number_is_refused(tagged, tmp_path, segment):
    result = segment(tagged, "--nodata", "zero", "-o", tmp_path / "labels.npy")

    assert result.exit_code == 2
    assert "must be a number, nan or none; it is zero" in result.stderr


def test_the_mask_that_gdal_keeps_beside_a_file_is_taken(tagged, tmp_path, segment):
    mask = np.indices((64, 96)).sum(axis=0) > 50
    (tmp_path / "tagged.tif.msk").write_bytes(tiff_file(255 * mask.astype(np.uint8)))

    result = segment(tagged, "-o", tmp_path / "labels.npy")

    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy") != 255, mask)


def test_without_masks_the_one_that_gdal_keeps_is_left_out_too(tagged, tmp_path, segment):
    mask = np.zeros((64, 96), np.uint8)
    (tmp_path / "tagged.tif.msk").write_bytes(tiff_file(mask))

    result = segment(tagged, "--mask", "none", "-o", tmp_path / "labels.npy")

    assert result.exit_code == 0, result.output
    assert (np.load(tmp_path / "labels.npy")[24:] != 255).all()


def test_an_error_of_the_mask_that_gdal_keeps_names_its_file(tagged, tmp_path, segment):
    (tmp_path / "tagged.tif.msk").write_bytes(tiff_file(np.ones((4, 5), np.uint8)))

    result = segment(tagged, "-o", tmp_path / "labels.npy")

    assert result.exit_code == 1
    assert "image is 64×96, mask is 4×5 (the mask is " in result.stderr
    assert "tagged.tif.msk, which lies beside the image)" in result.stderr.replace("\n", "")


STACK = noise(64, 96, 4)
NAMES = ("blue", "green", "red", "nir")


def segment_stack(segment, tmp_path, *options, values=STACK, **written):
    path = tmp_path / "stack.tif"
    path.write_bytes(gdal_file(values, **written))
    result = segment(path, *options, "-o", tmp_path / "labels.npy")
    return result, np.load(tmp_path / "labels.npy") if result.exit_code == 0 else None


@pytest.mark.parametrize("bands", ["3,2,1", "red, GREEN,blue"])
def test_bands_are_chosen_by_number_or_name(tmp_path, bands, segment):
    result, labels = segment_stack(segment, tmp_path, "--bands", bands, names=NAMES)
    _, expected = segment_stack(segment, tmp_path, "--overwrite", values=STACK[:, :, 2::-1])

    assert "band 4 is tagged as alpha" in result.stderr
    valid = STACK[:, :, 3] > 0
    np.testing.assert_array_equal(labels == 255, ~valid)
    assert (labels[valid] == expected[valid]).mean() > 0.9


def test_alpha_can_be_switched_off(tmp_path, segment):
    result, labels = segment_stack(segment, tmp_path, "--bands", "1,2,3", "--alpha", "no")

    assert "alpha" not in result.stderr
    assert (labels != 255).all()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (
            ["--alpha", "no"],
            1,
            "takes 3 channels; the image has 4 (red, green, blue, alpha): choose",
        ),
        (["--bands", "1,2,swir"], 1, "1 (red), 2 (green), 3 (blue), 4 (alpha); 'swir' is not"),
        (["--bands", "1,,2"], 2, "bands must be numbers or names; one is empty"),
        (["--alpha", "maybe"], 2, "'maybe' is not one of 'auto', 'yes', 'no'"),
    ],
)
def test_a_wrong_choice_of_bands_is_told(tmp_path, options, code, words, segment):
    result, _ = segment_stack(segment, tmp_path, *options)

    assert result.exit_code == code
    assert words in " ".join(result.stderr.replace("│", "").split())


def test_an_image_that_memory_cannot_hold_is_refused_by_its_header(tmp_path, segment):
    path = tmp_path / "scene.tif"
    tifffile.memmap(path, shape=(1 << 20, 1 << 20), dtype=np.uint8, metadata=None)

    result = segment(path, "-o", tmp_path / "labels.npy")

    assert result.exit_code == 1
    assert "decoding takes 4398.0 GB" in result.stderr
    assert "unless the output is a .tif" in result.stderr


def test_another_suffix_is_refused_with_the_known_ones(image, tmp_path, segment):
    result = segment(image, "-o", tmp_path / "labels.gif")

    assert result.exit_code == 2
    assert ", ".join(OUTPUT_SUFFIXES) in result.stderr


def test_a_fault_of_the_input_is_one_line_without_a_traceback(image, tmp_path, segment):
    result = segment(image, "--mask", SAMPLES / "clouds-mask.png", "-o", tmp_path / "labels.png")

    assert result.exit_code == 1
    assert result.stderr.strip().endswith("image is 301×403, mask is 320×448")
    assert "Traceback" not in result.stderr


def test_an_image_that_is_not_there_is_refused(tmp_path, segment):
    result = segment(tmp_path / "none.png", "-o", tmp_path / "labels.png")

    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_a_server_that_does_not_answer_is_said(image, tmp_path):
    result = run(image, "-o", tmp_path / "labels.png", "--url", "http://127.0.0.1:1")

    assert result.exit_code == 1
    assert "the server must answer" in result.stderr


def test_a_server_and_a_repository_exclude_each_other(image, tmp_path):
    result = run(
        image, "-o", tmp_path / "a.png", "--url", "http://x", "--model-repository", tmp_path
    )

    assert result.exit_code == 2
    assert "must not be combined; both were given" in result.stderr


def test_a_repository_without_models_is_said(image, tmp_path, segment):
    result = segment(image, "-o", tmp_path / "a.png", "--model-repository", tmp_path)

    assert result.exit_code == 1
    assert "must hold <model>/<version>/saved_model.pb or model.onnx; " in result.stderr
    assert result.stderr.endswith(f"{tmp_path} holds none\n")


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("models/m/0001", [], "is in {}: move its files to <model>/1 in it"),
        ("models/m", [], "0001/saved_model.pb is in {}: give its parent"),
        ("models", [], "m/0001 is no version, which has no leading zeros: name it 1"),
        (".", [], "the nearest is {}/models/m/0001/saved_model.pb"),
        ("other", ["--model", "m"], "m/0001 is no version, which has no leading zeros: name it 1"),
        ("other", ["--model", "nope"], "nope does not exist"),
    ],
)
def test_a_repository_of_another_layout_is_said(image, tmp_path, given, options, message, segment):
    for place in ("models/m/0001", "other/good/1", "other/m/0001"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "saved_model.pb").touch()
    if given == ".":
        shutil.rmtree(tmp_path / "other")
    root = tmp_path / given

    result = segment(image, "-o", tmp_path / "a.png", "--model-repository", root, *options)

    assert result.exit_code == 1
    assert message.format(root) in result.stderr


def test_an_output_that_cannot_be_written_is_said(image, tmp_path, segment):
    result = segment(image, "-o", tmp_path / "nowhere" / "labels.png")

    assert result.exit_code == 1
    assert "labels.png must be writable; No such file or directory" in result.stderr


def test_an_image_in_other_units_is_warned_of_and_can_be_stretched(tmp_path):
    given = np.asarray(Image.open(SAMPLES / "stripes.png"))
    image, mask = tmp_path / "unit.npy", SAMPLES / "stripes-mask.png"
    np.save(image, (given / 255).astype(np.float32))
    found = {}
    for stretch in ("none", "percentile"):
        output = tmp_path / f"{stretch}.json"
        result = run(image, "--mask", mask, "--stretch", stretch, "-o", output)
        assert result.exit_code == 0, result.output
        found[stretch] = json.loads(output.read_text())

    (warning,) = found["none"]["warnings"]
    assert warning["code"] == "unlike_training"
    assert found["percentile"]["warnings"] == []
    largest = [max(entry["fraction"] for entry in found[kind]["classes"]) for kind in found]
    assert largest[0] > 0.9 > largest[1]


def test_a_geotiff_gives_json_with_areas_and_polygons(tmp_path, segment):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(geotiff_file(np.asarray(Image.open(SAMPLES / "stripes.png").convert("RGB"))))

    for name in ("labels.json", "labels.geojson"):
        assert segment(scene, "-o", tmp_path / name).exit_code == 0

    answer = json.loads((tmp_path / "labels.json").read_text())
    polygons = json.loads((tmp_path / "labels.geojson").read_text())
    assert answer["georeference"]["crs"] == UTM
    areas = {entry["name"]: entry["area_m2"] for entry in answer["classes"]}
    found = dict.fromkeys(areas, 0.0)
    for feature in polygons["features"]:
        found[feature["properties"]["name"]] += feature["properties"]["area_m2"]
    assert found == pytest.approx(areas, rel=1e-9)


def test_polygons_of_an_image_without_a_place_are_refused(image, tmp_path, segment):
    result = segment(image, "-o", tmp_path / "labels.geojson")

    assert result.exit_code == 1
    assert "coordinate reference system" in result.output
    assert not (tmp_path / "labels.geojson").exists()


def test_a_model_is_checked_once_and_not_at_every_start(image, tmp_path, monkeypatch, segment):
    monkeypatch.setenv("LACUNA_CACHE_FOLDER", str(tmp_path / "cache"))
    segment(image, "-o", tmp_path / "first.npy")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(kept.read_text().replace('"detail": "', '"detail": "then: '))
    then = kept.read_text()

    result = segment(image, "-o", tmp_path / "second.npy")

    assert result.exit_code == 0, result.output
    assert "then: " in kept.read_text() == then


def test_a_cache_that_cannot_be_written_is_no_error(image, tmp_path, monkeypatch, segment):
    monkeypatch.setenv("LACUNA_CACHE_FOLDER", str(image / "cache"))

    result = segment(image, "-o", tmp_path / "labels.npy")

    assert result.exit_code == 0, result.output
    assert result.stderr == ""


def test_a_terminal_tells_that_the_model_is_loaded(image, tmp_path, monkeypatch, segment):
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take any stream for a terminal

    result = segment(image, "-o", tmp_path / "labels.npy")

    assert "loading the model …" in result.stderr
    assert result.stderr.index("loading") < result.stderr.index("segmenting")
    assert "loading" not in result.stdout
