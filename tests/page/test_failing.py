"""What goes wrong is said in words."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, Visit, draw_scene, run_server
from tests.support.apps import encode_image

NOT_LOADED = "Failed to load resource"  # what Chromium itself writes of any status but 200
KEY = "a-key-of-sixteen-characters"


def test_the_servers_own_words_are_shown_with_the_name_of_the_file(visit):
    visit.choose(IMAGE, "cut.png")
    problem = json.dumps({"code": "invalid_image", "detail": "the image is damaged"})
    visit.page.route("**/v1/segment", lambda route: route.fulfill(status=422, body=problem))
    visit.page.click("#run")

    expect(visit.page.locator("#error")).to_have_text("File cut.png: the image is damaged.")
    visit.page.unroute("**/v1/segment")
    visit.run()
    expect(visit.page.locator("#error")).to_be_hidden()
    visit.forgive(NOT_LOADED)


def test_channels_that_the_model_does_not_take_are_refused_before_anything_is_sent(visit):
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((9, 9, 5), np.uint8))
    visit.choose(buffer.getvalue(), "five.npy", "application/octet-stream")

    words = (
        "Model three takes 3 channels; five.npy has 5. Choose bands on the command line, as with "
        "--bands."
    )
    expect(visit.page.locator("#error")).to_have_text(words)
    expect(visit.page.locator("#limits-note")).to_have_text(words)
    visit.page.click("#alert-close")
    visit.page.click("#run")
    expect(visit.page.locator("#error")).to_have_text(words)
    assert [url for url in asked if "/v1/segment" in url] == []


def test_what_is_no_picture_is_refused_in_words(visit):
    visit.page.set_input_files(
        "#image-file", [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"no picture"}]
    )

    expect(visit.page.locator("#error")).to_contain_text("PNG, JPEG, WebP, TIFF, JPEG 2000 or NPY")
    visit.forgive(NOT_LOADED)


def test_a_mask_of_another_size_is_refused_in_words(visit):
    visit.choose(IMAGE)
    visit.choose_mask(encode_image(np.zeros((5, 7), np.uint8)))

    expect(visit.page.locator("#error")).to_have_text(
        "The mask must have the image's height and width; the image is 48×64, the mask is 5×7."
    )


def test_a_nodata_value_that_is_no_number_is_told_at_once(visit):
    visit.choose(IMAGE)
    visit.page.fill("#nodata", "none at all")
    visit.page.press("#nodata", "Tab")

    expect(visit.page.locator("#nodata-note")).to_have_text("a number, nan or none")
    expect(visit.page.locator("#nodata")).to_have_attribute("aria-invalid", "true")


def test_a_darkness_that_is_no_number_marks_nothing_and_is_asked_for(visit):
    visit.choose(IMAGE)
    visit.page.click("#mark-below")

    expect(visit.page.locator("#below")).to_be_focused()
    assert visit.page.evaluate(
        """() => getComputedStyle(document.getElementById("below")).borderColor !==
            getComputedStyle(document.getElementById("nodata")).borderColor"""
    )
    assert visit.read_missing() == 0
    visit.page.fill("#below", "80")
    visit.page.press("#below", "Enter")
    expect(visit.page.locator("#below")).to_have_attribute("aria-invalid", "false")
    dark = (draw_scene() < 80).all(axis=2).sum()
    expect(visit.page.locator("#missing")).to_contain_text(f"{dark} px")


def test_an_error_is_in_sight_wherever_one_is_covers_nothing_and_can_be_dismissed(visit):
    visit.choose(IMAGE)
    places = ("#toolbar", "#stage", "#batch", "#image-name")
    read = "(ids) => ids.map((id) => document.querySelector(id).getBoundingClientRect().top)"
    before = visit.page.evaluate(read, places)
    visit.choose_mask(encode_image(np.zeros((5, 7), np.uint8)))
    alert = visit.page.locator("#alert")
    expect(alert).to_be_visible()
    height = alert.bounding_box()["height"]
    after = visit.page.evaluate(read, places)
    assert [down - up for down, up in zip(after, before, strict=True) if up] == [height] * 3
    visit.page.click("#alert-close")
    visit.page.set_viewport_size({"width": 360, "height": 600})
    for place in ("#image-name", "#model"):
        visit.page.locator(place).scroll_into_view_if_needed()
        visit.choose_mask(encode_image(np.zeros((5, 7), np.uint8)))
        expect(visit.page.locator("#error")).to_be_in_viewport()
        visit.page.click("#alert-close")
        expect(visit.page.locator("#error")).to_be_hidden()


def test_an_image_beyond_the_limit_is_refused_at_once_with_the_setting(context, tmp_path):
    with run_server(tmp_path, "--image-pixels", "100") as server:
        visit = Visit(context.new_page(), server.url).open()
        visit.choose(IMAGE)

        expect(visit.page.locator("#error")).to_have_text(
            "The file image.png has 3,072 pixels; the server takes at most 100 pixels at once "
            "(LACUNA_LIMITS__IMAGE_PIXELS), and it cannot be cut into exact windows for this "
            "model. Make it smaller, or raise the setting."
        )
        assert visit.faults == []


def test_a_server_that_restarts_is_told_of_once_and_answers_when_it_is_back(context, tmp_path):
    with run_server(tmp_path) as server:
        visit = Visit(context.new_page(), server.url).open()
        visit.choose(IMAGE)
        server.process.kill()
        server.process.wait()
        visit.page.click("#run")
        expect(visit.page.locator("#progress-text")).to_contain_text("cannot be reached, next try")
        expect(visit.page.locator("#health")).to_have_text("not reachable", timeout=10_000)
        expect(visit.page.locator("#requests")).to_have_text("–")
        expect(visit.page.locator("#error")).to_be_hidden()

    with run_server(tmp_path, "--port", str(server.port)):
        expect(visit.page.locator("#health")).to_have_text("ready", timeout=30_000)
        expect(visit.page.locator("#result")).to_be_visible(timeout=30_000)
        expect(visit.page.locator("#error")).to_be_hidden()
        visit.forgive(NOT_LOADED)  # gone, and then 503 for as long as its models load
        assert visit.faults == []


def test_a_server_that_goes_while_it_computes_is_noticed(context, tmp_path):
    with run_server(tmp_path) as server:
        visit = Visit(context.new_page(), server.url).open()
        visit.choose(IMAGE)
        with server.hold():
            visit.page.click("#run")
            expect(visit.page.locator("#progress-text")).to_contain_text("Computing on the server")
            server.process.kill()

        expect(visit.page.locator("#progress-text")).to_contain_text("cannot be reached")
        visit.page.click("#cancel")
        expect(visit.page.locator("#run")).to_be_enabled()
        expect(visit.page.locator("#error")).to_be_hidden()


def test_a_server_with_keys_is_given_one(context, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    with run_server(tmp_path, "--keys", str(keys)) as server:
        page = context.new_page()
        visit = Visit(page, server.url)
        page.goto(server.url)
        expect(page.locator("#key-form")).to_be_visible()
        expect(page.locator("#error")).to_be_hidden()
        page.fill("#key", "not-the-right-key-at-all")
        page.press("#key", "Enter")
        expect(page.locator("#error")).to_have_text("The server does not know this key.")
        page.fill("#key", KEY)
        page.press("#key", "Enter")
        expect(page.locator("#key-form")).to_be_hidden()
        expect(page.locator("#error")).to_be_hidden()
        expect(page.locator("#samples img")).to_have_count(4)
        visit.choose(IMAGE)
        visit.run()

        assert KEY not in page.inner_text("#curl")
        assert "Bearer $LACUNA_KEY" in page.inner_text("#curl")
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        visit.forgive(NOT_LOADED)
        assert visit.faults == []


@pytest.mark.parametrize("name", ['it\'s; a "name".png', "päper 1.png"])
def test_the_curl_command_does_the_same(visit, server, name, tmp_path):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    visit.choose(IMAGE, name)
    visit.take_tool("brush")
    visit.page.click("#picture")
    visit.run()
    (tmp_path / name).write_bytes(IMAGE)
    (tmp_path / "mask.png").write_bytes(visit.download("mask"))

    command = visit.page.inner_text("#curl").replace("curl ", f"{curl} --silent ", 1)
    answer = subprocess.run(
        ["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, check=True
    )
    mine = json.loads(visit.download("json"))
    theirs = json.loads(answer.stdout)
    assert mine["classes"] == theirs["classes"]
    assert 0 < mine["valid"]["pixels"] < draw_scene()[:, :, 0].size
