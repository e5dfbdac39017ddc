"""The progress of one large request, which the page requests while the server computes."""

import io
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, draw_scene
from tests.page.test_everybody import list_violations
from tests.page.test_failing import NOT_LOADED
from tests.support.apps import encode_image

PROGRESS = "**/v1/progress/*"
LARGE = encode_image(draw_scene(1300, 1300), compress_level=1)
BEFORE = re.compile(r"^Computing on the server · ")


def answer_progress(visit, *counts):
    """Report these numbers of windows in place of the server, and the last of them for ever."""
    left = list(counts)

    def answer(route):
        done, total = left[0]
        if len(left) > 1:
            del left[0]
        route.fulfill(json={"windows": {"done": done, "total": total}, "ended": False})

    visit.page.route(PROGRESS, answer)


def test_the_windows_of_one_large_request_are_told_while_it_is_computed(visit, server):
    visit.choose(LARGE)
    with server.hold():
        visit.page.click("#run")
        text = visit.page.locator("#progress-text")
        expect(text).to_have_text(re.compile(r"^0 of [1-9]\d* windows$"))
        expect(visit.page.locator("#cancel")).to_be_focused()
        assert list_violations(visit.page) == []
    visit.await_result()

    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(LARGE))


@pytest.mark.parametrize(
    ("choice", "wanted"), [("layer", "Support"), ("compare", "three 1")], ids=["layer", "compare"]
)
def test_so_are_those_of_what_is_computed_for_a_result(visit, server, choice, wanted):
    visit.choose(LARGE)
    visit.run()
    note = visit.page.locator(f"#{choice}-note")
    with server.hold():
        visit.page.select_option(f"#{choice}", label=wanted)
        expect(note).to_have_text(re.compile(r"^The server computes .*… 0 of [1-9]\d* windows$"))
    expect(note).not_to_contain_text("windows")


def test_the_time_left_follows_from_the_pace_of_the_windows(visit, server):
    answer_progress(visit, (0, 0), (10, 90), (50, 90))
    visit.choose(IMAGE)
    with server.hold():
        visit.page.click("#run")
        text = visit.page.locator("#progress-text")
        expect(text).to_have_text(re.compile(r"^50 of 90 windows · about \d+ s left$"))
        value = visit.page.locator("#progress-bar").get_attribute("value")
        assert float(value) == pytest.approx(50 / 90)
        told = text.inner_text()
        for _ in range(4):  # looks between the ends of two windows tell nothing of the pace
            with visit.page.expect_response(PROGRESS):
                pass
        assert text.inner_text() == told
    visit.await_result()


def test_an_image_of_one_window_has_no_windows_to_tell(visit, server):
    visit.choose(IMAGE)
    with server.hold():
        with visit.page.expect_response(PROGRESS) as first:
            visit.page.click("#run")
        with visit.page.expect_response(PROGRESS) as second:
            pass
        for response in (first.value, second.value):
            assert response.json()["windows"]["total"] <= 1
        expect(visit.page.locator("#progress-text")).to_have_text(BEFORE)
    visit.await_result()


@pytest.mark.parametrize(
    "answer",
    [
        lambda route: route.fulfill(status=404, json={"code": "unknown_request", "detail": "no"}),
        lambda route: route.fulfill(status=502, body="<html>", content_type="text/html"),
        lambda route: route.fulfill(status=200, body="<html>", content_type="text/html"),
        lambda route: route.abort(),
        lambda route: None,
    ],
    ids=["unknown", "bad gateway", "a page", "broken", "held back"],
)
def test_without_word_of_the_windows_the_page_tells_what_it_knows(visit, server, answer):
    asked = []
    visit.page.route(PROGRESS, lambda route: (asked.append(route), answer(route)))
    visit.choose(LARGE)
    with server.hold():
        with visit.page.expect_request(PROGRESS):
            visit.page.click("#run")
        with visit.page.expect_response("**/readyz"):
            pass
        with visit.page.expect_response("**/readyz"):  # two seconds later
            pass
        expect(visit.page.locator("#progress-text")).to_have_text(BEFORE)
    visit.await_result()

    assert len(asked) == 1
    visit.forgive(NOT_LOADED)


def test_a_request_that_is_sent_again_is_watched_again(visit, server):
    tried = []

    def refuse_once(route):
        tried.append(route.request.headers["x-request-id"])
        if len(tried) > 1:
            route.continue_()
            return
        problem = {"code": "not_ready", "detail": "it restarts", "status": 503}
        route.fulfill(status=503, headers={"Retry-After": "1"}, json=problem)

    visit.page.route("**/v1/segment", refuse_once)
    visit.choose(LARGE)
    with server.hold():
        with visit.page.expect_request(PROGRESS) as watched:
            visit.page.click("#run")
        assert watched.value.url.endswith(tried[1])
        assert tried[0] != tried[1]
    visit.await_result()
    visit.forgive(NOT_LOADED)
