"""The Open Inference Protocol on a real socket, with NVIDIA's client as it is."""

import asyncio
import concurrent.futures
import gzip
import json
import logging
import zlib

import httpx2
import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from lacuna.errors import InvalidGraphError
from lacuna.raster.limits import ImageLimits
from service.engine.lifecycle.repository import ModelRepository
from service.listening.body_limits import BodyLimits
from service.runtime.fake import FakeRuntime
from tests.support.apps import encode_image, load_fake, make_repository_folder
from tests.support.live import serve_live

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 37, 53, 1), np.uint8)
MASKS = RNG.random((2, 37, 53)) < 0.7
LIMITS = {"body_limits": BodyLimits(200_000), "image_limits": ImageLimits(20_000)}
EXPECTED = FakeRuntime().run(
    np.where(MASKS[..., None], IMAGES, 0).astype(np.float32), MASKS, probabilities=True
)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_live(ModelRepository(root, load_fake), **LIMITS) as url:
        yield url


@pytest.fixture(scope="module")
def client(url):
    with tritonclient.http.InferenceServerClient(url) as client:
        yield client


def make_input(name, array, datatype, *, binary=True):
    tensor = tritonclient.http.InferInput(name, array.shape, datatype)
    return tensor.set_data_from_numpy(array, binary_data=binary)


def make_inputs(images=IMAGES, masks=MASKS, *, binary=True):
    return [
        make_input("image", images, "UINT8", binary=binary),
        make_input("mask", masks, "BOOL", binary=binary),
    ]


def ask_for(*names, binary=True):
    return [tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_health_is_told(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fake")
    assert client.is_model_ready("fake", "1")
    assert not client.is_model_ready("fake", "2")
    assert not client.is_model_ready("other")


def test_metadata_are_told(client):
    assert client.get_server_metadata()["name"] == "lacuna"
    assert client.get_model_metadata("fake")["versions"] == ["1"]
    assert client.get_model_metadata("fake", "1")["inputs"][0]["name"] == "image"
    assert client.get_model_config("fake")["max_batch_size"] > 1


def test_the_index_is_told(client):
    entry = {"name": "fake", "version": "1", "state": "READY", "reason": ""}

    assert client.get_model_repository_index() == [entry]


def test_a_model_that_failed_is_not_ready_and_says_why(tmp_path):
    def load(folder):
        if folder.parent.name == "bad":
            raise InvalidGraphError("saved_model.pb must be one that loads")
        return FakeRuntime()

    root = make_repository_folder(tmp_path, "bad/1", "good/1")
    with serve_live(ModelRepository(root, load), wait=False) as url:
        with tritonclient.http.InferenceServerClient(url) as client:
            while not client.is_model_ready("good"):
                pass
            states = {entry["name"]: entry for entry in client.get_model_repository_index()}

            assert client.is_server_live()
            assert not client.is_server_ready()
            assert not client.is_model_ready("bad")
            with pytest.raises(InferenceServerException, match=r"\[503\] .*bad is failed"):
                client.infer("bad", make_inputs())
        ready = httpx2.post(f"http://{url}/v2/repository/index", json={"ready": True}).json()

    assert states["bad"]["state"] == "UNAVAILABLE"
    assert states["bad"]["reason"] == "saved_model.pb must be one that loads"
    assert [entry["name"] for entry in ready] == ["good"]


@pytest.mark.parametrize("sent_raw", [True, False], ids=["raw in", "JSON in"])
@pytest.mark.parametrize("asked_raw", [True, False], ids=["raw out", "JSON out"])
@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_several_images_are_segmented(client, sent_raw, asked_raw, coding):
    result = client.infer(
        "fake",
        make_inputs(binary=sent_raw),
        "1",
        ask_for("probabilities", "labels", binary=asked_raw),
        request_id="trace-7",
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )

    assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)
    assert np.array_equal(
        result.as_numpy("probabilities"), EXPECTED.probabilities * MASKS[..., None]
    )
    response = result.get_response()
    assert (response["id"], response["model_version"]) == ("trace-7", "1")


def list_outputs(result):
    return [output["name"] for output in result.get_response()["outputs"]]


def test_a_request_that_names_no_output_gets_all_that_the_metadata_list(client):
    listed = [output["name"] for output in client.get_model_metadata("fake")["outputs"]]
    result = client.infer("fake", make_inputs())

    probabilities = EXPECTED.probabilities * MASKS[..., None]
    assert list_outputs(result) == listed
    assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)
    assert np.array_equal(result.as_numpy("probabilities"), probabilities)
    assert np.array_equal(result.as_numpy("confidence"), probabilities.max(-1))
    assert result.as_numpy("support").shape == MASKS.shape
    assert "id" not in result.get_response()


