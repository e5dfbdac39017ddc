"""Files that no browser shows, TIFF above all: the server shows them."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.driving import IMAGE, Visit, draw_mask, draw_scene, run_server
from tests.page.test_failing import KEY, NOT_LOADED
from tests.page.test_proof import prove
from tests.page.test_segmenting import PALETTE
from tests.support.images import npy_file, tiff_file

SCENE = draw_scene()
VALID = draw_mask() > 0
DEEP = draw_scene()[:, :, 0].astype(np.uint16) * 200 + 300
FLOATS = np.where(VALID[:, :, None], draw_scene().astype(np.float32), np.nan).astype(np.float32)
RGB = tiff_file(SCENE, photometric="rgb")


def choose(visit, content, name="scene.tif"):
    visit.choose(content, name, "image/tiff" if name.endswith(".tif") else "")
    visit.show_actual()


def paint_and_run(visit):
    """Give the mask that was painted, True = valid."""
    visit.take_tool("rectangle")
    visit.drag((2.5, 3.5), (12.5, 20.5))
    visit.run()
    visit.page.fill("#opacity", "100")
    return visit.read_mask()


def check_overlay(visit, labels):
    valid = labels != 255
    assert len(np.unique(labels)) > 2
    assert np.array_equal(visit.read_canvas(64, 48)[valid], PALETTE[labels[valid]])
    assert np.array_equal(np.load(io.BytesIO(visit.download("npy"))), labels)


def encode_mask(valid):
    buffer = io.BytesIO()
    Image.fromarray(valid).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        (SCENE, {}),
        (SCENE, {"compression": "lzw", "predictor": 2, "byteorder": ">", "tile": (16, 32)}),
        (SCENE, {"compression": "deflate", "predictor": 2, "bigtiff": True}),
        (SCENE, {"compression": "packbits", "rowsperstrip": 7}),
        (np.moveaxis(SCENE, 2, 0), {"planarconfig": "separate", "compression": "zstd"}),
    ],
    ids=["plain", "lzw", "deflate", "packbits", "planes"],
)
def test_a_tiff_of_bytes_is_shown_painted_on_segmented_and_proven(visit, server, stored, options):
    content = tiff_file(stored, photometric="rgb", **options)
    choose(visit, content)

    assert np.array_equal(visit.read_canvas(64, 48), SCENE)
    painted = paint_and_run(visit)
    assert not painted[3:21, 2:13].any()
    check_overlay(visit, server.segment(content, encode_mask(painted)))
    assert prove(visit) == f"0 of {painted.sum():,} labels changed"


def test_a_tiff_of_one_band_of_16_bits_is_shown_as_the_model_is_given_it(visit, server):
    content = tiff_file(DEEP, compression="deflate", predictor=2)
    choose(visit, content)

    shown = visit.read_canvas(64, 48)
    np.testing.assert_allclose(shown, (DEEP / 257)[:, :, None].repeat(3, axis=2), atol=0.51)
    painted = paint_and_run(visit)
    check_overlay(visit, server.segment(content, encode_mask(painted)))
    expect(visit.page.locator("#prove")).to_be_disabled()
    expect(visit.page.locator("#mark-below")).to_be_disabled()


def test_not_a_number_is_missing_in_a_tiff_of_floating_point(visit, server):
    content = tiff_file(FLOATS, photometric="rgb", compression="deflate", predictor=3)
    choose(visit, content)

    assert visit.read_missing() == (~VALID).sum()
    assert f"{(~VALID).sum()} px" in visit.page.inner_text("#file-note")
    painted = paint_and_run(visit)
    labels = server.segment(content, encode_mask(painted))
    assert np.array_equal(labels != 255, VALID & painted)
    check_overlay(visit, labels)


def test_a_nodata_value_is_seen_at_once_and_taken_back(visit, server):
    content = tiff_file(np.where(VALID, DEEP, 9).astype(np.uint16))
    choose(visit, content)
    visit.stretch()
    dull = visit.read_canvas(64, 48)[VALID]

    for value, missing in (("9", (~VALID).sum()), ("", 0), ("9", (~VALID).sum())):
        visit.page.fill("#nodata", value)
        visit.page.press("#nodata", "Tab")
        expect(visit.page.locator("#missing")).to_contain_text(f"{missing} px")
    visit.await_drawn()
    # Black is the darkest valid pixel now, no longer what is missing.
    assert np.ptp(visit.read_canvas(64, 48)[VALID]) > np.ptp(dull)
    visit.run()
    expected = server.segment(content, nodata="9", stretch="percentile")
    assert np.array_equal(np.load(io.BytesIO(visit.download("npy"))), expected)


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_a_nodata_value_stands_in_place_of_the_files(visit, server, depth):
    values = np.full((48, 64), 90, depth)
    values[:8] = 0
    values[42:] = 255
    content = tiff_file(values, extratags=[(42113, "s", 0, "0", True)])
    choose(visit, content)

    for value, missing in (("255", 6 * 64), ("none", 0), ("", 8 * 64), ("255", 6 * 64)):
        visit.page.fill("#nodata", value)
        visit.page.press("#nodata", "Tab")
        expect(visit.page.locator("#missing")).to_have_text(re.compile(rf"^{missing} px"))
    visit.page.fill("#nodata", "none")
    visit.page.press("#nodata", "Tab")
    visit.run()
    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(content, nodata="none"))
    assert (labels != 255).all()


def test_pixels_that_are_missing_no_more_have_their_own_values(visit):
    values = np.full((48, 64), 90, np.uint8)
    values[42:] = 255
    choose(visit, tiff_file(values, extratags=[(42113, "s", 0, "255", True)]))
    visit.page.fill("#nodata", "none")
    visit.page.press("#nodata", "Tab")
    expect(visit.page.locator("#missing")).to_have_text(re.compile("^0 px"))
    visit.await_drawn()

    assert np.array_equal(visit.read_canvas(64, 48)[:, :, 0], values)
    visit.run()
    assert prove(visit) == f"0 of {values.size:,} labels changed"
    visit.page.click("#proof-close")
    visit.page.fill("#below", "100")
    visit.page.click("#mark-below")
    expect(visit.page.locator("#missing")).to_have_text(re.compile(rf"^{42 * 64:,} px"))


def test_a_nodata_value_that_a_mask_inherited_is_ignored(visit):
    visit.choose(IMAGE)
    mask = tiff_file(
        np.where(VALID, 255, 0).astype(np.uint8), extratags=[(42113, "s", 0, "255", True)]
    )
    visit.page.set_input_files(
        "#mask-file", [{"name": "mask.tif", "mimeType": "image/tiff", "buffer": mask}]
    )

    expect(visit.page.locator("#missing")).to_contain_text(f"{(~VALID).sum()} px")
    assert np.array_equal(visit.read_mask(), VALID)


def test_a_mask_may_be_a_tiff_too(visit):
    visit.choose(IMAGE)
    mask = tiff_file(np.where(VALID, 7, 0).astype(np.uint16), compression="lzw")
    visit.page.set_input_files(
        "#mask-file", [{"name": "mask.tif", "mimeType": "image/tiff", "buffer": mask}]
    )

    expect(visit.page.locator("#missing")).to_contain_text(f"{(~VALID).sum()} px")
    assert np.array_equal(visit.read_mask(), VALID)


@pytest.mark.parametrize("values", [(DEEP >> 8).astype(np.int64), np.asfortranarray(SCENE)])
def test_arrays_of_other_kinds_are_shown_as_well(visit, server, values):
    content = npy_file(values)
    choose(visit, content, "scene.npy")

    shown = visit.read_canvas(64, 48)
    assert np.array_equal(shown, np.broadcast_to(np.atleast_3d(values), shown.shape))
    visit.run()
    assert np.array_equal(np.load(io.BytesIO(visit.download("npy"))), server.segment(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (RGB[:-2000], "TIFF must be whole and undamaged; this one cannot be decoded."),
        (RGB[:9], "TIFF must be whole and undamaged; this one cannot be decoded."),
        (tiff_file(np.stack([DEEP, DEEP]), photometric="minisblack"),
         "TIFF must hold one image; it holds 2."),
        (tiff_file(DEEP.astype(np.complex64)), "TIFF samples must be integers or floating-point"),
    ],
    ids=["cut short", "a header alone", "two pages", "complex"],
)  # fmt: skip
def test_a_bad_tiff_is_refused_in_words_and_what_was_there_stays(visit, content, words):
    visit.choose(IMAGE)
    visit.page.set_input_files(
        "#image-file", [{"name": "bad.tif", "mimeType": "image/tiff", "buffer": content}]
    )

    expect(visit.page.locator("#error")).to_contain_text(words)
    expect(visit.page.locator("#opening")).to_be_hidden()
    expect(visit.page.locator("#image-name")).to_have_text("image.png")
    visit.run()
    expect(visit.page.locator("#error")).to_be_hidden()
    visit.forgive(NOT_LOADED)


def test_while_the_server_reads_the_page_says_so_and_may_go_on_to_another(visit, held):
    visit.page.set_input_files(
        "#image-file", [{"name": "slow.tif", "mimeType": "image/tiff", "buffer": RGB}]
    )
    expect(visit.page.locator("#opening")).to_have_text("Opening slow.tif…")
    visit.choose(IMAGE)

    expect(visit.page.locator("#opening")).to_be_hidden()
    expect(visit.page.locator("#error")).to_be_hidden()
    assert len(held) == 1
    visit.run()


@pytest.fixture
def held(visit):
    """Requests for previews, which the server is not given."""
    held = []
    visit.page.route("**/v1/preview", lambda route: held.append(route))  # noqa: PLW0108 (inspected)
    return held


@pytest.fixture
def slow_mask(visit, held):
    """A picture whose mask the server is still reading, and the requests for that."""
    visit.choose(IMAGE)
    with visit.page.expect_request("**/v1/preview"):
        visit.choose_mask(tiff_file(draw_mask()), "slow.tif")
    return held


@pytest.fixture
def sent(visit):
    """Requests for segmentations, as they are sent."""
    sent = []

    def note(request):
        if request.url.endswith("/v1/segment"):
            sent.append(request)

    visit.page.on("request", note)
    return sent


def test_an_image_is_not_sent_before_its_mask_is_read(visit, server, slow_mask, sent):
    visit.page.click("#run")
    expect(visit.page.locator("#progress-text")).to_contain_text("Writing the mask")
    assert sent == []
    slow_mask[0].continue_()
    visit.await_result()

    labels = np.load(io.BytesIO(visit.download("npy")))
    assert np.array_equal(labels, server.segment(IMAGE, encode_mask(VALID)))
    assert np.array_equal(labels != 255, VALID)


def test_an_image_is_not_sent_without_a_mask_that_cannot_be_read(visit, slow_mask, sent):
    visit.page.click("#run")
    expect(visit.page.locator("#progress-text")).to_contain_text("Writing the mask")
    slow_mask[0].fulfill(
        status=422, json={"code": "invalid_mask", "detail": "the mask must be one; it is none"}
    )

    expect(visit.page.locator("#error")).to_contain_text("the mask must be one")
    expect(visit.page.locator("#run")).to_be_enabled()
    assert sent == []
    visit.forgive(NOT_LOADED)


@pytest.mark.usefixtures("held")
def test_the_mask_of_a_picture_that_is_not_opened_goes_to_no_other(visit):
    files = [
        {"name": name, "mimeType": "", "buffer": content}
        for name, content in (("slow.tif", RGB), ("slow-mask.png", encode_mask(VALID)))
    ]
    visit.page.set_input_files("#image-file", files)
    expect(visit.page.locator("#opening")).to_have_text("Opening slow.tif…")
    visit.choose(IMAGE)
    expect(visit.page.locator("#opening")).to_be_hidden()

    expect(visit.page.locator("#error")).to_be_hidden()
    assert visit.read_mask().all()


def test_a_server_with_keys_is_given_one_with_the_tiff(context, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    with run_server(tmp_path, "--keys", str(keys)) as server:
        visit = Visit(context.new_page(), server.url)
        visit.page.goto(server.url)
        visit.page.fill("#key", KEY)
        visit.page.press("#key", "Enter")
        expect(visit.page.locator("#key-form")).to_be_hidden()
        choose(visit, RGB)

        assert np.array_equal(visit.read_canvas(64, 48), SCENE)
