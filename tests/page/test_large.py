"""A picture of 4096 × 4096 pixels keeps the page responsive."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.support.apps import encode_image

SIDE = 4096
PAINTING_MS = 200
ANSWER_MS = 200

WATCH = """() => {
    window.tasks = [];
    window.watcher = new PerformanceObserver((list) => {
        for (const {duration} of list.getEntries()) window.tasks.push(duration);
    });
    window.watcher.observe({type: "longtask", buffered: false});
}"""

LIST = """async () => {
    // Until what was asked for is drawn and nothing is left to do.
    for (let round = 0; round < 3; round += 1) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
        await new Promise((resolve) => requestIdleCallback(resolve));
    }
    const late = window.watcher.takeRecords().map(({duration}) => duration);
    return window.tasks.splice(0).concat(late);
}"""


@pytest.fixture(scope="module")
def large():
    rows = np.add.outer(np.arange(SIDE), np.arange(SIDE)) // 16 % 256
    scene = np.stack([rows, rows[::-1], rows[:, ::-1]], axis=-1).astype(np.uint8)
    return encode_image(scene, compress_level=1)


def list_long_tasks(visit):
    return visit.page.evaluate(LIST)


@pytest.mark.slow
def test_no_task_is_long_while_a_large_picture_is_painted(visit, large):
    visit.page.evaluate(WATCH)
    visit.choose(large, "large.png")
    expect(visit.page.locator("#readout-size")).to_have_text("4,096 × 4,096")
    list_long_tasks(visit)  # of opening it
    box = visit.page.locator("#picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for tool, radius in (("brush", "200"), ("brush", "10"), ("rectangle", None)):
        visit.take_tool(tool)
        if radius:
            visit.page.fill("#radius", radius)
        visit.page.mouse.move(x - 200, y - 200)
        visit.page.mouse.down()
        for dx, dy in ((200, -150), (-150, 0), (180, 60), (-200, 200)):
            visit.page.mouse.move(x + dx, y + dy, steps=12)
        visit.page.mouse.up()
    painting = list_long_tasks(visit)
    for key in ("Control+z", "Control+z", "Control+Shift+z"):
        visit.page.keyboard.press(key)
    for _ in range(6):
        visit.page.mouse.wheel(0, -200)
    undoing = list_long_tasks(visit)

    assert visit.read_missing() > 100_000
    assert max(painting + undoing, default=0) < PAINTING_MS


@pytest.mark.slow
def test_the_page_does_not_freeze_when_a_large_answer_comes(visit, large):
    visit.choose(large, "large.png")
    visit.page.click("#invert")
    visit.page.click("#undo")
    visit.page.evaluate(WATCH)
    visit.page.click("#run")
    expect(visit.page.locator("#result")).to_be_visible(timeout=120_000)
    visit.page.fill("#opacity", "90")
    visit.page.uncheck("#legend tbody tr:nth-child(1) input")
    visit.page.select_option("#layer", label="Confidence")
    expect(visit.page.locator("#scale")).to_be_visible(timeout=120_000)
    visit.page.select_option("#compare", label="the image")
    expect(visit.page.locator("#swipe")).to_be_visible()
    visit.page.fill("#swipe-split", "30")

    assert max(list_long_tasks(visit), default=0) < ANSWER_MS