def test_a_request_that_names_labels_is_sent_labels_and_nothing_else(client):
    result = client.infer("fake", make_inputs(), outputs=ask_for("labels"))

    assert list_outputs(result) == ["labels"]


def test_a_setting_sends_labels_to_a_request_that_names_no_output(tmp_path):
    root = make_repository_folder(tmp_path)
    with (
        serve_live(ModelRepository(root, load_fake), default_outputs=("labels",)) as url,
        tritonclient.http.InferenceServerClient(url) as client,
    ):
        result = client.infer("fake", make_inputs())

    assert list_outputs(result) == ["labels"]
    assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)


def test_the_mask_may_be_left_out(client):
    result = client.infer("fake", make_inputs()[:1])

    expected = FakeRuntime().run(
        IMAGES.astype(np.float32), np.ones_like(MASKS), probabilities=False
    )
    assert np.array_equal(result.as_numpy("labels"), expected.labels)


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [
        ("UINT8", np.uint8),
        ("UINT16", np.uint16),
        ("INT16", np.int16),
        ("INT32", np.int32),
        ("UINT64", np.uint64),
        ("FP16", np.float16),
        ("FP32", np.float32),
        ("FP64", np.float64),
    ],
)
def test_any_numbers_make_an_image_and_any_integers_a_mask(client, datatype, dtype):
    inputs = [
        make_input("image", IMAGES.astype(dtype), datatype),
        make_input("mask", MASKS[..., None].astype(np.int32) * -3, "INT32"),
    ]

    assert np.array_equal(client.infer("fake", inputs).as_numpy("labels"), EXPECTED.labels)


def test_what_is_not_finite_is_missing(client):
    image = np.where(MASKS[..., None], IMAGES, np.nan).astype(np.float32)
    result = client.infer("fake", [make_input("image", image, "FP32")])

    assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)


def test_images_of_different_sizes_are_segmented_at_the_same_time(url):
    sides = [1, 2, 3, 5, 8, 13, 21, 34]
    given = [(IMAGES[:1, :side, :side], MASKS[:1, :side, :side]) for side in sides]

    def infer_once(pair):
        # The client is for one thread.
        with tritonclient.http.InferenceServerClient(url) as own:
            return own.infer("fake", make_inputs(*pair)).as_numpy("labels")

    with concurrent.futures.ThreadPoolExecutor(len(given)) as pool:
        labels = list(pool.map(infer_once, given))

    for found, (image, mask) in zip(labels, given, strict=True):
        valid = np.where(mask[..., None], image, 0).astype(np.float32)
        assert np.array_equal(found, FakeRuntime().run(valid, mask, probabilities=False).labels)


def test_requests_of_greenlets_are_answered(client):
    pending = [client.async_infer("fake", make_inputs()) for _ in range(3)]

    for request in pending:
        assert np.array_equal(request.get_result().as_numpy("labels"), EXPECTED.labels)


