"""Values that the model is given: shown as they are, warned of, and stretched on request."""

import io
import json

import numpy as np
import pytest
from playwright.sync_api import expect

from service.runtime.manifest import ImageSpec
from tests.page.driving import IMAGE, Visit, draw_mask, draw_scene
from tests.page.test_proof import prove
from tests.support.apps import encode_image
from tests.support.images import npy_file, tiff_file

SCENE = draw_scene()
VALID = draw_mask() > 0
DARK = (SCENE.astype(np.uint16) * 257) // 40
TWELVE = SCENE.astype(np.uint16) * 16
UNIT = (SCENE / 255).astype(np.float32)

# Each is what a file holds, its name, and what the model is given.
UNUSUAL = {
    "16 bits, 40 times darker": (tiff_file(DARK, photometric="rgb"), "dark.tif", DARK / 257),
    "12 bits in 16": (tiff_file(TWELVE, photometric="rgb"), "twelve.tif", TWELVE / 257),
    "0 to 1 in a TIFF": (tiff_file(UNIT, photometric="rgb"), "unit.tif", UNIT),
    "0 to 1 in an array": (npy_file(UNIT), "unit.npy", UNIT),
    "40 times darker": (encode_image(SCENE // 40), "dark.png", SCENE // 40),
}


def read_labels(visit):
    return np.load(io.BytesIO(visit.download("npy")))


def stretch_reference(values, valid):
    """Values that the server makes of each channel: from 2nd and 98th percentile to 5 and 250."""
    channels = []
    for channel in np.moveaxis(values.astype(np.float64), 2, 0):
        low, high = np.percentile(channel[valid], (2, 98))
        channels.append(np.clip((channel - low) / (high - low) * 245 + 5, 0, 255))
    return np.dstack(channels)


def test_a_usual_picture_is_shown_as_it_is_and_warned_of_by_nobody(visit):
    visit.choose(IMAGE)
    visit.show_actual()
    assert np.array_equal(visit.read_canvas(64, 48), SCENE)
    visit.run()

    expect(visit.page.locator("#caution")).to_be_hidden()
    expect(visit.page.locator("#stretch")).to_be_enabled()
    assert "stretch" not in visit.page.inner_text("#curl")


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_picture_looks_as_dark_as_it_is_and_is_warned_of(visit, server, kind):
    content, name, given = UNUSUAL[kind]
    visit.choose(content, name, "")
    visit.show_actual()
    np.testing.assert_allclose(visit.read_canvas(64, 48), given, atol=1)
    visit.run()

    expect(visit.page.locator("#caution")).to_be_visible()
    (warning,) = server.summarize(content)["warnings"]
    said = visit.page.inner_text("#caution-text")
    assert said.lower() == f"{warning['message'].lower()}."
    assert said.startswith("The image is unlike the images that the model was trained on")


@pytest.mark.parametrize("kind", UNUSUAL)
def test_the_warning_offers_a_stretch_that_the_model_is_really_given(visit, server, kind):
    content, name, given = UNUSUAL[kind]
    visit.choose(content, name, "")
    visit.run()
    with visit.page.expect_response("**/v1/segment"):
        visit.page.click("#caution-stretch")
    visit.await_result()

    expect(visit.page.locator("#caution")).to_be_hidden()
    labels = server.segment(content, stretch="percentile")
    assert np.array_equal(read_labels(visit), labels)
    assert len(np.unique(labels)) == 3
    assert "-F stretch=percentile" in visit.page.inner_text("#curl")
    visit.page.fill("#opacity", "0")
    visit.show_actual()
    expected = stretch_reference(given, np.ones_like(VALID))
    np.testing.assert_allclose(visit.read_canvas(64, 48), expected, atol=2)


def test_the_stretch_is_that_of_the_valid_pixels_as_they_are_sent(visit, server):
    content = npy_file(UNIT)
    visit.choose(content, "unit.npy", "")
    visit.stretch()
    visit.choose_mask(encode_image(draw_mask()))
    visit.run()

    assert np.array_equal(
        read_labels(visit),
        server.segment(content, encode_image(draw_mask()), stretch="percentile"),
    )
    visit.page.fill("#opacity", "0")
    visit.show_actual()
    shown = visit.read_canvas(64, 48)[VALID]
    np.testing.assert_allclose(shown, stretch_reference(UNIT, VALID)[VALID], atol=1)


def test_a_stretch_can_be_taken_back(visit):
    content = npy_file(UNIT)
    visit.choose(content, "unit.npy", "")
    visit.show_actual()
    before = visit.read_canvas(64, 48)
    visit.stretch()
    assert np.ptp(visit.read_canvas(64, 48)) > 200
    visit.stretch(on=False)

    assert np.array_equal(visit.read_canvas(64, 48), before)
    expect(visit.page.locator("#stretch-note")).to_be_empty()
    visit.run()
    expect(visit.page.locator("#caution")).to_be_visible()


def test_the_note_about_a_preview_is_true_with_a_stretch_too(visit):
    visit.choose(*UNUSUAL["12 bits in 16"][:2], "")
    visit.stretch()

    note = visit.page.inner_text("#file-note")
    assert note.startswith("This is a preview by the server")
    assert note.endswith("The file itself is sent.")


def test_a_stretched_picture_keeps_the_promise(visit):
    visit.choose(npy_file(UNIT), "unit.npy", "")
    visit.choose_mask(encode_image(draw_mask()))
    visit.stretch()
    visit.run()

    assert prove(visit) == f"0 of {VALID.sum():,} labels changed"


def test_another_picture_has_no_warning_before_it_is_segmented(visit):
    visit.choose(UNUSUAL["0 to 1 in an array"][0], "unit.npy", "")
    visit.run()
    expect(visit.page.locator("#caution")).to_be_visible()
    visit.choose(IMAGE)

    expect(visit.page.locator("#caution")).to_be_hidden()


def test_the_demo_warns_of_a_dark_copy_of_its_sample_and_of_no_sample(context, demo):
    visit = Visit(context.new_page(), demo.url).open()
    for sample in range(4):
        visit.page.click(
            f"#first-samples .sample >> nth={sample}"
            if not sample
            else f"#samples .sample >> nth={sample}"
        )
        expect(visit.page.locator("#missing")).not_to_contain_text("0 px · 0.0 %")
        visit.run()
        expect(visit.page.locator("#caution")).to_be_hidden()
    assert visit.faults == []


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"dtype": "uint8"}, {"dtype": "uint8", "lows": [0], "highs": [255]}),
        ({"dtype": "uint16"}, {"dtype": "uint16", "lows": [0], "highs": [65535]}),
        ({"dtype": "float32"}, None),
        (
            {"dtype": "uint16", "statistics": [{"low": 200, "high": 9000}] * 2},
            {"dtype": "uint16", "lows": [200, 200], "highs": [9000, 9000]},
        ),
        (None, None),
    ],
)
def test_pictures_are_drawn_in_the_range_that_the_server_draws_previews_in(visit, image, expected):
    given = None if image is None else image | {"channels": len(image.get("statistics", [0]))}
    assert visit.read_module("range", "findRange", given) == expected
    if given is not None:
        shown = ImageSpec.model_validate(describe_statistics(given)).display_range
        assert (shown and json.loads(json.dumps(shown._asdict()))) == expected


def describe_statistics(image):
    """Fill in what the page does not look at."""
    if "statistics" not in image:
        return image
    rest = {"mean": 1000, "deviation": 1, "minimum": 0, "maximum": 65535}
    tiles = {"tile_mean": (0, 1), "tile_deviation": (0, 1)}
    return image | {"statistics": tuple(rest | tiles | entry for entry in image["statistics"])}


def test_bytes_are_drawn_as_a_model_of_16_bits_is_given_them(visit):
    drawn = visit.page.evaluate(
        """async () => {
            const {draw} = await import("/static/raster.js");
            const raster = {width: 2, height: 1, channels: 3, step: 4, kind: "|u1", picture: true,
                values: new Uint8Array([10, 20, 30, 255, 100, 0, 255, 255])};
            const range = {dtype: "uint16", lows: [0], highs: [25700]};
            const canvas = draw(raster, range);
            return [...canvas.getContext("2d").getImageData(0, 0, 2, 1).data];
        }"""
    )
    # 257 times the bytes, and 25,700 is white.
    np.testing.assert_allclose(drawn, [25.5, 51, 76.5, 255, 255, 0, 255, 255], atol=0.6)
