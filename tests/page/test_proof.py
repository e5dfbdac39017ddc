import io

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, Visit, draw_mask, draw_scene, run_server
from tests.support.apps import encode_image


def prove(visit):
    visit.page.click("#prove")
    verdict = visit.page.locator("#verdict[data-kind=kept], #verdict[data-kind=broken]")
    expect(verdict).to_be_visible(timeout=60_000)
    return visit.page.inner_text("#verdict")


def list_sides(visit):
    return {
        name: visit.page.evaluate(
            """async (name) => {
                const image = document.getElementById(name);
                await image.decode();
                return [image.naturalHeight, image.naturalWidth];
            }""",
            name,
        )
        for name in ("plain-image", "plain-labels", "disturbed-image", "disturbed-labels")
    }


def read_sent(visit, name):
    """Give the pixels of a picture in the proof."""
    flat, width = visit.page.evaluate(
        """async (name) => {
            const image = document.getElementById(name);
            await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
            return [[...data], canvas.width];
        }""",
        name,
    )
    return np.array(flat, np.uint8).reshape(-1, width, 4)[:, :, :3]


def test_noise_and_a_larger_canvas_change_no_label(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()

    assert prove(visit) == f"0 of {(draw_mask() > 0).sum():,} labels changed"
    sides = list_sides(visit)
    assert sides["plain-image"] == sides["plain-labels"] == [48, 64]
    assert sides["disturbed-image"] == sides["disturbed-labels"]
    assert all(
        large > small for large, small in zip(sides["disturbed-image"], [48, 64], strict=True)
    )


def test_valid_pixels_are_sent_as_they_are_and_missing_ones_as_noise(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    prove(visit)

    valid = draw_mask() > 0
    plain, disturbed = read_sent(visit, "plain-image"), read_sent(visit, "disturbed-image")
    assert np.array_equal(plain, draw_scene())
    assert np.array_equal(disturbed[:48, :64][valid], draw_scene()[valid])
    assert (disturbed[:48, :64][~valid] != draw_scene()[~valid]).any(axis=1).mean() > 0.99
    assert len(np.unique(disturbed[48:])) > 200


def test_every_proof_is_another(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    prove(visit)
    notes = {visit.page.inner_text("#proof-note")}
    for _ in range(2):
        visit.page.click("#again")
        expect(visit.page.locator("#verdict")).to_contain_text("0 of")
        notes.add(visit.page.inner_text("#proof-note"))

    assert len(notes) > 1


def test_a_label_that_changes_is_counted(visit):
    labels = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
    labels[0, 0] = 255
    larger = np.full((6, 9), 255, np.uint8)
    larger[:5, :7] = labels
    larger[2, 3] = (labels[2, 3] + 1) % 3
    larger[5, 8] = 1
    found = visit.page.evaluate(
        """([first, second]) => import("/static/disturb.js").then(({compareLabels}) =>
            compareLabels(new Uint8Array(first), 7, 5, new Uint8Array(second), 9))""",
        [labels.ravel().tolist(), larger.ravel().tolist()],
    )

    assert found == {"valid": 34, "changed": 1, "beyond": 1}


def test_at_the_servers_limit_the_canvas_stays_as_it_is(context, tmp_path):
    with run_server(tmp_path, "--image-pixels", str(48 * 64)) as server:
        visit = Visit(context.new_page(), server.url).open()
        visit.choose(IMAGE)
        visit.choose_mask(MASK)
        visit.run()

        assert prove(visit).startswith("0 of")
        assert list_sides(visit)["disturbed-image"] == [48, 64]
        assert "could not grow" in visit.page.inner_text("#proof-note")


def test_of_a_picture_that_is_sent_in_windows_a_part_is_taken(context, tmp_path):
    with run_server(tmp_path, "--image-pixels", str(150**2)) as server:
        visit = Visit(context.new_page(), server.url).open()
        valid = np.full((200, 180), 255, np.uint8)
        valid[120:150, 60:90] = 0
        visit.choose(encode_image(draw_scene(200, 180)))
        visit.choose_mask(encode_image(valid))
        visit.run()

        # Of the parts of 54 pixels a side, the one with most missing pixels.
        assert prove(visit) == f"0 of {(valid[108:162, 54:108] > 0).sum():,} labels changed"
        assert visit.page.inner_text("#proof-note").startswith(
            "This is a part of 54 × 54 pixels, from column 54 and row 108. "
        )


@pytest.mark.slow
def test_the_shipped_model_keeps_its_promise_on_a_sample(context, demo):
    visit = Visit(context.new_page(), demo.url).open()
    visit.page.click("#first-samples .sample >> nth=0")
    visit.run()

    assert prove(visit) == "0 of 93,184 labels changed"
    assert (visit.faults, visit.foreign) == ([], [])


def test_numbers_of_floating_point_are_disturbed_too(visit):
    buffer = io.BytesIO()
    np.save(buffer, draw_scene().astype(np.float32))
    visit.choose(buffer.getvalue(), "scene.npy", "application/octet-stream")
    visit.choose_mask(encode_image(draw_mask()))
    visit.run()

    assert prove(visit).startswith("0 of")
