"""`lacuna segment` over many images, on a server of the fake model."""

import csv
import io
import json
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lacuna.cli import main
from service.runtime.fake import FakeRuntime
from tests.lacuna.client.relay import Relay
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.live import serve_live

COUNT = 24


class Counting(FakeRuntime):
    """Counts the images it saw, and tells when there were so many."""

    def __init__(self):
        super().__init__()
        self.images, self.enough, self.at = 0, threading.Event(), 10**9

    def run(self, images, masks, *, probabilities, keep=None):
        self.images += len(images)
        if self.images >= self.at:
            self.enough.set()
        return super().run(images, masks, probabilities=probabilities, keep=keep)


@pytest.fixture
def runtime():
    return Counting()


@pytest.fixture
def address(tmp_path, runtime):
    root = make_repository_folder(tmp_path / "models")
    with serve_live(load_repository(root, lambda _: runtime)) as address:
        runtime.images = 0
        yield address


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        image = rng.integers(0, 256, (8, 9 + index), np.uint8)
        (folder / f"s{index:02}.png").write_bytes(encode_image(image))
        (folder / f"s{index:02}-mask.png").write_bytes(encode_image(image > 60))
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


def ask(scenes, url, *options):
    output = scenes.parent / "out"
    return run(scenes, "--mask", "{stem}-mask.png", "-o", output, "--url", url, *options), output


def test_a_folder_is_segmented_and_summed_up(scenes, address):
    result, output = ask(scenes, f"http://{address}")

    assert result.exit_code == 0, result.output
    assert len(list(output.iterdir())) == COUNT
    assert f"{COUNT} images" in result.stdout
    assert all(f"s{index:02}.png" in result.stdout for index in range(COUNT))
    assert f"{COUNT} segmented in" in result.stdout


@pytest.mark.parametrize("protocol", ["oip", "tfserving"])
def test_every_protocol_writes_the_same_files(scenes, address, protocol):
    url = f"http://{address}"
    _, output = ask(scenes, url)
    expected = {path.name: path.read_bytes() for path in output.iterdir()}

    result, _ = ask(scenes, url, "--protocol", protocol, "--overwrite")

    assert result.exit_code == 0, result.output
    assert {path.name: path.read_bytes() for path in output.iterdir()} == expected


@pytest.mark.parametrize("form", ["npy", "npz", "json"])
def test_the_format_can_be_chosen(scenes, address, form):
    result, output = ask(scenes, f"http://{address}", "--format", form)

    assert result.exit_code == 0, result.output
    assert len(list(output.glob(f"*.{form}"))) == COUNT
    if form == "json":
        model = json.loads((output / "s00.json").read_text())["model"]
        assert model == {"name": "fake", "version": "1"}


def test_overlays_stand_beside_the_outputs(scenes, address):
    _, output = ask(scenes, f"http://{address}", "--overlay")

    assert len(list(output.glob("*-overlay.png"))) == COUNT


def test_what_is_done_is_not_asked_again(scenes, address, runtime):
    ask(scenes, f"http://{address}")
    (scenes.parent / "out" / "s07.png").unlink()
    runtime.images = 0

    result, output = ask(scenes, f"http://{address}", "--resume")

    assert result.exit_code == 0
    assert runtime.images == 1
    assert f"1 segmented, {COUNT - 1} done before" in result.stdout
    assert len(list(output.iterdir())) == COUNT


def test_outputs_that_exist_are_replaced_only_if_the_user_says_so(scenes, address, runtime):
    output = scenes.parent / "out"
    output.mkdir()
    (output / "s07.png").write_bytes(b"somebody's only copy")

    result, _ = ask(scenes, f"http://{address}")

    assert result.exit_code == 2
    assert "s07.png exists (--overwrite replaces outputs" in " ".join(result.stderr.split())
    assert runtime.images == 0
    assert [path.read_bytes() for path in output.iterdir()] == [b"somebody's only copy"]

    result, _ = ask(scenes, f"http://{address}", "--overwrite")
    assert result.exit_code == 0, result.output
    assert (output / "s07.png").read_bytes().startswith(b"\x89PNG")


def test_resuming_and_overwriting_exclude_each_other(scenes):
    result = run(scenes, "-o", scenes.parent / "out", "--resume", "--overwrite")

    assert result.exit_code == 2
    assert "must not be combined" in result.stderr


def test_a_folder_with_masks_is_not_segmented_by_mistake(scenes, address, runtime):
    result = run(scenes, "-o", scenes.parent / "out", "--url", f"http://{address}")

    assert result.exit_code == 2
    assert "--mask '{stem}-mask.png' uses masks" in " ".join(result.stderr.split())
    assert runtime.images == 0
    assert not (scenes.parent / "out").exists()


def test_without_masks_only_the_images_are_segmented(scenes, address):
    output = scenes.parent / "out"

    result = run(scenes, "--mask", "none", "-o", output, "--url", f"http://{address}")

    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in output.iterdir()) == [f"s{n:02}.png" for n in range(COUNT)]
    assert (np.asarray(Image.open(output / "s00.png")) != 255).all()


def test_one_bad_image_costs_no_other(scenes, address):
    (scenes / "s03.png").write_bytes(b"no image")

    result, output = ask(scenes, f"http://{address}")

    assert result.exit_code == 3
    assert "s03.png: not an image" in result.stderr
    assert f"{COUNT - 1} segmented, 1 failed" in result.stdout
    assert len(list(output.iterdir())) == COUNT - 1


