import io

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, draw_mask, draw_scene
from tests.support.apps import encode_image

CENTERS = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5), axis=-1)


@pytest.fixture
def ready(visit):
    visit.choose(IMAGE)
    visit.show_actual()
    return visit


def distance_to_segment(start, end):
    start, end = np.array(start), np.array(end)
    along = np.clip(((CENTERS - start) @ (end - start)) / ((end - start) @ (end - start)), 0, 1)
    return np.linalg.norm(CENTERS - start - along[..., None] * (end - start), axis=-1)


def test_a_brush_stroke_marks_what_it_covers(ready):
    ready.take_tool("brush")
    ready.drag((20, 20), (40, 30))

    missing = ~ready.read_mask()
    distance = distance_to_segment((20, 20), (40, 30))
    # The pointer goes in steps of whole pixels, so the edge may be off by one.
    assert missing[distance < 11].all()
    assert not missing[distance > 13].any()
    assert ready.read_missing() == missing.sum()


def test_a_brushs_size_can_be_chosen(ready):
    ready.take_tool("brush")
    ready.page.fill("#radius", "3")
    ready.drag((20, 20), (20, 20))

    missing = ~ready.read_mask()
    assert np.array_equal(missing, np.linalg.norm(CENTERS - (20, 20), axis=-1) <= 3)
    assert ready.page.inner_text("#radius-out") == "6 px"


def test_a_rectangle_marks_from_corner_to_corner(ready):
    ready.take_tool("rectangle")
    ready.drag((10.5, 8.5), (29.5, 19.5))

    expected = np.zeros((48, 64), bool)
    expected[8:20, 10:30] = True
    assert np.array_equal(~ready.read_mask(), expected)


def test_a_polygon_is_closed_at_its_first_corner(ready):
    ready.take_tool("polygon")
    for place in ((10, 10), (50, 10), (50, 40), (10, 10)):
        ready.click(*place)

    x, y = CENTERS[..., 0], CENTERS[..., 1]
    inside = (x < 50) & (y > 10) & ((x - 10) * 30 > (y - 10) * 40)
    assert np.array_equal(~ready.read_mask(), inside)


def test_a_polygon_can_be_closed_with_a_button(ready):
    ready.take_tool("polygon")
    for place in ((10, 10), (50, 10), (50, 40)):
        ready.click(*place)
    ready.page.click("#close-shape")

    assert ready.read_missing() > 500


def test_what_was_marked_can_be_restored(ready):
    ready.take_tool("rectangle")
    ready.drag((10.5, 8.5), (29.5, 19.5))
    ready.restore()
    ready.drag((10.5, 8.5), (19.5, 19.5))

    assert ready.read_missing() == 12 * 10


def test_undo_and_redo_go_back_and_forth_through_strokes(ready):
    ready.take_tool("rectangle")
    ready.drag((0.5, 0.5), (9.5, 9.5))
    ready.drag((5.5, 5.5), (14.5, 14.5))
    seen = [ready.read_missing()]
    for key in ("Control+z", "Control+z", "Control+Shift+z", "Control+y"):
        ready.page.keyboard.press(key)
        seen.append(ready.read_missing())
    ready.page.click("#undo")

    assert seen == [175, 100, 0, 100, 175]
    assert ready.read_missing() == 100
    expect(ready.page.locator("#redo")).to_be_enabled()


def test_a_new_stroke_ends_what_could_be_redone(ready):
    ready.take_tool("rectangle")
    ready.drag((0.5, 0.5), (9.5, 9.5))
    ready.page.click("#undo")
    ready.drag((0.5, 0.5), (1.5, 1.5))

    expect(ready.page.locator("#redo")).to_be_disabled()
    assert ready.read_missing() == 4


def test_undo_leaves_what_the_file_says_is_missing(visit):
    alpha = draw_mask()
    visit.choose(encode_image(np.dstack([draw_scene(), alpha])))
    visit.page.click("#invert")
    marked = visit.read_missing()
    visit.page.click("#undo")

    assert marked == 48 * 64
    assert visit.read_missing() == (alpha == 0).sum()


def test_a_mask_file_can_be_undone_inverted_and_cleared(ready):
    zeros = (draw_mask() == 0).sum()
    ready.choose_mask(MASK)
    expect(ready.page.locator("#missing")).to_contain_text(f"{zeros} px")
    ready.page.click("#invert")
    assert ready.read_missing() == 48 * 64 - zeros
    ready.page.click("#clear")
    assert ready.read_missing() == 0
    ready.page.click("#undo")
    ready.page.click("#undo")
    assert np.array_equal(ready.read_mask(), draw_mask() > 0)


def test_all_pixels_darker_than_a_value_can_be_marked(ready):
    ready.page.fill("#below", "90")
    ready.page.click("#mark-below")

    dark = (draw_scene() < 90).all(axis=2)
    expect(ready.page.locator("#missing")).to_contain_text(f"{dark.sum():,} px")
    assert np.array_equal(~ready.read_mask(), dark)


def test_what_was_painted_is_what_the_server_gets(ready, server):
    ready.take_tool("brush")
    ready.drag((20, 20), (40, 30))
    ready.run()

    mask = ready.read_mask()
    labels = np.load(io.BytesIO(ready.download("npy")))
    assert np.array_equal(labels != 255, mask)
    assert np.array_equal(labels, server.segment(IMAGE, encode_image(mask)))


def test_after_painting_the_result_is_said_to_be_old(ready):
    ready.run()
    expect(ready.page.locator("#stale")).to_be_hidden()
    ready.take_tool("rectangle")
    ready.drag((0.5, 0.5), (9.5, 9.5))

    expect(ready.page.locator("#stale")).to_be_visible()
    ready.run()
    expect(ready.page.locator("#stale")).to_be_hidden()


def test_escape_gives_up_a_stroke(ready):
    ready.take_tool("brush")
    ready.page.mouse.move(*ready.locate(20, 20))
    ready.page.mouse.down()
    ready.page.focus("#picture")
    ready.page.keyboard.press("Escape")
    ready.page.mouse.up()

    assert ready.read_missing() == 0


def test_a_stroke_that_is_given_up_leaves_the_one_before(ready):
    ready.take_tool("brush")
    ready.drag((20, 20), (20, 20))
    before = ready.read_missing()
    ready.page.mouse.move(*ready.locate(-100, -100))
    ready.page.mouse.down()
    ready.page.keyboard.press("Escape")
    ready.page.mouse.up()

    assert ready.read_missing() == before > 0


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves_the_picture(ready):
    place = ready.locate(50.5, 10.5)
    ready.page.mouse.move(*place)
    ready.page.mouse.wheel(0, -400)
    expect(ready.page.locator("#zoom")).not_to_have_text("100 %")
    ready.page.mouse.move(place[0] + 1, place[1])

    expect(ready.page.locator("#readout-place")).to_have_text("x 50  y 10")
    ready.page.mouse.down()
    ready.page.mouse.move(place[0] + 31, place[1] + 20)
    ready.page.mouse.up()
    expect(ready.page.locator("#readout-place")).to_have_text("x 50  y 10")
    ready.page.click("#zoom-fit")
    expect(ready.page.locator("#zoom")).to_have_text("800 %")
