import io
import json

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, Visit, draw_mask, draw_scene
from tests.page.server import COLORS
from tests.support.apps import encode_image

PALETTE = np.array([[int(c[at : at + 2], 16) for at in (1, 3, 5)] for c in COLORS.values()])
VALID = draw_mask() > 0


def test_the_overlay_shows_the_servers_labels_pixel_by_pixel(visit, server):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "100")

    labels = server.segment(IMAGE, MASK)
    shown = visit.read_canvas(64, 48)

    assert set(np.unique(labels)) == {0, 1, 2, 255}
    assert np.array_equal(labels != 255, VALID)
    assert np.array_equal(shown[VALID], PALETTE[labels[VALID]])


def test_the_missing_area_is_hatched_and_nothing_of_it_is_in_a_classs_colour(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "100")

    hatched = visit.read_canvas(64, 48)[10:30, 20:50].reshape(-1, 3)

    assert len(np.unique(hatched, axis=0)) > 2
    assert not any((hatched == color).all(axis=1).any() for color in PALETTE)


def test_without_overlay_the_picture_itself_is_seen(visit):
    visit.choose(IMAGE)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "0")

    assert np.array_equal(visit.read_canvas(64, 48), draw_scene())


def test_the_first_answer_to_a_picture_comes_into_sight(visit):
    visit.choose(IMAGE)
    visit.run()

    expect(visit.page.locator("#h-result")).to_be_in_viewport()
    expect(visit.page.locator("#copy")).to_be_in_viewport()
    expect(visit.page.locator("#picture")).to_be_in_viewport(ratio=1)


def test_what_is_no_longer_the_answer_says_so_where_it_is_asked_for_again(visit):
    visit.choose(IMAGE)
    visit.run()
    visit.page.click("#invert")
    expect(visit.page.locator("#stale")).to_be_visible()
    expect(visit.page.locator("#run")).to_have_text("Segment again")
    visit.run()

    expect(visit.page.locator("#stale")).to_be_hidden()
    expect(visit.page.locator("#run")).to_have_text("Segment")


def test_the_legend_tells_the_servers_numbers(visit, server):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()

    told = visit.page.locator("#legend tbody tr").all_inner_texts()
    classes = server.summarize(IMAGE, MASK)["classes"]
    assert [row.split() for row in told] == [
        [entry["name"], f"{entry['pixels']:,}", f"{entry['fraction'] * 100:.1f}", "%"]
        for entry in classes
    ]
    assert sum(entry["pixels"] for entry in classes) == VALID.sum()


def test_a_class_that_is_switched_off_is_not_shown(visit, server):
    visit.choose(IMAGE)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "100")
    visit.page.uncheck("#legend tbody tr:nth-child(2) input")

    labels = server.segment(IMAGE)
    shown = visit.read_canvas(64, 48)

    assert np.array_equal(shown[labels == 1], draw_scene()[labels == 1])
    assert np.array_equal(shown[labels == 2], PALETTE[labels[labels == 2]])


def test_what_is_under_the_pointer_is_told(visit, server):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    visit.show_actual()
    labels = server.segment(IMAGE, MASK)

    visit.page.mouse.move(*visit.locate(60.5, 40.5))
    expect(visit.page.locator("#readout-place")).to_have_text("x 60  y 40")
    expect(visit.page.locator("#readout-label")).to_have_text(list(COLORS)[labels[40, 60]])
    visit.page.mouse.move(*visit.locate(30.5, 20.5))
    expect(visit.page.locator("#readout-label")).to_have_text("missing (marked)")


def test_the_servers_timings_are_told(visit):
    visit.choose(IMAGE)
    visit.run()

    stages = visit.page.locator("#timings dt").all_inner_texts()
    assert stages == ["decode", "queue", "infer", "encode", "transfer"]


def test_downloads_are_what_the_server_gives(visit, server):
    visit.choose(IMAGE, "my scene.png")
    visit.choose_mask(MASK)
    visit.run()
    labels = server.segment(IMAGE, MASK)

    assert np.array_equal(np.load(io.BytesIO(visit.download("npy"))), labels)
    picture = Image.open(io.BytesIO(visit.download("png")))
    assert np.array_equal(np.asarray(picture), labels)
    assert np.array_equal(np.asarray(picture.convert("RGBA"))[:, :, 3] > 0, VALID)
    assert np.array_equal(np.asarray(picture.convert("RGB"))[VALID], PALETTE[labels[VALID]])
    summary = json.loads(visit.download("json"))
    assert summary["classes"] == server.summarize(IMAGE, MASK)["classes"]
    assert np.array_equal(visit.read_mask(), VALID)


def test_the_chosen_version_answers(visit):
    visit.choose(IMAGE)
    assert visit.page.locator("#version option").all_inner_texts() == ["highest", "1", "2"]
    visit.page.select_option("#version", "1")
    visit.run()

    assert json.loads(visit.download("json"))["model"] == {"name": "three", "version": "1"}
    assert "-F version=1" in visit.page.inner_text("#curl")


def test_transparent_pixels_are_missing_without_a_word(visit, server):
    alpha = np.where(VALID, 255, 0).astype(np.uint8)
    image = encode_image(np.dstack([draw_scene(), alpha]))
    visit.choose(image)

    assert visit.read_missing() == (~VALID).sum()
    assert f"{(~VALID).sum()} px" in visit.page.inner_text("#file-note")
    visit.run()
    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(image))
    assert "mask" not in visit.page.inner_text("#curl")


