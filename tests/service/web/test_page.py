"""What the page is served as."""

import re

import pytest

from lacuna.raster.formats import ACCEPTED, FORMATS, IMAGE_SUFFIXES
from service.web.routes.page import SAMPLES, STATIC
from tests.support.apps import load_repository, serve

ACCEPT = ",".join(["image/*", *IMAGE_SUFFIXES])
FILES = sorted(path.name for path in STATIC.iterdir())
OUTSIDE = [
    "/static/../page.py",
    "/static/..%2fpage.py",
    "/static/%2e%2e/page.py",
    "/static/.gitignore",
    "/static/",
    "/static/no.js",
    "/samples/",
    "/samples/../models/groundcover/1/saved_model.pb",
    "/samples/..%2f..%2f__init__.py",
    "/samples/no.png",
    "/samples/aerial/no.png",
    "/samples/no/clouds.png",
    "/samples/clouds.png",
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serve(load_repository(tmp_path_factory.mktemp("empty"))) as client:
        yield client


def read_file(name, root="../"):
    """Bytes of a file of the page, with the image formats and its links' root filled in."""
    content = (STATIC / name).read_bytes().replace(b"@ROOT@", root.encode())
    return content.replace(b"@ACCEPT@", ACCEPT.encode()).replace(b"@FORMATS@", ACCEPTED.encode())


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_page_is_served_with_its_type_and_a_strict_policy(client, name):
    answer = client.get(f"/static/{name}")

    assert answer.status_code == 200
    assert answer.content == read_file(name)
    kinds = {
        "js": "text/javascript",
        "json": "application/json",
        "css": "text/css",
        "html": "text/html",
        "svg": "image/svg",
    }
    assert answer.headers["content-type"].startswith(kinds[name.rpartition(".")[2]])
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert re.search(r"script-src 'self'(;|$)", policy)
    assert "img-src 'self' data: blob:" in policy
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_page_is_at_the_root(client):
    answer = client.get("/")

    assert answer.content == read_file("index.html", root="")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_the_file_dialogs_offer_every_format(client, form):
    page = client.get("/").text

    for field in ("first-file", "image-file", "mask-file"):
        (accept,) = re.findall(rf'id="{field}" accept="([^"]*)"', page)
        assert {"image/*", *form.suffixes} <= set(accept.split(","))
    assert form.name in re.search(r'<p class="muted formats">(.*?)</p>', page)[1]


def test_a_page_that_is_there_already_is_not_sent_again(client):
    tag = client.get("/").headers["etag"]
    answer = client.get("/", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_served(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_samples_are_served_with_their_masks(client):
    samples = client.get("/static/about.json").json()["samples"]

    assert {model: len(names) for model, names in samples.items()} == {
        "aerial": 4,
        "groundcover": 4,
    }
    named = [f"{model}/{name}" for model, names in samples.items() for name in names]
    for name in [*named, *(f"{name}-mask" for name in named)]:
        answer = client.get(f"/samples/{name}.png")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == (SAMPLES / f"{name}.png").read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_the_page_names_no_other_host_and_has_nothing_inline(name):
    text = (STATIC / name).read_text()

    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=\"", text) == []


def test_every_module_is_imported_by_another_one():
    everything = "".join(path.read_text() for path in STATIC.iterdir())

    assert [name for name in FILES if name != "index.html" and name not in everything] == []
