"""An image beyond the limit of the server is sent in windows, and its labels are the same."""

import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error, expect

from lacuna.raster.adapt import scale_to_depth
from tests.page.driving import Visit, draw_scene, run_server
from tests.page.test_everybody import DARK, PHONE, list_violations
from tests.page.test_failing import NOT_LOADED
from tests.page.test_large import LIST, WATCH
from tests.page.test_segmenting import PALETTE
from tests.support.apps import encode_image

LIMIT = 150 * 150
SIZE = (509, 515)
SCENE = draw_scene(*SIZE)
IMAGE = encode_image(SCENE)
WINDOWS = 16
LARGE = 4608
WINDOW_MS = 200


def draw_mask():
    """Draw a mask with whole windows missing, and with holes across the edges of windows."""
    mask = np.full(SIZE, 255, np.uint8)
    mask[:300, :290] = 0
    mask[120:140, :] = 0
    mask[:, 400:403] = 0
    mask[200:, 130:260] = np.random.default_rng(2).choice([0, 255], (SIZE[0] - 200, 130))
    return mask


MASK = encode_image(draw_mask())


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server that takes images of up to 150 × 150 pixels."""
    folder = tmp_path_factory.mktemp("limited")
    with run_server(folder, "--image-pixels", str(LIMIT)) as server:
        yield server


@pytest.fixture
def small(context, limited):
    """The page of the limited server."""
    visit = Visit(context.new_page(), limited.url)
    yield visit.open()
    assert visit.faults == []
    assert visit.foreign == []


def read_labels(visit):
    return np.load(io.BytesIO(visit.download("npy")))


def npy_file(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def encode(form, values=SCENE, **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form, **options)
    return buffer.getvalue()


def count_requests(visit):
    """Count the images that are sent from now on."""
    counts = Counter()
    visit.page.on("request", lambda request: counts.update([request.url.rsplit("/", 1)[1]]))
    return counts


def collect_progress(visit):
    """Collect all that is told of the progress from now on, as a handle of a list."""
    return visit.page.evaluate_handle(
        """() => {
            const texts = [];
            const text = document.getElementById("progress-text");
            new MutationObserver(() => texts.push(text.textContent))
                .observe(text, {childList: true});
            return texts;
        }"""
    )


def test_the_labels_are_those_of_one_request_bit_for_bit(small, server):
    counts = count_requests(small)
    small.choose(IMAGE)
    small.choose_mask(MASK)
    small.run()

    assert np.array_equal(read_labels(small), server.segment(IMAGE, MASK))
    assert 4 < counts["segment"] < WINDOWS
    note = small.page.inner_text("#windows-note")
    assert f"in {counts['segment']} windows. {WINDOWS - counts['segment']} others are empty" in note


@pytest.mark.slow
def test_the_labels_of_a_real_model_are_those_of_one_request(context, demo, tmp_path):
    with run_server(tmp_path, "--demo", "groundcover", "--image-pixels", str(300 * 300)) as server:
        visit = Visit(context.new_page(), server.url).open()
        visit.choose(IMAGE)
        visit.choose_mask(MASK)
        visit.run()

        expected = demo.segment(IMAGE, MASK, model="groundcover")
        np.testing.assert_array_equal(read_labels(visit), expected)
        assert visit.faults == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scene.jpg", encode("JPEG", quality=80)),
        ("scene.webp", encode("WEBP", quality=80)),
        ("grey.png", encode("PNG", SCENE[:, :, 0])),
        ("alpha.png", encode("PNG", np.dstack([SCENE, draw_mask()]))),
        ("bytes.npy", npy_file(SCENE)),
        ("floats.npy", npy_file(np.where(draw_mask()[:, :, None], SCENE, np.nan).astype("f4"))),
        ("grey.npy", npy_file(SCENE[:, :, 1].astype(np.int32))),
    ],
)
def test_so_are_those_of_every_format_that_the_page_reads(small, server, name, content):
    small.choose(content, name, "application/octet-stream")
    small.run()

    assert np.array_equal(read_labels(small), server.segment(content))


@pytest.mark.parametrize("content", [IMAGE, npy_file(SCENE.astype(np.float32))])
def test_pixels_of_the_nodata_value_are_missing_in_windows_too(small, server, content):
    value = int(SCENE[300, 300, 0])
    values = np.where(draw_mask()[:, :, None], SCENE, np.uint8(value))
    file = encode_image(values) if content is IMAGE else npy_file(values.astype(np.float32))
    small.choose(file, "scene", "application/octet-stream")
    small.page.fill("#nodata", str(value))
    small.page.press("#nodata", "Tab")
    small.run()

    labels = server.segment(file, nodata=str(value))
    assert np.array_equal(read_labels(small), labels)
    assert small.read_missing() == (labels == 255).sum()


def test_what_is_shown_and_saved_is_as_of_one_request(small, server):
    small.choose(IMAGE, "scene.png")
    small.choose_mask(MASK)
    small.run()
    expected = server.summarize(IMAGE, MASK)

    saved = json.loads(small.download("json"))
    assert saved["classes"] == expected["classes"]
    assert saved["valid"] == expected["valid"]
    assert saved["size"] == expected["size"]
    assert saved["model"] == {"name": "three", "version": "2"}
    told = small.page.locator("#legend tbody tr").all_inner_texts()
    assert [row.split()[1] for row in told] == [
        f"{entry['pixels']:,}" for entry in expected["classes"]
    ]
    picture = Image.open(io.BytesIO(small.download("png")))
    assert np.array_equal(np.asarray(picture), server.segment(IMAGE, MASK))
    expect(small.page.locator("#prove")).to_be_enabled()  # it takes a part
    assert small.page.inner_text("#curl").split("\n")[0] == "lacuna segment scene.png \\"


def test_an_image_without_a_valid_pixel_needs_no_server(small):
    counts = count_requests(small)
    small.choose(IMAGE)
    small.page.click("#invert")
    small.run()

    assert (read_labels(small) == 255).all()
    assert counts["segment"] == 0


def test_progress_is_told_by_windows_with_the_time_that_is_left(small, limited):
    small.choose(IMAGE)
    texts = collect_progress(small)
    with limited.hold():
        small.page.click("#run")
        expect(small.page.locator("#progress-text")).to_have_text(f"0 of {WINDOWS} windows")
    small.await_result()

    told = texts.json_value()
    assert any(re.fullmatch(rf"\d+ of {WINDOWS} windows · about \d+ s left", text) for text in told)
    assert small.page.locator("#progress-text").get_attribute("role") == "status"


def test_few_windows_are_sent_at_a_time(small, limited):
    counts = count_requests(small)
    small.choose(IMAGE)
    with limited.hold():
        small.page.click("#run")
        expect(small.page.locator("#queue")).not_to_have_text("0")
        assert 1 < counts["segment"] <= 3
    small.await_result()

    assert counts["segment"] == WINDOWS


def test_cancelling_stops_at_once_and_frees_the_server(small, limited):
    counts = count_requests(small)
    small.choose(IMAGE)
    with limited.hold():
        small.page.click("#run")
        expect(small.page.locator("#queue")).not_to_have_text("0")
        small.page.click("#cancel")
        expect(small.page.locator("#run")).to_be_enabled()
        expect(small.page.locator("#run")).to_be_focused()
        expect(small.page.locator("#queue")).to_have_text("0")
        expect(small.page.locator("#result")).to_be_hidden()
        expect(small.page.locator("#error")).to_be_hidden()
        sent = counts["segment"]
    small.run()

    assert sent <= 3
    assert counts["segment"] == sent + WINDOWS


def refuse(visit, which, status, code, detail, **headers):
    """Refuse some of the requests of windows, counted from 0, in place of the server."""
    seen = []

    def answer(route):
        seen.append(route)
        if len(seen) - 1 not in which:
            route.continue_()
            return
        problem = {"code": code, "detail": detail, "status": status}
        route.fulfill(status=status, headers=headers, json=problem)

    visit.page.route("**/v1/segment", answer)
    return seen


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (429, "overloaded", "the server is busy, next try in"),
        (503, "not_ready", "the server restarts or cannot be reached, next try in"),
    ],
)
def test_a_window_that_is_refused_for_the_moment_is_sent_again(small, server, status, code, words):
    seen = refuse(small, {1, 4}, status, code, "busy", **{"Retry-After": "1"})
    small.choose(IMAGE)
    texts = collect_progress(small)
    small.run()

    assert any(words in text for text in texts.json_value())
    assert np.array_equal(read_labels(small), server.segment(IMAGE))
    assert len(seen) == WINDOWS + 2
    small.forgive(NOT_LOADED)


def count_under_way(visit):
    """Note how many requests of windows are under way whenever one begins, where they are sent.

    The browser tells a test of their beginnings and ends in another order.
    """
    visit.page.evaluate(
        """() => {
            const {send} = XMLHttpRequest.prototype;
            let now = 0;
            window.underWay = [];
            XMLHttpRequest.prototype.send = function (body) {
                window.underWay.push(++now);
                // Before the page is told.
                this.addEventListener("readystatechange", () => {
                    if (this.readyState === XMLHttpRequest.DONE) now--;
                });
                send.call(this, body);
            };
        }"""
    )
    return lambda: visit.page.evaluate("() => window.underWay")


def test_a_server_that_has_too_much_work_is_sent_fewer_windows_at_a_time(small):
    refuse(small, {1, 2}, 429, "overloaded", "busy", **{"Retry-After": "1"})
    read_most = count_under_way(small)
    small.choose(IMAGE)
    small.run()

    most = read_most()
    assert len(most) == WINDOWS + 2
    assert max(most[:3]) == 3
    assert max(most[-4:]) < 3
    small.forgive(NOT_LOADED)


def test_a_wait_for_the_server_is_cancelled_at_once(small):
    refuse(small, range(99), 503, "not_ready", "busy", **{"Retry-After": "100"})
    small.choose(IMAGE)
    small.page.click("#run")
    expect(small.page.locator("#progress-text")).to_contain_text("next try in")
    small.page.click("#cancel")

    expect(small.page.locator("#run")).to_be_enabled()
    expect(small.page.locator("#error")).to_be_hidden()
    small.forgive(NOT_LOADED)


def test_a_window_that_fails_leaves_no_result_and_ends_the_others(small):
    seen = refuse(small, {5}, 500, "inference_failed", "the model failed")
    small.choose(IMAGE)
    small.page.click("#run")

    expect(small.page.locator("#error")).to_have_text(
        re.compile(
            r"^The window of columns \d+ to \d+ and rows \d+ to \d+ has failed, "
            r"so there is no result: the model failed\.$"
        )
    )
    expect(small.page.locator("#result")).to_be_hidden()
    expect(small.page.locator("#run")).to_be_enabled()
    assert len(seen) < WINDOWS
    small.forgive(NOT_LOADED)


def test_a_result_of_before_is_not_mixed_with_a_run_that_fails(small, server):
    small.choose(IMAGE)
    small.run()
    before = read_labels(small)
    small.page.click("#invert")
    small.page.click("#undo")
    refuse(small, {5}, 500, "inference_failed", "the model failed")
    small.page.click("#run")

    expect(small.page.locator("#error")).to_contain_text("has failed")
    expect(small.page.locator("#stale")).to_be_visible()
    assert np.array_equal(read_labels(small), before)
    small.forgive(NOT_LOADED)


def test_a_mask_that_is_painted_meanwhile_is_not_half_sent(small, server, limited):
    small.choose(IMAGE)
    with limited.hold():
        small.page.click("#run")
        expect(small.page.locator("#progress-text")).to_have_text(f"0 of {WINDOWS} windows")
        small.page.click("#invert")
    small.await_result()

    expect(small.page.locator("#stale")).to_be_visible()
    assert np.array_equal(read_labels(small), server.segment(IMAGE))


@pytest.mark.parametrize(
    ("size", "channels", "limits"),
    [
        ((509, 515), 3, {"image_pixels": LIMIT, "body_bytes": 1 << 30}),
        ((1000, 70), 3, {"image_pixels": LIMIT, "body_bytes": 1 << 30}),
        ((300, 300), 12, {"image_pixels": LIMIT, "body_bytes": 1 << 30}),
        ((300, 300), 3, {"image_pixels": 1 << 20, "body_bytes": 100_000}),
        ((5000, 4096), 3, {"image_pixels": 1 << 24}),
    ],
)
def test_windows_cover_the_image_once_on_the_models_grid_within_all_limits(
    visit, size, channels, limits
):
    (height, width), stride, radius = size, 8, 11
    shape = {"height": height, "width": width, "channels": channels, "sampleBytes": 4}
    model = {
        "contract": {"padding_invariant": True},
        "total_stride": stride,
        "receptive_radius": radius,
        "limits": limits,
    }

    windows = visit.read_module("windows", "planWindows", shape, model)

    kept = np.zeros(size, int)
    for window in windows:
        seen, used = window["input"], window["output"]
        assert seen["x"] % stride == seen["y"] % stride == 0
        for start, side, length in (("x", "width", width), ("y", "height", height)):
            end, used_end = seen[start] + seen[side], used[start] + used[side]
            assert seen[start] <= max(0, used[start] - radius)
            assert min(length, used_end + radius) <= end <= length
        pixels = seen["width"] * seen["height"]
        assert pixels * max(1, channels / 4) <= limits["image_pixels"]
        assert pixels * (channels * 4 + 1) < limits.get("body_bytes", np.inf)
        kept[used["y"] :, used["x"] :][: used["height"], : used["width"]] += 1
    assert (kept == 1).all()
    assert len(windows) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"contract": {"padding_invariant": False}},
        {"contract": None, "total_stride": None},
        {"limits": {"image_pixels": 34 * 34}},
    ],
    ids=["contract broken", "not ready", "no room for halos"],
)
def test_no_window_is_planned_where_it_could_not_be_exact(visit, change):
    shape = {"height": 500, "width": 500, "channels": 3, "sampleBytes": 1}
    model = {
        "contract": {"padding_invariant": True},
        "total_stride": 8,
        "receptive_radius": 16,
        "limits": {"image_pixels": 40_000},
    }

    assert visit.read_module("windows", "planWindows", shape, model | change) == []
    assert visit.read_module("windows", "planWindows", shape, model) != []


@pytest.mark.parametrize(
    ("status", "retry_after_s", "tries", "elapsed", "expected"),
    [
        (429, 3, 1, 0, 3000),
        (503, 0, 1, 0, 125),
        (502, 0, 3, 0, 500),
        (0, 0, 20, 0, 2500),
        (429, 30, 2, 100_000, None),
        (413, 0, 1, 0, None),
        (500, 5, 1, 0, None),
    ],
)
def test_only_what_may_pass_is_tried_again_and_not_forever(
    visit, status, retry_after_s, tries, elapsed, expected
):
    wait = visit.page.evaluate(
        """async ([status, retryAfterS, tries, elapsed]) => {
            const {Problem} = await import("/static/api.js");
            const {chooseWait} = await import("/static/retry.js");
            return chooseWait(new Problem(status, "code", "text", retryAfterS), tries, elapsed, 0);
        }""",
        [status, retry_after_s, tries, elapsed],
    )

    assert wait == expected


def test_bytes_are_scaled_to_the_depth_of_the_model_as_the_server_does(visit):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 4), np.uint8)
    valid = pixels[2:6, 3:8, 3] % 2
    image, mask = visit.page.evaluate(
        """async ([pixels, valid]) => {
            const {cutWindow} = await import("/static/cut.js");
            const raster = {width: 9, height: 7, channels: 3, step: 4, kind: "|u1",
                values: Uint8Array.from(pixels)};
            const box = {x: 3, y: 2, width: 5, height: 4};
            const {image, mask} = cutWindow(raster, box, Uint8Array.from(valid), 257);
            return Promise.all([image, mask].map(async (file) => [...await file.bytes()]));
        }""",
        [pixels.ravel().tolist(), valid.ravel().tolist()],
    )

    cut = np.load(io.BytesIO(bytes(image)))
    expected = scale_to_depth(pixels[2:6, 3:8, :3], 255, "uint16")
    assert cut.dtype == expected.dtype
    assert np.array_equal(cut, expected)
    assert np.array_equal(np.load(io.BytesIO(bytes(mask))), valid)


def test_a_warning_about_most_windows_is_told(small):
    small.choose(encode_image(SCENE // 20))
    small.run()

    caution = small.page.locator("#caution-text")
    expect(caution).to_contain_text(f"In {WINDOWS} of {WINDOWS} windows, as in this one: ")
    expect(small.page.locator("#caution-stretch")).to_be_hidden()


def test_a_warning_about_a_few_windows_is_not(small):
    values = SCENE.copy()
    values[:130, :130] //= 20
    small.choose(encode_image(values))
    small.run()

    expect(small.page.locator("#caution")).to_be_hidden()


def check_command(visit, *parts):
    """Look for a command to copy in place of a result."""
    command = visit.page.locator("#error-text")
    expect(command).to_be_visible()
    for part in parts:
        expect(command).to_contain_text(part)
    expect(visit.page.locator("#result")).to_be_hidden()
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.click("#error-copy")
    expect(visit.page.locator("#error-copy")).to_have_text("Copied")
    assert visit.page.evaluate("navigator.clipboard.readText()") == command.inner_text()
    visit.page.click("#alert-close")
    expect(command).to_be_hidden()


def test_for_a_tiff_there_is_a_command_to_copy(small, limited):
    file = {"name": "my scene.tif", "mimeType": "image/tiff", "buffer": encode_image(SCENE, "TIFF")}
    small.page.set_input_files("#image-file", [file])

    expect(small.page.locator("#error")).to_contain_text(
        "The file my scene.tif is larger than the server takes at once, and the browser cannot "
    )
    check_command(
        small,
        "lacuna segment 'my scene.tif' \\",
        "-o 'my scene-labels.tif' \\",
        f"--url {limited.url}/ \\",
        "--model three",
    )
    small.forgive(NOT_LOADED)


@pytest.mark.parametrize(
    "content",
    [
        encode("PNG", SCENE[:, :, 0].astype(np.uint16) * 257),
        encode("PNG", np.dstack([SCENE, draw_mask() // 2 + 9])),
    ],
    ids=["16 bits", "partly transparent"],
)
def test_a_picture_whose_values_the_browser_changes_is_not_cut(small, content):
    counts = count_requests(small)
    small.choose(content, "scene.png")
    small.choose_mask(MASK)
    small.page.click("#run")

    expect(small.page.locator("#error")).to_contain_text("does not keep its values")
    check_command(small, "lacuna segment scene.png", "--mask mask.png", "--model three")
    assert counts["segment"] == 0


def test_values_that_are_stretched_over_the_whole_are_not_cut(small):
    small.choose(npy_file(SCENE), "scene.npy")
    small.page.check("#stretch")
    expect(small.page.locator("#error")).to_contain_text("at most 22500 pixels")
    small.page.click("#run")

    expect(small.page.locator("#error")).to_contain_text("stretched over the whole image")
    expect(small.page.locator("#error-command")).to_be_hidden()
    expect(small.page.locator("#result")).to_be_hidden()
    small.forgive(NOT_LOADED)


def segment_masked(visit):
    visit.page.bring_to_front()
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()


@pytest.mark.parametrize("layer", ["Support", "medium"])
def test_layers_of_windows_are_those_of_one_request(small, visit, layer):
    shown = []
    for page in (small, visit):
        segment_masked(page)
        page.show_actual()
        page.page.fill("#opacity", "100")
        page.page.select_option("#layer", label=layer)
        expect(page.page.locator("#scale")).to_be_visible()
        shown.append(page.read_canvas(SIZE[1], SIZE[0]))

    assert np.array_equal(*shown)
    assert len(np.unique(shown[0].reshape(-1, 3), axis=0)) > 3


def test_a_result_of_windows_is_compared_with_that_of_another_version(small):
    segment_masked(small)
    small.page.select_option("#compare", label="three 1")

    valid = np.count_nonzero(draw_mask())
    note = f"0 of {valid:,} labels differ (0.0 %)."
    expect(small.page.locator("#compare-note")).to_have_text(note)


@pytest.mark.parametrize("has_alpha", [False, True], ids=["opaque", "with alpha"])
def test_a_result_of_windows_is_compared_with_that_without_its_mask(small, server, has_alpha):
    alpha = np.where(np.arange(SIZE[1]) < 60, 0, 255) * np.ones(SIZE)
    image = encode_image(np.dstack([SCENE, alpha]).astype(np.uint8)) if has_alpha else IMAGE
    small.choose(image)
    small.choose_mask(MASK)
    small.run()
    small.page.select_option("#compare", label="without mask")

    masked, whole = server.segment(image, MASK), server.segment(image)
    valid = masked != 255
    differing = np.count_nonzero(masked[valid] != whole[valid])
    assert differing
    expect(small.page.locator("#compare-note")).to_contain_text(
        f"{differing:,} of {np.count_nonzero(valid):,} labels differ"
    )
    small.show_actual()
    small.page.fill("#opacity", "100")
    small.page.fill("#swipe-split", "100")
    seen = small.read_canvas(SIZE[1], SIZE[0])[whole != 255]
    assert np.array_equal(seen, PALETTE[whole[whole != 255]])


@pytest.mark.parametrize(
    ("choice", "wanted", "others"),
    [("layer", "Confidence", "Labels"), ("compare", "three 1", "nothing")],
)
def test_windows_that_are_not_wanted_any_more_are_not_sent(small, limited, choice, wanted, others):
    small.choose(IMAGE)
    small.run()
    counts = count_requests(small)
    note = small.page.locator(f"#{choice}-note")
    with limited.hold():
        small.page.select_option(f"#{choice}", label=wanted)
        expect(note).to_contain_text(f"… 0 of {WINDOWS} windows")
        small.page.select_option(f"#{choice}", label=others)
        expect(note).to_have_text("")
    for _ in range(2):
        with small.page.expect_response("**/readyz"):
            pass

    assert counts["segment"] <= 3
    expect(note).to_have_text("")
    expect(small.page.locator("#error")).to_be_hidden()


def test_labels_are_shown_again_if_a_window_of_a_layer_fails(small):
    small.choose(IMAGE)
    small.run()
    refuse(small, {5}, 500, "inference_failed", "the model failed")
    small.page.select_option("#layer", label="Support")

    expect(small.page.locator("#error")).to_contain_text("has failed")
    expect(small.page.locator("#layer")).to_have_value("labels")
    expect(small.page.locator("#scale")).to_be_hidden()
    small.forgive(NOT_LOADED)


def test_layers_that_would_take_too_much_memory_are_refused(visit):
    job = {"width": 8192, "height": 8192, "windows": [], "question": {}}

    with pytest.raises(Error, match=r"at most 1,073,741,824 bytes in all; .* take 1,140,850,688"):
        visit.read_module("stitch", "computePlanes", job, 15, {})


@pytest.mark.slow
def test_no_task_is_long_while_a_very_large_image_is_cut_and_its_labels_are_the_same(
    visit, tmp_path
):
    rows = np.add.outer(np.arange(LARGE), np.arange(LARGE)) // 16 % 256
    scene = np.stack([rows, rows[::-1], rows[:, ::-1]], axis=-1).astype(np.uint8)
    content = encode_image(scene, compress_level=1)
    visit.choose(content, "large.png")
    visit.page.evaluate(WATCH)
    visit.page.click("#run")
    expect(visit.page.locator("#result")).to_be_visible(timeout=120_000)
    tasks = visit.page.evaluate(LIST)
    visit.page.fill("#opacity", "100")
    seen = visit.read_canvas(256, 256)  # from afar

    assert max(tasks, default=0) < WINDOW_MS
    assert (seen[:, :, None] == PALETTE).all(axis=3).any(axis=2).all()
    with run_server(tmp_path, "--image-pixels", str(LARGE**2)) as unlimited:
        assert np.array_equal(read_labels(visit), unlimited.segment(content))


@pytest.mark.parametrize("context", [PHONE, PHONE | DARK], ids=["light", "dark"], indirect=True)
def test_windows_and_commands_are_for_everybody_on_a_phone(small, limited):
    small.choose(IMAGE)
    with limited.hold():
        small.page.click("#run")
        expect(small.page.locator("#progress-text")).to_have_text(f"0 of {WINDOWS} windows")
        expect(small.page.locator("#cancel")).to_be_focused()
        assert list_violations(small.page) == []
    small.await_result()
    file = {"name": "scene.tif", "mimeType": "image/tiff", "buffer": encode_image(SCENE, "TIFF")}
    small.page.set_input_files("#image-file", [file])
    expect(small.page.locator("#error-text")).to_be_in_viewport()

    assert list_violations(small.page) == []
    assert small.page.evaluate("document.documentElement.scrollWidth") == 360
    small.forgive(NOT_LOADED)
