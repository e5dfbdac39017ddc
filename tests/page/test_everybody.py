"""The page for everybody: by keyboard alone, on a phone, in the dark, with a screen reader."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK
from tests.page.test_proof import prove
from tests.support.waiting import wait_until

DARK = {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "device_scale_factor": 2}


def list_violations(page):
    """Give what axe finds that is serious or worse."""
    found = Axe().run(page).response["violations"]
    return [
        (entry["id"], [node["html"][:200] for node in entry["nodes"]])
        for entry in found
        if entry["impact"] in ("serious", "critical")
    ]


def tab_to(page, selector, most=80):
    for _ in range(most):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector} by tab")


def test_everything_can_be_done_by_keyboard_alone(visit, server):
    page, keys = visit.page, visit.page.keyboard
    tab_to(page, "#first-samples .sample")
    keys.press("Enter")
    expect(page.locator("#image-name")).to_have_text("clouds.png")
    assert wait_until(lambda: visit.read_missing() > 0)  # the mask comes after the image
    page.evaluate("document.activeElement.blur()")

    tab_to(page, "input[name=tool]")
    for _ in range(2):
        keys.press("ArrowRight")  # by way of the brush to the rectangle
    tab_to(page, "#picture")
    before = visit.read_missing()
    for key in ("Home", " ", "Shift+ArrowRight", "Shift+ArrowDown", "ArrowDown", " "):
        keys.press(key)
    # From the middle, 256 and 256, where the sample is valid: 11 by 12 pixels.
    assert visit.read_missing() - before == 11 * 12
    keys.press("Control+z")
    assert visit.read_missing() == before
    tab_to(page, "#run")
    keys.press("Enter")
    visit.await_result()
    tab_to(page, "#legend input")
    keys.press(" ")
    expect(page.locator("#legend input >> nth=0")).not_to_be_checked()
    tab_to(page, "#prove")
    keys.press("Enter")
    expect(page.locator("#verdict")).to_contain_text("0 of")
    keys.press("Escape")
    expect(page.locator("#proof")).to_be_hidden()
    expect(page.locator("#prove")).to_be_focused()


def test_the_focus_goes_where_the_next_step_is(visit):
    page, keys = visit.page, visit.page.keyboard
    for key in ("Tab", "Tab", "Enter"):
        keys.press(key)  # past the way to the picture
    tab_to(page, "#first-samples .sample")
    keys.press("Enter")
    expect(page.locator("#run")).to_be_focused()
    assert wait_until(lambda: visit.read_missing() > 0)
    before = visit.read_missing()
    expect(page.locator("#undo")).to_be_disabled()  # the sample's own mask stays
    keys.press("Control+z")
    assert visit.read_missing() == before
    keys.press("Enter")
    expect(page.locator("#h-result")).to_be_focused()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.focus(".skip")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#run")).to_be_focused()
    keys.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    assert "segment" in page.inner_text("#shortcuts")
    keys.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_a_brush_is_pressed_down_and_lifted_with_space(visit):
    visit.choose(IMAGE)
    visit.take_tool("brush")
    visit.page.fill("#radius", "2")
    visit.page.focus("#picture")
    for key in (" ", "Shift+ArrowRight", " ", "Shift+ArrowRight"):
        visit.page.keyboard.press(key)

    missing = ~visit.read_mask()
    rows, columns = np.nonzero(missing)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (5, 15)
    visit.page.keyboard.press("Control+z")
    assert visit.read_missing() == 0


def test_a_polygon_is_set_with_space_and_finished_with_enter(visit):
    visit.choose(IMAGE)
    visit.take_tool("polygon")
    visit.page.focus("#picture")
    for key in (" ", "Shift+ArrowRight", " ", "Shift+ArrowDown", " ", "Backspace", " ", "Enter"):
        visit.page.keyboard.press(key)

    assert 40 <= visit.read_missing() <= 60


def test_a_rectangle_can_be_given_by_numbers(visit):
    visit.choose(IMAGE)
    visit.page.click("summary")
    for name, value in {"x": 4, "y": 6, "width": 10, "height": 5}.items():
        visit.page.fill(f"#rectangle input[name={name}]", str(value))
    visit.page.click("#mark-rectangle")

    expected = np.ones((48, 64), bool)
    expected[6:11, 4:14] = False
    assert np.array_equal(visit.read_mask(), expected)
    visit.page.click("#restore-rectangle")
    assert visit.read_missing() == 0


def test_with_the_hand_arrow_keys_move_and_zoom(visit):
    visit.choose(IMAGE)
    visit.page.focus("#picture")
    visit.page.keyboard.press("1")
    expect(visit.page.locator("#zoom")).to_have_text("100 %")
    visit.page.keyboard.press("+")
    expect(visit.page.locator("#zoom")).to_have_text("125 %")
    before = visit.read_canvas(64, 48)
    visit.page.keyboard.press("ArrowRight")
    assert not np.array_equal(visit.read_canvas(64, 48), before)
    visit.page.keyboard.press("0")
    expect(visit.page.locator("#zoom")).to_have_text("800 %")


@pytest.mark.parametrize(
    "context", [{}, DARK, PHONE], indirect=True, ids=["light", "dark", "phone"]
)
def test_axe_finds_nothing_serious(visit):
    page = visit.page
    assert list_violations(page) == []
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.take_tool("brush")
    page.click("summary")
    visit.run()
    visit.take_tool("rectangle")
    page.click("#invert")
    visit.run()
    page.select_option("#layer", label="Support")
    page.select_option("#compare", label="the image")
    expect(page.locator("#swipe")).to_be_visible()
    page.click("#shortcuts-open")
    assert list_violations(page) == []
    page.keyboard.press("Escape")
    prove(visit)
    assert list_violations(page) == []


@pytest.mark.parametrize("context", [PHONE], indirect=True, ids=["phone"])
def test_a_phone_shows_all_of_it_and_scrolls_only_down(visit):
    page = visit.page
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.take_tool("brush")
    visit.run()

    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider == 0
    outside = page.evaluate("""() => [...document.querySelectorAll("button, input, select, pre")]
        .filter((element) => element.checkVisibility())
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
        .map((element) => element.id || element.outerHTML)""")
    assert outside == []
    page.locator("#picture").tap()
    assert visit.read_missing() > 0
    expect(page.locator("#readout-size")).to_be_in_viewport(ratio=1)
    assert prove(visit).startswith("0 of")


@pytest.mark.parametrize("context", [PHONE], indirect=True, ids=["phone"])
def test_two_fingers_zoom_and_paint_nothing(visit):
    visit.choose(IMAGE)
    visit.take_tool("brush")
    before = visit.page.inner_text("#zoom")
    box = visit.page.locator("#picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = visit.page.context.new_cdp_session(visit.page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", 0)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        fingers.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": points if kind != "touchEnd" else []},
        )

    expect(visit.page.locator("#zoom")).not_to_have_text(before)
    assert visit.read_missing() == 0
    expect(visit.page.locator("#undo")).to_be_disabled()


@pytest.mark.parametrize("context", [DARK], indirect=True, ids=["dark"])
def test_in_the_dark_the_page_is_dark_and_all_text_is_light(visit):
    background, color = visit.page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.body).color]"""
    )

    brightness = [
        sum(int(part) for part in value[4:-1].split(",")) / 3 for value in (background, color)
    ]
    assert brightness[0] < 40
    assert brightness[1] > 200


def test_a_person_who_is_sick_of_motion_sees_none(visit):
    visit.page.emulate_media(reduced_motion="reduce")
    seconds = visit.page.evaluate(
        "() => getComputedStyle(document.getElementById('run')).transitionDuration"
    )
    assert seconds in ("0s", "0s, 0s")
