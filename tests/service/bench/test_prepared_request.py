import httpx2
import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample
from service.bench.prepared_request import encode_request, parse_server_url, prepare_request
from service.wire.native.request import parse_request

RNG = np.random.default_rng(0)
SAMPLE = Sample(RNG.integers(0, 256, (5, 7, 3), np.uint8), RNG.random((5, 7)) < 0.5)


def split(request):
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return line, dict(field.split(": ") for field in fields), body


def test_the_request_is_what_the_server_reads_as_image_mask_and_parameters():
    request = prepare_request(httpx2.URL("http://there"), SAMPLE, {"model": "fake"})

    _, fields, body = split(request.content)
    asked = parse_request(fields["Content-Type"], {}, body, ImageLimits())
    assert asked.parameters.model == "fake"
    assert np.array_equal(asked.image.read_image(ImageLimits()).values, SAMPLE.image)
    assert np.array_equal(asked.image.read_mask(ImageLimits()), SAMPLE.mask)


def test_the_head_says_all_that_the_answer_depends_on():
    request = prepare_request(httpx2.URL("http://there:81/seg"), SAMPLE)

    line, fields, body = split(request.content)
    assert line == "POST /seg/v1/segment HTTP/1.1"
    assert fields["Host"] == "there:81"
    assert fields["Accept"] == "application/x-npy"
    assert int(fields["Content-Length"]) == len(body)


def test_a_request_knows_the_pixels_of_its_image():
    request = prepare_request(httpx2.URL("http://there"), SAMPLE)

    assert (request.pixels, request.valid_pixels) == (35, SAMPLE.mask.sum())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://127.0.0.1:8000", ("http", "127.0.0.1", 8000, "/")),
        ("http://[::1]:8000/", ("http", "::1", 8000, "/")),
        ("http://there", ("http", "there", None, "/")),
        ("http://there:80", ("http", "there", None, "/")),
        ("https://there/seg/", ("https", "there", None, "/seg")),
    ],
)
def test_urls_are_read(text, parts):
    url = parse_server_url(text)

    assert (url.scheme, url.host, url.port, url.path) == parts


def test_an_address_of_version_six_stands_in_brackets():
    request = encode_request("GET", httpx2.URL("http://[::1]:8000"), "/")

    assert b"Host: [::1]:8000\r\n" in request


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://there", "http://", "there", "http://[::1", "http://there:x"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="a URL must be like"):
        parse_server_url(url)
