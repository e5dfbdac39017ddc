"""Layers over the picture, and results beside one another."""

import io

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, draw_mask, draw_scene
from tests.page.test_segmenting import PALETTE
from tests.support.apps import encode_image

VALID = draw_mask() > 0
MEAN_NOTE = "Pointing at a pixel tells all of them."


@pytest.fixture
def answered(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "100")
    return visit


def read_planes(server):
    content = server.ask(
        "application/zip", IMAGE, MASK, {"also": "probabilities,confidence,support"}
    ).content
    return np.load(io.BytesIO(content))


def show_layer(visit, name):
    visit.page.select_option("#layer", label=name)
    expect(visit.page.locator("#layer-note")).to_contain_text(MEAN_NOTE)


@pytest.mark.parametrize(
    ("layer", "plane"),
    [("Confidence", "confidence"), ("Support", "support"), ("medium", "probabilities")],
)
def test_a_layer_is_brighter_where_its_plane_is_larger(answered, server, layer, plane):
    values = read_planes(server)[plane]
    values = values[:, :, 1] if plane == "probabilities" else values
    show_layer(answered, layer)

    shown = answered.read_canvas(64, 48).astype(int)
    # Of the scale's colours, from dark violet to yellow, green alone grows all the way.
    green = shown[VALID][:, 1]
    order = np.argsort(values[VALID], kind="stable")
    assert np.all(np.diff(green[order]) >= -1)
    assert (np.ptp(green) > 20) == (np.ptp(values[VALID]) > 0.2)  # the fake is always sure
    expect(answered.page.locator("#scale")).to_be_visible()
    answered.page.select_option("#layer", label="Labels")
    labels = server.segment(IMAGE, MASK)
    assert np.array_equal(answered.read_canvas(64, 48)[VALID], PALETTE[labels[VALID]])


def test_the_pointer_tells_all_planes(answered, server):
    planes = read_planes(server)
    show_layer(answered, "Support")
    answered.page.mouse.move(*answered.locate(60.5, 40.5))

    told = answered.page.inner_text("#readout-label").split(" · ")
    names = ["confidence", "support", *answered.page.locator("#legend th span").all_inner_texts()]
    values = [planes["confidence"], planes["support"], *np.moveaxis(planes["probabilities"], 2, 0)]
    expected = {name: value[40, 60] for name, value in zip(names, values, strict=True)}
    found = {part.split()[0]: float(part.split()[1]) for part in told[1:]}
    assert found.keys() == expected.keys()
    assert all(abs(found[name] - expected[name]) < 0.01 for name in names)


def test_the_image_lies_on_the_other_side_of_the_divider(answered, server):
    answered.page.select_option("#compare", label="the image")
    expect(answered.page.locator("#swipe")).to_be_visible()
    answered.page.fill("#swipe-split", "100")
    assert np.array_equal(answered.read_canvas(64, 48)[VALID], draw_scene()[VALID])
    answered.page.fill("#swipe-split", "0")
    labels = server.segment(IMAGE, MASK)
    assert np.array_equal(answered.read_canvas(64, 48)[VALID], PALETTE[labels[VALID]])


def test_a_result_is_compared_with_that_without_the_mask(answered, server):
    with_mask, without = server.segment(IMAGE, MASK), server.segment(IMAGE)
    answered.page.select_option("#compare", label="without mask")

    differing = np.count_nonzero(with_mask[VALID] != without[VALID])
    expect(answered.page.locator("#compare-note")).to_contain_text(
        f"{differing:,} of {VALID.sum():,} labels differ"
    )
    answered.page.fill("#swipe-split", "100")
    assert np.array_equal(answered.read_canvas(64, 48), PALETTE[without])


def test_a_result_is_compared_with_that_of_another_version(answered):
    answered.page.select_option("#compare", label="three 1")

    expect(answered.page.locator("#compare-note")).to_have_text(
        f"0 of {VALID.sum():,} labels differ (0.0 %)."
    )
    answered.page.click("#clear")
    answered.run()
    expect(answered.page.locator("#swipe")).to_be_hidden()
    expect(answered.page.locator("#compare")).to_have_value("")


def test_labels_are_compared_by_the_names_of_their_classes(visit):
    changed = visit.page.evaluate(
        """() => import("/static/disturb.js").then(({countDifferences}) => countDifferences(
            new Uint8Array([0, 1, 2, 255, 1]), new Uint8Array([1, 0, 0, 0, 255]),
            new Uint8Array([1, 0])))"""
    )

    assert changed == {"both": 3, "changed": 1}


def test_painting_goes_on_beside_the_divider(answered):
    answered.page.select_option("#compare", label="the image")
    answered.take_tool("rectangle")
    before = answered.read_missing()
    answered.drag((50, 2), (55, 6))

    assert answered.read_missing() == before + 6 * 5


def test_a_layer_that_the_server_refuses_leaves_the_labels(visit):
    visit.choose(encode_image(draw_scene()))
    visit.run()
    visit.page.route("**/v1/segment", lambda route: route.fulfill(status=500, body="no"))
    visit.page.select_option("#layer", label="Confidence")

    expect(visit.page.locator("#error")).to_contain_text("status 500")
    expect(visit.page.locator("#layer")).to_have_value("labels")
    visit.forgive("Failed to load resource")
