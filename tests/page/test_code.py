"""Code to copy, links, and files to save."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, ROOT, Visit, draw_mask, draw_scene
from tests.support.waiting import wait_until

VALID = draw_mask() > 0


def read_code(visit, language):
    visit.page.check(f"#languages label:has-text('{language}') input", force=True)
    return visit.page.inner_text("#curl")


def run_code(language, code, folder):
    """Run code as it was pasted, and return what it has printed."""
    if language == "JavaScript":
        (folder / "code.mjs").write_text(code)
        command = ["node", "code.mjs"]
    elif language == "Python":
        command = [sys.executable, "-c", code]
    else:
        command = ["/bin/sh", "-c", code]
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_code_works_as_pasted_beside_the_files_that_it_names(visit, server, tmp_path):
    visit.choose(IMAGE, "my 'scene'.png")
    visit.choose_mask(MASK)
    visit.run()
    (tmp_path / "my 'scene'.png").write_bytes(IMAGE)
    with visit.page.expect_download() as download:
        visit.page.click("#mask-save")
    download.value.save_as(tmp_path / download.value.suggested_filename)

    for language in ("Python", "JavaScript"):
        told = run_code(language, read_code(visit, language), tmp_path)
        for entry in server.summarize(IMAGE, MASK)["classes"]:
            assert entry["name"] in told
            assert str(entry["pixels"]) in told


def test_code_for_a_sample_fetches_the_sample_and_its_mask(visit, tmp_path):
    visit.page.click("#first-samples .sample >> nth=0")
    expect(visit.page.locator("#run")).to_be_focused()
    visit.run()
    expect(visit.page.locator("#mask-needed")).to_be_hidden()
    expected = json.loads(visit.download("json"))["classes"]

    told = run_code("curl", read_code(visit, "curl"), tmp_path)
    assert json.loads(told)["classes"] == expected
    told = run_code("JavaScript", read_code(visit, "JavaScript"), tmp_path)
    assert all(str(entry["pixels"]) in told for entry in expected)
    assert "urlretrieve" in read_code(visit, "Python")
    visit.page.click("#invert")
    visit.run()
    assert "mask=@mask.png" in read_code(visit, "curl")


def test_a_link_restores_sample_model_layer_and_view(visit, context):
    visit.page.select_option("#version", "1")
    visit.page.click("#first-samples .sample >> nth=1")
    expect(visit.page.locator("#run")).to_be_focused()
    visit.run()
    visit.page.select_option("#layer", label="Support")
    expect(visit.page.locator("#scale")).to_be_visible()
    visit.show_actual()
    visit.page.focus("#picture")
    visit.page.keyboard.press("ArrowRight")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.click("#copy-link")
    expect(visit.page.locator("#copy-link")).to_have_text("Copied")
    shown = visit.read_canvas(64, 48)

    other = Visit(context.new_page(), visit.url)
    other.page.goto(visit.page.evaluate("navigator.clipboard.readText()"))
    expect(other.page.locator("#image-name")).to_have_text("dead_pixels.png")
    other.await_result()
    expect(other.page.locator("#version")).to_have_value("1")
    expect(other.page.locator("#layer")).to_have_value("support")
    expect(other.page.locator("#scale")).to_be_visible()
    assert wait_until(lambda: np.array_equal(other.read_canvas(64, 48), shown))
    assert (other.faults, other.foreign) == ([], [])


def test_the_overlay_is_saved_as_it_is_shown(visit):
    visit.choose(IMAGE)
    visit.choose_mask(MASK)
    visit.run()
    visit.show_actual()
    visit.page.fill("#opacity", "100")
    shown = visit.read_canvas(64, 48)

    saved = np.asarray(Image.open(io.BytesIO(visit.download("overlay"))).convert("RGB"))
    assert np.array_equal(saved[VALID], shown[VALID])
    assert (saved[~VALID] != draw_scene()[~VALID]).any(axis=1).mean() > 0.9
