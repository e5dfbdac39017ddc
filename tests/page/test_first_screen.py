"""The page before anything is clicked."""

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from lacuna.raster import rle
from service.web.routes.page import SAMPLES, STATIC
from tests.page.driving import run_server

SMALL = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
ANSWER = json.loads((STATIC / "showcase.json").read_text())


def read_column(visit, part):
    """Colours of the canvas at a part of its width, from top to bottom."""
    return np.array(
        visit.page.evaluate(
            """(part) => new Promise((resolve) => {
                requestAnimationFrame(() => requestAnimationFrame(() => {
                    const canvas = document.getElementById("showcase-picture");
                    const {data} = canvas.getContext("2d").getImageData(
                        Math.round(canvas.width * part), 0, 1, canvas.height);
                    resolve([...data]);
                }));
            })""",
            part,
        )
    ).reshape(-1, 4)[:, :3]


@pytest.mark.parametrize("context", [{}, SMALL], indirect=True, ids=["desk", "phone"])
def test_a_sentence_and_a_segmented_sample_say_what_this_is_without_scrolling(visit):
    for element in (".purpose", "#showcase-picture", "#showcase-classes", "label[class~=primary]"):
        expect(visit.page.locator(element)).to_be_in_viewport(ratio=1)
    names = visit.page.locator("#showcase-classes li").all_inner_texts()
    assert names == ["building", "land", "road", "vegetation", "water", "missing"]


def test_the_divider_uncovers_the_image_or_its_labels(visit):
    expect(visit.page.locator("#showcase")).to_be_visible()
    visit.page.fill("#showcase-split", "100")
    image = read_column(visit, 0.125)
    visit.page.focus("#showcase-split")
    visit.page.keyboard.press("Home")
    labelled = read_column(visit, 0.125)

    assert (image != labelled).any(axis=1).mean() > 0.8
    purple = (labelled[:, 1] < 80) & (labelled[:, 2] > 200)  # land, of which the sample has much
    assert purple.mean() > 0.2


@pytest.mark.slow
def test_the_sample_is_labelled_as_its_model_labels_it(tmp_path):
    name = ANSWER["model"]["name"]
    image, mask = (SAMPLES / name / f"clouds{end}.png" for end in ("", "-mask"))
    with run_server(tmp_path, "--demo", name) as demo:
        theirs = demo.summarize(image.read_bytes(), mask.read_bytes(), model=name)

    assert theirs["size"] == ANSWER["size"]
    assert theirs["valid"] == ANSWER["valid"]
    pairs = zip(theirs["classes"], ANSWER["classes"], strict=True)
    differing = 0
    for fresh, shipped in pairs:
        assert (fresh["id"], fresh["name"], fresh["color"]) == (
            shipped["id"],
            shipped["name"],
            shipped["color"],
        )
        areas = [rle.decode(entry["segmentation"]) for entry in (fresh, shipped)]
        differing += np.count_nonzero(areas[0] != areas[1])
    assert differing <= 20  # processors round differently
