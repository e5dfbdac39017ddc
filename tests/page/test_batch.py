"""Several files at once."""

import io
import json
import zipfile

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, draw_mask, draw_scene
from tests.support.apps import encode_image

OTHER = encode_image(draw_scene(seed=3))
VALID = draw_mask() > 0
DROP_FOLDER = """async (files) => {
    const entries = files.map(([path, content]) => ({
        isFile: true, isDirectory: false, name: path, fullPath: `/scenes/${path}`,
        file: (use) => use(new File([new Uint8Array(content)], path)),
    }));
    const parts = [entries.slice(0, 2), entries.slice(2), []];
    const folder = {isFile: false, isDirectory: true, name: "scenes", fullPath: "/scenes",
        createReader: () => ({readEntries: (use) => use(parts.shift())})};
    const {readDrop} = await import("/static/dropped.js");
    const found = await readDrop({files: [], items: [{webkitGetAsEntry: () => folder}]});
    return found.map(({file, name}) => [name, file.size]);
}"""


def list_files(visit):
    return [row.split("\n") for row in visit.page.locator("#files button").all_inner_texts()]


def test_files_are_segmented_one_after_another_opened_with_a_click_and_saved_together(
    visit, server
):
    files = {"a.png": IMAGE, "a-mask.png": MASK, "b.png": OTHER, "c.png": b"no picture"}
    visit.page.set_input_files(
        "#first-file",
        [
            {"name": name, "mimeType": "image/png", "buffer": bytes_}
            for name, bytes_ in files.items()
        ],
    )
    expect(visit.page.locator("#batch-run")).to_be_focused()
    assert list_files(visit) == [[name, "waiting"] for name in ("a.png", "b.png", "c.png")]
    expect(visit.page.locator("#image-name")).to_have_text("a.png")
    visit.page.click("#batch-run")

    expect(visit.page.locator("#batch-progress")).to_have_text("2 of 3")
    expect(visit.page.locator("#batch-run")).to_be_enabled()
    states = dict(list_files(visit))
    assert "c.png" in states["c.png"]
    summary = server.summarize(IMAGE, MASK)
    largest = max(summary["classes"], key=lambda entry: entry["pixels"])
    assert states["a.png"] == f"{largest['name']} {largest['fraction'] * 100:.1f} %"

    visit.page.click("#files li:nth-child(2) button")
    expect(visit.page.locator("#image-name")).to_have_text("b.png")
    expect(visit.page.locator("#result")).to_be_visible()
    assert np.array_equal(np.load(io.BytesIO(visit.download("npy"))), server.segment(OTHER))
    with visit.page.expect_download() as download:
        visit.page.click("#batch-zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        names = ["a-labels.png", "a.json", "b-labels.png", "b.json"]
        assert archive.namelist() == names
        labels = np.asarray(Image.open(archive.open("a-labels.png")))
        assert np.array_equal(labels, server.segment(IMAGE, MASK))
        assert json.load(archive.open("a.json"))["classes"] == summary["classes"]
    visit.forgive("Failed to load resource")


def test_the_files_of_a_folder_are_found_by_their_paths(visit):
    files = [[f"{number}.png", [0] * number] for number in (10, 2, 1)]
    found = visit.page.evaluate(DROP_FOLDER, [*files, [".hidden", []]])

    assert found == [["scenes/1.png", 1], ["scenes/2.png", 2], ["scenes/10.png", 10]]


def test_masks_are_told_from_images_by_their_names(visit):
    cases = [
        (["scene-mask.png", "scene.tif"], [("scene.tif", "scene-mask.png")]),
        (["field.png", "mask.png"], [("field.png", "mask.png")]),
        (
            ["a.png", "b.png", "b_MASK.png", "mask-a.png"],
            [("a.png", "mask-a.png"), ("b.png", "b_MASK.png")],
        ),
        (["x/a.png", "y/a.png", "y/a mask.png"], [("x/a.png", None), ("y/a.png", "y/a mask.png")]),
        (["a.png", "b.png", "mask.png"], [("a.png", None), ("b.png", None), ("mask.png", None)]),
        (["mask.png"], [("mask.png", None)]),
        (["unmasked.png", "b.png"], [("unmasked.png", None), ("b.png", None)]),
    ]
    for names, expected in cases:
        found = visit.read_module("pairs", "pairFiles", [{"name": name} for name in names])
        pairs = [(pair["image"]["name"], (pair.get("mask") or {}).get("name")) for pair in found]
        assert pairs == expected
