"""Every sample of the documentation is run: those of these pages here, others beside their subject.

The samples of these pages need some server and no certain labels, so the model is a fake one.
"""

import re
import shlex
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from tests.support.apps import load_repository, make_repository_folder
from tests.support.live import serve_live
from tests.support.notebooks import run_notebook

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HERE = ("http.md", "kubernetes.md", "monitoring.md", "serve.md", "start.md", "stock-clients.md")
ELSEWHERE = {
    "client.md": "tests/docs/test_client.py",
    "grpc.md": "tests/docs/test_grpc.py",
    "masking.md": "tests/docs/test_examples.py",
    "scenes.md": "tests/docs/test_scenes.py",
    "training.md": "tests/docs/test_training.py",
    "your-model.md": "tests/docs/test_your_model.py",
}
"""Pages with samples, and the tests that run them."""

OF_OTHERS = ("ray.md", "sagemaker.md", "vertex-ai.md")
"""Pages whose samples need a cluster or an account; only their syntax is checked."""

_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMISED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)
SAMPLES = [
    pytest.param(language, text, id=f"{page}-{number}")
    for page in HERE
    for number, (language, text) in enumerate(_BLOCK.findall((DOCS / page).read_text()))
]


def load_colours(_):
    """Load a fake model of three channels, as the demo's samples have."""
    changed = {
        "name": "aerial",
        "image": FAKE_MANIFEST.image.model_copy(update={"channels": 3}),
    }
    return FakeRuntime(FAKE_MANIFEST.model_copy(update=changed))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = make_repository_folder(tmp_path_factory.mktemp("models"), "aerial/1")
    with serve_live(load_repository(folder, load_colours)) as address:
        yield address


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "service").symlink_to(ROOT / "service")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def given():
    """Names that a page about a protocol takes as given: pixels and their validity."""
    with Image.open(ROOT / "service/demo/samples/aerial/clouds.png") as image:
        pixels = np.asarray(image.crop((0, 0, 64, 48)))
    return {"pixels": pixels, "valid": pixels[..., 0] > 100}


@pytest.mark.parametrize(("language", "text"), SAMPLES)
def test_a_sample_runs_and_prints_what_it_says(language, text, address, folder, given):
    text = text.replace("127.0.0.1:8000", address)
    if language == "sh":
        subprocess.run([*shlex.split(text), "--fail-with-body"], check=True, capture_output=True)
        return

    with redirect_stdout(StringIO()) as printed:
        exec(compile(text, "sample", "exec"), {"__name__": "sample", **given})  # noqa: S102

    for promised in _PROMISED.findall(text):
        lines = [words for words in promised.split("; ") if "=" not in words]
        assert all(line in printed.getvalue() for line in lines)


def test_a_picture_of_the_first_page_has_the_size_of_its_image(address, folder):
    (command,) = [
        text for kind, text in _BLOCK.findall((DOCS / "start.md").read_text()) if kind == "sh"
    ]
    subprocess.run(shlex.split(command.replace("127.0.0.1:8000", address)), check=True)

    with Image.open(folder / "labels.png") as labels:
        assert labels.size == (512, 512)


@pytest.mark.parametrize("page", OF_OTHERS)
def test_a_sample_for_the_services_of_others_has_no_mistake_of_syntax(page):
    for language, text in _BLOCK.findall((DOCS / page).read_text()):
        if language == "python":
            compile(text, page, "exec")
        else:
            subprocess.run(["/bin/bash", "-n"], input=text, text=True, check=True)


def test_the_notebook_about_results_runs(address, folder):
    printed = run_notebook("client", ("127.0.0.1:8000", address))

    assert "65% of the pixels are valid" in printed
    assert "0 labels differ" in printed


def test_every_page_with_samples_has_a_test_that_runs_them():
    pages = {
        path.relative_to(DOCS).as_posix()
        for path in DOCS.rglob("*.md")
        if _BLOCK.search(path.read_text())
    }

    assert pages == {*HERE, *ELSEWHERE, *OF_OTHERS}
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text(), f"{test} does not read {page}"