@pytest.mark.parametrize("value", ["7", "nan"])
def test_pixels_of_the_nodata_value_are_missing(visit, server, value):
    scene = draw_scene().astype(np.float32)
    scene[~VALID] = float(value)
    buffer = io.BytesIO()
    np.save(buffer, scene)
    visit.choose(buffer.getvalue(), "scene.npy", "application/octet-stream")
    visit.page.fill("#nodata", value)
    visit.page.press("#nodata", "Tab")

    expect(visit.page.locator("#missing")).to_contain_text(f"{(~VALID).sum()} px")
    visit.run()
    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(buffer.getvalue(), nodata=value))
    assert np.array_equal(labels != 255, VALID)
    assert f"-F nodata={value}" in visit.page.inner_text("#curl")


def test_where_the_server_finds_more_missing_than_the_page_could_its_word_holds(visit):
    deep = draw_scene()[:, :, 0].astype(np.uint16) * 256 + 3
    deep[~VALID] = 9  # of 16 bits, of which a browser shows eight
    visit.choose(encode_image(deep))
    visit.page.fill("#nodata", "9")
    visit.page.press("#nodata", "Tab")
    visit.run()

    assert visit.read_missing() == (~VALID).sum()


def test_a_photograph_that_was_held_upright_is_shown_upright(visit, server):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(draw_scene()).save(buffer, "JPEG", exif=exif)
    visit.choose(buffer.getvalue(), "upright.jpg", "image/jpeg")
    expect(visit.page.locator("#readout-size")).to_have_text("48 × 64")
    visit.run()

    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(buffer.getvalue()))


def test_a_sample_comes_with_its_mask(visit):
    visit.page.click("#first-samples .sample >> nth=0")

    expect(visit.page.locator("#image-name")).to_have_text("clouds.png")
    expect(visit.page.locator("#missing")).to_have_text("91,751 px · 35.0 %")


def test_a_sample_that_is_still_being_opened_is_the_one_that_is_segmented(visit, server):
    visit.choose(IMAGE)
    held = []
    visit.page.route("**/clouds-mask.png", lambda route: held.append(route))  # noqa: PLW0108 (inspected)
    with visit.page.expect_request("**/clouds-mask.png"):
        visit.page.click("#samples .sample >> nth=0")
    visit.page.click("#run")
    expect(visit.page.locator("#progress-text")).to_contain_text("Writing the mask")
    held[0].continue_()
    visit.await_result()

    expect(visit.page.locator("#image-name")).to_have_text("clouds.png")
    labels = np.load(io.BytesIO(visit.download("npy")))
    image, mask = (
        httpx2.get(f"{server.url}/samples/aerial/{name}.png").content
        for name in ("clouds", "clouds-mask")
    )
    assert np.array_equal(labels, server.segment(image, mask))


def test_image_and_mask_may_be_dropped_together(visit):
    visit.page.evaluate(
        """async ([image, mask]) => {
            const files = new DataTransfer();
            const bytes = (list) => new Uint8Array(list);
            files.items.add(new File([bytes(mask)], "scene-mask.png", {type: "image/png"}));
            files.items.add(new File([bytes(image)], "scene.png", {type: "image/png"}));
            const given = {dataTransfer: files, bubbles: true, cancelable: true};
            document.body.dispatchEvent(new DragEvent("dragenter", given));
            document.body.dispatchEvent(new DragEvent("drop", given));
        }""",
        [list(IMAGE), list(MASK)],
    )

    expect(visit.page.locator("#image-name")).to_have_text("scene.png")
    expect(visit.page.locator("#missing")).to_contain_text(f"{(~VALID).sum()} px")


def test_an_image_may_be_pasted(visit):
    visit.page.evaluate(
        """(image) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(image)], "image.png", {type: "image/png"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: files}));
        }""",
        list(IMAGE),
    )

    expect(visit.page.locator("#image-name")).to_have_text("image.png")


def test_a_run_can_be_cancelled_and_begun_again(visit, server):
    visit.choose(IMAGE)
    with server.hold():
        visit.page.click("#run")
        expect(visit.page.locator("#progress-text")).to_contain_text("Computing on the server")
        visit.page.click("#cancel")
        expect(visit.page.locator("#run")).to_be_enabled()
        expect(visit.page.locator("#result")).to_be_hidden()
        expect(visit.page.locator("#error")).to_be_hidden()
    visit.run()


def test_the_panel_tells_what_the_server_counts(visit, server):
    expect(visit.page.locator("#queue")).to_have_text("0")
    expect(visit.page.locator("#requests")).to_contain_text("/s", timeout=10_000)
    before = visit.page.inner_text("#throughput")
    visit.choose(IMAGE)
    visit.run()

    assert "MP/s" in before
    expect(visit.page.locator("#computed")).to_contain_text("%", timeout=10_000)


def test_a_hidden_page_asks_nothing(context, server):
    page, asked = context.new_page(), []
    page.clock.install(time=0)
    visit = Visit(page, server.url).open()
    expect(page.locator("#queue")).to_have_text("0")
    with page.expect_response("**/metrics"):  # the last of what it asks while it is seen
        page.clock.pause_at(3600)
    page.evaluate("""() => {
        Object.defineProperty(document, "visibilityState", {value: "hidden"});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(2500)
    page.evaluate("fetch('/livez').then((answer) => answer.text())")  # comes after all before it

    assert asked == [f"{server.url}/livez"]
    assert (visit.faults, visit.foreign) == ([], [])