def test_the_exit_status_tells_that_nothing_was_done(scenes, address):
    result, output = ask(scenes, f"http://{address}", "--model", "ghost", "--concurrency", 1)

    assert result.exit_code == 1
    assert f"1 failed, {COUNT - 1} not started" in result.stdout
    assert list(output.iterdir()) == []


def test_a_server_that_restarts_costs_no_image_and_no_work_twice(scenes, address, runtime):
    relay, concurrency = Relay(address), 4
    runtime.at = COUNT // 2

    def restart():
        assert runtime.enough.wait(30)
        relay.cut()
        relay.mend()

    thread = threading.Thread(target=restart)
    thread.start()
    result, output = ask(scenes, relay.url, "--concurrency", concurrency)
    thread.join()
    relay.cut()

    assert result.exit_code == 0, result.output
    assert len(list(output.iterdir())) == COUNT
    assert runtime.images <= COUNT + concurrency


def test_a_server_that_goes_for_good_leaves_work_that_can_be_resumed(scenes, address, runtime):
    relay = Relay(address)
    runtime.at = COUNT // 2

    def go():
        assert runtime.enough.wait(30)
        relay.cut()

    thread = threading.Thread(target=go)
    thread.start()
    result, output = ask(scenes, relay.url, "--patience", 0, "--concurrency", 2)
    thread.join()
    done = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}

    assert result.exit_code == 3
    assert "--resume" in result.stderr
    assert 0 < len(done) < COUNT

    result, _ = ask(scenes, f"http://{address}", "--resume")
    after = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    assert result.exit_code == 0
    assert len(after) == COUNT
    assert done.items() <= after.items()


def test_the_key_comes_from_a_file(scenes, address, tmp_path):
    (tmp_path / "key").write_text("some-key-or-other\n")

    result, _ = ask(scenes, f"http://{address}", "--api-key-file", tmp_path / "key")

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("key", [["--api-key", "a-client-key-0001"], ["--api-key-file", "-"]])
def test_keys_are_for_servers(scenes, key):
    result = run(scenes, "-o", scenes / "out", *key)

    assert result.exit_code == 2
    assert "--api-key and --api-key-file are for servers; they need --url" in result.stderr


def test_protocols_are_for_servers(scenes):
    result = run(scenes, "-o", scenes / "out", "--protocol", "oip")

    assert result.exit_code == 2
    assert "needs --url" in result.stderr


def test_a_summary_in_json_has_every_image_and_every_failure(scenes, address):
    (scenes / "s00.png").write_bytes(b"no image")

    result, output = ask(scenes, f"http://{address}", "--summary", "json")

    assert result.exit_code == 3
    summary = json.loads(result.stdout)
    assert len(summary["images"]) == COUNT - 1
    first = summary["images"][0]
    assert (first["image"], first["output"]) == (str(scenes / "s01.png"), str(output / "s01.png"))
    assert (first["height"], first["width"]) == (8, 10)
    labels = np.asarray(Image.open(output / "s01.png"))
    shares = {entry["name"]: entry["pixels"] for entry in first["classes"]}
    assert shares == {
        name: int((labels == number).sum())
        for number, name in enumerate(["dark", "medium", "bright"])
    }
    (failure,) = summary["failed"]
    assert (failure["image"], failure["code"]) == (str(scenes / "s00.png"), "invalid_image")
    assert f"{COUNT - 1} segmented" in result.stderr


def test_a_summary_in_csv_has_a_row_for_each_class(scenes, address):
    (scenes / "s00.png").write_bytes(b"no image")

    result, _ = ask(scenes, f"http://{address}", "--summary", "csv")

    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 3 * (COUNT - 1) + 1
    assert [row["class"] for row in rows[:3]] == ["dark", "medium", "bright"]
    assert sum(int(row["pixels"]) for row in rows[:3]) == int(rows[0]["valid_pixels"])
    assert rows[-1]["image"] == str(scenes / "s00.png")
    assert rows[-1]["error"]


def pipe(scenes, url, *options):
    content = (scenes / "s03.png").read_bytes()
    arguments = ["segment", "-", "-o", "-", "--url", url, *options]
    return CliRunner().invoke(main, arguments, input=content)


@pytest.mark.parametrize(
    ("options", "start"), [([], b"\x89PNG"), (["--format", "npy"], b"\x93NUMPY")]
)
def test_an_image_comes_from_a_pipe_and_labels_go_to_one(scenes, address, options, start):
    result = pipe(scenes, f"http://{address}", *options)

    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes.startswith(start)
    assert result.stderr.startswith("-: 8×12, 100.0% valid")


def test_beside_labels_in_a_pipe_the_summary_is_on_the_standard_error(scenes, address):
    result = pipe(scenes, f"http://{address}", "--summary", "json")

    (image,) = json.loads(result.stderr)["images"]
    assert (image["image"], image["output"]) == ("-", "-")


def test_a_pipe_without_an_image_is_an_error_and_writes_nothing(address):
    arguments = ["segment", "-", "-o", "-", "--url", f"http://{address}"]

    result = CliRunner().invoke(main, arguments, input=b"no image")

    assert result.exit_code == 1
    assert result.stdout_bytes == b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "other.png", "-o", "out"], "must stand for the only image"),
        (["-", "-o", "-", "--overlay"], "are for files"),
        (["-", "-o", "-", "--also", "support"], "are for files"),
        (["-", "-o", "-", "--api-key-file", "-", "--url", "http://x"], "it is both"),
    ],
)
def test_pipes_that_cannot_be_are_refused(arguments, words):
    result = CliRunner().invoke(main, ["segment", *arguments], input=b"")

    assert result.exit_code == 2
    assert words in result.stderr
