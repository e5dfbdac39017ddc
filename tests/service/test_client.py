import subprocess
import sys

import httpx2
import numpy as np
import pytest

from service.client import Client, UnreachableError
from service.errors import InvalidMaskError, RequestError, UnavailableError, UnknownModelError
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_repository, make_repository_folder, serve

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (20, 30), np.uint8)
MASK = RNG.random((20, 30)) < 0.8


class ToApplication(httpx2.BaseTransport):
    """Carries a client's requests to an application in this process."""

    def __init__(self, application):
        self.application = application

    def handle_request(self, request):
        answer = self.application.request(
            request.method, request.url.path, headers=dict(request.headers), content=request.read()
        )
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def answer_with(status, **content):
    return httpx2.MockTransport(lambda _: httpx2.Response(status, **content))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with (
        serve(load_repository(root)) as application,
        Client("http://server", transport=ToApplication(application)) as client,
    ):
        yield client


@pytest.fixture
def expected():
    image = np.where(MASK, IMAGE, 0)[None, :, :, None].astype(np.float32)
    return FakeRuntime().run(image, MASK[None], probabilities=False).labels[0]


def test_arrays_are_segmented(client, expected):
    labels = client.segment(IMAGE, MASK)

    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected)


def test_bytes_are_segmented(client, expected):
    assert np.array_equal(client.segment(encode_image(IMAGE), encode_image(MASK)), expected)


def test_files_are_segmented(client, expected, tmp_path):
    image, mask = tmp_path / "scene.png", tmp_path / "mask.png"
    image.write_bytes(encode_image(IMAGE))
    mask.write_bytes(encode_image(MASK))

    assert np.array_equal(client.segment(str(image), mask), expected)


def test_parameters_are_passed_on_and_none_is_left_out(client):
    labels = client.segment(IMAGE, nodata=int(IMAGE[0, 0]), model="fake", version=None)

    assert labels[0, 0] == 255


def test_an_answer_can_be_had_as_a_file(client):
    assert client.segment_as("image/png", IMAGE).startswith(b"\x89PNG")


def test_an_error_comes_back_as_its_class(client):
    with pytest.raises(InvalidMaskError, match="image is 20×30, mask is 19×30"):
        client.segment(IMAGE, MASK[1:])
    with pytest.raises(UnknownModelError, match="fake; not ghost"):
        client.segment(IMAGE, model="ghost")


@pytest.mark.parametrize(
    ("status", "kind"), [(418, RequestError), (502, UnavailableError), (500, UnavailableError)]
)
@pytest.mark.parametrize("content", [{"text": "<html>"}, {"json": {"code": "new", "detail": "?"}}])
def test_an_error_of_an_unknown_kind_is_told_by_its_status(status, kind, content):
    with (
        Client("http://server", transport=answer_with(status, **content)) as client,
        pytest.raises(kind),
    ):
        client.segment(IMAGE)


def test_a_server_that_is_not_there_is_said():
    with (
        Client("http://127.0.0.1:1") as client,
        pytest.raises(UnreachableError, match=r"127\.0\.0\.1"),
    ):
        client.segment(IMAGE)


@pytest.mark.parametrize("module", ["service.client", "service.cli"])
def test_client_and_command_line_load_without_the_servers_extras(module):
    heavy = ("tensorflow", "keras", "fastapi", "starlette", "pydantic", "tifffile", "imagecodecs")
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {heavy}))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
