import asyncio
import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from lacuna.client import AsyncClient, Client, FailedError, Question, RejectedError, RetryPolicy
from lacuna.errors import (
    InvalidMaskError,
    MalformedRequestError,
    OverloadedError,
    UnknownModelError,
)
from service.runtime.fake import FakeRuntime
from tests.lacuna.client.scripts import FINE, Script
from tests.support.apps import encode_image
from tests.support.images import tiff_file

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (20, 30), np.uint8)
MASK = RNG.random((20, 30)) < 0.8


@pytest.fixture(params=["native", "oip", "tfserving"])
def client(request, address):
    with Client(f"http://{address}", protocol=request.param) as client:
        yield client


@pytest.fixture(scope="module")
def expected():
    image = np.where(MASK, IMAGE, 0)[None, :, :, None].astype(np.float32)
    return FakeRuntime().run(image, MASK[None], probabilities=True)


@pytest.fixture
def files(tmp_path):
    image, mask = tmp_path / "scene.png", tmp_path / "mask.png"
    image.write_bytes(encode_image(IMAGE))
    mask.write_bytes(encode_image(MASK))
    return image, mask


def test_arrays_are_segmented_by_every_protocol(client, expected):
    result = client.segment(IMAGE, MASK)

    assert result.labels.dtype == np.uint8
    assert np.array_equal(result.labels, expected.labels[0])
    assert (result.model, result.version) == ("fake", "1")


def test_files_are_segmented_by_every_protocol(client, expected, files):
    image, mask = files

    assert np.array_equal(client.segment(str(image), mask).labels, expected.labels[0])


def test_bytes_are_segmented_by_every_protocol(client, expected, files):
    image, mask = (path.read_bytes() for path in files)

    assert np.array_equal(client.segment(image, bytearray(mask)).labels, expected.labels[0])


def test_pil_images_are_segmented_by_every_protocol(client, expected):
    image, mask = PIL.Image.fromarray(IMAGE), PIL.Image.fromarray(MASK)

    assert np.array_equal(client.segment(image, mask).labels, expected.labels[0])


def test_probabilities_come_when_they_are_asked_for(client, expected):
    result = client.segment(IMAGE, MASK, probabilities=True)

    assert np.array_equal(result.labels, expected.labels[0])
    np.testing.assert_allclose(result.probabilities, expected.probabilities[0], atol=1e-7)
    assert client.segment(IMAGE, MASK).probabilities is None


def test_a_no_data_value_counts_in_every_protocol(client):
    result = client.segment(IMAGE, nodata=int(IMAGE[0, 0]), model="fake", version=None)

    assert np.array_equal(result.valid, IMAGE[0, 0] != IMAGE)


@pytest.mark.parametrize("nodata", [None, 9, "none"])
def test_a_no_data_value_stands_in_place_of_the_files_in_every_protocol(client, nodata):
    data = tiff_file(IMAGE, extratags=[(42113, "s", 0, str(IMAGE[0, 0]), True)])
    missing = {None: IMAGE[0, 0] == IMAGE, 9: IMAGE == 9, "none": np.zeros_like(IMAGE, bool)}

    result = client.segment(data, nodata=nodata)

    assert np.array_equal(result.valid, ~missing[nodata])


@pytest.fixture
def georeferenced(tmp_path):
    """A file whose tag says that there is no data where the mask beside it says that there is."""
    path = tmp_path / "scene.tif"
    path.write_bytes(tiff_file(IMAGE, extratags=[(42113, "s", 0, str(IMAGE[0, 0]), True)]))
    path.with_name("scene.tif.msk").write_bytes(tiff_file(255 * MASK.astype(np.uint8)))
    return path


# As `rasterio.open(path).dataset_mask()` has it: GDAL 3.10.3 takes the mask beside the file.
def test_the_mask_beside_a_file_is_taken_by_every_protocol(client, georeferenced):
    assert np.array_equal(client.segment(georeferenced).valid, MASK)
    assert np.array_equal(client.segment(str(georeferenced), nodata=9).valid, MASK & (IMAGE != 9))


def test_a_mask_that_is_given_is_taken_before_the_one_beside_a_file(client, georeferenced):
    result = client.segment(georeferenced, ~MASK, nodata="none")

    assert np.array_equal(result.valid, ~MASK)


def test_the_mask_beside_a_file_counts_in_answers_as_the_server_writes_them(address, georeferenced):
    with Client(f"http://{address}") as client:
        answer = client.segment_as("application/x-npy", georeferenced)

    assert np.array_equal(np.load(io.BytesIO(answer)) != 255, MASK)


def test_classes_are_named_by_every_protocol(client):
    names = [entry.name for entry in FakeRuntime().manifest.classes]

    assert [entry.name for entry in client.segment(IMAGE).classes] == names


def test_a_version_that_is_named_answers(client, expected):
    result = client.segment(IMAGE, MASK, model="fake", version=1)

    assert np.array_equal(result.labels, expected.labels[0])
    assert result.version == "1"


def test_a_model_that_is_not_there_is_said_by_every_protocol(client):
    with pytest.raises(Exception, match="ghost"):
        client.segment(IMAGE, model="ghost")