def test_the_asynchronous_client_does_the_same(url):
    async def scenario():
        async with tritonclient.http.aio.InferenceServerClient(url) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("fake", "1")
            assert (await client.get_server_metadata())["name"] == "lacuna"
            assert (await client.get_model_metadata("fake"))["platform"]
            assert (await client.get_model_config("fake"))["input"]
            assert (await client.get_model_repository_index())[0]["state"] == "READY"
            assert (await client.get_inference_statistics("fake"))["model_stats"]
            with pytest.raises(InferenceServerException, match=r"\[403\] .* admin key"):
                await client.load_model("fake")
            with pytest.raises(InferenceServerException, match=r"\[404\] .* not other"):
                await client.infer("other", make_inputs())
            return await asyncio.gather(
                *(
                    client.infer(
                        "fake",
                        make_inputs(binary=binary),
                        outputs=ask_for("labels", binary=binary),
                        request_compression_algorithm=coding,
                        response_compression_algorithm=coding,
                    )
                    for binary in (True, False)
                    for coding in (None, "gzip", "deflate")
                )
            )

    for result in asyncio.run(scenario()):
        assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)


def test_what_was_done_is_counted(client):
    def count():
        (found,) = client.get_inference_statistics("fake", "1")["model_stats"]
        return found

    before = count()
    client.infer("fake", make_inputs())
    with pytest.raises(InferenceServerException):
        client.infer("fake", make_inputs(masks=MASKS[:, :-1]))
    after = count()

    assert after["inference_count"] == before["inference_count"] + 2
    for name in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        found, known = after["inference_stats"][name], before["inference_stats"][name]
        assert found["count"] == known["count"] + 1
        assert found["ns"] >= known["ns"]
    assert after["inference_stats"]["fail"]["count"] > before["inference_stats"]["fail"]["count"]
    assert after["last_inference"] >= before["last_inference"] > 0
    assert client.get_inference_statistics()["model_stats"] == [after]
    assert client.get_inference_statistics("fake")["model_stats"] == [after]


def test_requests_of_the_native_protocol_are_counted_too(client, url):
    def count(outcome):
        (found,) = client.get_inference_statistics("fake", "1")["model_stats"]
        return found["inference_stats"][outcome]["count"]

    before = count("success"), count("fail")
    image = encode_image(np.zeros((5, 7), np.uint8))
    for content, status in ((image, 200), (image[:-9], 422)):
        assert httpx2.post(f"http://{url}/v1/segment", content=content).status_code == status

    assert (count("success"), count("fail")) == (before[0] + 1, before[1] + 1)


def ask_the_native_protocol(url, _):
    httpx2.post(f"http://{url}/v1/segment", content=encode_image(IMAGES[0, ..., 0]))


def ask_tensorflow_serving(url, _):
    rows = [{"image": image[..., 0].tolist()} for image in IMAGES]
    httpx2.post(f"http://{url}/v1/models/fake:predict", json={"instances": rows})


@pytest.mark.parametrize(
    ("ask", "images"),
    [
        (lambda _, client: client.infer("fake", make_inputs()), 2),
        (ask_the_native_protocol, 1),
        (ask_tensorflow_serving, 2),
    ],
    ids=["inference", "native", "tensorflow serving"],
)
def test_executions_are_the_calls_of_the_model_whatever_protocol_asked(url, client, ask, images):
    def count():
        (found,) = client.get_inference_statistics("fake")["model_stats"]
        sizes = {entry["batch_size"]: entry for entry in found["batch_stats"]}
        calls = sum(entry["compute_infer"]["count"] for entry in sizes.values())
        windows = sum(size * entry["compute_infer"]["count"] for size, entry in sizes.items())
        assert found["execution_count"] == calls
        for entry in sizes.values():
            for stage in ("compute_input", "compute_infer", "compute_output"):
                assert entry[stage]["count"] == entry["compute_infer"]["count"]
                assert entry[stage]["ns"] >= 0
        return found["inference_count"], calls, windows

    before = count()
    ask(url, client)
    inferences, calls, windows = (now - then for now, then in zip(count(), before, strict=True))

    assert inferences == windows == images
    assert 1 <= calls <= windows


def test_an_image_without_a_valid_pixel_is_an_inference_and_no_execution(client):
    def count():
        (found,) = client.get_inference_statistics("fake")["model_stats"]
        return found["inference_count"], found["execution_count"]

    inferences, executions = count()
    client.infer("fake", make_inputs(masks=np.zeros_like(MASKS)))

    assert count() == (inferences + 2, executions)


def test_a_timeout_that_passes_is_said(client):
    with pytest.raises(InferenceServerException, match=r"\[504\] the answer must arrive within"):
        client.infer("fake", make_inputs(), timeout=1)


def test_a_timeout_that_does_not_pass_changes_nothing(client):
    result = client.infer("fake", make_inputs(), timeout=30_000_000, priority=1)

    assert np.array_equal(result.as_numpy("labels"), EXPECTED.labels)


@pytest.mark.parametrize("call", ["load_model", "unload_model"])
def test_models_are_not_controlled_by_just_anybody(client, call):
    with pytest.raises(InferenceServerException, match=r"\[403\] .* needs an admin key"):
        getattr(client, call)("fake")
    assert client.is_model_ready("fake")


@pytest.mark.parametrize("call", ["get_log_settings", "get_trace_settings"])
def test_what_is_not_there_is_said_in_words(client, call):
    with pytest.raises(InferenceServerException, match=r"\[404\] Not Found: GET /v2/"):
        getattr(client, call)()


def test_the_request_is_logged_with_what_it_took(client, caplog):
    with caplog.at_level(logging.INFO):
        client.infer("fake", make_inputs(), headers={"X-Request-ID": "trace-8"})
        client.is_server_live()  # by now the line is written

    lines = [line for line in caplog.records if getattr(line, "request_id", "") == "trace-8"]
    (record,) = [line for line in lines if line.name == "service.web.request_log"]
    assert (record.model, record.version, record.images) == ("fake", "1", 2)
    assert record.valid_pixels == MASKS.sum()
    assert record.infer_ms >= 0


def infer_raw(url, body, path="/v2/models/fake/infer", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"http://{url}{path}", content=body, headers=headers)


def check_error(response, status, *words):
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"], response.text
    assert response.status_code == status, response.text
    for word in words:
        assert word in response.json()["error"]


def make_body(*changes, raw=b"\1\2", **members):
    tensor = {
        "name": "image",
        "shape": [1, 1, 2, 1],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": 2},
    }
    inputs = [tensor | change for change in changes or ({},)]
    text = json.dumps({"inputs": inputs} | members).encode()
    return text + raw, str(len(text))


MASK_CHANGE = {"name": "mask", "shape": [1, 2, 1], "datatype": "BOOL"}
BAD_REQUESTS = {
    "size that disagrees": ([{"parameters": {"binary_data_size": 3}}], {}, 400, "binary_data_size"),
    "missing bytes": ([{}], {"raw": b"\1"}, 400, "it has 1 left"),
    "trailing bytes": ([{}], {"raw": b"\1\2\3"}, 400, "there are 3"),
    "overflow": ([{"shape": [2**63] * 4}], {}, 400, "sides of image"),
    "product overflow": ([{"shape": [2**32] * 4}], {}, 400, "the size of UINT8"),
    "negative side": ([{"shape": [1, -1, -2, 1]}], {}, 400, "sides of image"),
    "zero side": ([{"shape": [1, 0, 2, 1]}], {}, 400, "sides of image"),
    "unknown name": ([{"name": "input_1"}], {}, 400, "one of image, mask"),
    "twice": ([{}, {}], {"raw": b"\1\2\1\2"}, 400, "it has image twice"),
    "wrong datatype": ([{"datatype": "BYTES"}], {}, 400, "datatype of image"),
    "mask of another size": ([{}, MASK_CHANGE], {"raw": b"\1\2\1\1"}, 400, "mask is 2×1"),
    "unknown output": ([{}], {"outputs": [{"name": "scores"}]}, 400, "one of labels"),
    "too many channels": (
        [{"shape": [1, 1, 1, 2]}],
        {},
        400,
        "model fake takes 1 channel; the image has 2",
    ),
    "too many pixels": (
        [{"shape": [1, 150, 150, 1], "parameters": {"binary_data_size": 22_500}}],
        {"raw": bytes(22_500)},
        413,
        "at most 20000 pixels",
    ),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_refused_in_the_protocols_shape(url, case):
    changes, members, status, words = BAD_REQUESTS[case]
    body, length = make_body(*changes, **members)

    check_error(infer_raw(url, body, inference_header_content_length=length), status, words)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ("0", "because the JSON names the inputs and their shapes"),
        ("7", "must be JSON"),
        ("9999", "at most the body's"),
        ("x", "number of bytes"),
        (None, "Inference-Header-Content-Length must be its length"),
    ],
)
def test_a_wrong_or_missing_header_length_is_refused(url, length, words):
    headers = {} if length is None else {"inference_header_content_length": length}

    check_error(infer_raw(url, make_body()[0], **headers), 400, words)