def test_an_error_comes_back_as_its_class(address):
    with Client(f"http://{address}") as client:
        with pytest.raises(InvalidMaskError, match="image is 20×30, mask is 19×30"):
            client.segment(IMAGE, MASK[1:])
        with pytest.raises(UnknownModelError, match="fake; not ghost") as caught:
            client.segment(IMAGE, model="ghost")
    assert caught.value.code == "unknown_model"


def test_a_brief_answer_is_the_same(address, expected):
    with Client(f"http://{address}") as client:
        whole, brief = client.segment(IMAGE, MASK), client.ask(Question(IMAGE, MASK, brief=True))

    assert np.array_equal(brief.labels, expected.labels[0])
    assert (brief.classes, brief.areas) == (whole.classes, whole.areas)
    assert (brief.model, brief.version) == (whole.model, whole.version)


def test_the_server_tells_where_its_time_went(address):
    with Client(f"http://{address}") as client:
        timings_ms = client.segment(IMAGE).timings_ms

    assert set(timings_ms) == {"decode", "queue", "infer", "encode"}


def test_an_answer_can_be_had_as_the_server_writes_it(address):
    with Client(f"http://{address}") as client:
        assert client.segment_as("image/png", IMAGE).startswith(b"\x89PNG")


def test_models_are_listed(address):
    with Client(f"http://{address}") as client:
        (model,) = client.models()

    assert (model.name, model.version, model.state) == ("fake", "1", "ready")
    assert model.is_ready
    assert [entry.name for entry in model.classes] == ["dark", "medium", "bright"]
    assert (model.channels, model.dtype, model.bands) == (1, "uint8", ())
    assert model.most_pixels == model.details["limits"]["image_pixels"]


def test_of_a_model_that_loads_only_its_state_is_known():
    model = {"name": "new", "version": "2", "state": "loading", "reason": None}
    script = Script((200, {}, {"models": [model]}))

    with Client("http://server", transport=script) as client:
        (found,) = client.models()

    assert (found.state, found.is_ready, found.classes, found.channels) == (
        "loading",
        False,
        (),
        None,
    )


@pytest.mark.parametrize("method", ["segment", "segment_as"])
def test_a_misspelt_argument_is_named_before_anything_is_sent(method):
    script = Script(FINE)
    first = ["image/png"] if method == "segment_as" else []

    with (
        Client("http://server", transport=script) as client,
        pytest.raises(TypeError, match=rf"{method}\(\) .* 'nodta'; did you mean 'nodata'\?"),
    ):
        getattr(client, method)(*first, IMAGE, nodta=0)
    assert script.requests == []


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_server_that_lists_no_models_is_used_by_their_names(status):
    script = Script((status, {}, {"error": "no such route"}))

    with Client("http://server", transport=script) as client:
        assert client.models() == []
    with (
        Client("http://server", transport=script, protocol="tfserving") as client,
        pytest.raises(UnknownModelError, match="must be named"),
    ):
        client.segment(IMAGE)


@pytest.mark.parametrize(
    ("status", "error"), [(401, RejectedError), (429, OverloadedError), (500, FailedError)]
)
def test_a_refusal_to_list_the_models_is_not_taken_for_none(status, error):
    script = Script((status, {}, {"error": "no"}))

    with (
        Client("http://server", transport=script, retry=RetryPolicy(0)) as client,
        pytest.raises(error, match="no"),
    ):
        client.models()


def test_an_async_client_answers_the_same(address, expected):
    async def run():
        async with AsyncClient(f"http://{address}") as client:
            assert len(await client.models()) == 1
            content = await client.segment_as("application/x-npy", IMAGE, MASK)
            return await client.segment(IMAGE, MASK), content

    result, content = asyncio.run(run())

    assert np.array_equal(result.labels, expected.labels[0])
    assert content.endswith(result.labels.tobytes())


def test_a_key_is_sent_as_a_bearer_token():
    script = Script(FINE)

    with Client("http://server", api_key="opensesame", transport=script) as client:
        client.segment(IMAGE)

    assert script.requests[0].headers["authorization"] == "Bearer opensesame"


def test_what_is_no_image_is_refused_before_anything_is_sent():
    script = Script(FINE)

    with Client("http://server", transport=script) as client:
        with pytest.raises(TypeError, match="it is a list"):
            client.segment([[1, 2]])
        with pytest.raises(FileNotFoundError):
            client.segment("none.png")
    assert script.requests == []


@pytest.mark.parametrize(
    "module", ["lacuna.client", "lacuna.cli", "service.cli.serve", "lacuna.cli.segment_run"]
)
def test_client_and_command_line_load_without_the_servers_extras(module):
    heavy = ("tensorflow", "keras", "fastapi", "starlette", "pydantic", "tifffile", "imagecodecs")
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {heavy}))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_client_does_not_load_the_progress_bar():
    code = "import sys, lacuna.client; sys.exit('rich' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stretch_is_asked_for_and_refused_where_it_cannot_be(client):
    # The fake model does not tell what it was trained on.
    with pytest.raises(MalformedRequestError, match="stretch=percentile needs"):
        client.segment(IMAGE, MASK, stretch="percentile")
    assert client.segment(IMAGE, MASK, stretch="none").labels.shape == (20, 30)