def test_an_unknown_coding_is_refused_with_those_that_are_read(url):
    response = infer_raw(url, b"x", content_encoding="br")

    check_error(response, 415, "one of gzip, deflate; it is br")
    assert response.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [("gzip", gzip.compress(bytes(50_000_000))), ("deflate", zlib.compress(bytes(50_000_000)))],
)
def test_a_bomb_is_refused(url, coding, bomb):
    assert len(bomb) < 200_000

    check_error(
        infer_raw(url, bomb, content_encoding=coding), 413, "the decompressed body must have"
    )


def test_a_damaged_coding_is_refused(url):
    check_error(infer_raw(url, b"not gzip", content_encoding="gzip"), 400, "must be gzip")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "0 bytes"),
        (b"{", 400, "must be JSON"),
        (b"[]", 400, "JSON object"),
        (b'{"inputs": ' + b"[" * 50_000, 400, "recursion limit"),
        (b'{"inputs": ' + b"1" * 100_000, 400, "must be JSON"),
        (bytes(200_001), 413, "at most 200000 bytes"),
        (b"," * 110_001, 413, "at most 110000 numbers"),
    ],
    ids=["empty", "open", "list", "deep", "digits", "too large", "too many numbers"],
)
def test_a_body_that_is_no_request_is_refused(url, body, status, words):
    check_error(infer_raw(url, body), status, words)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v2/models/other/infer", "fake; not other"),
        ("/v2/models/fake/versions/2/infer", "fake has 1, not 2"),
        ("/v2/models/fake/versions/latest/infer", "fake has 1, not latest"),
        ("/v2/models/fake/versions/..%2F1/infer", "Not Found"),
        ("/v2/models/fake/versions/..%2f..%2ffake%2f1/infer", "Not Found"),
        ("/v2/models/..%2Ffake/infer", "Not Found"),
        ("/v2/models/%2e%2e/infer", "not .."),
    ],
)
def test_an_unknown_model_or_version_is_refused(url, path, words):
    body, length = make_body()

    response = infer_raw(url, body, path, inference_header_content_length=length)

    check_error(response, 404, words)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v2/nothing", 404, "Not Found: GET /v2/nothing"),
        ("GET", "/v2/models/fake/infer", 405, "Method Not Allowed: GET"),
        ("POST", "/v2", 405, "Method Not Allowed: POST"),
        ("GET", "/v2/models/fake/", 404, "Not Found: GET /v2/models/fake/"),
        ("POST", "/v2/models/fake/infer/", 404, "Not Found: POST"),
        ("GET", "/v2/models/other", 404, "not other"),
        ("GET", "/v2/models/other/config", 404, "not other"),
        ("GET", "/v2/models/other/stats", 404, "not other"),
        ("GET", "/v2/models/fake/versions/7/stats", 404, "not 7"),
        ("POST", "/v2/repository/models/other/load", 403, "admin key"),
    ],
)
def test_every_other_error_has_the_same_shape(url, method, path, status, words):
    check_error(httpx2.request(method, f"http://{url}{path}"), status, words)


def test_the_server_is_described_with_and_without_a_slash_at_the_end(url):
    """The protocol's text says `v2`, its OpenAPI document `/v2/`."""
    with_slash = httpx2.get(f"http://{url}/v2/")

    assert with_slash.status_code == 200
    assert with_slash.json() == httpx2.get(f"http://{url}/v2").json()


def test_the_native_protocol_keeps_its_own_shape(url):
    for path in ("/v1/segment", "/v3"):
        response = httpx2.get(f"http://{url}{path}")
        assert response.headers["content-type"] == "application/problem+json"
